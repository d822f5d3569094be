"""The line that a pytest on a terminal shows while a machine runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lab.pytest_plugin.showing import StatusLine, status_line
from lab.timeline import Event


class Terminal:
    """Takes down what is written, and that it was written where the terminal is reached."""

    isatty = True
    _tw = SimpleNamespace(fullwidth=40)

    def __init__(self) -> None:
        self.written: list[str] = []
        self.open = False

    @contextlib.contextmanager
    def global_and_fixture_disabled(self) -> Iterator[None]:
        self.open = True
        yield
        self.open = False

    def ensure_newline(self) -> None:
        self.written.append("\n")

    def write(self, content: str, *, flush: bool = False, **markup: bool) -> None:
        assert self.open and flush
        self.written.append(content)


def event(kind: str, source: str = "engine", machine: str = "PC-1", **data: Any) -> Event:
    return Event(1, 1.0, "", machine, source, kind, "step", None, data)


def test_one_line_is_drawn_anew_and_given_back() -> None:
    terminal = Terminal()
    line = StatusLine(terminal, terminal.global_and_fixture_disabled, 40)
    line(event("run-started", "lab", machine=""))
    line(event("sequence-started", name="hello", steps=2))
    line(event("instruction", n=1, name="A step whose name is longer than the terminal is wide"))
    line.clear()
    line.clear()
    first, *rest = terminal.written
    assert first == "\n" and all(text.startswith("\r\x1b[2K") for text in rest)
    assert rest[1][5:] == "PC-1 step 1/2 A step whose name is long" and rest[2:] == ["\r\x1b[2K"]


@pytest.mark.parametrize("why", ["CI", "xdist", "no terminal"])
def test_nobody_looks(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    terminal = Terminal()
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda name: terminal))
    with status_line(config) as follow:
        follow(event("sequence-started", steps=2))
    assert terminal.written, "somebody looks"
    terminal.written.clear()
    if why == "CI":
        monkeypatch.setenv("CI", "true")
    elif why == "xdist":
        config.workerinput = {}
    else:
        terminal.isatty = False
    with status_line(config) as follow:
        follow(event("sequence-started", steps=2))
    assert terminal.written == []
