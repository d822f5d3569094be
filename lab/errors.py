"""The error tree: every expected failure of the lab, with its exit code and a hint.

Ground room: imports nothing of the project, standard library only (it travels in the guest's bundle).

    LabError                    abstract root; carries message, hint, causes
      UsageError            2   wrong options, settings or names given by the user
      InputError            3   a file the user gave is wrong; carries a list of Problem
      LabFault              4   the lab itself broke: machine, network, host, content, channel
        PhaseTimeout        4   a deadline passed; names what was waited for and the last thing seen
    anything else          70   our bug: a traceback goes to a file, one line to the user

A task sequence that fails is none of these: it is a result. An expectation that does not hold is
a verdict (exit 1). Library code raises; only ``lab.cli`` and the pytest plugin turn errors into text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_OK = 0
EXIT_EXPECTATION = 1
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_LAB = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class LabError(Exception):
    """Root of the expected errors. ``message`` is one sentence; ``hint`` says what to do next."""

    exit_code = EXIT_LAB

    def __init__(self, message: str, *, hint: str = "", causes: Sequence[BaseException] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.causes = tuple(causes)

    def __str__(self) -> str:
        # pytest and Allure show str(exception): it has to stand alone.
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(LabError):
    """The user's command line, setting or name is wrong (exit 2)."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a file of the user's. ``line`` and ``column`` count from 1; 0 means unknown."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.path + (f":{self.line}:{self.column}" if self.line else "")
        return f"{place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class InputError(LabError):
    """A file the user gave cannot be used (exit 3). Carries every problem found, not the first only."""

    exit_code = EXIT_INPUT

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class LabFault(LabError):
    """The lab broke (exit 4): not the sequence's fault and not an expectation's."""

    exit_code = EXIT_LAB


class PhaseTimeout(LabFault):
    """A deadline passed. Says what was waited for, how long (seconds), and what was seen last."""

    def __init__(self, waited_for: str, *, seconds: float, last_seen: str, hint: str = "") -> None:
        self.waited_for = waited_for
        self.seconds = seconds
        self.last_seen = last_seen
        super().__init__(
            f"waited {seconds:.0f} s for {waited_for}; last seen: {last_seen or 'nothing'}", hint=hint
        )
