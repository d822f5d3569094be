"""A helper process: its lines, its end, and what happens when its lines cannot be taken in."""

from __future__ import annotations

import sys
from queue import Queue

import pytest

from lab.errors import LabFault
from lab.run.child import Child

Ends = Queue[tuple[int, str]]


def child(code: str, on_line: object, ends: Ends) -> Child:
    return Child(
        "helper", [sys.executable, "-c", code], stream="stdout",
        on_line=on_line, on_end=lambda *end: ends.put(end),
    )  # type: ignore[arg-type]  # fmt: skip


def test_a_helpers_end_is_told_with_its_last_words() -> None:
    lines: list[str] = []
    ends: Ends = Queue()
    started = child("print('one'); print('two'); raise SystemExit(3)", lines.append, ends)
    assert ends.get(timeout=120.0) == (3, "one\ntwo")
    assert lines == ["one", "two"]
    started.stop()


def test_a_helper_whose_words_cannot_be_taken_in_does_not_go_on_unheard() -> None:
    def full(line: str) -> None:
        raise OSError(28, "No space left on device")

    ends: Ends = Queue()
    started = child("import time; print('one', flush=True); time.sleep(3600)", full, ends)
    code, tail = ends.get(timeout=120.0)
    assert code == -9
    assert tail.startswith("one\nthe lab could not take in what it said: OSError")
    started.stop()


def test_a_helper_that_is_stopped_tells_nothing() -> None:
    ends: Ends = Queue()
    started = child("import sys; sys.stdin.read()", print, ends)
    started.stop()
    assert ends.empty()


def test_a_program_that_is_not_there_is_the_labs_fault() -> None:
    with pytest.raises(LabFault, match="cannot start helper"):
        Child("helper", ["/no/such"], stream="stdout", on_line=print, on_end=print)
