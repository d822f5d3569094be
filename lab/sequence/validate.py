"""What a sequence asks for that the engine cannot do, found before anything starts.

Engine room: pure. ``validate`` gives problems (the command line turns them into exit 3), ``warnings`` what is
only worth saying. Items that are disabled are not looked into: they never run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from lab.errors import Problem
from lab.sequence.conditions import OPERATORS, VARIABLE_EXPRESSION
from lab.sequence.model import Condition, Group, Position, Step, TaskSequence
from lab.sequence.steps.variable import assigned
from lab.sequence.steptypes import STEP_TYPES
from lab.sequence.variables import user_name_problem
from lab.sequence.xmlformat import KNOWN_VERSIONS

_RUN_IN = ("winpe", "fullos", "winpeandfullos")
_SET_VARIABLE = "SMS_TaskSequence_SetVariableAction"
_APPLY_OS = "SMS_TaskSequence_ApplyOperatingSystemAction"


def validate(sequence: TaskSequence) -> list[Problem]:
    """Everything the engine cannot run, each with its position: what the reader did not understand, step
    types, condition types, operators, groups without a name (R07), names that no user may set (R16, R17),
    unknown environments."""
    return sorted({*sequence.flaws, *_items(sequence.children)})


def warnings(sequence: TaskSequence) -> list[Problem]:
    """What does not stop a run: an unknown schema version, elements that the model does not hold."""
    found = []
    if sequence.version not in KNOWN_VERSIONS:
        said = f"schema version '{sequence.version}' is not known"
        found.append(_problem(sequence.position, said, f"known: {' and '.join(KNOWN_VERSIONS)}"))
    stops = {(flaw.line, flaw.column) for flaw in sequence.flaws}
    for item in sequence.unknown:
        place, kept = item.position, "it is kept, and has no effect"
        if item.kind == "element" and (place.line, place.column) not in stops:
            found.append(_problem(place, f"<{item.name}> is not understood", kept))
        elif item.kind == "text":
            found.append(_problem(place, f"text '{item.value[:40]}' is not understood", kept))
    return found


def _problem(position: Position, message: str, hint: str = "") -> Problem:
    return Problem(position.path, position.line, position.column, message, hint)


def _items(items: tuple[Group | Step, ...]) -> Iterator[Problem]:
    for item in items:
        if isinstance(item, Group) and not item.name.strip():
            yield _problem(item.position, "a group has no name", "a group must have a name")
        if item.disabled:
            continue
        if item.condition is not None:
            yield from _condition(item.condition, item)
        if isinstance(item, Group):
            yield from _items(item.children)
        else:
            yield from _step(item)


def _step(step: Step) -> Iterator[Problem]:
    if step.type not in STEP_TYPES:
        said = f"step '{step.name}' has the type '{step.type}', which is not supported"
        if not step.type:
            said = f"step '{step.name}' has no type"
        near = difflib.get_close_matches(step.type[:100], STEP_TYPES, n=1, cutoff=0.8)
        yield _problem(step.position, said, f"did you mean {near[0]}?" if near else "disable the step")
    if "%" not in step.run_in and step.run_in.strip().casefold() not in _RUN_IN:
        hint = "it is WinPE, FullOS or WinPEandFullOS"
        yield _problem(step.position, f"step '{step.name}' has the unknown runIn '{step.run_in}'", hint)
    if step.type == _APPLY_OS and "/install:" in step.action.casefold():
        yield _problem(
            step.position,
            f"step '{step.name}' applies an operating system install package, which is not supported",
            "use an operating system image",
        )
    if step.type == _SET_VARIABLE:
        name = assigned(step)[0]
        wrong = "" if "%" in name else user_name_problem(name)
        if wrong:
            yield _problem(step.position, f"step '{step.name}' sets variable '{name}', which {wrong}")


def _condition(condition: Condition, item: Group | Step) -> Iterator[Problem]:
    if condition.kind in ("and", "or", "not"):
        for operand in condition.operands:
            yield from _condition(operand, item)
        return
    kind = "group" if isinstance(item, Group) else "step"
    of = f"the condition of {kind} '{item.name}'"
    if condition.kind != VARIABLE_EXPRESSION:
        has = f"has the type '{condition.kind}', which is not supported" if condition.kind else "has no type"
        yield _problem(condition.position, f"{of} {has}")
        return
    operator = condition.value("Operator")
    if operator.strip().casefold() not in OPERATORS:
        names = ", ".join(sorted(set(OPERATORS.values())))
        yield _problem(condition.position, f"{of} has the unknown operator '{operator}'", f"known: {names}")
    if not condition.value("Variable").strip():
        yield _problem(condition.position, f"{of} names no variable")
