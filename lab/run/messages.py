"""What broke, as it travels from the lab process to the front and onto the timeline."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from lab.errors import LabError, LabFault, PhaseTimeout


def error_message(error: BaseException) -> dict[str, Any]:
    """How an error travels to the front."""
    if isinstance(error, LabError):
        data: dict[str, Any] = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        if isinstance(error, PhaseTimeout):
            data |= {"waited_for": error.waited_for, "seconds": error.seconds, "last_seen": error.last_seen}
        return data
    text = "".join(traceback.format_exception(error))
    return {"kind": "Bug", "message": f"{type(error).__name__}: {error}", "hint": "", "traceback": text}


def as_error(told: Mapping[str, Any]) -> LabError:
    """What broke, from the lab process's words {"kind", "message", "hint", ...}."""
    if told["kind"] == PhaseTimeout.__name__:
        return PhaseTimeout(
            told["waited_for"], seconds=told["seconds"], last_seen=told["last_seen"], hint=told["hint"]
        )
    return LabFault(str(told["message"]), hint=str(told["hint"]))
