"""What happens to one modelled machine, put on the run's timeline as a real run has it: same sources, same
kinds, same phases."""

from __future__ import annotations

from typing import Any

from lab.clock import VirtualClock
from lab.errors import LabFault, PhaseTimeout
from lab.hypervisor.protocol import MachineSpec
from lab.timeline import Timeline

#: Virtual seconds after which a machine that does nothing counts as stalled.
STALL = 120.0

#: Plausible seconds until the agent says hello.
_AGENT_STARTS = 1.0

#: Sources that have a time of their own.
_GUEST = frozenset({"agent", "engine", "smsts"})
_AGENT = frozenset(
    {"hello", "phase", "effect", "restart", "variables", "lab-error", "bye", "no-deployment", "wizard",
     "wizard-done"}
)  # fmt: skip


class Teller:
    """Tells of one machine. ``started``: the clock's time at which its present start began."""

    def __init__(self, spec: MachineSpec, timeline: Timeline, clock: VirtualClock) -> None:
        self._spec = spec
        self._timeline = timeline
        self._clock = clock
        self.started = clock.now()

    @property
    def mac(self) -> str:
        return self._spec.nics[0].mac.lower() if self._spec.nics else ""

    def say(
        self,
        source: str,
        kind: str,
        *,
        phase: str | None = None,
        data: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Put an event on the timeline; ``phase`` is the machine's from now on."""
        machine, timeline = self._spec.name, self._timeline
        up = round(self._clock.now() - self.started, 3) if source in _GUEST else None
        if phase is not None and phase == timeline.phase(machine):
            phase = None
        timeline.append(source, kind, machine=machine, phase=phase, source_time=up, details=data or more)

    def emit(self, kind: str, data: dict[str, Any]) -> None:
        """What the agent tells the host, as it stands on a real run's timeline."""
        source = "smsts" if kind == "record" else "agent" if kind in _AGENT else "engine"
        phase = None
        if kind == "instruction":
            phase = "step"
        elif kind == "restart":
            phase = "restart"
        elif kind == "sequence-finished":
            phase = "finished" if data["result"] == "success" else "failed"
        self.say(source, kind, phase=phase, data=data)

    def hello(self, phase: str) -> None:
        """The agent is up: "pe" or "os"."""
        self._clock.pause(_AGENT_STARTS)
        self.say(
            "agent", "hello", phase=f"{phase}-hello",
            data={"phase": phase, "mac": self.mac, "uuid": self._spec.uuid.lower(), "agent": "modelled",
                  "memory": self._spec.memory},
        )  # fmt: skip

    def announce(self, name: str) -> None:
        """A phase that the agent says it is in."""
        self.say("agent", "phase", phase=name, name=name)

    def phase(self, name: str) -> None:
        """A phase that the lab sees."""
        self.say("lab", "phase", phase=name, name=name)

    def lab_error(self, fault: LabFault) -> LabFault:
        """The agent says that the lab is at fault, and goes; ``fault`` is given back to be raised."""
        self.emit("lab-error", {"message": fault.message, "hint": fault.hint})
        self.emit("bye", {})
        return fault

    def stall(self, waited_for: str, last_seen: str) -> PhaseTimeout:
        """Let the limit pass and say what did not come; the fault to raise."""
        self._clock.pause(STALL)
        phase = self._timeline.phase(self._spec.name)
        self.say("lab", "stalled", limit=STALL, signal=waited_for, last=last_seen)
        return PhaseTimeout(
            f"{waited_for} (machine '{self._spec.name}', phase {phase})", seconds=STALL, last_seen=last_seen
        )
