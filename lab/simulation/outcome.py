"""What came of a simulated run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.disk.state import FinalState
from lab.errors import LabError
from lab.sequence.effects import Finished


@dataclass(frozen=True)
class SimulatedRun:
    """What came of a simulated run.

    ``finished`` is None when the sequence came to no end: then ``fault`` says why, with the class that a real
    run would raise; or ``unfinished`` does: the machine had nothing more to do; or ``not_started``: it never
    began.
    ``variables``: the final ones that are not secret. ``requests``: those of HTTP, in order.
    ``counts``: effects by how they came about. ``seconds`` are virtual, ``starts`` those of the machine.
    """

    final_state: FinalState
    finished: Finished | None
    variables: dict[str, str]
    requests: list[dict[str, Any]]
    counts: dict[str, int]
    log: str
    seconds: float
    starts: int
    fault: LabError | None = None
    unfinished: str = ""
    not_started: str = ""

    @property
    def result(self) -> str:
        """success, failed, or "" when the lab was at fault or nobody continued the machine."""
        return self.finished.result if self.finished else ""


@dataclass
class Left:
    """What is known of a run that goes on."""

    finished: Finished | None = None
    variables: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unfinished: str = ""
    not_started: str = ""
    log: list[str] = field(default_factory=list)
