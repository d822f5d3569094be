"""A task sequence whose steps and conditions are answered from a log: the engine without the programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lab.sequence.conditions import VARIABLE_EXPRESSION
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import RunCommand
from lab.sequence.model import Condition, Group, Step, TaskSequence
from lab.sequence.steptypes import STEP_TYPES, StepType

#: Names the variable that carries what the condition of an instruction came to; its pointer follows.
VERDICT = "OSDReplayCondition"


def recorded_step(context: StepContext) -> Behaviour:
    """Any step: its program is one command whose outcome the log has."""
    outcome = yield RunCommand(context.step.action or context.step.name, shown=context.step.name)
    for name, value in outcome.value.get("sets", {}).items():
        context.set(name, value)
    # What a step did to the disk is not replayed: that TS Manager comes back is the log's word.
    context.remember(hook=True)
    return outcome.code


def prepared(items: tuple[Group | Step, ...]) -> tuple[Group | Step, ...]:
    """The items with conditions that are answered from the log, and steps that may run anywhere."""
    return _prepared(items, iter(range(1 << 30)))


def _prepared(items: tuple[Group | Step, ...], pointers: Iterator[int]) -> tuple[Group | Step, ...]:
    prepared: list[Group | Step] = []
    for item in items:
        pointer = next(pointers)
        condition = None
        if item.condition is not None:
            values = (("Operator", "notEquals"), ("Variable", f"{VERDICT}{pointer}"), ("Value", "false"))
            condition = Condition(VARIABLE_EXPRESSION, values, position=item.condition.position)
        if isinstance(item, Group):
            children = _prepared(item.children, pointers)
            next(pointers)  # the group's end
            prepared.append(replace(item, condition=condition, children=children))
        else:
            prepared.append(
                replace(item, condition=condition, run_in="WinPEandFullOS", variables=(), timeout=None)
            )  # fmt: skip
    return tuple(prepared)


def recorded_types(sequence: TaskSequence) -> dict[str, StepType]:
    types: dict[str, StepType] = {}
    for step in sequence.steps():
        known = STEP_TYPES.get(step.type)
        if known is not None:
            types[step.type] = replace(known, environment="WinPEandFullOS", behaviour=recorded_step)
        else:
            types[step.type] = StepType(
                step.type, step.type, "", "", "WinPEandFullOS", recorded_step, runs_commands=True
            )  # fmt: skip
    return types
