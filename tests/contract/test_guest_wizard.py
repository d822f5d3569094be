"""The wizard on a real terminal: lines as they are typed, corrections, secrets that are not shown."""

from __future__ import annotations

import os
import pty
import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lab.client import wizard
from lab.client.wizard import Page
from lab.clock import SystemClock
from lab.errors import LabFault
from lab.guest.screen import Screen
from lab.guest.wizard import Wizard

#: Seconds for what comes at once: only a broken test waits so long.
LIMIT = 60.0


class Terminal:
    """Somebody in front of a screen: ``type`` answers the page that comes next."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.path = os.ttyname(self.slave)
        self.told: list[dict[str, Any]] = []

    def answer(self, page: Page, typed: bytes, before: bytes = b"") -> str:
        def tell(kind: str, data: dict[str, Any]) -> None:
            assert kind == "wizard"
            self.told.append(data)
            threading.Thread(target=os.write, args=(self.master, typed)).start()

        if before:  # the kernel brings it to the terminal in its own time
            os.write(self.master, before)
            assert select.select([self.slave], [], [], LIMIT)[0]
        with open(self.path, "w", encoding="ascii") as screen:
            return Wizard(Screen(screen, "osdlab"), SystemClock(), tell, self.path).ask(page)

    def shown(self) -> str:
        """All that came to the screen since the last call."""
        end = b"<end of what was shown>"
        os.write(self.slave, end)
        text = b""
        while end not in text:
            assert select.select([self.master], [], [], LIMIT)[0], text
            text += os.read(self.master, 65536)
        return text.partition(end)[0].decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.master)
    os.close(made.slave)


def test_a_line_is_what_was_typed_after_the_page_came_with_its_corrections(terminal: Terminal) -> None:
    page = wizard.choice([{"name": "Windows 11", "deployment": "LAB20001"}, {"name": "b", "deployment": "B"}])
    assert terminal.answer(page, b"21\x7f\n", before=b"early\n") == "2"
    shown = terminal.shown()
    assert "   1  Windows 11 (LAB20001)" in shown and "Number: " in shown
    assert terminal.told == [page.to_json()]


def test_a_value_is_shown_and_a_secret_one_is_not(terminal: Terminal) -> None:
    assert terminal.answer(wizard.variable("Room", False), b"Block B\n") == "Block B"
    assert "Block B" in terminal.shown()
    assert terminal.answer(wizard.variable("Pin", True), b"hunter2\n") == "hunter2"
    assert "hunter2" not in terminal.shown()


def test_a_machine_without_a_screen_is_the_labs_fault(tmp_path: Any) -> None:
    with pytest.raises(LabFault, match="no screen and keyboard"):
        Wizard(Screen(None, ""), SystemClock(), lambda kind, data: None, str(tmp_path / "tty")).ask(
            wizard.variable("Room", False)
        )
