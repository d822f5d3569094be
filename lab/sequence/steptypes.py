"""The step types the engine knows: one table. The rows, one per type, are in ``kinds``, by family."""

from __future__ import annotations

from lab.sequence.kinds.core import CORE
from lab.sequence.kinds.imaging import IMAGING
from lab.sequence.kinds.toolkit import TOOLKIT
from lab.sequence.steptype import StepType as StepType

STEP_TYPES: dict[str, StepType] = {kind.type: kind for family in (CORE, IMAGING, TOOLKIT) for kind in family}


def may_run(kind: StepType, run_in: str, in_winpe: bool) -> bool:
    """Whether a step of this type with this runIn may run in the environment the machine is in."""
    wrong = "fullos" if in_winpe else "winpe"
    return wrong not in (kind.environment.casefold(), run_in.strip().casefold())
