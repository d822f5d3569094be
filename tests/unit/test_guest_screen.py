"""The machine's own screen."""

from __future__ import annotations

import io
from pathlib import Path

from lab.guest.screen import Screen


def test_the_page_names_sequence_step_and_what_came_before() -> None:
    terminal = io.StringIO()
    screen = Screen(terminal, "osdlab LabPE - PC-1")
    screen.take("sequence-started", {"name": "bare-metal", "steps": 4, "instructions": 6})
    screen.take("instruction", {"name": "Partition Disk", "n": 1})
    screen.take("step-finished", {"name": "Partition Disk", "result": "success", "code": 0})
    screen.take("instruction", {"name": "Run it", "n": 2})
    screen.take("step-finished", {"name": "Run it", "result": "failed", "code": 1605})
    assert "Step 2 of 4" in screen.page()
    assert "success   Partition Disk\n" in screen.page()
    assert "failed    Run it (1605)" in screen.page()
    assert terminal.getvalue().count("\x1b[2J") == 5


def test_a_page_has_no_control_characters_of_its_own_for_groups(tmp_path: Path) -> None:
    screen = Screen.open("t", str(tmp_path / "no" / "tty"))
    screen.take("instruction", {"name": "Group", "n": 0})
    screen.take("sequence-finished", {"result": "failed", "code": 0x80004005})
    assert "Task sequence failed 0x80004005" in screen.page()
    assert "Group" not in screen.page()
