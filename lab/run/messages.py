"""What broke, as it travels from the lab process to the front and onto the timeline."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import LabError, LabFault, PhaseTimeout

#: Bytes, big-endian, of the number that goes with a connection: the id of the command that asked for it.
ID_LENGTH = 8

#: What a system says when there is no room left to write.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def as_fault(error: BaseException, *folders: Path) -> LabFault | None:
    """The lab's fault that an error of the system stands for: a disk without room is no bug of ours. None
    when it is something else. ``folders``: what was being written to, where the error names no file."""
    if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
        return None
    place = str(error.filename or " or ".join(f"'{folder}'" for folder in folders) or "what it writes to")
    return LabFault(
        f"the disk is full: nothing more can be written to {place}",
        hint="make room there, or set OSDLAB_REPORTS and OSDLAB_CACHE to folders of another disk",
        causes=(error,),
    )


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
