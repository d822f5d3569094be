"""The simulator: a machine's whole life in a modelled world, on a virtual clock.

The loop, the engine, the doubles and the mapping of an unattend.xml to registry values are the guest's own;
firmware, disks, site, Windows' first start and what the effects do are modelled. The timeline gets the events
of a real run: same sources, same kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.client.bootstrap import NO_TASK_SEQUENCES
from lab.clock import VirtualClock
from lab.errors import LabError, LabFault, PhaseTimeout
from lab.guest.doubles import Double
from lab.guest.loop import Loop, Restarting, record
from lab.guest.place import Place
from lab.guest.windows_setup import generated_name
from lab.hypervisor.protocol import MachineSpec
from lab.sequence.effects import Effect, Finished, Restart
from lab.sequence.model import TaskSequence
from lab.simulation import windows
from lab.simulation.bench import Bench
from lab.simulation.disks import final_state
from lab.simulation.machine import Machine
from lab.simulation.outcome import Left
from lab.simulation.outcome import SimulatedRun as SimulatedRun
from lab.simulation.performer import LOG_BEFORE_DISK, ModelPerformer
from lab.simulation.ports import ModelLog, ModelStore
from lab.simulation.site import ModelSite, SimContent, SimSite
from lab.timeline import Timeline

#: Plausible seconds of what a machine does between effects.
SECONDS = {"firmware": 5.0, "dhcp": 1.5, "tftp": 0.2, "kernel": 8.0, "agent": 1.0, "loader": 1.0, "down": 1.0}

#: Virtual seconds after which a machine that does nothing counts as stalled.
STALL = 120.0

#: Starts of one machine after which the run is given up: a sequence that restarts for ever has no end.
MAX_STARTS = 50

#: UTC seconds since 1970 at which a simulated run begins, for its log: 2026-01-01 09:00.
EPOCH = 1_767_258_000.0

#: ERROR_FILE_NOT_FOUND: what a sequence ends with when its state is gone (observed log).
NO_ENVIRONMENT = 0x80070002

#: Sources that have a time of their own.
_GUEST = frozenset({"agent", "engine", "smsts"})
_AGENT = frozenset({"hello", "phase", "effect", "restart", "variables", "lab-error", "bye", "no-deployment"})


def simulate(
    sequence: TaskSequence,
    spec: MachineSpec,
    *,
    variables: Mapping[str, str],
    doubles: Sequence[Double],
    contents: Mapping[str, SimContent],
    site: SimSite,
    timeline: Timeline,
    clock: VirtualClock,
    secrets: Sequence[str] = (),
    epoch: float = EPOCH,
    policy: Mapping[str, Any] | None = None,
    records: bool = True,
    machine: Machine | None = None,
) -> SimulatedRun:
    """Run ``sequence`` on a blank machine, from its first power-on to its power-off or stall.

    On another ``machine`` (``installed_machine``) its client starts the sequence, in the full OS.

    ``timeline`` must use ``clock``. ``variables`` and ``secrets`` are those of the policy; ``policy`` has its
    sections for software (docs/architecture.md). Without ``records`` the sequence's log is not made, which is
    most of the work; the same call with them makes it.
    Never raises for what the sequence or the machine does; an unanswered command, a refused policy and a
    stall are in the result's ``fault``.
    """
    model = ModelSite(site, contents, machine=spec.name, timeline=timeline, clock=clock)
    return World(
        sequence, spec, variables, secrets, doubles, model, timeline, clock, epoch, policy or {}, records,
        machine,
    ).run()  # fmt: skip


class _LeftAlone(Exception):
    """The machine stays up, and nobody continues its sequence."""


class World:
    """One modelled machine and its site."""

    def __init__(
        self,
        sequence: TaskSequence,
        spec: MachineSpec,
        variables: Mapping[str, str],
        secrets: Sequence[str],
        doubles: Sequence[Double],
        site: ModelSite,
        timeline: Timeline,
        clock: VirtualClock,
        epoch: float,
        policy: Mapping[str, Any],
        records: bool = True,
        machine: Machine | None = None,
    ) -> None:
        self._sequence = sequence
        self._spec = spec
        self._variables = dict(variables)
        self._secrets = tuple(secrets)
        self._doubles = doubles
        self._site = site
        self._timeline = timeline
        self._clock = clock
        self._epoch = epoch
        self._policy = policy
        self._records = records
        self._begun = self._started = clock.now()
        self._starts = 0
        self._announced = True
        self._machine = machine or Machine.blank(spec)
        self._left = Left()

    def run(self) -> SimulatedRun:
        """The machine's life. See ``simulate``."""
        fault: LabError | None = None
        try:
            self._say("lab", "phase", phase="off", name="off")
            self._say("hypervisor", "started", phase="firmware")
            while self._start_once():
                self._clock.pause(SECONDS["down"])
                self._reset()
        except _LeftAlone as left:
            self._unfinished(str(left))
        except LabError as error:
            fault = error
        self._say("hypervisor", "stopped", phase="off")
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
        )

    def _start_once(self) -> bool:
        """One start of the machine, to its power-off (False) or its restart (True). Raises LabError."""
        self._starts += 1
        if self._starts > MAX_STARTS:
            raise LabFault(
                f"'{self._spec.name}' was started {MAX_STARTS} times without an end of the sequence",
                hint="look for a restart that is asked for again after each start",
            )
        self._started = self._clock.now()
        self._machine.power_cycle()
        self._clock.pause(SECONDS["firmware"])
        match self._machine.start():
            case "pxe":
                self._boot_from_network()
                return self._labpe()
            case "staged":
                self._clock.pause(SECONDS["kernel"])
                return self._labpe()
            case "disk":
                return self._deployed_system()
            case _:
                raise LabFault(
                    f"machine '{self._spec.name}' found nothing to boot from",
                    hint="no boot device answers: the network card has no PXE, or no disk holds a loader",
                )

    def _boot_from_network(self) -> None:
        """DHCP, iPXE's script by TFTP and the boot image by HTTP; natively, all of it by TFTP."""
        site, mac, firmware = self._site.site, self._mac, self._spec.firmware
        native = self._spec.nics[0].native
        files = self._site.native_boot_files(firmware) if native else [(site.script, SECONDS["tftp"])]
        self._say("dhcp", "discover", phase="dhcp", mac=mac, vendor_class="PXEClient")
        self._clock.pause(SECONDS["dhcp"])
        for kind in ("offer", "request", "ack"):
            self._say("dhcp", kind, mac=mac, address=site.client)
        self._say("dhcp", "boot-file", mac=mac, file=files[0][0])
        for file, seconds in files:
            self._clock.pause(seconds)
            self._say("tftp", "sent", phase="boot-file", file=file, address=site.client)
        if not native and not self._site.boot_file(firmware):
            raise self._stall("the transfer of the boot file to go on", "the boot image is not there")
        self._phase("pe-kernel")
        self._clock.pause(SECONDS["kernel"])

    # LabPE

    def _labpe(self) -> bool:
        machine = self._machine
        machine.in_winpe = True
        machine.give_letters()
        self._hello("pe")
        saved = self._saved()
        pending = Effect.from_json(saved["pending"]) if saved else None
        if saved and isinstance(pending, Restart) and pending.target == "WinPE":
            return self._go(saved)
        # Any other start of the PE is a new deployment: the state on the disk is not its own.
        machine.launch_mode = "PXE"
        return self._deploy()

    def _deploy(self) -> bool:
        """Policy, and the sequence from its beginning."""
        self._say("agent", "phase", phase="policy", name="policy")
        status = self._site.policy(self._mac, 16_384)
        if status != 200:
            raise self._lab_error(LabFault(f"the site answered {status} for the policy of {self._mac}"))
        decision = self._site.decide(self._mac, f"start-{self._starts}")
        self._policy = {**self._policy, "attempt": decision.attempt}
        if decision.offered:
            return self._go(None)
        self._bootstrap_says(LOG_BEFORE_DISK, NO_TASK_SEQUENCES)
        self._emit("no-deployment", {"reason": decision.reason})
        self._unfinished(decision.reason)
        self._emit("bye", {})
        self._clock.pause(SECONDS["down"])
        return False

    # the deployed system

    def _deployed_system(self) -> bool:
        """The loader, Windows Setup, the client that SetupComplete.cmd's hook starts."""
        machine = self._machine
        self._clock.pause(SECONDS["loader"])
        volume = machine.windows()
        if volume is None or windows.SYSTEM_ROOT not in volume.files:
            raise self._stall("the system on the disk to start", "no volume holds Windows")
        machine.in_winpe = False
        machine.give_letters()
        self._clock.pause(SECONDS["kernel"])
        first = windows.first_start(volume, generated_name(self._spec.serial_number, self._spec.uuid))
        client = windows.client_hook(volume)
        if client is None:
            raise _LeftAlone("no client hook is installed; nobody continues this machine")
        # The sequence's data may be on another volume than Windows, and have had another letter in PE.
        if not any(f"{client}\\client.zip" in volume.files for volume in machine.ntfs()):
            if not first:  # Setup runs SetupComplete.cmd once (documented)
                raise _LeftAlone("no task sequence is going on; the system stays up")
            raise LabFault(f"the client hook names C:\\{client}, which holds no client.zip")
        self._hello("os")
        saved = self._saved()
        if saved is None and machine.launch_mode == "SMS" and self._starts == 1:
            return self._deploy()  # its client got the deployment
        if saved is None:
            self._no_environment()
            return False
        return self._go(saved)

    def _no_environment(self) -> None:
        self._bootstrap_says("C:\\Windows\\CCM\\Logs", "Task Sequence environment not found")
        self._left.finished = Finished("failed", NO_ENVIRONMENT)
        ended = {"result": "failed", "code": NO_ENVIRONMENT, "failed_step": "", "step_code": 0}
        self._emit("sequence-finished", ended)
        self._ended()

    def _bootstrap_says(self, folder: str, text: str) -> None:
        """An error of TSMBootstrap, before there is a sequence."""
        log = ModelLog(self._machine, folder)
        data = {"component": "TSMBootstrap", "message": text, "type": 3, "file": "tsmbootstrap.cpp"}
        self._emit("record", record(log, data, self._wall()))
        self._left.log += log.text

    def _unfinished(self, reason: str) -> None:
        self._left.unfinished = reason
        self._say("lab", "unfinished", reason=reason)

    def _reset(self) -> None:
        announced = self._announced
        self._say("hypervisor", "reset", phase="disk-boot" if announced else "firmware", expected=announced)
        if not announced:
            self._say("lab", "unexpected-reset", phase_before="restart")

    # the sequence

    def _saved(self) -> dict[str, Any] | None:
        folder = self._machine.data_path()
        return ModelStore(self._machine, folder).load() if folder else None

    def _go(self, saved: dict[str, Any] | None) -> bool:
        """Start or resume the sequence; whether the machine restarts. Raises LabFault."""
        machine = self._machine
        place = Place()
        log = ModelLog(machine, LOG_BEFORE_DISK if machine.in_winpe else "")
        store = ModelStore(machine, machine.data_path() if saved else "")
        performer = ModelPerformer(
            Bench(
                machine, self._site, self._clock, self._name, self._announce, self._wall,
                doubles=self._doubles, place=place, policy=self._policy,
            )
        )  # fmt: skip
        self._announce("step")
        ports = (performer, store, self._emit, self._clock, f"start-{self._starts}")
        named: dict[str, Any] = {
            "log": log, "wall": self._wall, "how": "modelled", "place": place, "records": self._records,
        }  # fmt: skip
        loop = (
            Loop(self._sequence, *ports, **named) if saved is None else Loop.of_saved(saved, *ports, **named)
        )
        try:
            result = loop.start(self._variables, self._secrets) if saved is None else loop.resume(saved)
        except LabFault as fault:
            raise self._lab_error(fault) from fault
        finally:
            self._left.counts = loop.counts
            self._left.variables = loop.public_variables()
            self._left.log += log.text
        if isinstance(result, Restarting):
            self._announced = result.announced
            return True
        self._left.finished = result
        self._ended()
        return False

    def _ended(self) -> None:
        finished = self._left.finished
        self._announce("finished" if finished and finished.result == "success" else "failed")
        self._emit("variables", dict(self._left.variables))
        self._emit("bye", {})
        self._clock.pause(SECONDS["down"])

    # what is said

    @property
    def _mac(self) -> str:
        return self._spec.nics[0].mac.lower() if self._spec.nics else ""

    def _name(self) -> str:
        digits = self._spec.uuid.replace("-", "")[-7:].upper()
        return self._site.site.machine_name or f"MININT-{digits or '0000000'}"

    def _wall(self) -> float:
        return self._epoch + self._clock.now() - self._begun

    def _hello(self, phase: str) -> None:
        self._clock.pause(SECONDS["agent"])
        self._say(
            "agent", "hello", phase=f"{phase}-hello",
            data={"phase": phase, "mac": self._mac, "uuid": self._spec.uuid.lower(), "agent": "modelled",
                  "memory": self._spec.memory},
        )  # fmt: skip

    def _announce(self, name: str) -> None:
        self._say("agent", "phase", phase=name, name=name)

    def _phase(self, name: str) -> None:
        self._say("lab", "phase", phase=name, name=name)

    def _emit(self, kind: str, data: dict[str, Any]) -> None:
        """What the loop tells the host, as it stands on a real run's timeline."""
        source = "smsts" if kind == "record" else "agent" if kind in _AGENT else "engine"
        phase = None
        if kind == "instruction":
            phase = "step"
        elif kind == "restart":
            phase = "restart"
        elif kind == "sequence-finished":
            phase = "finished" if data["result"] == "success" else "failed"
        self._say(source, kind, phase=phase, data=data)

    def _say(
        self,
        source: str,
        kind: str,
        *,
        phase: str | None = None,
        data: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        machine, timeline = self._spec.name, self._timeline
        up = round(self._clock.now() - self._started, 3) if source in _GUEST else None
        if phase is not None and phase == timeline.phase(machine):
            phase = None
        timeline.append(source, kind, machine=machine, phase=phase, source_time=up, details=data or more)

    def _lab_error(self, fault: LabFault) -> LabFault:
        self._emit("lab-error", {"message": fault.message, "hint": fault.hint})
        self._emit("bye", {})
        return fault

    def _stall(self, waited_for: str, last_seen: str) -> PhaseTimeout:
        """Let the limit pass and say what did not come."""
        self._clock.pause(STALL)
        phase = self._timeline.phase(self._spec.name)
        self._say("lab", "stalled", limit=STALL, signal=waited_for, last=last_seen)
        return PhaseTimeout(
            f"{waited_for} (machine '{self._spec.name}', phase {phase})", seconds=STALL, last_seen=last_seen
        )
