"""Set Task Sequence Variable: tsenv.exe."""

from __future__ import annotations

import re

from lab.sequence.context import Behaviour, StepContext
from lab.sequence.model import Step

_ACTION = re.compile(r'tsenv(?:\.exe)?\s+"([^"=]*)=(.*)"(?:\s+/\S+)*\s*', re.IGNORECASE | re.DOTALL)


def assignment(action: str, argument: dict[str, str]) -> tuple[str, str, bool]:
    """Name, value and whether the value is secret, from a step's arguments (by folded name) or its action."""
    hidden = argument.get("setvariableactionhiddenvariablevalue") or argument.get("hiddenvariablevalue") or ""
    secret = argument.get("donotshowvariablevalue", "").strip().casefold() == "true" or bool(hidden)
    name = argument.get("variablename", "")
    if name:
        return name.strip(), hidden or argument.get("variablevalue", ""), secret
    found = _ACTION.fullmatch(action.strip())
    if not found:
        return "", "", secret
    return found.group(1).strip(), hidden or found.group(2), secret


def assigned(step: Step) -> tuple[str, str, bool]:
    """As ``assignment``, of a step as it is written."""
    arguments = {variable.property.casefold(): variable.value for variable in step.variables}
    arguments |= {variable.name.casefold(): variable.value for variable in step.variables}
    return assignment(step.action, arguments)


def set_variable(context: StepContext) -> Behaviour:
    """Set the variable for the rest of the sequence; "" deletes it (R12, R13).

    A value that is made from a secret one is secret too. A read-only or invalid name fails the step (that it
    fails is documented as "not possible", the codes are a guess).
    """
    name, value, secret = assigned(context.step)
    return context.set_for_user(
        context.expand(name), context.expand(value), secret=secret or context.is_secret_text(value)
    )
    yield  # a generator without effects
