"""Where a run is: shared by the loop, which follows the steps, and the performer, which names them."""

from __future__ import annotations

from dataclasses import dataclass

#: Where smsts.log is while no formatted volume can hold it (documented).
LOG_BEFORE_DISK = "X:\\Windows\\temp\\smstslog"


@dataclass
class Place:
    """The current instruction; ``interrupted``: the machine went down in an effect since the sequence began.

    Kept over restarts.
    """

    pointer: int = 0
    step: str = ""
    interrupted: bool = False
