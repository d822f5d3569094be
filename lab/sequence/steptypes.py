"""The step types the engine knows: one table. The rows, one per type, are in ``kinds``, by family."""

from __future__ import annotations

from collections.abc import Mapping

from lab.sequence.kinds.core import CORE
from lab.sequence.kinds.imaging import IMAGING
from lab.sequence.kinds.software import SOFTWARE
from lab.sequence.kinds.toolkit import TOOLKIT
from lab.sequence.steptype import StepType as StepType

STEP_TYPES: dict[str, StepType] = {
    kind.type: kind for family in (CORE, IMAGING, SOFTWARE, TOOLKIT) for kind in family
}

#: MDT writes command lines as steps without a type.
STEP_TYPES[""] = STEP_TYPES["SMS_TaskSequence_RunCommandLineAction"]

#: What each type of step does, by its XML type.
StepTypes = Mapping[str, StepType]


def may_run(kind: StepType | None, run_in: str, in_winpe: bool) -> bool:
    """Whether a step of this type with this runIn may run in the environment the machine is in.

    Of an unknown type (None) only the runIn is known.
    """
    wrong = "fullos" if in_winpe else "winpe"
    return wrong not in (kind.environment.casefold() if kind else "", run_in.strip().casefold())
