"""What is assumed where a sequence is simulated alone: content, policy, answers to what only Windows runs.

A package that it refers to exists and holds one of everything that a step looks for by its kind; an
application has no detection, so it is installed; whatever no double answers succeeds with exit code 0. Each
answer that was assumed is kept as a need: the double that would say it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.guest.doubles import Double, Unanswered, UnansweredStep, unanswered
from lab.sequence.effects import RunCommand
from lab.sequence.effects_software import AnswerStep, RunScript
from lab.sequence.model import TaskSequence
from lab.sequence.steps.image import options
from lab.simulation.disks import Blob
from lab.simulation.reference import reference_image
from lab.simulation.site import SimContent, SimFile, SimImage
from lab.site.managementpoint import ContentAnswer, ManagementPoint
from lab.site.policy import SHARE
from lab.timeline import Event

#: The lab's own packages: what a sequence that names none gets.
CLIENT, BOOT_IMAGE = "LAB00003", "LAB00002"

#: Images that an assumed WIM file holds at least, all of them the same.
_IMAGES = 40
_MIB = 1 << 20
_ANSWER_FILE = b'<?xml version="1.0"?>\n<unattend xmlns="urn:schemas-microsoft-com:unattend"/>\n'
#: An entry of a dynamic list of programs.
_LISTED = re.compile(r"[A-Za-z0-9]{3}[0-9A-Fa-f]{5}:(.+)")
_SCRIPT_NAMES = frozenset({"osdrunpowershellscriptscriptname", "scriptname"})
_EDITIONS = frozenset({"osdinstalleditionindex", "osdimageindex", "osddataimageindex"})


@dataclass
class Follower:
    """Follows a run's timeline: the instruction that is being executed."""

    pointer: int = -1
    step: str = ""

    def __call__(self, event: Event) -> None:
        if event.kind == "instruction":
            self.pointer, self.step = int(event.data["pointer"]), str(event.data["name"])


@dataclass(frozen=True)
class Need:
    """An answer that was assumed. ``kind``: "command", "script", "step" or "share"; ``shown``: what asked for
    it; ``pattern``: that of a double which would answer it; ``step``: its step, at ``pointer``."""

    kind: str
    shown: str
    pattern: str
    step: str
    pointer: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "step": self.step, "shown": self.shown, "pattern": self.pattern}


@dataclass(frozen=True)
class AssumingDouble(Double):
    """Answers everything with exit code 0, and notes in ``needs`` what it was."""

    follower: Follower = field(default_factory=Follower)
    needs: list[Need] = field(default_factory=list)

    def answers_command(self, effect: RunCommand) -> bool:
        # Of an optional command the engine does what is known of it.
        return not effect.optional and self._assume(effect)

    def answers_script(self, effect: RunScript) -> bool:
        return self._assume(effect)

    def answers_step(self, effect: AnswerStep) -> bool:
        return self._assume(effect)

    def _assume(self, effect: RunCommand | RunScript | AnswerStep) -> bool:
        at = self.follower
        asked: Unanswered
        if isinstance(effect, AnswerStep):
            asked = UnansweredStep(effect.type, effect.step)
        else:
            asked = unanswered(effect, at.step)
        self.needs.append(Need(asked.kind, asked.shown, asked.pattern, at.step, at.pointer))
        return True


@dataclass(frozen=True)
class FailingDouble(Double):
    """Lets the steps at these pointers end with ``exit``, whatever they do."""

    follower: Follower = field(default_factory=Follower)
    pointers: frozenset[int] = frozenset()

    def answers_command(self, effect: RunCommand) -> bool:
        return False

    def answers_script(self, effect: RunScript) -> bool:
        return False

    def answers_step(self, effect: AnswerStep) -> bool:
        return self.follower.pointer in self.pointers


class _Anything(Mapping[str, Any]):
    """A policy's section that has whatever is asked for."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Applications(_Anything):
    def __getitem__(self, name: str) -> dict[str, Any]:
        return {"name": name, "install": f'installer of application "{name}"'}


class _Packages(_Anything):
    def __init__(self, programs: Iterable[str]) -> None:
        self._programs = tuple(programs)

    def __getitem__(self, name: str) -> dict[str, Any]:
        return {"programs": {program: {"command": f"{name}:{program}"} for program in self._programs}}


def assumed_policy(sequence: TaskSequence) -> dict[str, Any]:
    """What the site would tell a machine of the software that the sequence names.

    Every application and package exists, with the programs that the sequence names; every share lets
    everybody in; there are no updates.
    """
    programs = {item.program for item in sequence.references}
    for step in sequence.steps():
        programs.add(step.variable("ProgramName").strip())
        programs.add(step.variable("_SMSSWDProgramName").strip())
        programs |= {found[1] for variable in step.variables if (found := _LISTED.fullmatch(variable.value))}
    named = sorted(programs - {"", "*"})
    return {"applications": _Applications(), "packages": _Packages(named), "shares": {"*": {}}}


class AssumedContents(dict[str, SimContent]):
    """Every package there may be, but the ``missing`` (ids, upper case). ``asked``: those that were asked
    for, in order."""

    def __init__(self, sequence: TaskSequence, missing: Collection[str] = ()) -> None:
        super().__init__()
        self._missing = missing
        self.asked: dict[str, None] = {}
        self._content = SimContent(tuple(_files(sequence)))

    def __missing__(self, package: str) -> SimContent:
        return self._content

    def asks(self, package: str) -> bool:
        """Note that a package was asked for; whether it is there."""
        self.asked[package] = None
        return package.upper() not in self._missing


class AssumingPoint(ManagementPoint):
    """A management point that has every package of ``assumed``, on one distribution point."""

    def __init__(self, *arguments: Any, assumed: AssumedContents, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._assumed = assumed

    def locate(self, mac: str, package: str) -> dict[str, Any]:
        found = {"package": package, "known": True, "version": 1, "files": []}
        share = f"\\\\DP1\\{SHARE}\\{package}"
        place = {"distribution_point": "DP1", "url": f"http://site/content/{package}", "share": share}
        return {**found, "locations": [place] if self._assumed.asks(package) else []}

    def content(
        self,
        package: str,
        name: str,
        distribution_point: str,
        credentials: tuple[str, str] | None,
        mac: str = "",
    ) -> ContentAnswer:
        return ContentAnswer(200)


def _files(sequence: TaskSequence) -> Iterator[SimFile]:
    """A file of each kind, and those that the sequence names."""
    image = reference_image({"loader": Blob(9 * _MIB, "assumed"), "root": Blob(20 * _MIB, "assumed")})
    yield SimFile("install.wim", 30 * _MIB, "assumed-wim", images=tuple(_images(sequence, image)))
    yield SimFile("labpe-x64.efi", 45 * _MIB, "assumed-boot-image")
    yield SimFile("client.zip", _MIB, "assumed-client")
    for name in ("setup.exe", "driver.inf", "driver.cat"):
        yield SimFile(name, 0, data=b"")
    names: dict[str, bytes] = {}
    for step in sequence.steps():
        for variable in step.variables:
            if (variable.property or variable.name).casefold() in _SCRIPT_NAMES and variable.value.strip():
                names.setdefault(_below(variable.value), b"")
        _, _, config = options(step.action).get("config", "").partition(",")
        for name in (config, step.variable("OSDConfigFileName")):
            if name.strip() and "%" not in name:
                names[_below(name)] = _ANSWER_FILE
    for name, data in {"unattend.xml": _ANSWER_FILE, **names}.items():
        yield SimFile(name, len(data), data=data)


def _below(name: str) -> str:
    """A file's path in its package, of what an export writes (.\\Scripts\\Fix.ps1)."""
    return "/".join(part for part in name.strip().replace("\\", "/").split("/") if part not in ("", "."))


def _images(sequence: TaskSequence, image: SimImage) -> Iterator[SimImage]:
    """The image under every index and edition that the sequence asks for."""
    wanted = {
        variable.value.strip()
        for step in sequence.steps()
        for variable in step.variables
        if (variable.property or variable.name).casefold() in _EDITIONS
    }
    numbers = [int(text) for text in wanted if text.isascii() and text.isdigit() and len(text) < 4]
    yield from [image] * max([_IMAGES, *numbers])
    for name in sorted(wanted):
        yield replace(image, name=name)
