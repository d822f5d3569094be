"""What a step type is: the row that `lab/sequence/kinds` fills and the engine reads.

Engine room: pure. A behaviour yields effects, gets their outcomes and returns the exit code of the step's
program. ``environment`` is where the program itself can run (documented); the step's runIn is checked too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lab.sequence.context import Behaviour, StepContext

Environment = Literal["WinPE", "FullOS", "WinPEandFullOS"]


@dataclass(frozen=True)
class Field:
    """A variable that a step type reads, with the value it has when nothing sets it ("": none)."""

    name: str
    default: str = ""


@dataclass(frozen=True)
class StepType:
    """A step type: its XML type, its name in the editor, its program and that program's log component.

    ``fatal``: its failure ends the sequence whatever its error handling says (documented).
    ``runs_commands``: exit code 3010 restarts the machine, OSDDoNotLogCommand hides its command line.
    ``variables``: what it reads, besides the arguments of its program.
    """

    type: str
    name: str
    program: str
    component: str
    environment: Environment
    behaviour: Callable[[StepContext], Behaviour]
    fatal: bool = False
    runs_commands: bool = False
    variables: tuple[Field, ...] = ()
