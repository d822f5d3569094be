"""A machine followed from power-on to power-off, on the in-memory hypervisor and a virtual clock."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from lab.clock import SystemClock, VirtualClock, wait_until
from lab.errors import LabFault, PhaseTimeout
from lab.hypervisor.memory import MemoryGuest, MemoryHypervisor
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.network.ipxe import GAVE_UP
from lab.run.phases import Seen
from lab.run.plan import MachinePlan
from lab.run.progress import Patience
from lab.run.session import MachineSession
from lab.run.strategy import Interrupted, follow
from lab.sequence import smsts
from lab.timeline import Event, Timeline
from tests.smsts_log import records

SPEC = MachineSpec(
    name="PC-1", uuid="00000000-0000-4000-8000-000000000001", firmware="uefi", memory=512,
    disks=(DiskSpec(1 << 20),), nics=(NicSpec("52:54:00:00:00:01"),),
)  # fmt: skip
PORT = SPEC.channels[0]
RECORD = {
    "component": "TSManager", "message": "one\ntwo", "type": 1, "file": "engine.cxx:94",
    "time": "09:00:00.000+000", "date": "01-01-2026", "thread": 1100,
}  # fmt: skip


@dataclass
class Lab:
    session: MachineSession
    guest: MemoryGuest
    timeline: Timeline
    folder: Path
    clock: VirtualClock
    inbox: SimpleQueue[Seen]
    sent: int = 0

    def agent(self, kind: str, boot: str = "b1", **data: Any) -> None:
        self.sent += 1
        line = {"n": self.sent, "boot": boot, "up": 1.0, "kind": kind, "data": data}
        self.guest.channel(PORT).send(json.dumps(line).encode() + b"\n")

    def follow(self, stop: threading.Event | None = None, time_limit: float = 30.0) -> None:
        follow(
            [self.session], timeline=self.timeline, inbox=self.inbox, clock=SystemClock(),
            stop=stop or threading.Event(), time_limit=time_limit,
        )  # fmt: skip

    def power_off_when(self, ready: Callable[[], object], waited_for: str) -> None:
        """The guest powers off, on its own thread, once ``ready``: how busy the host is decides nothing."""

        def wait() -> None:
            with contextlib.suppress(PhaseTimeout):  # off all the same: the test then says what is missing
                wait_until(ready, waited_for=waited_for, seconds=20.0, clock=SystemClock(), every=0.01)
            self.guest.power_off()

        threading.Thread(target=wait, name="guest").start()

    def take_in(self) -> None:
        while not self.inbox.empty():
            self.session.observe(self.inbox.get())

    def events(self, source: str, kind: str) -> list[Event]:
        return [e for e in self.timeline.events if e.source == source and e.kind == kind]

    def own(self, name: str) -> Path:
        return self.folder / "PC-1" / name


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    made: list[MemoryHypervisor] = []

    def build(program: Callable[[MemoryGuest], None] | None = None, **policy: Any) -> Lab:
        hypervisor = MemoryHypervisor(program)
        made.append(hypervisor)
        inbox: SimpleQueue[Seen] = SimpleQueue()
        hypervisor.on_lifecycle(lambda name, kind: inbox.put(Seen(name, "hypervisor", kind, {})))
        machine = hypervisor.create(SPEC)
        clock = VirtualClock()
        timeline = Timeline(clock)
        session = MachineSession(
            MachinePlan(SPEC, "10.77.0.10", policy), machine, timeline=timeline, clock=clock,
            folder=tmp_path, inbox=inbox, patience=Patience(limits={"firmware": 10.0, "dhcp": 10.0}),
        )  # fmt: skip
        return Lab(session, hypervisor.guest(machine), timeline, tmp_path, clock, inbox)

    yield build
    for hypervisor in made:
        hypervisor.close()


def test_a_run_to_its_end_leaves_everything_that_can_be_known(make: Callable[..., Lab]) -> None:
    lab = make(lambda guest: script(guest))

    def script(guest: MemoryGuest) -> None:
        guest.write_console(b"BdsDxe: starting\r\n")
        lab.guest = guest
        lab.agent("hello", phase="pe")
        lab.agent("record", **RECORD)
        lab.agent("sequence-finished", result="failed", code=5)
        lab.agent("bye")
        lab.power_off_when(lambda: lab.events("screen", "screenshot"), "a screenshot")

    lab.follow()
    assert [e.data["text"] for e in lab.events("console", "line")] == ["BdsDxe: starting"]
    assert lab.events("agent", "hello")[0].data == {"phase": "pe"}
    assert [e.phase for e in lab.timeline.events if e.kind == "sequence-finished"] == ["failed"]
    assert lab.own("smsts.log").read_bytes().startswith(smsts.BOM)
    [record] = records(lab.own("smsts.log").read_bytes())
    assert (record.message, record.component) == ("one\ntwo", "TSManager")
    assert lab.own("console.log").read_bytes() == b"BdsDxe: starting\r\n"
    assert "<name>PC-1</name>" in lab.own("domain.xml").read_text()
    assert json.loads(lab.own("final-state.json").read_text())["disks"][0]["style"] == ""
    screens = [e.data["file"] for e in lab.events("screen", "screenshot")]
    assert screens and all((lab.folder / name).read_bytes()[:4] == b"\x89PNG" for name in screens)


def test_silence_is_a_stall_that_says_everything(make: Callable[..., Lab]) -> None:
    lab = make()
    lab.session.power_on()
    lab.take_in()
    lab.session.observe(Seen("PC-1", "dhcp", "discover", {"vendor_class": "PXEClient:Arch:00007"}))
    lab.clock.pause(9.0)
    lab.session.check()
    lab.session.observe(Seen("PC-1", "dhcp", "offer", {"address": "10.77.0.10"}))
    lab.clock.pause(9.0)
    lab.session.check()
    lab.clock.pause(1.5)
    with pytest.raises(PhaseTimeout) as raised:
        lab.session.check()
    error = raised.value
    assert error.seconds == 10.0
    assert "phase dhcp" in error.waited_for and "signal that stopped: dhcp" in error.waited_for
    assert "dhcp offer" in error.last_seen and "10.77.0.10" in error.last_seen
    assert "usual cause" in error.hint and "PC-1/screen-" in error.hint
    assert lab.events("lab", "stalled")[0].data["limit"] == 10.0


def test_bytes_on_their_way_are_progress_though_nothing_is_logged(make: Callable[..., Lab]) -> None:
    """A firmware's TFTP is logged at its end only."""
    lab = make()
    passed = [0]
    lab.session._progress._traffic = lambda: passed[0]
    lab.session.power_on()
    lab.take_in()
    lab.session.observe(Seen("PC-1", "dhcp", "discover", {"vendor_class": "PXEClient:Arch:00007"}))
    lab.clock.pause(11.0)
    passed[0] = 5_000_000
    lab.session.check()
    lab.clock.pause(11.0)
    passed[0] += 600  # a retry of DHCP is no transfer
    with pytest.raises(PhaseTimeout):
        lab.session.check()


def test_the_resets_of_a_bios_for_one_restart_are_one_restart(make: Callable[..., Lab]) -> None:
    """SeaBIOS finds that the machine ran before, and resets it again by itself (observed)."""
    lab = make()
    lab.session._plan = replace(lab.session._plan, spec=replace(SPEC, firmware="bios"))
    lab.session.power_on()
    lab.take_in()
    lab.session.observe(Seen("PC-1", "agent", "restart", {"target": "HD"}))
    for pause in (0.0, 0.9, 5.0):
        lab.clock.pause(pause)
        lab.session.observe(Seen("PC-1", "hypervisor", "reset", {}))
    assert [(e.data["expected"], e.phase) for e in lab.events("hypervisor", "reset")] == [
        (True, "disk-boot"),
        (True, "disk-boot"),
        (False, "firmware"),
    ]
    assert len(lab.events("lab", "unexpected-reset")) == 1


def test_an_announced_reset_is_expected_once(make: Callable[..., Lab]) -> None:
    lab = make()
    lab.session.power_on()
    lab.take_in()
    lab.session.observe(Seen("PC-1", "agent", "restart", {"target": "HD"}))
    for _ in range(2):
        lab.session.observe(Seen("PC-1", "hypervisor", "reset", {}))
    assert [(e.data["expected"], e.phase) for e in lab.events("hypervisor", "reset")] == [
        (True, "disk-boot"),
        (False, "firmware"),
    ]
    assert len(lab.events("lab", "unexpected-reset")) == 1


def test_a_machine_that_goes_off_too_early_is_the_labs_trouble(make: Callable[..., Lab]) -> None:
    lab = make(MemoryGuest.power_off)
    with pytest.raises(LabFault, match="went off before its sequence ended, in phase firmware"):
        lab.follow()
    assert lab.own("final-state.json").exists(), "collected all the same"


def test_what_the_agent_calls_the_labs_fault_ends_the_run(make: Callable[..., Lab]) -> None:
    lab = make()

    def script(guest: MemoryGuest) -> None:
        lab.guest = guest
        lab.agent("lab-error", message="no double answers 'cmd /c x'", hint="paste this")

    lab.guest._machine._program = script
    with pytest.raises(LabFault, match="no double answers") as raised:
        lab.follow()
    assert raised.value.hint == "paste this"
    assert lab.events("lab", "power-cut"), "the machine was on"
    assert lab.own("final-state.json").exists()


def test_a_system_that_nobody_continues_is_a_result(make: Callable[..., Lab]) -> None:
    lab = make(lambda guest: guest.write_console(b"no client hook; nobody continues this machine\r\n"))
    lab.session.observe(Seen("PC-1", "engine", "sequence-started", {}))
    lab.follow()
    assert "nobody continues" in lab.events("lab", "unfinished")[0].data["reason"]
    assert lab.events("lab", "power-cut") and lab.own("final-state.json").exists()


def test_a_machine_without_a_deployment_may_power_off(make: Callable[..., Lab]) -> None:
    lab = make(lambda guest: script(guest))

    def script(guest: MemoryGuest) -> None:
        lab.guest = guest
        lab.agent("no-deployment", reason="it has run already")
        lab.agent("bye")
        lab.power_off_when(lambda: lab.events("agent", "bye"), "the agent's bye")

    lab.follow()
    assert lab.events("lab", "not-started")[0].data == {"reason": "it has run already"}


@pytest.mark.parametrize(
    ("text", "message"),
    [(f"{GAVE_UP} http://10.77.0.1/boot/x", "could not fetch its boot file"), ("Shell> ", "nothing to boot")],
)
def test_the_firmwares_despair_is_heard_at_once(make: Callable[..., Lab], text: str, message: str) -> None:
    lab = make(lambda guest: guest.write_console(text.encode() + b"\r\n"))
    with pytest.raises(LabFault, match=message):
        lab.follow()


def test_a_run_can_be_stopped_and_still_collects(make: Callable[..., Lab]) -> None:
    lab = make()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        lab.follow(stop)
    assert lab.own("final-state.json").exists()


def test_a_run_has_a_limit_however_busy_it_is(make: Callable[..., Lab]) -> None:
    lab = make()
    with pytest.raises(PhaseTimeout, match="the run to end") as raised:
        lab.follow(time_limit=0.2)
    assert "screen" not in raised.value.last_seen and "limits: time" in raised.value.hint


def test_a_machine_that_never_stops_talking_has_a_limit_too(make: Callable[..., Lab]) -> None:
    lab = make()
    observe, said = lab.session.observe, [0]

    def talkative(seen: Seen) -> None:
        observe(seen)
        if not lab.events("lab", "power-cut") and said[0] < 30_000:
            said[0] += 1
            lab.inbox.put(Seen("PC-1", "agent", "effect", {}))

    lab.session.observe = talkative  # type: ignore[method-assign]
    with pytest.raises(PhaseTimeout, match="the run to end"):
        lab.follow(time_limit=0.1)
    assert said[0] < 30_000


def test_a_helper_that_dies_breaks_the_run(make: Callable[..., Lab]) -> None:
    lab = make()
    lab.inbox.put(Seen("", "lab", "helper-ended", {"name": "dnsmasq", "code": 2, "tail": "bad option"}))
    with pytest.raises(LabFault, match="dnsmasq ended with code 2: bad option"):
        lab.follow()


def test_a_hole_in_what_the_agent_said_cannot_be_judged(make: Callable[..., Lab]) -> None:
    lab = make()

    def script(guest: MemoryGuest) -> None:
        lab.guest = guest
        lab.agent("hello", phase="pe")
        lab.sent += 2
        lab.agent("phase", name="step")

    lab.guest._machine._program = script
    with pytest.raises(LabFault, match="messages 2 to 3 of the agent in machine 'PC-1' were lost"):
        lab.follow()


def test_what_the_agent_said_just_before_a_power_cut_is_kept(make: Callable[..., Lab]) -> None:
    lab = make()
    channel = lab.session._machine.channel
    late = threading.Event()

    class Slow:
        def __init__(self, name: str) -> None:
            self._real = channel(name)

        def receive(self, timeout: float) -> bytes:
            late.wait(0.3)
            return self._real.receive(timeout)

    lab.session._machine.channel = Slow  # type: ignore[method-assign, assignment]
    lab.session.power_on()
    lab.agent("record", **RECORD)
    lab.session.collect()
    lab.take_in()
    assert len(lab.events("smsts", "record")) == 1


def test_a_policy_that_stays_is_told_to_power_off(make: Callable[..., Lab]) -> None:
    lab = make(at_end="stay")
    lab.session.power_on()
    lab.take_in()
    lab.session.observe(Seen("PC-1", "engine", "sequence-finished", {"result": "success"}))
    assert json.loads(lab.guest.channel(PORT).receive(1.0)) == {"op": "power-off"}
