"""A sequence alone in the simulator, to its end: what ran, what it was assumed that it needs.

``simulate_alone`` takes a model and gives ``Alone``, the answer of ``osdlab sequence simulate``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from lab.clock import VirtualClock
from lab.guest.doubles import Double
from lab.hypervisor.protocol import MachineSpec
from lab.sequence.doubled import matches_step
from lab.sequence.model import Condition, Group, Step, TaskSequence
from lab.sequence.nested import SUBSEQUENCE, child_id
from lab.sequence.references import active_steps
from lab.sequence.steptypes import STEP_TYPES
from lab.simulation.assumed import (
    BOOT_IMAGE,
    CLIENT,
    AssumedContents,
    AssumingDouble,
    AssumingPoint,
    FailingDouble,
    Follower,
    Need,
    assumed_policy,
)
from lab.simulation.installed import installed_machine
from lab.simulation.outcome import SimulatedRun
from lab.simulation.reference import reference_image
from lab.simulation.run import simulate
from lab.timeline import Event, Timeline

Start = Literal["pxe", "full-os"]
Status = Literal["succeeded", "failed", "skipped", "disabled"]

#: Step types that lay a disk or an operating system down: a sequence with one begins in Windows PE.
_INSTALLING = frozenset(
    {
        "SMS_TaskSequence_PartitionDiskAction",
        "SMS_TaskSequence_ApplyOperatingSystemAction",
        "SMS_TaskSequence_ApplyDataImageAction",
        "BDD_InstallOS",
    }
)
_STATUS: Mapping[str, Status] = {"success": "succeeded"}


@dataclass
class Entry:
    """A group or step that was reached. ``pointer`` is its instruction's; ``path`` its name below those of
    its groups, with slashes; ``code`` of a step that ran; ``effects`` by how they came about."""

    name: str
    kind: Literal["group", "step"]
    type: str
    path: str
    pointer: int
    depth: int
    status: Status = "failed"
    code: int | None = None
    reason: str = "it did not come to its end"
    continued: bool = False
    assumed: int = 0
    effects: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "kind": self.kind, "status": self.status, "code": self.code,
            "type": self.type, "path": self.path, "pointer": self.pointer, "depth": self.depth,
            "reason": self.reason, "continued": self.continued, "assumed": self.assumed,
            "effects": dict(self.effects),
        }  # fmt: skip


@dataclass(frozen=True)
class Alone:
    """What came of it. ``reason`` says why it failed where the sequence itself did not say so (nobody went on
    with the machine, it restarts for ever); ``needs`` are the answers that were assumed."""

    result: Literal["success", "failed"]
    code: int
    failed_step: str
    step_code: int
    reason: str
    start: Start
    why: str
    trace: tuple[Entry, ...]
    needs: tuple[Need, ...]
    packages: tuple[str, ...]
    run: SimulatedRun
    events: Sequence[Event]


def beginning(sequence: TaskSequence) -> tuple[Start, str]:
    """Where a sequence begins that does not say so, and why."""
    for step, enabled in active_steps(sequence):
        if enabled and step.type in _INSTALLING:
            kind = STEP_TYPES[step.type].name if step.type in STEP_TYPES else step.type
            return "pxe", f"step '{step.name}' ({kind}) lays down a disk or a system"
    return "full-os", "no step lays down a disk or a system"


def simulate_alone(
    sequence: TaskSequence,
    spec: MachineSpec,
    *,
    start: Start | None = None,
    variables: Mapping[str, str] | None = None,
    doubles: Sequence[Double] = (),
    fails: Mapping[int, int] | None = None,
    missing: Iterable[str] = (),
    records: bool = False,
) -> Alone:
    """Run ``sequence`` (children in their places) on a machine like ``spec``, to its end.

    ``start``: where it begins; None decides by ``beginning``. ``fails``: pointer of a step -> the exit code
    that it ends with. ``missing``: packages and child sequences that the site does not
    have. Never raises for what the sequence does. Raises VariableRefused for ``variables``.
    """
    begins, why = (start, "asked for") if start else beginning(sequence)
    clock = VirtualClock()
    timeline = Timeline(clock)
    follower = Follower()
    timeline.follow(follower)
    assuming = AssumingDouble(follower=follower)
    lost = frozenset(name.upper() for name in missing)
    contents = AssumedContents(sequence, lost)
    failing = [
        FailingDouble(exit=code, follower=follower, pointers=frozenset({pointer}))
        for pointer, code in (fails or {}).items()
    ]
    patterns = [double.step for double in doubles if double.step]
    run = simulate(
        _answered(sequence, lambda pointer, step: pointer in (fails or {}) or _unknown(step, patterns, lost)),
        spec,
        variables={"_SMSTSBootImageID": BOOT_IMAGE, "_SMSTSClientPackageID": CLIENT, **(variables or {})},
        doubles=[*failing, *doubles, assuming],
        contents=contents,
        timeline=timeline,
        clock=clock,
        policy=assumed_policy(sequence),
        records=records,
        machine=installed_machine(spec, reference_image()) if begins == "full-os" else None,
        point=partial(AssumingPoint, assumed=contents),
    )
    needs = [*assuming.needs, *_shares(timeline.events, sequence)]
    finished = run.finished
    return Alone(
        result="success" if finished and finished.result == "success" else "failed",
        code=finished.code if finished else 0,
        failed_step=finished.failed_step if finished else "",
        step_code=finished.step_code if finished else 0,
        reason="" if finished or run.fault is None else run.fault.message,
        start=begins,
        why=why,
        trace=tuple(_trace(sequence, timeline.events, needs)),
        needs=tuple(_different(needs)),
        packages=tuple(contents.asked),
        run=run,
        events=timeline.events,
    )


def _unknown(step: Step, patterns: Iterable[str], missing: Collection[str] = ()) -> bool:
    """Whether a double has to answer the step: its type is not known, its child is not there, or the user's
    doubles say so."""
    child = step.type == SUBSEQUENCE and child_id(step).upper() not in missing
    known = step.type in STEP_TYPES and not child
    return not known or any(matches_step(pattern, step.name, step.type) for pattern in patterns)


def double_unknown(sequence: TaskSequence, patterns: Iterable[str] = ()) -> TaskSequence:
    """The sequence with every step marked that only a double can answer, or that ``patterns`` mean."""
    wanted = tuple(patterns)
    return _answered(sequence, lambda _, step: _unknown(step, wanted))


def unset_variables(sequence: TaskSequence, alone: Alone) -> list[str]:
    """What to know of conditions that skipped something and ask for variables that nothing set: what sets
    them in a real deployment (a wizard, a script, the site) is not here."""
    items = {pointer: item for pointer, _, item in sequence.walk()}
    known = {name.casefold() for name in alone.run.variables}
    asked: Counter[str] = Counter()
    for entry in alone.trace:
        if entry.status == "skipped" and (condition := items[entry.pointer].condition):
            names = {name.casefold(): name for name in _asked(condition)}
            asked.update(name for key, name in names.items() if key not in known and not key.startswith("_"))
    return [
        f"{number} item{'s were' if number > 1 else ' was'} skipped by conditions on {name}, which nothing "
        f"set: --set {name}=…"
        for name, number in asked.items()
    ]


def _asked(condition: Condition) -> Iterator[str]:
    """The variables that a condition wants a value of."""
    if condition.kind == "SMS_TaskSequence_VariableConditionExpression":
        operator = condition.value("Operator").casefold()
        if operator not in ("notequals", "notexists") and condition.value("Variable"):
            yield condition.value("Variable").strip()
    if condition.kind != "not":
        for operand in condition.operands:
            yield from _asked(operand)


def _answered(sequence: TaskSequence, chosen: Callable[[int, Step], bool]) -> TaskSequence:
    """The sequence with those steps marked as answered by doubles."""
    pointers = iter([pointer for pointer, _, _ in sequence.walk()])

    def below(items: tuple[Group | Step, ...]) -> tuple[Group | Step, ...]:
        marked: list[Group | Step] = []
        for item in items:
            pointer = next(pointers)
            if isinstance(item, Group):
                marked.append(replace(item, children=below(item.children)))
            else:
                marked.append(replace(item, doubled=True) if chosen(pointer, item) else item)
        return tuple(marked)

    return replace(sequence, children=below(sequence.children))


def paths(sequence: TaskSequence) -> dict[int, str]:
    """Pointer -> the names of an item's groups and its own, with slashes."""
    found: dict[int, str] = {}
    above: list[str] = []
    for pointer, depth, item in sequence.walk():
        del above[depth:]
        above.append(item.name)
        found[pointer] = "/".join(above)
    return found


def _trace(sequence: TaskSequence, events: Iterable[Event], needs: Iterable[Need]) -> list[Entry]:
    """What was reached, in running order: an item that runs again after a restart is there once."""
    names, assumed = paths(sequence), Counter(need.pointer for need in needs)
    trace: list[Entry] = []
    running: dict[int, Entry] = {}
    for event in events:
        data = event.data
        if event.kind == "instruction" and data["pointer"] not in running:
            pointer = data["pointer"]
            kind: Literal["group", "step"] = "group" if data["type"] == "group" else "step"
            type = "" if kind == "group" else data["type"]
            entry = Entry(data["name"], kind, type, names[pointer], pointer, data["depth"])
            entry.assumed = assumed[pointer] if kind == "step" else 0
            running[pointer] = entry
            trace.append(entry)
        elif event.kind in ("step-finished", "group-finished") and (
            ended := running.pop(data["pointer"], None)
        ):
            ended.status = _STATUS.get(data["result"], data["result"])
            ended.code = data["code"] if ended.status in ("succeeded", "failed") and "code" in data else None
            ended.reason, ended.continued = data["reason"], data["continued"]
        elif event.kind == "effect" and data["pointer"] in running:
            running[data["pointer"]].effects[data["how"]] += 1
    return trace


def _shares(events: Iterable[Event], sequence: TaskSequence) -> list[Need]:
    """The shares that were assumed to let the machine in."""
    names = {pointer: item.name for pointer, _, item in sequence.walk()}
    return [
        Need("share", "a network folder", "", names.get(event.data["pointer"], ""), event.data["pointer"])
        for event in events
        if event.kind == "effect" and event.data["effect"] == "ConnectFolder"
    ]


def _different(needs: Iterable[Need]) -> list[Need]:
    """Each need once, in order."""
    return list({(need.kind, need.pattern, need.step): need for need in needs}.values())
