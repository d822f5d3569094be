"""Console bytes to plain lines, agent bytes to observations, the service's lines to requests."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.run.follow import AgentLines, ConsoleLines, http_seen
from lab.run.phases import Seen

#: As OVMF and iPXE write it (observed).
FIRMWARE = (
    b"\x1b[2J\x1b[01;01H\x1b[=3h\x1b[2J\x1b[01;01HBdsDxe: starting Boot0002\r\n"
    b"\x1b[0m\x1b[37m\x1b[40m\x1b[1miPXE 1.0.0+\x1b[0m -- Open Source\r\n\r\n"
    b"Configuring (net0)...\x1b[05;10H ok\r\n"
)
PLAIN = ["BdsDxe: starting Boot0002", "iPXE 1.0.0+ -- Open Source", "Configuring (net0)...", "ok"]


def line(n: int, kind: str = "phase", boot: str = "m1", **data: object) -> bytes:
    return json.dumps({"n": n, "boot": boot, "up": n / 2, "kind": kind, "data": data}).encode() + b"\n"


def test_escape_sequences_are_taken_out() -> None:
    assert list(ConsoleLines().feed(FIRMWARE)) == PLAIN


@given(st.lists(st.integers(0, len(FIRMWARE)), max_size=8))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    console = ConsoleLines()
    edges = [0, *sorted(cuts), len(FIRMWARE)]
    found = [text for a, b in itertools.pairwise(edges) for text in console.feed(FIRMWARE[a:b])]
    assert found == PLAIN


def test_a_prompt_comes_when_it_is_asked_for() -> None:
    console = ConsoleLines()
    assert list(console.feed(b"\x1b[1mShell> ")) == []
    assert list(console.flush()) == ["Shell>"]
    assert list(console.flush()) == []


@given(st.binary(max_size=300))
def test_no_bytes_break_the_console(data: bytes) -> None:
    console = ConsoleLines()
    for text in [*console.feed(data), *console.flush()]:
        assert text.strip() == text != ""
        assert "\x1b[" not in text


def test_the_agents_lines_get_their_sources() -> None:
    agent = AgentLines("PC-1")
    data = line(1, "hello", phase="pe") + line(2, "instruction", name="x") + line(3, "record", message="m")
    seen = list(agent.feed(data[:30])) + list(agent.feed(data[30:]))
    assert [(item.source, item.kind, item.source_time) for item in seen] == [
        ("agent", "hello", 0.5),
        ("engine", "instruction", 1.0),
        ("smsts", "record", 1.5),
    ]
    assert seen[0].data == {"phase": "pe"}


def test_a_hole_in_the_numbering_is_told_and_a_repeated_line_left_out() -> None:
    seen = list(AgentLines("PC-1").feed(line(1) + line(2) + line(5) + line(2) + line(6)))
    assert [(item.kind, dict(item.data)) for item in seen if item.source == "lab"] == [
        ("channel-gap", {"boot": "m1", "expected": 3, "got": 5}),
        ("channel-gap", {"boot": "m1", "expected": 6, "got": 2}),
    ]
    assert [item.source_time for item in seen if item.kind == "phase"] == [0.5, 1.0, 2.5, 3.0]


def test_each_boot_counts_anew() -> None:
    seen = list(AgentLines("PC-1").feed(line(1) + line(2) + line(1, boot="m2")))
    assert [item.kind for item in seen] == ["phase"] * 3


def test_a_line_cut_by_a_restart_does_not_spoil_the_next() -> None:
    agent = AgentLines("PC-1")
    assert list(agent.feed(b'{"n": 1, "bo')) == []
    assert [item.kind for item in agent.restarted()] == ["channel-noise"]
    assert [item.kind for item in agent.feed(line(1))] == ["phase"]


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish\n",
        b"[]\n",
        b'{"n": "x"}\n',
        b'{"n":1,"boot":"b","kind":"k","data":3}\n',
        b'{"n":1,"boot":"b","kind":"k","up":"soon"}\n',
        b'{"n":1e999,"boot":"b","kind":"k"}\n',
        b'{"n":1,"boot":"b","kind":"k","data":{"seconds":NaN}}\n',
        b'{"n":1,"boot":"b","kind":"record","data":{"message":"\\ud800"}}\n',
        b'{"n":1,"boot":"b","kind":"record","data":{"type":"x"}}\n',
        b'{"n":1,"boot":"b","kind":"sequence-started","data":{"steps":[]}}\n',
        b"[" * 100_000 + b"\n",
    ],
    ids=range(11),
)
def test_noise_is_told_and_not_fatal(data: bytes) -> None:
    agent = AgentLines("PC-1")
    assert [item.kind for item in agent.feed(data + line(1))] == ["channel-noise", "phase"]


def test_a_line_that_never_ends_does_not_fill_the_host() -> None:
    agent = AgentLines("PC-1")
    seen = [item for _ in range(80) for item in agent.feed(b"x" * 65_536)]
    assert [item.kind for item in seen] == ["channel-noise"]
    assert [item.kind for item in agent.feed(b"x\n" + line(1))] == ["channel-noise", "phase"]


def test_a_variable_may_have_any_name() -> None:
    [seen] = AgentLines("PC-1").feed(line(1, "variables", code="x", steps=""))
    assert seen.data == {"code": "x", "steps": ""}


def test_the_services_lines() -> None:
    text = '{"method": "GET", "status": 200, "path": "/boot/x", "client": "10.77.0.10", "bytes": 3}'
    assert http_seen(text, {"10.77.0.10": "PC-1"}) == Seen("PC-1", "http", "request", json.loads(text))
    going_on = http_seen('{"progress": true, "path": "/boot/x", "client": "10.77.0.9", "bytes": 3}', {})
    assert going_on == Seen("", "http", "progress", {"path": "/boot/x", "client": "10.77.0.9", "bytes": 3})
    assert http_seen('{"ready": true, "port": 80}', {}) is None
    assert http_seen("Traceback (most recent call last):", {}) is None
