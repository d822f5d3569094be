"""What a sequence asks for that the engine cannot do, found before anything starts.

Engine room: pure. ``validate`` gives problems (the command line turns them into exit 3), ``warnings`` what is
only worth saying. Items that are disabled are not looked into: they never run.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from lab.errors import Problem
from lab.sequence.conditioncheck import condition_problems, condition_warnings
from lab.sequence.model import Group, Position, Step, TaskSequence
from lab.sequence.steps.variable import assigned
from lab.sequence.steptypes import STEP_TYPES
from lab.sequence.variables import VariableRefused, Variables, user_name_problem
from lab.sequence.xmlformat import KNOWN_VERSIONS

_RUN_IN = ("winpe", "fullos", "winpeandfullos")
_SET_VARIABLE = "SMS_TaskSequence_SetVariableAction"


def validate(sequence: TaskSequence) -> list[Problem]:
    """Everything the engine cannot run, each with its position: what the reader did not understand, step
    types, condition types, operators, groups without a name (R07), names that no user may set (R16, R17),
    unknown environments."""
    return sorted({*sequence.flaws, *_items(sequence.children), *_defaults(sequence)})


def warnings(sequence: TaskSequence) -> list[Problem]:
    """What does not stop a run: an unknown schema version, conditions that are not what they seem, elements
    that the model does not hold."""
    found = list(_doubtful(sequence.children))
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
    return sorted(found)


def _doubtful(items: tuple[Group | Step, ...]) -> Iterator[Problem]:
    for item in items:
        if item.disabled:
            continue
        if item.condition is not None:
            yield from condition_warnings(item.condition, _named(item))
        if isinstance(item, Group):
            yield from _doubtful(item.children)


def _named(item: Group | Step) -> str:
    kind = "group" if isinstance(item, Group) else "step"
    return f"the condition of {kind} '{item.name}'"


def _problem(position: Position, message: str, hint: str = "") -> Problem:
    return Problem(position.path, position.line, position.column, message, hint)


def _items(items: tuple[Group | Step, ...]) -> Iterator[Problem]:
    for item in items:
        if isinstance(item, Group) and not item.name.strip():
            yield _problem(item.position, "a group has no name", "a group must have a name")
        if item.disabled:
            continue
        if item.condition is not None:
            yield from condition_problems(item.condition, _named(item))
        if isinstance(item, Group):
            yield from _items(item.children)
        else:
            yield from _step(item)


def _defaults(sequence: TaskSequence) -> Iterator[Problem]:
    """The export's own variables keep the limits of every variable (R16, R18)."""
    for variable in sequence.variables:
        try:
            Variables({variable.name: variable.value})
        except VariableRefused as refused:
            yield _problem(sequence.position, str(refused))


def _step(step: Step) -> Iterator[Problem]:
    if step.type not in STEP_TYPES and not step.doubled:
        said = f"step '{step.name}' has the type '{step.type}', which is not supported"
        double = f"doubles: [{{step: {json.dumps(step.name, ensure_ascii=False)}, exit: 0}}]"
        near = difflib.get_close_matches(step.type[:100], STEP_TYPES, n=1, cutoff=0.8)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else "disable the step, or answer it in the scenario: " + double
        )
        yield _problem(step.position, said, hint)
    if not step.type and not step.action:
        yield _problem(step.position, f"step '{step.name}' has neither type nor action")
    if "%" not in step.run_in and step.run_in.strip().casefold() not in _RUN_IN:
        hint = "it is WinPE, FullOS or WinPEandFullOS"
        yield _problem(step.position, f"step '{step.name}' has the unknown runIn '{step.run_in}'", hint)
    if step.type == _SET_VARIABLE:
        name = assigned(step)[0]
        wrong = "" if "%" in name else user_name_problem(name)
        if wrong:
            yield _problem(step.position, f"step '{step.name}' sets variable '{name}', which {wrong}")
