"""A live run's commands, on the in-memory hypervisor: what is done, answered, refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue, SimpleQueue
from typing import Any

import pytest

from lab.clock import SystemClock
from lab.errors import LabFault, PhaseTimeout
from lab.hypervisor.memory import MemoryGuest, MemoryHypervisor
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.run.phases import Seen
from lab.run.plan import MachinePlan
from lab.run.serve import Command, Server
from lab.run.session import MachineSession, Patience
from lab.timeline import Event, Timeline

#: Seconds for what comes at once: only a broken test waits so long.
LIMIT = 60.0
SPEC = MachineSpec(
    name="PC-1", uuid="00000000-0000-4000-8000-000000000001", firmware="uefi", memory=512,
    disks=(DiskSpec(1 << 20),), nics=(NicSpec("52:54:00:00:00:01"),),
)  # fmt: skip


class Bench:
    """A server on a thread of its own, and its front."""

    def __init__(self, folder: Path, patience: Patience) -> None:
        self.hypervisor = MemoryHypervisor(self._boots)
        inbox: SimpleQueue[Seen] = SimpleQueue()
        self.hypervisor.on_lifecycle(lambda name, kind: inbox.put(Seen(name, "hypervisor", kind, {})))
        machine = self.hypervisor.create(SPEC)
        clock = SystemClock()
        self.timeline = Timeline(clock)
        session = MachineSession(
            MachinePlan(SPEC, "10.77.0.10", {"at_end": "stay"}), machine, timeline=self.timeline, clock=clock,
            folder=folder, inbox=inbox, patience=patience, live=True,
        )  # fmt: skip
        self.commands: SimpleQueue[Command] = SimpleQueue()
        self.answers: Queue[dict[str, Any]] = Queue()
        self.guest: MemoryGuest
        self.boots = self.lines = 0
        self.broke: BaseException | None = None
        self.cleared: list[str] = []
        self.site_says = ""
        server = Server(
            [session],
            self._clear,
            commands=self.commands,
            answer=self.answers.put,
            hand_over=lambda *_: None,
            addresses={},
        )

        def serve() -> None:
            try:
                server.run(
                    timeline=self.timeline, inbox=inbox, clock=clock, stop=threading.Event(), time_limit=300.0
                )
            except LabFault as fault:
                self.broke = fault

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()

    def _clear(self, machine: str) -> None:
        if self.site_says:
            raise LabFault(self.site_says)
        self.cleared.append(machine)

    def _boots(self, guest: MemoryGuest) -> None:
        self.guest, self.boots, self.lines = guest, self.boots + 1, 0
        self.channel = guest.channel(SPEC.channels[0])  # what was told stays in it, machine off or not

    def order(self, operation: str, **more: Any) -> dict[str, Any]:
        self.commands.put({"id": 7, "op": operation, "machine": "PC-1", **more})
        answer = self.answers.get(timeout=LIMIT)
        assert (answer["kind"], answer["id"]) == ("answer", 7)
        return answer

    def agent(self, kind: str, **data: Any) -> None:
        self.agent_at_once((kind, data))

    def agent_at_once(self, *messages: tuple[str, dict[str, Any]]) -> None:
        """Messages that come together: no limit is looked at between them."""
        lines = b""
        for kind, data in messages:
            self.lines += 1
            line = {"n": self.lines, "boot": f"b{self.boots}", "up": 1.0, "kind": kind, "data": data}
            lines += json.dumps(line).encode() + b"\n"
        self.channel.send(lines)

    def told(self) -> dict[str, Any]:
        """What the machine's agent was told last."""
        said: dict[str, Any] = json.loads(self.channel.receive(LIMIT))
        return said

    def await_event(self, source: str, kind: str) -> Event:
        seen = threading.Event()
        self.timeline.follow(
            lambda event: seen.set() if (event.source, event.kind) == (source, kind) else None
        )
        found = [event for event in self.timeline.events if (event.source, event.kind) == (source, kind)]
        assert found or seen.wait(LIMIT)
        return [event for event in self.timeline.events if (event.source, event.kind) == (source, kind)][-1]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, Patience())
    yield made
    if made.thread.is_alive():
        made.commands.put({"id": 0, "op": "end"})
        made.thread.join(LIMIT)
    made.hypervisor.close()


def test_power_goes_and_comes_back_and_the_run_goes_on(bench: Bench, tmp_path: Path) -> None:
    assert "error" not in bench.order("power-on")
    bench.agent("hello", phase="pe")
    bench.await_event("agent", "hello")
    assert bench.order("cut-power")["value"] is None
    assert [event.data["reason"] for event in bench.timeline.events if event.kind == "power-cut"] == [
        "asked for"
    ]
    bench.order("power-on")
    bench.agent("hello", phase="pe")
    assert bench.boots == 2
    assert bench.order("screenshot")["value"] == "screen-0001.png"
    assert (tmp_path / "PC-1" / "screen-0001.png").exists()
    assert bench.thread.is_alive(), "a power cut that was asked for breaks nothing"


def test_a_machine_stays_up_after_its_sequence_until_it_is_told(bench: Bench, tmp_path: Path) -> None:
    bench.order("power-on")
    early = bench.order("shutdown")["error"]
    assert (early["kind"], "not over" in early["message"]) == ("UsageError", True)
    assert bench.order("read-disks", files=[], registry=[])["error"]["message"] == "machine 'PC-1' is on"
    bench.agent("sequence-finished", result="success", code=0)
    bench.await_event("engine", "sequence-finished")
    bench.commands.put({"id": 8, "op": "shutdown", "machine": "PC-1"})
    assert bench.told() == {"op": "power-off"}
    with pytest.raises(Empty):
        bench.answers.get(timeout=0.3)  # not before it is off
    bench.guest.power_off()
    assert bench.answers.get(timeout=LIMIT)["id"] == 8
    assert "error" not in bench.order("read-disks", files=[], registry=["HKLM\\SYSTEM\\Setup"])
    assert json.loads((tmp_path / "PC-1" / "final-state.json").read_text())["disks"]
    assert bench.order("cut-power")["error"]["message"] == "machine 'PC-1' is off"


def test_required_deployments_are_cleared_whether_the_machine_is_on_or_off(bench: Bench) -> None:
    assert bench.order("clear-required")["value"] is None
    bench.order("power-on")
    assert bench.order("clear-required")["value"] is None
    assert bench.cleared == ["PC-1", "PC-1"]
    bench.site_says = "the database cannot be written"
    assert bench.order("clear-required")["error"]["message"] == bench.site_says
    assert "error" not in bench.order("screenshot"), "the run goes on"


def test_a_machine_that_dies_by_itself_ends_the_run(bench: Bench) -> None:
    bench.order("power-on")
    bench.agent("hello", phase="pe")
    bench.guest.crash()
    bench.thread.join(LIMIT)
    assert isinstance(bench.broke, LabFault) and "went off before its sequence ended" in bench.broke.message


def test_being_held_is_no_stall_and_silence_after_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Patience(limits={"step": 0.4}))
    bench.order("power-on")
    bench.agent_at_once(("instruction", {"pointer": 1, "name": "Say hello"}), ("held", {"step": "Say hello"}))
    bench.await_event("agent", "held")
    bench.thread.join(1.0)
    assert bench.thread.is_alive() and bench.broke is None
    bench.order("go-on")
    assert bench.told() == {"op": "go-on"}
    bench.thread.join(LIMIT)
    assert isinstance(bench.broke, PhaseTimeout)
    bench.hypervisor.close()
