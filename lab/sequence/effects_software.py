"""The effects of the steps for software, scripts and networks; a family of ``lab.sequence.effects``.

Engine room: standard library only, no I/O. Paths are Windows paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.sequence.effects import Effect


@dataclass(frozen=True)
class ReadPolicy(Effect):
    """Look something up in what the site told the machine.

    ``section``: "packages", "applications", "children", "updates" or "settings"; ``name``: its key there,
    case counts. Outcome value: ``found`` (JSON); code 0x80040104 when there is no such thing.
    """

    section: str
    name: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class AnswerStep(Effect):
    """A whole step that the scenario answers in place of its program. Outcome as of RunCommand."""

    step: str
    type: str
    timeout: int | None = None


@dataclass(frozen=True)
class RunScript(Effect):
    """Run a PowerShell script as Local System. ``command``: the line that starts it; ``shown``: the same for
    eyes ("": show ``command``); ``script``: its text where the step holds it; ``name``: its file's name.

    Outcome as of RunCommand.
    """

    command: str
    script: str = ""
    name: str = ""
    working_directory: str = ""
    timeout: int | None = None
    shown: str = ""


@dataclass(frozen=True)
class ConnectFolder(Effect):
    """Connect a share (``\\\\server\\share``), as ``drive`` ("Z:", or "" for none) with an account.

    Codes: 0x80070035 no such server or share, 0x8007052E wrong account or password.
    """

    path: str
    drive: str = ""
    account: str = ""
    password: str = ""
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class InstallUpdate(Effect):
    """Install one software update of the policy. Outcome code: the installer's exit code."""

    update: str


@dataclass(frozen=True)
class Pause(Effect):
    """Wait that many seconds."""

    seconds: float
    repeatable: ClassVar[bool] = True
