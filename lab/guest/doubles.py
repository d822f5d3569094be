"""Doubles: a scenario's answers to the commands, scripts and steps that only Windows can run. Pure.

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
from lab.guest.place import Place
from lab.sequence.doubled import matches_step
from lab.sequence.effects import RunCommand
from lab.sequence.effects_software import AnswerStep, RunScript
from lab.sequence.variables import MASK

#: Said of a command that took the machine down with it.
ITSELF = "it restarts the machine by itself"

Answerable = RunCommand | RunScript | AnswerStep


@dataclass(frozen=True)
class Double:
    """The answer to a command line, a PowerShell script or a whole step; one of the first three is given.

    command  a glob over the whole command line, or ``/regular expression/`` found anywhere in it; no case
    script   the same over a script's file name; a regular expression is looked for in its text too
    step     a glob over a step's name or its type
    exit     the exit code; sets: variables the command sets; writes: Windows path -> text
    takes    seconds the command takes; output: what it prints
    restarts "always" or "once": the command restarts the machine by itself, and nobody learns how it ended
    """

    command: str = ""
    exit: int = 0
    sets: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    takes: float = 0.0
    output: str = ""
    script: str = ""
    step: str = ""
    restarts: str = ""

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Double:
        """Raises TypeError for an unknown key, ValueError for a regular expression that is none."""
        double = Double(**data)
        for pattern in (double.command, double.script):
            if _is_regex(pattern):
                try:
                    re.compile(pattern[1:-1])
                except re.error as error:
                    raise ValueError(f"{pattern} is not a regular expression: {error}") from error
        return double

    def answers(self, command: str) -> bool:
        """Whether this double answers that command line."""
        if not self.command and (self.script or self.step):
            return False
        return _fits(self.command, command)

    def answers_command(self, effect: RunCommand) -> bool:
        return self.answers(effect.command)

    def answers_script(self, effect: RunScript) -> bool:
        """Whether this double answers that script, by its name, its text or the line that starts it."""
        if not self.script:
            return bool(self.command) and _fits(self.command, effect.command)
        if _is_regex(self.script) and _fits(self.script, effect.script):
            return True
        return _fits(self.script, effect.name)

    def answers_step(self, effect: AnswerStep) -> bool:
        return bool(self.step) and matches_step(self.step, effect.step, effect.type)

    def restarts_now(self, policy: Mapping[str, Any], place: Place) -> bool:
        """Whether the machine goes down now. "once": when this is its first start, and nothing did before."""
        first = int(policy.get("attempt", 1)) == 1 and not place.interrupted
        return self.restarts == "always" or (self.restarts == "once" and first)

    @property
    def code(self) -> int:
        """The exit code as the engine has it: unsigned, 32 bit."""
        return self.exit & 0xFFFFFFFF


def answer(doubles: Iterable[Double], command: str) -> Double | None:
    """The first double that answers the command line, or None."""
    return next((double for double in doubles if double.answers(command)), None)


def answer_to(doubles: Iterable[Double], effect: Answerable) -> Double | None:
    """The first double that answers the effect, or None."""
    if isinstance(effect, RunCommand):
        return next((double for double in doubles if double.answers_command(effect)), None)
    if isinstance(effect, RunScript):
        return next((double for double in doubles if double.answers_script(effect)), None)
    return next((double for double in doubles if double.answers_step(effect)), None)


class Unanswered(LabFault):
    """Something that only Windows can do and no double answers. ``shown``: what, as it may be shown; ``kind``
    and ``pattern``: the key and the glob of a double for it; ``step``: who asks for it. The hint has the
    double to paste."""

    what = "a command that only Windows can run"

    def __init__(self, kind: str, shown: str, pattern: str, step: str) -> None:
        self.kind, self.shown, self.pattern = kind, shown, pattern
        self.step = " ".join(step.split())
        super().__init__(
            f"step '{step}' runs {self.what}: {shown}",
            hint="give the scenario a double:\n" + suggestion([self]),
        )

    @property
    def double(self) -> Double:
        """A double that answers it with success."""
        return Double.from_json({self.kind: self.pattern})


class UnansweredCommand(Unanswered):
    """A command line without a double."""

    def __init__(self, effect: RunCommand, step: str) -> None:
        shown = effect.shown or effect.command
        super().__init__("command", shown, _literal(shown), step)


class UnansweredScript(Unanswered):
    """A PowerShell script without a double."""

    what = "a script that only Windows can run"

    def __init__(self, effect: RunScript, step: str) -> None:
        super().__init__("script", effect.name, glob_of(effect.name), step)


class UnansweredStep(Unanswered):
    """Something a step asks of the network that the scenario does not say."""

    what = "something that the scenario does not know"

    def __init__(self, asked: str, step: str) -> None:
        super().__init__("step", asked, glob_of(step), step)


def unanswered(effect: RunCommand | RunScript, step: str) -> Unanswered:
    """The fault for an effect without a double."""
    if isinstance(effect, RunScript):
        return UnansweredScript(effect, step)
    return UnansweredCommand(effect, step)


def suggestion(missing: Iterable[Unanswered]) -> str:
    """YAML to paste into a scenario for what nothing answers."""
    lines = ["doubles:"]
    for item in missing:
        lines += [
            f"  - {item.kind}: {json.dumps(item.pattern, ensure_ascii=False)}   # {item.step}",
            "    exit: 0",
        ]
    return "\n".join(lines) + "\n"


def _is_regex(command: str) -> bool:
    return len(command) > 2 and command.startswith("/") and command.endswith("/")


def _fits(pattern: str, text: str) -> bool:
    if _is_regex(pattern):
        return re.search(pattern[1:-1], text, re.IGNORECASE) is not None
    return fnmatch.fnmatchcase(text.strip().casefold(), pattern.strip().casefold())


def glob_of(text: str) -> str:
    """The glob that matches this text and no other."""
    return re.sub(r"([\[*?])", r"[\1]", text.strip())


def _literal(command: str) -> str:
    """The glob that matches this command line and no other; what was masked may be anything."""
    pieces = command.strip().split(MASK)
    text = "*".join(re.sub(r"([\[*?])", r"[\1]", piece) for piece in pieces)
    # A command line between slashes would be read as a regular expression.
    return f"[/]{text[1:]}" if _is_regex(text) else text
