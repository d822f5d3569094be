"""The task sequence wizard on the machine's own screen, answered at its own keyboard."""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Callable
from typing import Any

from lab.client.wizard import Page
from lab.clock import Clock, Deadline
from lab.errors import LabFault
from lab.guest.screen import TERMINAL, Screen

#: Seconds that a page waits for somebody.
PATIENCE = 12 * 3600.0
#: Seconds between two looks at the keyboard, for the deadline's sake.
_LOOK = 60.0

_ECHO = termios.ECHO | termios.ECHOE | termios.ECHOK


class Wizard:
    """``tell`` gets the event ``wizard`` once keys count; a page that is shown again has a new one."""

    def __init__(
        self, screen: Screen, clock: Clock, tell: Callable[[str, dict[str, Any]], None], path: str = TERMINAL
    ) -> None:
        self._screen = screen
        self._clock = clock
        self._tell = tell
        self._path = path

    def ask(self, page: Page) -> str:
        """Show a page and give the line that is typed. Raises LabFault without a screen, or when nobody
        types one."""
        try:
            terminal = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise LabFault(f"the machine has no screen and keyboard for the wizard: {error}") from error
        try:
            _listen(terminal, echo=not page.secret)
            self._screen.ask(page.lines(), page.prompt)
            self._tell("wizard", page.to_json())
            return self._line(terminal, page)
        finally:
            os.close(terminal)

    def _line(self, terminal: int, page: Page) -> str:
        deadline = Deadline(PATIENCE, self._clock)
        typed = b""
        while b"\n" not in typed:
            if deadline.passed():
                raise LabFault(f"nobody answered the wizard's page '{page.title}'")
            if select.select([terminal], [], [], min(_LOOK, deadline.left()))[0]:
                typed += os.read(terminal, 4096)
        return typed.partition(b"\n")[0].decode("utf-8", "replace")


def _listen(terminal: int, *, echo: bool) -> None:
    """Lines with the kernel's own editing, nothing from before; a secret is not shown."""
    modes = termios.tcgetattr(terminal)
    modes[0] |= termios.ICRNL
    modes[3] |= termios.ICANON
    modes[3] = modes[3] | _ECHO if echo else modes[3] & ~_ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, modes)
