"""A line on the terminal while a machine runs: where it is. None under xdist, in CI, or for no terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pytest

from lab.report.progress import MachineProgress
from lab.timeline import Event

_CLEAR = "\r\x1b[2K"


class Reporter(Protocol):
    """The part of pytest's terminal reporter that is needed."""

    def ensure_newline(self) -> None: ...

    def write(self, content: str, *, flush: bool = False, **markup: bool) -> None: ...


class StatusLine:
    """A follower of events that draws one line anew whenever a machine gets on.

    ``uncaptured`` gives a context in which what is written reaches the terminal.
    """

    def __init__(
        self, reporter: Reporter, uncaptured: Callable[[], AbstractContextManager[Any]], width: int
    ) -> None:
        self._reporter, self._uncaptured, self._width = reporter, uncaptured, width
        self._machines: dict[str, MachineProgress] = {}
        self._drawn = False

    def __call__(self, event: Event) -> None:
        if not event.machine:
            return
        machine = self._machines.setdefault(event.machine, MachineProgress(event.machine))
        if line := machine.take(event):
            with self._uncaptured():
                if not self._drawn:
                    self._reporter.ensure_newline()
                text = " ".join(f"{event.machine}  {line}".split())[: self._width - 1]
                self._reporter.write(_CLEAR + text, flush=True)
            self._drawn = True

    def clear(self) -> None:
        """Give the line back to pytest."""
        if self._drawn:
            with self._uncaptured():
                self._reporter.write(_CLEAR, flush=True)
        self._drawn = False


@contextlib.contextmanager
def status_line(config: pytest.Config) -> Iterator[Callable[[Event], None]]:
    """What follows a run for the user's eyes, as far as there are any."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    worker = hasattr(config, "workerinput")
    if worker or os.environ.get("CI") or reporter is None or capture is None or not reporter.isatty:
        yield lambda event: None
        return
    line = StatusLine(reporter, capture.global_and_fixture_disabled, reporter._tw.fullwidth)
    try:
        yield line
    finally:
        line.clear()
