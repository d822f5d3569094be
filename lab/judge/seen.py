"""What the events of a run show, one value each: steps, ends, decisions, records, requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What sets a variable, besides steps.
ENGINE, WIZARD = "the engine", "the wizard"


@dataclass(frozen=True)
class StepSeen:
    """A step or group that came to an end. ``begun``: sequence number of the event of its beginning, or 0;
    ``counts``: how many effects it had, by how they came about."""

    seq: int
    machine: str
    name: str
    result: str
    code: int
    reason: str = ""
    continued: bool = False
    group: bool = False
    begun: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Unfinished:
    """The machine has nothing more to do, and its sequence came to no end. ``reason``: one clause."""

    seq: int
    machine: str
    reason: str


@dataclass(frozen=True)
class NotStarted:
    """No sequence began on the machine, and it has nothing more to do. ``reason``: one clause."""

    seq: int
    machine: str
    reason: str


@dataclass(frozen=True)
class DecisionSeen:
    """What the site decided about a start from the network. ``start`` tells one start from another, or ""."""

    seq: int
    machine: str
    action: str
    deployment: str
    boot_image: str
    mandatory: bool
    known: bool
    device: str
    reasons: tuple[str, ...]
    start: str
    mac: str


@dataclass(frozen=True)
class StatusSeen:
    """A status message that the site took. ``text``: all that it says in words."""

    seq: int
    machine: str
    id: int
    text: str


@dataclass(frozen=True)
class RecordSeen:
    """A record of smsts.log, or of SMSPXE.log (``seq`` 0, no machine).

    ``line``: where it begins in the machine's whole log, from 1."""

    seq: int
    machine: str
    component: str
    message: str
    severity: str
    line: int


@dataclass(frozen=True)
class SettingSeen:
    """A variable was set. ``name``: in lower case; ``by``: the step, the wizard or the engine, as a noun."""

    seq: int
    machine: str
    name: str
    by: str


@dataclass(frozen=True)
class PolicySeen:
    """The policy that the site gave a machine. ``device``: its record's name, or "" of an unknown one."""

    seq: int
    machine: str
    device: str
    deployment: str


@dataclass(frozen=True)
class RequestSeen:
    """An HTTP request that has ended. ``package`` is "" for another path than ``/content/<package>/…``."""

    seq: int
    machine: str
    method: str
    path: str
    package: str
    status: int


@dataclass(frozen=True)
class EffectSeen:
    """An effect performed. ``how``: real, modelled, doubled or recorded."""

    seq: int
    machine: str
    effect: str
    how: str
    code: int
    message: str = ""


@dataclass(frozen=True)
class Finish:
    """The end of the sequence, in its own words."""

    seq: int
    machine: str
    result: str
    code: int
    failed_step: str
    step_code: int


@dataclass(frozen=True)
class LabError:
    """The lab broke: why, and what to do about it."""

    seq: int
    machine: str
    message: str
    hint: str = ""
