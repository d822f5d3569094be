"""The loop: asks the engine for effects, has them performed, survives restarts. Same in guest and simulator.

Before each effect the state goes to the store with ``pending``: this effect, and the boot's mark. When a loop
resumes, a pending restart with a new mark happened and one with the same mark did not; any other pending
effect was interrupted, unless it may be performed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lab.clock import Clock
from lab.guest.place import LOG_BEFORE_DISK, Place
from lab.guest.saved import FORMAT, Saved, Unusable, checked
from lab.sequence import codec, engine, smsts
from lab.sequence.effects import (
    INTERRUPTED,
    CleanUp,
    Effect,
    EngineEvent,
    Finished,
    GatherFacts,
    How,
    Outcome,
    PartitionDisk,
    Performer,
    Restart,
)
from lab.sequence.model import TaskSequence
from lab.sequence.state import ExecutionState

#: ERROR_NO_SHUTDOWN_IN_PROGRESS: a restart was asked for and did not happen.
RESTART_DID_NOT_HAPPEN = Outcome(code=0x8007045C, message="the restart did not happen")

#: The thread number that records carry.
THREAD = 1100

Emit = Callable[[str, dict[str, Any]], None]


__all__ = [
    "FORMAT", "Log", "Loop", "Place", "Restarting", "Savable", "Saved", "Store", "Unusable", "record",
]  # fmt: skip


class Savable(Protocol):
    """What a store is given."""

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Restarting:
    """The machine goes down now; another loop resumes after it came up.

    ``announced``: the engine asked for it; else a command did it by itself.
    """

    target: Literal["HD", "WinPE"]
    announced: bool = True


class Store(Protocol):
    """Keeps the run over restarts."""

    def save(self, saved: Savable) -> None:
        """Keep this, and nothing else. When it returns, a power cut does not lose it."""
        ...

    def load(self) -> dict[str, Any] | None: ...

    def relocate(self, data_path: str) -> None:
        """From now on keep it in this folder (Windows path; "" is memory that a restart clears)."""
        ...

    def remove(self) -> None: ...


class Log(Protocol):
    """Keeps smsts.log."""

    def write(self, lines: str) -> None:
        """Add formatted records (they have their line ends; none at all is possible)."""
        ...

    def move(self, folder: str) -> None:
        """From now on the log is in this folder (Windows path); what was written goes along."""
        ...


def record(log: Log, data: Mapping[str, Any], wall: float, thread: int = THREAD) -> dict[str, Any]:
    """Stamp a record, write it to the log, and give it as it goes to the host."""
    stamped, line = _stamped(data, wall, thread)
    log.write(line)
    return stamped


def _stamped(data: Mapping[str, Any], wall: float, thread: int) -> tuple[dict[str, Any], str]:
    """A record as it goes to the host, and as it stands in the log."""
    time, date = smsts.stamp(wall)
    line = smsts.format_record(
        data["message"],
        component=data["component"],
        time=time,
        date=date,
        type=data["type"],
        thread=thread,
        file=data["file"],
    )
    return {**data, "time": time, "date": date, "thread": thread}, line


class Loop:
    """Runs a sequence from its start, or from what the store holds, to its end or its next restart.

    ``mark`` tells one boot of the machine from another. ``wall`` gives UTC seconds since 1970 for the log.
    ``policy`` is kept beside the state. ``how`` is how the outcomes come about that the loop itself gives
    (after a restart). ``place`` follows the current step. ``counts`` has how many effects came about how,
    over the whole run. Without ``records`` there is no log.
    """

    def __init__(
        self,
        sequence: TaskSequence,
        performer: Performer,
        store: Store,
        emit: Emit,
        clock: Clock,
        mark: str,
        *,
        log: Log,
        wall: Callable[[], float],
        policy: Mapping[str, Any] | None = None,
        how: How = "real",
        place: Place | None = None,
        thread: int = THREAD,
        records: bool = True,
    ) -> None:
        self._sequence = sequence
        self._performer = performer
        self._store = store
        self._emit = emit
        self._clock = clock
        self._mark = mark
        self._log = log
        self._wall = wall
        self._policy = dict(policy or {})
        self._how = how
        self._thread = thread
        self._records = records
        self._encoded = codec.encoded(sequence)
        self._paths: tuple[str, str] | None = ("", "")
        self.place = place or Place()
        self._letters_known = True
        self._over = False  # what comes after the clean-up is never resumed
        self.counts: dict[str, int] = {}
        self.state: ExecutionState | None = None
        self._running: engine.Running | None = None

    @classmethod
    def of_saved(cls, saved: Mapping[str, Any], *args: Any, **named: Any) -> Loop:
        """A loop for the run that a store holds; further arguments as of the class, without ``sequence``.

        Raises Unusable when it is none that can be gone on with.
        """
        checked(saved)
        named.setdefault("policy", saved["policy"])
        return cls(codec.from_json(saved["sequence"]), *args, **named)

    def start(self, variables: Mapping[str, str], secrets: Iterable[str] = ()) -> Finished | Restarting:
        """Run from the start, with the variables of the policy; ``secrets`` names those that never leave.

        Raises LabFault as the performer does, VariableRefused as the engine does.
        """
        self.state = engine.start(self._sequence, dict(variables), secrets)
        return self._run()

    def resume(self, saved: Mapping[str, Any]) -> Finished | Restarting:
        """Go on with what the store held. Raises Unusable, LabFault as the performer does."""
        self.state, pending = checked(saved)
        self.counts = dict(saved["counts"])
        self.place.pointer, self.place.step, self.place.interrupted = saved["place"]
        if pending.repeatable:
            self._follow_paths()
        else:
            self._letters_known = False  # store and log stay where the machine found them until it has looked
        if isinstance(pending, Restart):
            happened = saved["mark"] != self._mark
            outcome = Outcome(how=self._how) if happened else RESTART_DID_NOT_HAPPEN
            self._done(pending, outcome, 0.0)
        elif not pending.repeatable:
            self.place.interrupted = True
            self._done(pending, INTERRUPTED, 0.0)
        return self._run()

    @property
    def keeps_quiet(self) -> bool:
        """Whether one lost status message is to be the last one sent (documented)."""
        value = self.state.variables.value("SMSTSDisableStatusRetry") if self.state else ""
        return value.strip().casefold() == "true"

    def public_variables(self) -> dict[str, str]:
        """The sequence's variables that are not secret."""
        return engine.variables_of(self.state) if self.state else {}

    def _run(self) -> Finished | Restarting:
        while True:
            assert self.state is not None
            effect = engine.next_effect(self._sequence, self.state)
            if isinstance(effect, Finished):
                return effect
            if not self._over:
                self._save(effect)
            if isinstance(effect, Restart):
                self._emit("restart", {"target": effect.target})
            if isinstance(effect, CleanUp) and effect.log_folder:
                # The log goes first: its old place may be below what is removed.
                self._log.move(effect.log_folder)
            if isinstance(effect, PartitionDisk):
                # State and log may be on that disk: meanwhile both are kept in memory.
                self._store.relocate("")
                self._log.move(LOG_BEFORE_DISK)
                self._paths = None
            before = self._clock.now()
            outcome = self._performer.perform(effect)
            if isinstance(effect, Restart) and outcome.ok:
                return Restarting(effect.target)
            if outcome.value.get("restarts") and not self._over:
                # A command that restarts the machine by itself: neither engine nor store learns how it ended.
                self._tell(effect, outcome, self._clock.now() - before)
                self._performer.perform(Restart("HD"))
                return Restarting("HD", announced=False)
            if isinstance(effect, CleanUp):
                self._store.remove()
                self._over = True
            self._done(effect, outcome, self._clock.now() - before)

    def _tell(self, effect: Effect, outcome: Outcome, seconds: float) -> None:
        """Count the effect and tell the host of it."""
        self.counts[outcome.how] = self.counts.get(outcome.how, 0) + 1
        data = {
            "effect": effect.kind,
            "pointer": self.place.pointer,
            "how": outcome.how,
            "code": outcome.code,
            "seconds": round(seconds, 3),
            **effect.told(),
        }
        if outcome.message:
            data["message"] = outcome.message
        self._emit("effect", data)

    def _done(self, effect: Effect, outcome: Outcome, seconds: float) -> None:
        self._tell(effect, outcome, seconds)
        self._letters_known |= isinstance(effect, GatherFacts)
        assert self.state is not None
        if self._running is None:
            self._running = engine.Running(self._sequence, self.state, records=self._records)
        self.state, events = self._running.advance(outcome)
        self._follow_paths()
        # One write for all that an effect led to: a disk behind a user-space file system is slow per write.
        self._log.write("".join(self._passed_on(events)))

    def _passed_on(self, events: tuple[EngineEvent, ...]) -> Iterator[str]:
        """Tell the host what happened; the lines for the log."""
        for event in events:
            data = event.data
            if event.kind == "instruction":
                self.place.pointer, self.place.step = data["pointer"], data["name"]
            elif event.kind == "record":
                data, line = _stamped(data, self._wall(), self._thread)
                yield line
            self._emit(event.kind, data)

    def _follow_paths(self) -> None:
        """Store and log go where the engine says data and log are."""
        if not self._letters_known:
            return
        assert self.state is not None
        paths = (engine.pending_data_path(self.state), self.state.variables.value("_SMSTSLogPath"))
        before = self._paths or (None, None)
        if paths[0] != before[0]:
            self._store.relocate(paths[0])
        if paths[1] and paths[1] != before[1]:
            self._log.move(paths[1])
        self._paths = paths

    def _save(self, pending: Effect) -> None:
        assert self.state is not None
        self._store.save(
            Saved(
                sequence=self._encoded,
                state=self.state,
                pending=pending,
                mark=self._mark,
                policy=self._policy,
                counts=dict(self.counts),
                place=(self.place.pointer, self.place.step, self.place.interrupted),
            )
        )
