"""Room for machines: what fits is let in, what does not waits, and the dead hold nothing."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault, PhaseTimeout
from lab.run.slots import Room, machine_room, room_for, room_of_host

HOST = Room(cores=2, memory=4096)
ONE = room_for(vcpus=1, memory=768)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that enters is a process of its own."""
    numbers = count(1000)
    monkeypatch.setattr("lab.run.slots.os.getpid", lambda: next(numbers))


def enter(cache: Path, need: Room, said: list[str] | None = None) -> ExitStack:
    stack = ExitStack()
    say = (said if said is not None else []).append
    stack.enter_context(machine_room(cache, need, host=HOST, clock=VirtualClock(), patience=3.0, say=say))
    return stack


@pytest.mark.usefixtures("others")
def test_no_more_machines_than_cores(tmp_path: Path) -> None:
    said: list[str] = []
    with enter(tmp_path, ONE), enter(tmp_path, ONE):
        with pytest.raises(PhaseTimeout, match=r"waited 3 s for room .* machines of others: process \d+, "):
            enter(tmp_path, ONE, said)
        assert said == ["other machines fill this host; waiting for one of them to end"]
    with enter(tmp_path, ONE):
        pass
    assert not list((tmp_path / "machines").glob("*.json"))


def test_a_process_does_not_wait_for_itself(tmp_path: Path) -> None:
    with enter(tmp_path, ONE), enter(tmp_path, ONE), pytest.raises(LabFault) as raised:
        enter(tmp_path, ONE)
    assert "beside the 2 that this process already has" in str(raised.value)


@pytest.mark.usefixtures("others")
def test_no_more_machines_than_memory(tmp_path: Path) -> None:
    with enter(tmp_path, Room(1, 3000)):
        with pytest.raises(PhaseTimeout):
            enter(tmp_path, Room(1, 1200))
        with enter(tmp_path, Room(1, 1000)):
            pass


@pytest.mark.usefixtures("others")
def test_a_machine_too_large_for_the_host_runs_alone(tmp_path: Path) -> None:
    with enter(tmp_path, Room(8, 65536)), pytest.raises(PhaseTimeout):
        enter(tmp_path, ONE)
    with enter(tmp_path, ONE), pytest.raises(PhaseTimeout):
        enter(tmp_path, Room(8, 65536))


def test_what_a_dead_run_left_is_no_hindrance(tmp_path: Path) -> None:
    left = tmp_path / "machines" / "1-dead.json"
    left.parent.mkdir()
    left.write_text(json.dumps({"cores": 2, "memory": 4096}))
    with enter(tmp_path, ONE):
        assert not left.exists()


def test_a_cache_that_cannot_be_used_is_the_labs_fault(tmp_path: Path) -> None:
    (tmp_path / "machines").write_text("")
    with pytest.raises(LabFault, match="cannot be used"):
        enter(tmp_path, ONE)


def test_this_host_has_room() -> None:
    host = room_of_host()
    assert host.cores >= 1 and host.memory > 0
