"""Pack the agent: the part of the project that runs inside a machine, standard library only.

Two archives of the same content: ``agent.zip`` (run by ``python3 -I -S agent.zip pe|os``) and
``setup.zip`` (Windows Setup of the deployed system), which differ in their ``__main__`` only.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabFault
from lab.pe.programs import PackageTree

#: What the bundle holds, below the package's folder (docs/architecture.md, import order).
PARTS = ("__init__.py", "errors.py", "clock.py", "sequence", "client", "guest")
MAINS = {
    "agent.zip": "import sys\nfrom lab.guest.agent import main\nsys.exit(main())\n",
    "setup.zip": "import sys\nfrom lab.guest.windows_setup import main\nsys.exit(main())\n",
}
_DATE = (1980, 1, 1, 0, 0, 0)

_COMPILE = """\
import py_compile, sys
root = sys.argv[1]
for name in sys.stdin.read().split('\\n'):
    py_compile.compile(root + '/' + name, root + '/' + name + 'c', dfile='/osdlab/' + name, doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


@dataclass(frozen=True)
class Bundle:
    """The packed agent. ``start`` is the shell script that starts it."""

    start: bytes
    agent: bytes
    setup: bytes

    def client(self) -> bytes:
        """The single file of the ConfigMgr client package: ``start`` and ``agent.zip`` in a zip."""
        return _zip({"start": self.start, "agent.zip": self.agent})


def read_sources(package: Path) -> dict[str, bytes]:
    """The bundle's files as name in the zip -> content. ``package`` is the folder of ``lab``.

    Raises LabFault when a part is missing.
    """
    found: dict[str, bytes] = {}
    for part in PARTS:
        place = package / part
        paths = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        for path in paths:
            if not path.is_file():
                raise LabFault(f"the agent's part {part} is missing in {package}")
            found[f"lab/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    start = package / "guest" / "start.sh"
    if not start.is_file():
        raise LabFault(f"the agent's start script is missing: {start}")
    found["start"] = start.read_bytes()
    return found


def build_bundle(sources: Mapping[str, bytes], tree: PackageTree, scratch: Path) -> Bundle:
    """Compile and pack the agent with the interpreter that will run it. ``scratch``: a folder to work in."""
    modules = {name: data for name, data in sources.items() if name.endswith(".py")}
    texts = {**modules, **{f"{name}/__main__.py": text.encode() for name, text in MAINS.items()}}
    with tempfile.TemporaryDirectory(prefix=".compile-", dir=scratch) as folder:
        for name, data in texts.items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        names = "\n".join(sorted(texts))
        tree.run(tree.python(), "-S", "-B", "-c", _COMPILE, folder, what="compiling the agent", text_in=names)
        compiled = {f"{name}c": Path(folder, f"{name}c").read_bytes() for name in texts}
    common = {**modules, **{f"{name}c": compiled[f"{name}c"] for name in modules}}

    def archive(name: str) -> bytes:
        mains = {
            "__main__.py": MAINS[name].encode(),
            "__main__.pyc": compiled[f"{name}/__main__.pyc"],
        }
        return _zip({**common, **mains})

    return Bundle(sources["start"], archive("agent.zip"), archive("setup.zip"))


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Stored, not compressed: the bytes depend on no zlib, and the guest need not load one to import."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            entry.external_attr = (0o100755 if name == "start" else 0o100644) << 16
            archive.writestr(entry, data)
    return out.getvalue()
