"""What a log tells of a task sequence, as values: items, restarts, phases, the result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lab.logs.records import Damage

Kind = Literal["group", "step", "script"]
Status = Literal["succeeded", "failed", "skipped", "disabled"]


@dataclass
class Place:
    """Where the log says so."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass
class Item:
    """A group, step or script that the log speaks of, in the order of its beginning.

    ``status``: None when the log does not tell how it ended. ``code``: exit code, unsigned 32 bit.
    ``pointer``: the instruction's. ``depth``: groups around it that the log has seen begin. ``condition``:
    what it was evaluated to, None when the log tells of none. ``reboot``: "HD" or "WinPE", "" when a restart
    was asked for but not where to, None when none was. ``run``: counts the executions in one log.
    """

    name: str
    kind: Kind | None
    path: str
    line: int
    time: str | None
    status: Status | None = None
    code: int | None = None
    pointer: int | None = None
    depth: int = 0
    type: str | None = None
    command: str | None = None
    condition: bool | None = None
    continued: bool | None = None
    reboot: str | None = None
    retry: bool = False
    ended_line: int | None = None
    run: int = 1
    group: str | None = None
    #: how many variables the log had set before it
    sets_before: int = 0

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        del values["sets_before"]
        return values


@dataclass
class Restart:
    """A restart that the log shows as begun. ``target``: "HD", "WinPE" or None."""

    path: str
    line: int
    time: str | None
    target: str | None
    after: str | None


@dataclass
class Phase:
    """A start of TSMBootstrap or of a boot shell: the environment begins anew."""

    path: str
    line: int
    time: str | None
    program: str
    environment: str | None = None


@dataclass
class Trace:
    """What ``trace`` found.

    ``group_ends``: whether the end of a group is an instruction with a pointer of its own in this engine
    (None: the log has no case of it). ``code`` is the failed step's, ``engine_code`` that of the whole.
    """

    result: Literal["success", "failed", "restart", "unknown"] = "unknown"
    failed_step: str | None = None
    code: int | None = None
    engine_code: int | None = None
    started: bool = False
    items: list[Item] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    group_ends: bool | None = None
    uefi: bool | None = None
    records: int = 0
    damage: list[Damage] = field(default_factory=list)
    sets: list[tuple[str, str]] = field(default_factory=list)
    result_place: Place | None = None

    def to_json(self) -> dict[str, Any]:
        """``sets`` (name, value; in order) stays inside: values may be secret."""
        return {
            "result": self.result,
            "failed_step": self.failed_step,
            "code": self.code,
            "engine_code": self.engine_code,
            "group_ends": self.group_ends,
            "items": [item.to_json() for item in self.items],
            "restarts": [asdict(restart) for restart in self.restarts],
            "phases": [asdict(phase) for phase in self.phases],
            "records": self.records,
            "damage": [asdict(piece) for piece in self.damage],
        }
