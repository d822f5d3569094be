"""The timeline's file, read after whatever ended the one who wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.timeline import Timeline, read_timeline


def written(path: Path) -> bytes:
    with path.open("w", encoding="utf-8") as file:
        timeline = Timeline(VirtualClock(), file)
        timeline.append("lab", "run-started", name="first")
        timeline.append("lab", "run-ended", name="Zurück")
    return path.read_bytes()


def test_a_last_line_cut_anywhere_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    whole = written(path)
    first, character = whole.index(b"\n") + 1, whole.index("ü".encode())
    for end in (first, first + 1, character, character + 1, len(whole) - 2):
        path.write_bytes(whole[:end])
        assert [event.kind for event in read_timeline(path)] == ["run-started"]
    path.write_bytes(whole)
    assert [event.data["name"] for event in read_timeline(path)] == ["first", "Zurück"]


def test_a_line_that_is_cut_elsewhere_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    whole = written(path)
    path.write_bytes(b'{"seq": 1' + b"\n" + whole)
    with pytest.raises(ValueError):
        list(read_timeline(path))
