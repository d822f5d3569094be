"""A step that the scenario answers in place of its program."""

from __future__ import annotations

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects_software import AnswerStep


def answered(context: StepContext) -> Behaviour:
    """Take the double's exit code and variables."""
    outcome = yield AnswerStep(context.step.name, context.step.type, context.step.timeout)
    for printed in str(outcome.value.get("output") or "").splitlines():
        context.record(printed)
    for name, value in (outcome.value.get("sets") or {}).items():
        context.set_for_user(str(name), str(value))
    return codes.unsigned(outcome.code)
