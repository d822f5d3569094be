"""The front's side of a live run: waiting, answers, what broke. The lab process is a pipe here."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabFault, PhaseTimeout, UsageError
from lab.run.conversation import Messages
from lab.run.live import LiveRun
from lab.timeline import Event


class Process:
    """The lab process's end of the conversation."""

    def __init__(self, folder: Path) -> None:
        self._out, theirs = os.pipe()
        self._writer = theirs
        self.orders = io.BytesIO()
        self.run = LiveRun(SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]
        self.run._messages, self.run._input = Messages(self._out), self.orders  # type: ignore[assignment]
        self.run._log = folder / "lab.log"
        self.run._log.write_text("Killed\n")
        ended = SimpleNamespace(stdin=None, stdout=None, returncode=-9, wait=lambda limit=None: -9)
        self.run._process = ended  # type: ignore[assignment]
        self._number = 0

    def say(self, **message: Any) -> None:
        os.write(self._writer, json.dumps(message).encode() + b"\n")

    def event(self, source: str, kind: str, **data: Any) -> None:
        self._number += 1
        event = Event(self._number, 1.5, "", "PC-1", source, kind, "step", None, data)
        self.say(kind="event", event=asdict(event))

    def die(self) -> None:
        if self._writer >= 0:
            os.close(self._writer)
        self._writer = -1

    def close(self) -> None:
        self.die()
        os.close(self._out)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    yield made
    made.close()


def test_events_and_answers_come_in_their_order(process: Process) -> None:
    process.event("agent", "hello", phase="pe")
    process.say(kind="answer", id=1, value="screen-0001.png")
    process.event("agent", "ssh", host_key="ssh-ed25519 AAAA")
    assert process.run.order("screenshot") == "screen-0001.png"
    assert json.loads(process.orders.getvalue()) == {"id": 1, "op": "screenshot", "machine": "PC-1"}
    assert [event.kind for event in process.run.events] == ["hello"]
    process.run.wait(lambda: process.run.host_key() != "", "a key", 60.0)
    assert process.run.host_key() == "ssh-ed25519 AAAA"
    process.event("hypervisor", "reset")
    process.run.refresh()
    assert process.run.host_key() == "", "the key of the start before is nobody's any more"


def test_a_session_with_the_start_before_is_no_session(process: Process) -> None:
    process.event("agent", "ssh", host_key="ssh-ed25519 AAAA")
    process.run.refresh()
    process.run._entered = process.run.host_key()
    assert process.run._same_start()
    process.event("hypervisor", "reset")
    assert not process.run._same_start(), "nobody but the session asked for what happened since"


def test_a_wait_that_runs_out_names_what_it_waited_for_and_what_was_seen_last(process: Process) -> None:
    process.event("engine", "instruction", name="Say hello")
    process.event("screen", "screenshot", file="x.png")
    process.run.refresh()
    with pytest.raises(PhaseTimeout) as raised:
        process.run.wait(lambda: False, "step 'Break' to begin", 0.05)
    assert "for step 'Break' to begin" in str(raised.value)
    assert 'last seen: engine instruction {"name": "Say hello"} at 1.5 s, in phase step' in str(raised.value)


def test_what_cannot_be_done_now_is_wrong_usage_and_the_run_goes_on(process: Process) -> None:
    process.say(kind="answer", id=1, error={"kind": "UsageError", "message": "it is on", "hint": ""})
    process.say(kind="answer", id=2, value=None)
    with pytest.raises(UsageError, match="it is on"):
        process.run.order("read-disks")
    process.run.order("go-on")


def test_what_broke_is_told_to_whoever_asks_next_and_again(process: Process) -> None:
    broke = {
        "kind": "PhaseTimeout",
        "message": "m",
        "hint": "",
        "waited_for": "x",
        "seconds": 9,
        "last_seen": "y",
    }
    process.say(kind="done", error=broke)
    for _ in range(2):
        with pytest.raises(PhaseTimeout, match="waited 9 s for x; last seen: y"):
            process.run.order("go-on")


def test_a_bug_in_the_lab_process_is_no_fault_of_the_lab(process: Process) -> None:
    process.say(
        kind="done", error={"kind": "Bug", "message": "KeyError", "hint": "", "traceback": "Traceback…"}
    )
    with pytest.raises(RuntimeError, match="Traceback…"):
        process.run.refresh()


def test_a_lab_process_that_dies_says_how(process: Process) -> None:
    process.die()
    with pytest.raises(LabFault, match=r"ended too early \(signal SIGKILL\): Killed"):
        process.run.order("power-on")
