"""Verdicts: each expectation held, falsified, or without evidence; and the outcome of the whole run.

A run that cannot be judged is never green: what was not seen because the run did not get there is
"no-evidence", and so is an absence that nobody could have noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from lab.errors import EXIT_EXPECTATION, EXIT_LAB, EXIT_OK, LabError
from lab.judge.evidence import Evidence
from lab.yamlio import Place

Status = Literal["held", "falsified", "no-evidence"]


@dataclass(frozen=True)
class Cause:
    """One link of the chain that led to a failure. ``time`` HH:MM:SS UTC, or ""."""

    time: str
    text: str
    seq: int = 0


@dataclass(frozen=True)
class Verdict:
    """What became of one expectation.

    ``expected`` and ``seen`` are clauses that stand alone. ``evidence``: sequence numbers of the timeline.
    ``file``: which file of the machine's folder to look into ("": the timeline alone), ``line``: where.
    ``machine``: which of several it is about; "" where there is one.
    """

    status: Status
    expected: str
    seen: str
    place: Place
    evidence: tuple[int, ...] = ()
    file: str = ""
    line: int | None = None
    causes: tuple[Cause, ...] = ()
    machine: str = ""

    @property
    def wanted(self) -> str:
        """What was expected, with the machine's name where there are several."""
        return f"{self.machine}: {self.expected}" if self.machine else self.expected


class Outcome(Enum):
    """What a run comes to."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        return {Outcome.PASSED: EXIT_OK, Outcome.FAILED: EXIT_EXPECTATION, Outcome.ERROR: EXIT_LAB}[self]


def outcome(verdicts: Sequence[Verdict], evidence: Evidence, fault: LabError | None = None) -> Outcome:
    """ERROR when the lab broke or a verdict has no evidence (or there is none to give), FAILED when an
    expectation does not hold, PASSED when all hold. A falsified expectation outweighs missing evidence."""
    if fault is not None or evidence.lab_errors:
        return Outcome.ERROR
    if any(verdict.status == "falsified" for verdict in verdicts):
        return Outcome.FAILED
    if verdicts and all(verdict.status == "held" for verdict in verdicts):
        return Outcome.PASSED
    return Outcome.ERROR


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """The exit code of several runs: the lab's own trouble outweighs a failed expectation."""
    seen = set(outcomes)
    for worst in (Outcome.ERROR, Outcome.FAILED):
        if worst in seen:
            return worst.exit_code
    return EXIT_OK
