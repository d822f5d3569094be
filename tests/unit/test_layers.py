"""The import order of the house, enforced, and the guard itself seen to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers import LEVELS, level_of, violations

PACKAGE = Path(__file__).parents[2] / "lab"


def test_every_import_runs_downwards() -> None:
    assert violations(PACKAGE) == []


def test_every_room_has_a_place() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    rooms = modules | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    for room in rooms - {"__init__", "__main__"}:
        level_of(room)
    assert sum(len(level) for level in LEVELS) == len(frozenset().union(*LEVELS))


@pytest.mark.parametrize(
    ("file", "code", "reason"),
    [
        ("sequence/engine.py", "import time", "pure"),
        ("client/wizard.py", "import os", "pure"),
        ("client/wizard.py", "from lab.guest import http", "may not import room 'guest'"),
        ("sequence/engine.py", "from lab.guest import loop", "may not import room 'guest'"),
        ("disk/reader.py", "from lab import hypervisor", "may not import room 'hypervisor'"),
        ("guest/agent.py", "import yaml", "standard library only"),
        ("report/summary.py", "import libvirt", "has its home in"),
        ("judge/verdict.py", "def f():\n    from lab.run.front import x", "may not import room 'run'"),
        ("judge/verdict.py", "from . import x", "relative import"),
        ("judge/verdict.py", "import requests", "no room"),
    ],
)
def test_the_guard_sees_a_breach(tmp_path: Path, file: str, code: str, reason: str) -> None:
    path = tmp_path / "lab" / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    found = violations(tmp_path / "lab")
    assert len(found) == 1
    assert reason in found[0]
