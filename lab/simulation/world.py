"""The simulator: a machine's whole life in a modelled world, on a virtual clock.

The loop, the engine, the client, the doubles, the site's decisions and the mapping of an unattend.xml to
registry values are the real ones; firmware, disks, network, Windows' first start and what the effects do are
modelled. The timeline gets the events of a real run: same sources, same kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.client.answers import typed
from lab.client.bootstrap import Nothing
from lab.client.wizard import Page
from lab.clock import VirtualClock
from lab.errors import LabError, LabFault
from lab.guest.bootstrap import begin
from lab.guest.doubles import Double
from lab.guest.loop import Loop, Restarting, record
from lab.guest.place import Place
from lab.guest.reporting import Announced, Reporting
from lab.guest.windows_setup import generated_name
from lab.hypervisor.protocol import MachineSpec
from lab.sequence import codec
from lab.sequence.effects import Effect, Finished, Restart
from lab.simulation import windows
from lab.simulation.bench import Bench
from lab.simulation.disks import final_state
from lab.simulation.firmware import KERNEL, Firmware, NoBoot
from lab.simulation.machine import Machine
from lab.simulation.outcome import Left, SimulatedRun
from lab.simulation.performer import LOG_BEFORE_DISK, ModelPerformer
from lab.simulation.ports import ModelLog, ModelStore
from lab.simulation.site import ModelSite
from lab.simulation.telling import Teller
from lab.timeline import Timeline

#: Plausible seconds of what a machine does between effects.
SECONDS = {"firmware": 5.0, "loader": 1.0, "down": 1.0}
#: Those in which somebody reads a page of the wizard, and types one character.
_READS, _TYPES = 2.0, 0.05

#: Starts of a machine since power-on after which the run is given up: a sequence that restarts for ever has
#: no end.
MAX_STARTS = 50

#: UTC seconds since 1970 at which a simulated run begins, for its log: 2026-01-01 09:00.
EPOCH = 1_767_258_000.0

#: ERROR_FILE_NOT_FOUND: what a sequence ends with when its state is gone (observed log).
NO_ENVIRONMENT = 0x80070002

#: The folder of smsts.log where a client of an installed system starts a sequence.
_LOG_IN_OS = "C:\\Windows\\CCM\\Logs"


@dataclass(frozen=True)
class Occupant:
    """What is said of a machine besides its hardware. ``answers``: what is typed at its keyboard
    (``lab.client.answers``); ``doubles``: those behind the policy's; ``machine``: its state where it is not
    blank; ``records`` false: the sequence's log is not made, which is most of the work."""

    answers: Mapping[str, Any] = field(default_factory=lambda: {"f12": True})
    doubles: Sequence[Double] = ()
    epoch: float = EPOCH
    records: bool = True
    machine: Machine | None = None


class _LeftAlone(Exception):
    """The machine stays up, and nobody continues its sequence."""


class World:
    """One modelled machine on its site."""

    def __init__(
        self, spec: MachineSpec, site: ModelSite, timeline: Timeline, clock: VirtualClock, occupant: Occupant
    ) -> None:
        self._spec = spec
        self._site = site
        self._clock = clock
        self._occupant = occupant
        self._tell = Teller(spec, timeline, clock)
        self._begun = clock.now()
        self._starts = self._starts_before = 0
        self._announced = True
        self._sequence_began = False
        self._policy: Mapping[str, Any] = {}
        self._machine = occupant.machine or Machine.blank(spec)
        self._left = Left()

    def run(self) -> SimulatedRun:
        """The machine's life, from power-on to power-off or stall. Never raises for what the sequence or the
        machine does; what broke is in the result's ``fault``.

        Called again, the machine is switched on again: log, requests, seconds and starts are of its whole
        life, the rest is of this time.
        """
        fault: LabError | None = None
        self._sequence_began = self._sequence_began and self._left.finished is None
        self._left, self._starts_before = Left(log=self._left.log), self._starts
        try:
            self._tell.say("lab", "phase", phase="off", name="off")
            self._tell.say("hypervisor", "started", phase="firmware")
            while self._start_once():
                self._clock.pause(SECONDS["down"])
                self._reset()
        except _LeftAlone as left:
            self._nothing_runs(str(left))
        except LabError as error:
            fault = error
        self._tell.say("hypervisor", "stopped", phase="off")
        return SimulatedRun(
            final_state=final_state(self._machine.disks),
            finished=self._left.finished,
            variables=self._left.variables,
            requests=self._site.requests,
            counts=self._left.counts,
            log="".join(self._left.log),
            seconds=self._clock.now() - self._begun,
            starts=self._starts,
            fault=fault,
            unfinished=self._left.unfinished,
            not_started=self._left.not_started,
        )

    def _start_once(self) -> bool:
        """One start of the machine, to its power-off (False) or its restart (True). Raises LabError."""
        self._starts += 1
        if self._starts - self._starts_before > MAX_STARTS:
            raise LabFault(
                f"'{self._spec.name}' was started {MAX_STARTS} times without an end of the sequence",
                hint="look for a restart that is asked for again after each start",
            )
        self._tell.started = self._clock.now()
        self._site.start = f"start-{self._starts}"
        self._machine.power_cycle()
        self._clock.pause(SECONDS["firmware"])
        refused: NoBoot | None = None
        for what in self._machine.starts():
            if what == "disk":
                return self._deployed_system()
            if what == "staged":
                self._clock.pause(KERNEL)
                return self._labpe()
            refused = self._firmware().boot()
            if refused is None:
                return self._labpe()
            if refused.halts:
                break
        if refused is None:
            raise LabFault(
                f"machine '{self._spec.name}' found nothing to boot from",
                hint="no boot device answers: the network card has no PXE, or no disk holds a loader",
            )
        self._nothing_runs(refused.reason)
        return False

    def _firmware(self) -> Firmware:
        pressed = bool(self._occupant.answers.get("f12", True))
        return Firmware(self._spec, self._site, self._tell, self._clock, presses_f12=pressed)

    # LabPE

    def _labpe(self) -> bool:
        machine = self._machine
        machine.in_winpe = True
        machine.give_letters()
        self._tell.hello("pe")
        saved = self._saved()
        pending = Effect.from_json(saved["pending"]) if saved else None
        if saved and isinstance(pending, Restart) and pending.target == "WinPE":
            return self._resume(saved)
        # Any other start of the PE is a new deployment: the state on the disk is not its own.
        machine.launch_mode = "PXE"
        return self._deploy()

    def _deploy(self) -> bool:
        """The client's start, and the sequence from its beginning."""
        log = ModelLog(self._machine, LOG_BEFORE_DISK)

        def say(said: dict[str, Any]) -> None:
            self._tell.emit("record", record(log, said, self._wall()))

        self._tell.announce("policy")
        try:
            result = begin(self._site, self._ask, self._tell.emit, say)
        except LabFault as fault:
            raise self._tell.lab_error(fault) from fault
        finally:
            self._left.log += log.text
        if isinstance(result, Nothing):
            self._tell.emit("no-deployment", {"reason": result.reason, "code": result.code})
            self._nothing_runs(result.reason)
            self._tell.emit("bye", {})
            self._clock.pause(SECONDS["down"])
            return False
        return self._begin(result.policy, result.variables, result.secrets)

    def _ask(self, page: Page) -> str:
        """Show a page of the wizard; what is typed. Raises LabFault where the scenario does not say it."""
        shown = page.to_json()
        self._tell.emit("wizard", shown)
        answer = typed(shown, self._occupant.answers, machine=self._spec.name)
        what = {"text": answer} if page.kind == "choose" else {"name": page.name}  # never its value
        self._tell.say("lab", "typed", data={"page": page.kind, **what})
        self._clock.pause(_READS + _TYPES * len(answer))
        return answer

    def _deploy_to_client(self) -> bool:
        """The same where the client of an installed system got the deployment."""
        self._tell.announce("policy")
        offered = self._site.assignments().get("assignments") or [{"deployment": ""}]
        policy = self._site.policy(offered[0]["deployment"])
        if policy is None:
            raise self._tell.lab_error(LabFault(f"the site has no policy for '{self._spec.name}'"))
        return self._begin(policy, policy["variables"], policy["secrets"])

    def _begin(self, policy: Mapping[str, Any], variables: Mapping[str, str], secrets: Sequence[str]) -> bool:
        self._policy = policy
        self._sequence_began = True
        return self._go(None, lambda loop: loop.start(variables, secrets))

    # the deployed system

    def _deployed_system(self) -> bool:
        """The loader, Windows Setup, the client that SetupComplete.cmd's hook starts."""
        machine = self._machine
        self._clock.pause(SECONDS["loader"])
        volume = machine.windows()
        if volume is None or windows.SYSTEM_ROOT not in volume.files:
            raise self._tell.stall("the system on the disk to start", "no volume holds Windows")
        machine.in_winpe = False
        machine.give_letters()
        self._clock.pause(KERNEL)
        first = windows.first_start(volume, generated_name(self._spec.serial_number, self._spec.uuid))
        client = windows.client_hook(volume)
        if client is None:
            raise _LeftAlone("no client hook is installed; nobody continues this machine")
        # The sequence's data may be on another volume than Windows, and have had another letter in PE.
        if not any(f"{client}\\client.zip" in volume.files for volume in machine.ntfs()):
            if not first:  # Setup runs SetupComplete.cmd once (documented)
                raise _LeftAlone("no task sequence is going on; the system stays up")
            raise LabFault(f"the client hook names C:\\{client}, which holds no client.zip")
        self._tell.hello("os")
        saved = self._saved()
        if saved is None and machine.launch_mode == "SMS" and self._starts == 1:
            return self._deploy_to_client()
        if saved is None:
            self._no_environment()
            return False
        return self._resume(saved)

    def _no_environment(self) -> None:
        log = ModelLog(self._machine, _LOG_IN_OS)
        data = {
            "component": "TSMBootstrap", "message": "Task Sequence environment not found", "type": 3,
            "file": "tsmbootstrap.cpp",
        }  # fmt: skip
        self._tell.emit("record", record(log, data, self._wall()))
        self._left.log += log.text
        self._left.finished = Finished("failed", NO_ENVIRONMENT)
        ended = {"result": "failed", "code": NO_ENVIRONMENT, "failed_step": "", "step_code": 0}
        self._tell.emit("sequence-finished", ended)
        self._ended()

    def _nothing_runs(self, reason: str) -> None:
        """No sequence runs on this start; one of an earlier start came to no end."""
        if self._sequence_began:
            self._unfinished(reason)
            return
        self._left.not_started = reason
        self._tell.say("lab", "not-started", reason=reason)

    def _unfinished(self, reason: str) -> None:
        self._left.unfinished = reason
        self._tell.say("lab", "unfinished", reason=reason)

    def _reset(self) -> None:
        announced = self._announced
        phase = "disk-boot" if announced else "firmware"
        self._tell.say("hypervisor", "reset", phase=phase, expected=announced)
        if not announced:
            self._tell.say("lab", "unexpected-reset", phase_before="restart")

    # the sequence

    def _saved(self) -> dict[str, Any] | None:
        folder = self._machine.data_path()
        return ModelStore(self._machine, folder).load() if folder else None

    def _resume(self, saved: Mapping[str, Any]) -> bool:
        return self._go(saved, lambda loop: loop.resume(saved))

    def _go(self, saved: Mapping[str, Any] | None, run: Callable[[Loop], Finished | Restarting]) -> bool:
        """Start or resume the sequence; whether the machine restarts. Raises LabFault."""
        machine, policy = self._machine, self._policy
        place = Place()
        sequence = codec.from_json(policy["sequence"])
        log = ModelLog(machine, LOG_BEFORE_DISK if machine.in_winpe else "")
        store = ModelStore(machine, machine.data_path() if saved else "")
        doubles = [*map(Double.from_json, policy.get("doubles", ())), *self._occupant.doubles]
        bench = Bench(
            machine, self._site, self._clock, self._name, self._tell.announce, self._wall,
            doubles=doubles, place=place, policy=policy,
        )  # fmt: skip
        reporting = Reporting(sequence, self._site.status, lambda: loop.keeps_quiet, self._wall)
        performer = Announced(ModelPerformer(bench), reporting.deliver)

        def emit(kind: str, data: dict[str, Any]) -> None:
            self._tell.emit(kind, data)
            reporting.take(kind, data)

        self._tell.announce("step")
        ports = (performer, store, emit, self._clock, self._site.start)
        named: dict[str, Any] = {
            "log": log, "wall": self._wall, "how": "modelled", "place": place,
            "records": self._occupant.records,
        }  # fmt: skip
        loop = Loop(sequence, *ports, **named) if saved is None else Loop.of_saved(saved, *ports, **named)
        try:
            result = run(loop)
        except LabFault as fault:
            raise self._tell.lab_error(fault) from fault
        finally:
            self._left.counts = loop.counts
            self._left.variables = loop.public_variables()
            self._left.log += log.text
        reporting.deliver()
        if isinstance(result, Restarting):
            self._announced = result.announced
            return True
        self._left.finished = result
        self._ended()
        return False

    def _ended(self) -> None:
        finished = self._left.finished
        self._tell.announce("finished" if finished and finished.result == "success" else "failed")
        self._tell.emit("variables", dict(self._left.variables))
        self._tell.emit("bye", {})
        self._clock.pause(SECONDS["down"])

    def _name(self) -> str:
        digits = self._spec.uuid.replace("-", "")[-7:].upper()
        return self._policy.get("machine_name") or f"MININT-{digits or '0000000'}"

    def _wall(self) -> float:
        return self._occupant.epoch + self._clock.now() - self._begun
