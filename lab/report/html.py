"""Allure results as one HTML file, built offline by Allure 3 (npm package ``allure``) and cleaned of foreign
addresses.

Allure is installed once, from the locked list in ``npm/``, into the cache.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.errors import LabFault
from lab.files import write_whole
from lab.pe.programs import run
from lab.pe.store import Store
from lab.report.offline import foreign_addresses, in_code, make_offline

#: What is installed: package.json, package-lock.json, .npmrc.
LOCK = Path(__file__).parent / "npm"
#: The oldest Node that Allure's packages run on.
OLDEST_NODE = (20,)
#: Seconds: an installation over a slow line, and a report of very many runs.
_INSTALL, _BUILD = 900.0, 600.0
_INSTALL_NODE = "install Node 20 or newer with npm (Debian: apt-get install nodejs npm), then run it again"
#: Files in which a browser could find something to load.
_PAGES, _CODE = (".html", ".htm", ".svg"), (".js", ".mjs", ".css")

Say = Callable[[str], None]


def need_node() -> None:
    """Raise LabFault unless Node and npm are there, and new enough."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise LabFault(
            f"the report is built by Allure, which needs {' and '.join(missing)}", hint=_INSTALL_NODE
        )
    said = run(["node", "--version"], what="look for Node", seconds=60).strip()
    numbers = said.removeprefix("v").split(".")
    if not all(part.isdigit() for part in numbers[:1]) or tuple(map(int, numbers[:1])) < OLDEST_NODE:
        raise LabFault(f"Node {said} is too old for Allure", hint=_INSTALL_NODE)


def ensure_allure(cache: Path, say: Say) -> Path:
    """The folder with Allure in it, installed by ``npm ci`` unless the cache has it. Raises LabFault."""
    locked = (LOCK / "package-lock.json").read_bytes()
    key = hashlib.sha256(locked).hexdigest()

    def install(folder: Path) -> None:
        say("Allure is not in the cache: installing it with npm from the locked list (about 50 MB) …")
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(LOCK / name, folder / name)
        run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"],
            what="install Allure", cwd=folder, seconds=_INSTALL,
            hint="this needs the npm registry once; behind a proxy, see 'npm config'",
        )  # fmt: skip

    return Store(cache, say).entry("allure", key, install)


def build_html(results: Path, output: Path, *, cache: Path, title: str, say: Say) -> Path:
    """Build ``output/index.html`` from a folder of Allure results; it opens without any server.

    Raises LabFault when Node is missing, Allure fails, or a foreign address is left in what it made; then
    nothing of it stays.
    """
    need_node()
    allure = ensure_allure(cache, say)
    output.mkdir(parents=True, exist_ok=True)
    with Store(cache).scratch() as scratch:
        made, config = scratch / "report", scratch / "allurerc.json"
        write_whole(config, json.dumps(configuration(results, made, title), ensure_ascii=False))
        run(
            ["node", allure / "node_modules" / "allure" / "cli.js", "generate", "--config", config,
             "--cwd", results, results],
            what="build the report", cwd=scratch, seconds=_BUILD, hint="fewer runs make a smaller report",
        )  # fmt: skip
        page = made / "index.html"
        if not page.is_file():
            raise LabFault("Allure made no index.html", hint=f"see what is in '{results}'")
        write_whole(page, make_offline(page.read_text(encoding="utf-8")))
        if left := addresses_in(made):
            raise LabFault(
                "the report would load from elsewhere, so it is not kept: "
                + ", ".join(f"{where}: {address}" for where, address in left[:5]),
                hint="this Allure is not the locked one, or changed; please tell osdlab's makers",
            )
        write_whole(output / "index.html", page.read_text(encoding="utf-8"))
    return output / "index.html"


def addresses_in(tree: Path) -> list[tuple[str, str]]:
    """(file, foreign address) for all that a browser would load: in each page, script, style of a tree."""
    found: list[tuple[str, str]] = []
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        if path.suffix.lower() not in (*_PAGES, *_CODE):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        addresses = foreign_addresses(text) if path.suffix.lower() in _PAGES else sorted(set(in_code(text)))
        found += [(str(path.relative_to(tree)), address) for address in addresses]
    return found


def configuration(results: Path, output: Path, title: str) -> dict[str, Any]:
    """Allure 3's configuration: one file, scenario over machine over expectation; categories as the results'
    folder has them (Allure 3 does not look there by itself)."""
    return {
        "name": title,
        "output": str(output),
        "categories": {"rules": _categories(results)},
        "plugins": {
            "awesome": {
                "import": "@allurereport/plugin-awesome",
                "options": {
                    "singleFile": True,
                    "reportName": title,
                    "reportLanguage": "en",
                    "groupBy": ["parentSuite", "suite"],
                },
            }
        },
    }


def _categories(results: Path) -> list[Any]:
    try:
        rules = json.loads((results / "categories.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(rules, list):
        return []
    # By message there would be a group for each: no two of ours read the same.
    return [{"groupByMessage": False, **rule} for rule in rules if isinstance(rule, dict)]
