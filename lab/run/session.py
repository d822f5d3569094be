"""One machine from power-on to power-off: what it does becomes events, silence a stall, and at the end
everything that can be known is collected. Whatever broke first stays the reason.

All methods are called from one thread; other threads only put ``Seen`` values into the inbox.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from lab.clock import Clock
from lab.disk.reader import Questions, read_final_state
from lab.disk.state import FinalState
from lab.errors import LabError, LabFault
from lab.hypervisor.protocol import BlockReader, Channel, Machine, PowerState
from lab.run.attendant import Attendant
from lab.run.follow import AgentLines, ConsoleLines
from lab.run.kept import Kept
from lab.run.listener import Listener
from lab.run.phases import Seen, next_phase, stall
from lab.run.plan import MachinePlan
from lab.run.progress import Patience, Progress
from lab.run.start import Start
from lab.timeline import Event, Timeline

#: Seconds after which console output without a line end is taken as a line (a prompt).
_PROMPT_AFTER = 1.0
#: Seconds that what the agent wrote last may take to arrive after the machine is off: waited only while the
#: channel has not ended, so that a busy host loses nothing of it.
_DRAIN = 20.0
#: Seconds, before the host's factor, in which SeaBIOS resets a machine again for one restart (seen: 0.9).
_BIOS_RESETS = 2.0
#: Observations that say nothing about the machine getting on.
_NO_PROGRESS = frozenset({"lab", "hypervisor", "screen", "fault"})

ReadDisks = Callable[[Sequence[BlockReader], Questions], FinalState]


class MachineSession:
    """Follows one machine. ``folder`` is the run's; the machine's own files go below ``folder/<name>/``."""

    def __init__(
        self,
        plan: MachinePlan,
        machine: Machine,
        *,
        timeline: Timeline,
        clock: Clock,
        folder: Path,
        inbox: SimpleQueue[Seen],
        patience: Patience,
        traffic: Callable[[], int] = lambda: 0,
        read_disks: ReadDisks = read_final_state,
        live: bool = False,
    ) -> None:
        self.name = plan.spec.name
        self.on = self.over = False
        #: Nothing more will happen, though the machine is on.
        self._alone = False
        self._began = False  # a sequence, at this start or before; one that was over when power came is none
        #: Somebody commands the machine: it stays up after its sequence, and its power may be cut.
        self._live, self._cut, self._held = live, False, False
        self._plan, self._machine, self._timeline, self._clock = plan, machine, timeline, clock
        self._folder, self._inbox, self._patience = folder / self.name, inbox, patience
        self._folder.mkdir(exist_ok=True)
        self._kept = Kept(self._folder, machine, self._event)
        self._attendant = Attendant(plan, machine, clock=clock, event=self._event, picture=self._kept.screen)
        self._start = Start(plan, self._attendant)
        self._read, self._questions, self._disks_read = read_disks, plan.questions, False
        self._console = ConsoleLines()
        self._console_size = 0
        self._console_at = clock.now()
        self._agent = AgentLines(self.name)
        self._channel: Channel | None = None
        self._reader: Listener | None = None
        self._channel_lost: tuple[float, str] | None = None
        self._off_since: float | None = None
        self._progress = Progress(clock, traffic)
        self._last: Event | None = None
        self._last_signal: Event | None = None
        self._phase = self._phase_before = "off"
        self._restart_target, self._restart_until = "", math.inf
        self.ended = False  # the client's part in this start
        self._finished = False  # the sequence that began
        self._collected = False

    def power_on(self) -> None:
        """Write down what the machine is, start it, and listen. Raises LabFault."""
        if self._channel is not None:
            self._forget()
        self._event("lab", "phase", {"name": "off"}, phase="off")
        self._machine.power_on()
        self.on, self._disks_read = True, False
        (self._folder / "domain.xml").write_text(self._machine.definition(), encoding="utf-8")
        self._channel = self._machine.channel(self._plan.spec.channels[0])
        self._reader = Listener(self.name, self._channel, self._inbox)
        self._progress.made()

    def cut_power(self) -> None:
        """Take the power away, as asked for; ``on`` is false once all has come in. Raises LabFault."""
        self._event("lab", "power-cut", {"reason": "asked for"})
        self._cut = True
        self._machine.cut_power()

    def tell(self, operation: str) -> None:
        """Send the agent an operation: power-off, after the end; go-on, while it is held. Raises LabFault."""
        assert self._channel is not None
        self._held = False
        self._progress.made()
        self._channel.send(json.dumps({"op": operation}).encode() + b"\n")

    def _forget(self) -> None:
        """What was of the start before."""
        for noise in self._agent.restarted():
            self._take(noise)
        self._off_since, self._channel_lost = None, None
        self._began = self._began and not self._finished
        self.over = self.ended = self._finished = self._cut = self._held = self._alone = False
        self._restart_target, self._restart_until = "", math.inf
        self._start.anew()

    # What is seen

    def observe(self, seen: Seen) -> None:
        """Take one observation in: an event, perhaps a phase. Raises LabFault when it says the lab broke."""
        if seen.kind == "channel-bytes":
            faults: list[LabFault] = []
            for message in self._agent.feed(seen.data["bytes"]):
                try:
                    self._take(message)
                except LabFault as fault:  # what came along with it belongs on the timeline too
                    faults.append(fault)
            if faults:
                raise faults[0]
            return
        if seen.kind == "channel-end":
            self._reader = None
            self._channel_lost = (self._clock.now(), str(seen.data.get("reason", "")))
            return
        self._take(seen)

    def poll_console(self) -> None:
        """Take in what the console said since the last call. Raises LabFault as ``observe`` does."""
        data = self._machine.console(self._console_size)
        now = self._clock.now()
        if data:
            self._console_size += len(data)
            self._console_at = now
            self._progress.made()
            lines = list(self._console.feed(data))
        elif now - self._console_at > _PROMPT_AFTER:
            lines = list(self._console.flush())
            self._console_at = now
        else:
            return
        for line in lines:
            self._take(Seen(self.name, "console", "line", {"text": line}))

    def _take(self, seen: Seen) -> None:
        data = dict(seen.data)
        phase = next_phase(self._phase, seen, restart_target=self._announced)
        changed = phase is not None and phase != self._phase
        if seen.source == "hypervisor" and seen.kind == "reset":
            data["expected"] = bool(self._announced)
        event = self._event(seen.source, seen.kind, data, phase=phase, source_time=seen.source_time)
        if seen.source not in _NO_PROGRESS:
            self._progress.made()
            self._last_signal = event
        if changed:
            self._progress.new_phase()
        self._act_on(seen)
        if changed and self._phase not in ("off", "step"):
            self.take_screen(self._phase)

    def _act_on(self, seen: Seen) -> None:
        match seen.source, seen.kind:
            case "smsts", "record":
                self._kept.record(seen.data)
            case "agent", "restart":
                self._restart_target = str(seen.data.get("target") or "HD")
                self._restart_until = math.inf
            case "agent", "lab-error":
                message = str(seen.data.get("message") or "the agent says that the lab is at fault")
                raise LabFault(message, hint=str(seen.data.get("hint") or ""))
            case "engine", "sequence-finished":
                self.ended = self._began = self._finished = True
                if not self._live and self._plan.policy.get("at_end") == "stay":
                    self.tell("power-off")
            case "engine", _:
                self._began = True
            case "agent", "no-deployment":
                self.ended = True
                self._comes_to_no_end(str(seen.data.get("reason") or "no deployment"))
            case "agent", "wizard":
                self.take_screen("wizard")
                self._attendant.wizard(seen.data)
            case "site", "pxe":
                self._start.decided(seen.data)
            case "lab", "pxe-unanswered":
                raise LabFault(
                    f"the site did not decide in time what machine '{self.name}' gets from the network: "
                    f"{seen.data['reason']}",
                    hint="see lab.log: what did the site's service say?",
                )
            case "http", _ if str(seen.data.get("path", "")).startswith("/boot/"):
                self._attendant.taken()
            case "agent", "held":
                self._held = True
            case "lab", "channel-gap" if seen.data["got"] > seen.data["expected"]:
                raise LabFault(
                    f"messages {seen.data['expected']} to {seen.data['got'] - 1} of the agent in machine "
                    f"'{self.name}' were lost; what the run shows has a hole and cannot be judged",
                    hint="see channel-gap and channel-noise on the timeline",
                )
            case "hypervisor", "reset":
                self._reset()
            case "hypervisor", ("stopped" | "crashed"):
                if self._reader is not None:
                    self._reader.machine_is_off()
                self._off_since = self._clock.now()
            case "console", "line":
                reason = self._start.hears(str(seen.data["text"]), self._phase)
                if reason and not self._alone:
                    self._alone = True
                    self._comes_to_no_end(reason)

    def _comes_to_no_end(self, reason: str) -> None:
        """Nothing more will happen on this machine: a result, whatever was expected."""
        self._event("lab", "unfinished" if self._began else "not-started", {"reason": reason})

    def _reset(self) -> None:
        for noise in self._agent.restarted():
            self._take(noise)
        self._start.anew()
        if not self._announced and not self.ended:
            self._event("lab", "unexpected-reset", {"phase_before": self._phase_before})
        if self._restart_until == math.inf:  # one announcement, one restart
            several = self._plan.spec.firmware == "bios"
            self._restart_until = self._clock.now() + _BIOS_RESETS * self._patience.factor * several

    @property
    def _announced(self) -> str:
        """Where a reset that comes now was announced to lead; "" when it was not."""
        return self._restart_target if self._clock.now() < self._restart_until else ""

    # What must not take too long

    def check(self) -> None:
        """Whether the machine is over, or silent for too long. Raises PhaseTimeout, LabFault."""
        now = self._clock.now()
        if self._alone and not self._live:
            self.over = True  # its power is taken away
            return
        self._attendant.turn()
        if self._off_since is not None:
            if self._reader is not None and now - self._off_since < _DRAIN:
                return  # the agent's last words may still be on their way
            self.poll_console()
            self.on, self.over = False, True
            if not (self.ended or self._cut or self._alone):
                raise LabFault(
                    f"machine '{self.name}' went off before its sequence ended, in phase "
                    f"{self._phase_before}; last seen: {self._seen_last()}",
                    hint="see the end of console.log and the last screen",
                )
            return
        if self._channel_lost is not None and now - self._channel_lost[0] > _DRAIN:
            self._event("lab", "channel-lost", {"reason": self._channel_lost[1]})
            self._channel_lost = None
        if self._held or (self._live and (self.ended or self._alone)):
            return  # it waits for whoever commands it
        allowed = self._patience.of(self._phase) + self._start.grace
        if self._progress.none_for(allowed, self._phase):
            self._stall(allowed)

    def _stall(self, allowed: float) -> None:
        screen = self.take_screen("stalled")
        signal = self._last_signal.source if self._last_signal is not None else ""
        self._event("lab", "stalled", {"limit": allowed, "signal": signal, "last": self._seen_last()})
        raise stall(
            self.name, self._phase, allowed=allowed, signal=signal, last=self._seen_last(),
            screen=f"{self.name}/{screen}" if screen else "",
        )  # fmt: skip

    def _seen_last(self) -> str:
        event = self._last_signal or self._last
        if event is None:
            return ""
        shown = json.dumps(event.data, ensure_ascii=False)
        return f"{event.source} {event.kind} {shown[:200]} at {event.time:.1f} s"

    # What is kept

    def take_screen(self, reason: str) -> str:
        """Keep a screenshot; the file's name, or "" when there was none to take."""
        return self._kept.screen(reason)

    def switch_off(self) -> None:
        """Turn the machine off if it is not. Never raises LabError."""
        self._try("console", self.poll_console)
        if self._running():
            self.take_screen("end")
            self._event("lab", "power-cut", {"reason": "the machine's part is over and it is on"})
            self._try("power", self._machine.cut_power)
        if (reader := self._reader) is not None:
            reader.machine_is_off()
            reader.join(_DRAIN)  # what the agent wrote before the power went is in the inbox after this

    def collect(self) -> None:
        """Turn the machine off if it is not, and keep what its disks hold. Once; never raises LabError:
        what could not be collected becomes an event."""
        if self._collected:
            return
        self._collected = True
        self.switch_off()
        self._try("console", self.poll_console)
        self._try("console", self._kept.console)
        if not self._disks_read:
            self._try("final-state", self.read_disks)

    def read_disks(self, more: Questions | None = None) -> None:
        """Keep what stands on the disks of the machine, which is off. ``more`` is asked from now on, too.

        Raises LabFault.
        """
        if more is not None:
            asked = self._questions
            self._questions = Questions(
                tuple(dict.fromkeys((*asked.files, *more.files))),
                tuple(dict.fromkeys((*asked.registry, *more.registry))),
            )
        count = len(self._plan.spec.disks)
        self._kept.disks(count, lambda readers: self._read(readers, self._questions))
        self._disks_read = True

    def _running(self) -> bool:
        try:
            return self._machine.state() is not PowerState.OFF
        except LabError:
            return True

    def _try(self, what: str, do: Callable[[], None]) -> None:
        try:
            do()
        except (LabError, OSError) as error:
            self._event("lab", "not-collected", {"what": what, "reason": str(error)})

    # Events

    def _event(
        self,
        source: str,
        kind: str,
        data: Mapping[str, Any],
        *,
        phase: str | None = None,
        source_time: float | None = None,
    ) -> Event:
        if phase is not None and phase != self._phase:
            self._phase_before = self._phase
            self._phase = phase
        event = self._timeline.append(
            source, kind, machine=self.name, phase=phase, source_time=source_time, details=data
        )
        self._last = event
        return event
