"""Run Task Sequence, where the child could not be put in its place before the run."""

from __future__ import annotations

from lab.sequence import codes
from lab.sequence.context import Behaviour, Run, StepContext
from lab.sequence.effects_software import ReadPolicy
from lab.sequence.model import TaskSequence
from lab.sequence.nested import child_id, children_of

#: A package, application or child that the sequence depends on does not exist (guess at the code).
NOT_RESOLVED = 0x80040104


def missing_child(run: Run, sequence: TaskSequence) -> Behaviour:
    """R68: a child that was deleted is an error, and the sequence does not run. 0 when none is missing."""
    for step in children_of(sequence):
        outcome = yield ReadPolicy("children", child_id(step).upper())
        if not outcome.ok:
            run.record(f"The task sequence {child_id(step)} of the step ({step.name}) does not exist", 3)
            text = f"Failed to resolve selected task sequence dependencies. Code(0x{NOT_RESOLVED:08X})"
            run.record(text, 3, "tsmbootstrap.cpp:1700", "TSMBootstrap")
            return NOT_RESOLVED
    return 0


def run_task_sequence(context: StepContext) -> Behaviour:
    """Documented: a child that is disabled fails the deployment, whatever the error handling says."""
    child = child_id(context.step).upper()
    outcome = yield ReadPolicy("children", child)
    if not outcome.ok:
        return context.fail(f"The task sequence {child} does not exist", NOT_RESOLVED)
    return context.fail(f"The task sequence {child} is disabled", codes.E_FAIL)
