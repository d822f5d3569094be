"""Doubles: a scenario's answers to the commands that only Windows can run. Pure.

A command that no double answers is the lab's fault, not the sequence's; ``suggestion`` gives what to paste.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import LabFault
from lab.sequence.effects import RunCommand
from lab.sequence.variables import MASK


@dataclass(frozen=True)
class Double:
    """The answer to a command line.

    command  a glob over the whole command line, or ``/regular expression/`` found anywhere in it; no case
    exit     the exit code; sets: variables the command sets; writes: Windows path -> text
    takes    seconds the command takes; output: what it prints
    """

    command: str
    exit: int = 0
    sets: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    takes: float = 0.0
    output: str = ""

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Double:
        """Raises TypeError for an unknown key, ValueError for a regular expression that is none."""
        double = Double(**data)
        if _is_regex(double.command):
            try:
                re.compile(double.command[1:-1])
            except re.error as error:
                raise ValueError(f"{double.command} is not a regular expression: {error}") from error
        return double

    def answers(self, command: str) -> bool:
        """Whether this double answers that command line."""
        if _is_regex(self.command):
            return re.search(self.command[1:-1], command, re.IGNORECASE) is not None
        pattern = _glob(self.command)
        return fnmatch.fnmatchcase(command.strip().casefold(), pattern)

    @property
    def code(self) -> int:
        """The exit code as the engine has it: unsigned, 32 bit."""
        return self.exit & 0xFFFFFFFF


def answer(doubles: Iterable[Double], command: str) -> Double | None:
    """The first double that answers the command line, or None."""
    return next((double for double in doubles if double.answers(command)), None)


class UnansweredCommand(LabFault):
    """A command that no double answers. ``shown``: the command line as it may be shown; ``pattern``: the
    glob of a double for it; ``step``: who runs it. The hint has the double to paste."""

    def __init__(self, effect: RunCommand, step: str) -> None:
        self.shown = effect.shown or effect.command
        self.step = " ".join(step.split())
        self.pattern = _literal(self.shown)
        super().__init__(
            f"step '{step}' runs a command that only Windows can run: {self.shown}",
            hint="give the scenario a double:\n" + suggestion([self]),
        )


def suggestion(commands: Iterable[UnansweredCommand]) -> str:
    """YAML to paste into a scenario for commands that nothing answers."""
    lines = ["doubles:"]
    for command in commands:
        lines += [
            f"  - command: {json.dumps(command.pattern, ensure_ascii=False)}   # {command.step}",
            "    exit: 0",
        ]
    return "\n".join(lines) + "\n"


def _is_regex(command: str) -> bool:
    return len(command) > 2 and command.startswith("/") and command.endswith("/")


def _glob(pattern: str) -> str:
    return pattern.strip().casefold()


def _literal(command: str) -> str:
    """The glob that matches this command line and no other; what was masked may be anything."""
    pieces = command.strip().split(MASK)
    text = "*".join(re.sub(r"([\[*?])", r"[\1]", piece) for piece in pieces)
    # A command line between slashes would be read as a regular expression.
    return f"[/]{text[1:]}" if _is_regex(text) else text
