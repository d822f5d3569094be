"""The import order of the house as data, and a walk over syntax trees; docs/architecture.md has the words."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

#: Rooms from the ground up; rooms on one line do not import each other.
LEVELS: tuple[frozenset[str], ...] = tuple(
    frozenset(level.split())
    for level in (
        "errors clock files settings yamlio",
        "timeline",
        "sequence",
        "client",
        "site hypervisor network disk guest pe logs",
        "simulation",
        "scenario",
        "rules",
        "judge",
        "run",
        "report",
        "commands",
        "cli pytest_plugin",
    )
)
#: Arrows between rooms of one line, or upwards, each named with its reason in docs/architecture.md.
ARROWS = frozenset({("clock", "errors"), ("yamlio", "errors"), ("settings", "errors")})

#: Each third-party package has one home; pydantic also the rooms whose models derive from yamlio's.
HOMES: dict[str, frozenset[str]] = {
    "yaml": frozenset({"yamlio"}),
    "pydantic": frozenset({"site", "yamlio", "scenario", "rules"}),
    "pydantic_core": frozenset({"yamlio", "scenario"}),
    "libvirt": frozenset({"hypervisor"}),
    "pyqcow": frozenset({"hypervisor"}),
    "pytsk3": frozenset({"disk"}),
    "regipy": frozenset({"disk"}),
    "starlette": frozenset({"site"}),
    "uvicorn": frozenset({"site"}),
    "httptools": frozenset({"site"}),
    "paramiko": frozenset({"run"}),
    "cryptography": frozenset({"run"}),
    "testinfra": frozenset({"run"}),
    "rich": frozenset({"report", "commands", "cli"}),
    "click": frozenset({"commands", "cli"}),
    "pytest": frozenset({"pytest_plugin"}),
    "_pytest": frozenset({"pytest_plugin"}),
    "xdist": frozenset({"pytest_plugin"}),
    "allure": frozenset({"pytest_plugin"}),
    "allure_commons": frozenset({"pytest_plugin", "report"}),
}
#: Rooms that run in the guest or must stay pure: the standard library only.
STANDARD_LIBRARY_ONLY = frozenset({"errors", "clock", "timeline", "sequence", "client", "guest"})
#: Neither engine nor client does I/O or asks a clock.
PURE = frozenset({"sequence", "client"})
FORBIDDEN_IN_ENGINE = frozenset(
    [
        "os",
        "sys",
        "io",
        "time",
        "random",
        "socket",
        "subprocess",
        "threading",
        "logging",
        "pathlib",
        "datetime",
        "secrets",
        "uuid",
        "shutil",
        "tempfile",
        "asyncio",
    ]
)


def level_of(room: str) -> int:
    for number, rooms in enumerate(LEVELS):
        if room in rooms:
            return number
    raise AssertionError(f"room '{room}' has no place in the import order")


def room_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return parts[0]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            else:
                yield node.lineno, node.module or ""
                if node.module == "lab":
                    for alias in node.names:
                        yield node.lineno, f"lab.{alias.name}"


def violations(package: Path) -> list[str]:
    """Every import below ``package`` (the folder ``lab``) that breaks the order, as 'file:line: reason'."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        if room == "__init__":
            continue
        for line, name in imports(ast.parse(path.read_text(encoding="utf-8"))):
            reason = _reason(room, name)
            if reason:
                found.append(f"{path.relative_to(package.parent)}:{line}: {reason}")
    return found


def _reason(room: str, name: str) -> str:
    if name.startswith("."):
        return "relative import; name the module in full"
    top, _, rest = name.partition(".")
    if top == "lab":
        other = rest.partition(".")[0]
        if not other or other == room or (room, other) in ARROWS:
            return ""
        if level_of(other) >= level_of(room):
            return f"room '{room}' may not import room '{other}'"
        return ""
    if top in sys.stdlib_module_names:
        if room in PURE and top in FORBIDDEN_IN_ENGINE:
            return f"room '{room}' is pure and may not import '{top}'"
        return ""
    if room in STANDARD_LIBRARY_ONLY:
        return f"room '{room}' is standard library only, not '{top}'"
    if room not in HOMES.get(top, frozenset()):
        home = sorted(HOMES.get(top, frozenset())) or "no room"
        return f"package '{top}' has its home in {home}, not in '{room}'"
    return ""
