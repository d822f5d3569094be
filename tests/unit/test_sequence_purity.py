"""The engine room imports nothing that acts, and a test sees the guard fail."""

from __future__ import annotations

import ast
from pathlib import Path

import lab.sequence

ROOM = Path(lab.sequence.__file__).parent
# purity


#: What the engine may import of the standard library; the host's readers may also use expat.
ALLOWED = {
    "__future__", "base64", "collections", "dataclasses", "difflib", "functools", "ipaddress", "json", "lab",
    "re",
    "typing", "xml",
}  # fmt: skip
READERS = {"xmltree.py", "unattend.py"}


def imports(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def impure(source: str, name: str) -> set[str]:
    """Imports that a file of the engine may not have."""
    wrong = set()
    for module in imports(source):
        top = module.split(".")[0]
        if top not in ALLOWED or (top == "lab" and not module.startswith(("lab.sequence", "lab.errors"))):
            wrong.add(module)
        if top in ("xml", "ipaddress") and name not in READERS:
            wrong.add(module)
    return wrong


def test_the_engine_imports_nothing_that_acts() -> None:
    found = {path.name: impure(path.read_text(), path.name) for path in ROOM.rglob("*.py")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert impure("import os\nimport time\nfrom lab.timeline import Event", "engine.py") == {
        "os", "time", "lab.timeline",
    }  # fmt: skip
