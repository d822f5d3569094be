"""A recorded run held against the engine: where would the engine have gone another way?

The level is the step: its recorded exit code stands in place of its program, and what its condition came to
is taken from the log, because a log does not tell all variables. What is left to the engine is compared:
order, success codes, continue on error, groups, restarts, the end. Conditions over variables that only the
engine sets (``_SMSTS…``) are worked out as well, and must agree with the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lab.logs.history import Item, Trace
from lab.logs.known import evaluate_known
from lab.logs.recorded import VERDICT, prepared, recorded_types
from lab.sequence import instructions
from lab.sequence.effects import (
    Effect,
    EngineEvent,
    Finished,
    GatherFacts,
    Outcome,
    Restart,
    RunCommand,
)
from lab.sequence.engine import advance, next_effect, start
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.state import ExecutionState

_STATUS = {"success": "succeeded", "failed": "failed", "skipped": "skipped", "disabled": "disabled"}


@dataclass(frozen=True)
class Divergence:
    """Where engine and log part: what each does and why. ``position`` is file:line:column of the sequence."""

    name: str
    log: str
    log_place: str
    engine: str
    position: str


@dataclass
class Replay:
    """What came of it. ``agrees`` is None when the log has nothing to compare."""

    agrees: bool | None = None
    divergence: Divergence | None = None
    result: str | None = None
    compared: dict[str, int] = field(
        default_factory=lambda: {"instructions": 0, "steps": 0, "conditions": 0, "restarts": 0}
    )
    recorded: int = 0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def replay(sequence: TaskSequence, trace: Trace) -> Replay:
    """Feed the last run that the trace shows into the engine. Never raises for what a log may hold."""
    return _Replayer(sequence, trace).run()


class _Stop(Exception):
    """The log says no more."""


class _Diverged(Exception):
    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence.name)
        self.divergence = divergence


class _Replayer:
    def __init__(self, sequence: TaskSequence, trace: Trace) -> None:
        self.trace = trace
        last = max((item.run for item in trace.items), default=1)
        self.items = [item for item in trace.items if item.run == last and item.kind != "script"]
        self.given = instructions.build(sequence)
        self.sequence = replace(sequence, children=prepared(sequence.children))
        self.table = instructions.table(self.sequence)
        self.types = recorded_types(sequence)
        self.result = Replay()
        self.at = 0  # items of the log that are accounted for
        self.bound: dict[int, Item] = {}
        self.last = "the engine begins"
        self.numbers_differ = False

    def run(self) -> Replay:
        if not self.items:
            self.result.notes.append("the log shows no step or group: nothing to compare")
            return self.result
        try:
            self._drive()
            self.result.agrees = True
        except _Stop as stop:
            self.result.agrees = True
            self.result.notes.append(str(stop))
        except _Diverged as diverged:
            self.result.agrees = False
            self.result.divergence = diverged.divergence
        return self.result

    # the engine

    def _drive(self) -> None:
        pointer = self._begins()
        variables = {"_SMSTSBootImageID": "RECORDED"}
        state = replace(start(self.sequence, variables), pointer=pointer)
        for _ in range(10 * len(self.items) + 100):
            effect = next_effect(self.sequence, state)
            if isinstance(effect, Finished):
                self._ended(effect)
                return
            outcome = self._answer(effect, state)
            self.result.recorded += 1
            state = self._advance(state, outcome)
        raise _Stop("the engine did not come to an end")

    def _advance(self, state: ExecutionState, outcome: Outcome) -> ExecutionState:
        """One ``advance``; again from the same state as often as the log knows a condition's value better."""
        at, bound, last = self.at, dict(self.bound), self.last
        compared = dict(self.result.compared)
        while True:
            after, events = advance(self.sequence, state, outcome, self.types)
            try:
                verdict = self._compare(events, state)
            except _Stop:
                verdict = None
                if self.at < len(self.items):
                    raise
                self._log_is_over(events)
            if verdict is None:
                return after
            pointer, value = verdict
            state = replace(state, variables=state.variables.set(f"{VERDICT}{pointer}", value))
            self.at, self.bound, self.last = at, dict(bound), last
            self.result.compared = dict(compared)

    def _begins(self) -> int:
        """The pointer of the log's first item: logs begin late when they were rolled."""
        first = self.items[0]
        found = [
            entry.pointer
            for entry in self.table.instructions
            if not entry.closes and _same(entry.item.name, first.name)
        ]
        if not found:
            raise _Diverged(
                Divergence(
                    first.name,
                    f"begins with '{first.name}'",
                    f"{first.path}:{first.line}",
                    "has no item of that name in this sequence",
                    str(self.sequence.position),
                )
            )
        pointer = found[0] if first.pointer is None or first.pointer not in found else first.pointer
        if pointer:
            self.result.notes.append(f"the log begins at instruction {pointer}, '{first.name}'")
        return pointer

    # answers

    def _answer(self, effect: Effect, state: ExecutionState) -> Outcome:
        item = self.bound.get(state.pointer)
        if isinstance(effect, GatherFacts):
            return Outcome(how="recorded", value=self._facts())
        if isinstance(effect, RunCommand):
            if item is None or item.status not in ("succeeded", "failed"):
                name = item.name if item is not None else effect.shown
                raise _Stop(f"the log ends in '{name}'")
            sets = {}
            if item.reboot is not None:
                sets["SMSTSRebootRequested"] = item.reboot or "HD"
            if item.retry:
                sets["SMSTSRetryRequested"] = "true"
            code = item.code if item.code is not None else int(item.status == "failed")
            return Outcome(code, how="recorded", value={"sets": sets})
        if isinstance(effect, Restart):
            self._restart(item, effect)
        return Outcome(how="recorded", value={"path": "", "files": []})

    def _restart(self, item: Item | None, effect: Restart) -> None:
        self.result.compared["restarts"] += 1
        following = self.items[self.at] if self.at < len(self.items) else None
        shown = item is not None and (item.reboot is not None or item.retry)
        if item is None or shown or following is None:
            return
        restarts = [restart.line for restart in self.trace.restarts if restart.path == item.path]
        if any(item.line <= line <= following.line for line in restarts):
            return
        raise _Diverged(
            Divergence(
                following.name,
                f"goes on with '{following.name}' without a restart",
                f"{following.path}:{following.line}",
                f"restarts the machine to {effect.target}: {self.last}",
                self._position_of(item),
            )
        )

    def _position_of(self, item: Item) -> str:
        for pointer, bound in self.bound.items():
            if bound is item:
                return str(self.table.instructions[pointer].item.position)
        return str(self.sequence.position)

    def _facts(self) -> dict[str, Any]:
        environment = next(
            (phase.environment for phase in reversed(self.trace.phases) if phase.environment), ""
        )
        failed = [item for item in self.items if item.name == self.trace.failed_step]
        unformatted = bool(failed) and failed[-1].status == "succeeded"  # R66: a restart that could not be
        return {
            "in_winpe": environment.casefold() not in ("gina", "fullos"),
            "uefi": bool(self.trace.uefi),
            "machine_name": "RECORDED",
            "bootable": not unformatted,
            "data_path": "" if unformatted else "C:\\_SMSTaskSequence",
            "log_path": "C:\\_SMSTaskSequence\\Logs",
            "volumes": {},
            "disks": [],
        }

    # comparison

    def _compare(self, events: tuple[EngineEvent, ...], state: ExecutionState) -> tuple[int, str] | None:
        """Hold events against the log; (pointer, value) when a condition is to be answered otherwise."""
        for event in events:
            data = event.data
            if event.kind == "instruction":
                if self.at >= len(self.items):
                    raise _Stop
                verdict = self._instruction(int(data["pointer"]), str(data["name"]), state)
                if verdict is not None:
                    return verdict
            elif event.kind in ("step-finished", "group-finished"):
                self._finished(event.kind, data)
        return None

    def _instruction(self, pointer: int, name: str, state: ExecutionState) -> tuple[int, str] | None:
        item = self.items[self.at]
        model = self.table.instructions[pointer].item
        given = self.given.instructions[pointer].item
        if not _same(name, item.name):
            self._diverge(
                item, model, f"goes on with '{item.name}'", f"goes on with '{name}': {self.last}"
            )  # fmt: skip
        value = "false" if item.condition is False else "true"
        if given.condition is not None and not model.disabled:
            known = f"{VERDICT}{pointer}"
            if (state.variables.value(known) or "true") != value:
                return pointer, value
            self.result.compared["conditions"] += 1
            self._check_condition(item, given)
        elif item.condition is False and not model.disabled:
            self._diverge(
                item, model, "skips it because its condition is false", "runs it: it has no condition here"
            )  # fmt: skip
        if item.pointer not in (None, pointer) and self.sequence.position.path and not self.numbers_differ:
            self.numbers_differ = True
            self.result.notes.append(
                f"instruction numbers differ from '{name}' on: {item.pointer} in the log, {pointer} here"
            )
        self.bound[pointer] = item
        self.at += 1
        self.result.compared["instructions"] += 1
        return None

    def _check_condition(self, item: Item, given: Group | Step) -> None:
        known = {
            name.strip().casefold(): value
            for name, value in self.trace.sets[: item.sets_before]
            if name.casefold().startswith("_smsts")
        }
        holds = evaluate_known(given.condition, known)
        logged = item.condition is not False
        if holds is None or holds == logged:
            return
        said = {True: "true", False: "false"}
        self._diverge(
            item,
            given,
            f"finds its condition {said[logged]}",
            f"finds it {said[holds]} with the variables that the log shows",
        )

    def _finished(self, kind: str, data: Mapping[str, Any]) -> None:
        pointer = int(data["pointer"])
        item = self.bound.get(pointer)
        model = self.table.instructions[pointer].item
        word = "group" if kind == "group-finished" else "step"
        status = _STATUS[str(data["result"])]
        if word == "step":
            self.result.compared["steps"] += 1
        continues = ""
        if status == "failed":
            continues = ", and continues" if data.get("continued") else ", and does not continue on error"
        code = f" with code {data['code']}" if word == "step" and status in ("succeeded", "failed") else ""
        said = f"the {word} '{model.name}' has {status}{code}{continues}"
        self.last = f"{self.last}; {said}" if word == "group" and status == "failed" else said
        if item is None or item.status is None or item.status == status:
            return
        why = ""
        if isinstance(model, Step) and status in ("failed", "succeeded"):
            why = f"; its success codes are {' '.join(map(str, model.success_codes)) or 'none'}"
        self._diverge(item, model, f"says it has {item.status}", f"{self.last}{why}", item.ended_line)

    def _diverge(
        self, item: Item, model: Group | Step, log: str, engine: str, line: int | None = None
    ) -> None:  # fmt: skip
        raise _Diverged(
            Divergence(item.name, log, f"{item.path}:{line or item.line}", engine, str(model.position))
        )

    # ends

    def _log_is_over(self, events: tuple[EngineEvent, ...]) -> None:
        """The engine would go on, and the log has no item left."""
        result = self.trace.result
        if result not in ("success", "failed"):
            raise _Stop("the log ends here" if result == "unknown" else "the log ends with a restart")
        further = [str(event.data["name"]) for event in events if event.kind == "instruction"]
        names = [item.name for item in self.items]
        name = next((name for name in further if name not in names[-len(further) :]), further[-1])
        raise _Diverged(
            Divergence(
                name,
                f"ends here: {result}",
                str(self.trace.result_place or ""),
                f"goes on with '{name}': {self.last}",
                str(self.sequence.position),
            )
        )

    def _ended(self, finished: Finished) -> None:
        self.result.result = finished.result
        if self.at < len(self.items):
            item = self.items[self.at]
            raise _Diverged(
                Divergence(
                    item.name,
                    f"goes on with '{item.name}'",
                    f"{item.path}:{item.line}",
                    f"ends with {finished.result}: {self.last}",
                    str(self.sequence.position),
                )
            )
        if self.trace.result in ("success", "failed") and self.trace.result != finished.result:
            raise _Diverged(
                Divergence(
                    finished.failed_step,
                    f"ends with {self.trace.result}",
                    str(self.trace.result_place or ""),
                    f"ends with {finished.result}: {self.last}",
                    str(self.sequence.position),
                )
            )


def _same(left: str, right: str) -> bool:
    return " ".join(left.split()).casefold() == " ".join(right.split()).casefold()
