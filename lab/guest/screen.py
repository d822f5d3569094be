"""What the machine shows on its own screen while a sequence runs, so that a screenshot says something.

Plain text on the virtual terminal, ASCII only: the kernel's font has no more. A machine without a screen
does without.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in agent: typing's import takes too long before the hello
if TYPE_CHECKING:
    from typing import Any, TextIO

TERMINAL = "/dev/tty0"
#: How many finished steps the page shows.
RECENT = 12
_BAR = 50


class Screen:
    """The progress page of one boot. ``terminal`` None: there is no screen."""

    def __init__(self, terminal: TextIO | None, title: str) -> None:
        self._terminal = terminal
        self._title = title
        self._sequence = ""
        self._steps = 0
        self._current = ""
        self._number = 0
        self._recent: list[str] = []

    @classmethod
    def open(cls, title: str, path: str = TERMINAL) -> Screen:
        """The machine's screen, or none when it has none."""
        try:
            return cls(open(path, "w", encoding="ascii", errors="replace"), title)
        except OSError:
            return cls(None, title)

    def take(self, kind: str, data: dict[str, Any]) -> None:
        """Show what an engine event changes."""
        if kind == "sequence-started":
            self._sequence, self._steps = str(data["name"]), int(data["steps"])
        elif kind == "instruction" and data.get("n"):
            self._current, self._number = str(data["name"]), int(data["n"])
        elif kind == "step-finished":
            self._finished(data)
        elif kind == "sequence-finished":
            code = f" 0x{data['code']:08X}" if data["code"] else ""
            self._current = f"Task sequence {data['result']}{code}"
        else:
            return
        self._draw()

    def say(self, text: str) -> None:
        """Show a line in place of the current step."""
        self._current = text
        self._draw()

    def ask(self, lines: list[str], prompt: str) -> None:
        """Show a page that waits for a line: the cursor is where it is typed."""
        text = "".join(f"  {line}\n" if line else "\n" for line in ["", self._title, "", *lines])
        self._put(text + f"  {prompt}\x1b[?25h")

    def _finished(self, data: dict[str, Any]) -> None:
        code = f" ({data['code']})" if data["result"] == "failed" else ""
        self._recent.append(f"{data['result']:<9} {data['name']}{code}")
        del self._recent[:-RECENT]

    def page(self) -> str:
        """The whole page as text."""
        lines = ["", f"  {self._title}", ""]
        if self._sequence:
            lines += [f"  Running: {self._sequence}", ""]
        if self._steps and self._number:
            done = min(_BAR, _BAR * self._number // self._steps)
            lines += [
                f"  Step {self._number} of {self._steps}",
                f"  [{'#' * done}{'.' * (_BAR - done)}]",
            ]
        lines += [f"  {self._current}", "", *(f"    {line}" for line in self._recent)]
        return "\n".join(lines) + "\n"

    def _draw(self) -> None:
        self._put(self.page())

    def _put(self, text: str) -> None:
        if self._terminal is None:
            return
        # Clear, go home, and no blinking cursor: two pictures of one state are the same picture.
        try:
            self._terminal.write("\x1b[2J\x1b[H\x1b[?25l" + text.replace("\n", "\r\n"))
            self._terminal.flush()
        except OSError:
            self._terminal = None
