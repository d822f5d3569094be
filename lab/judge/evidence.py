"""The evidence of a run: what the timeline and the final states show, sorted for the judge. Pure.

Reads the timeline's sources "engine", "agent", "smsts" and "http", and the lab's own troubles; whether a
machine or the simulator wrote them makes no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.disk.state import FinalState
from lab.judge.content_seen import LocationSeen, RefusalSeen, location_seen, refusal_seen
from lab.judge.seen import (
    ENGINE,
    WIZARD,
    DecisionSeen,
    EffectSeen,
    Finish,
    LabError,
    NotStarted,
    PolicySeen,
    RecordSeen,
    RequestSeen,
    SettingSeen,
    StatusSeen,
    StepSeen,
    Unfinished,
)
from lab.timeline import Event

SEVERITIES = {0: "info", 1: "info", 2: "warning", 3: "error"}


@dataclass(frozen=True)
class Evidence:
    """All that a verdict may rest on.

    ``begun``: (sequence number, name) of each instruction started; ``never_ended``: those of them without an
    end. ``variables``: the final ones by name in
    lower case, without the secret ones, whose names are ``secrets``; None when they were not told.
    ``decisions``: one for each start from the network. ``pxe_records``: those of SMSPXE.log, None without
    one. ``by_machine``: what there is of each machine. ``walls``: sequence number -> the host's time of that
    event. ``last``: the last event of all.
    """

    finish: Finish | None = None
    unfinished: Unfinished | None = None
    not_started: NotStarted | None = None
    decisions: tuple[DecisionSeen, ...] = ()
    policies: tuple[PolicySeen, ...] = ()
    settings: tuple[SettingSeen, ...] = ()
    statuses: tuple[StatusSeen, ...] = ()
    locations: tuple[LocationSeen, ...] = ()
    refusals: tuple[RefusalSeen, ...] = ()
    pxe_records: tuple[RecordSeen, ...] | None = None
    by_machine: Mapping[str, Evidence] = field(default_factory=dict)
    steps: tuple[StepSeen, ...] = ()
    begun: tuple[tuple[int, str], ...] = ()
    never_ended: frozenset[int] = frozenset()
    records: tuple[RecordSeen, ...] = ()
    requests: tuple[RequestSeen, ...] = ()
    effects: tuple[EffectSeen, ...] = ()
    lab_errors: tuple[LabError, ...] = ()
    variables: Mapping[str, str] | None = None
    variables_seq: int = 0
    secrets: frozenset[str] = frozenset()
    finals: Mapping[str, FinalState] = field(default_factory=dict)
    walls: Mapping[int, str] = field(default_factory=dict)
    last: Event | None = None

    @property
    def complete(self) -> bool:
        """Whether the run came to an end after which nothing more happens: the sequence's, or another."""
        return self.ended is not None

    @property
    def ended(self) -> Finish | Unfinished | NotStarted | None:
        """That end."""
        return self.finish or self.unfinished or self.not_started

    def of(self, machine: str) -> Evidence:
        """What there is of one of several machines; of "" all."""
        if not machine:
            return self
        return self.by_machine.get(machine) or Evidence(walls=self.walls, last=self.last)

    @property
    def end(self) -> tuple[int, ...]:
        """The sequence number of that end."""
        return (self.ended.seq,) if self.ended else ()

    @property
    def counts(self) -> dict[str, int]:
        """How many effects were real, modelled, doubled, recorded."""
        counts = dict.fromkeys(("real", "modelled", "doubled", "recorded"), 0)
        for effect in self.effects:
            counts[effect.how] = counts.get(effect.how, 0) + 1
        return counts

    def wall(self, seq: int) -> str:
        """The host's time of day (UTC) of an event, HH:MM:SS."""
        return self.walls.get(seq, "")[11:19]


@dataclass
class _Sorter:
    """Collects the evidence, event by event."""

    finish: Finish | None = None
    unfinished: Unfinished | None = None
    not_started: NotStarted | None = None
    decisions: list[DecisionSeen] = field(default_factory=list)
    policies: list[PolicySeen] = field(default_factory=list)
    settings: list[SettingSeen] = field(default_factory=list)
    at: dict[str, str] = field(default_factory=dict)
    statuses: list[StatusSeen] = field(default_factory=list)
    locations: list[LocationSeen] = field(default_factory=list)
    refusals: list[RefusalSeen] = field(default_factory=list)
    steps: list[StepSeen] = field(default_factory=list)
    begun: list[tuple[int, str]] = field(default_factory=list)
    open: dict[tuple[str, int], int] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    hows: dict[tuple[str, int], Counter[str]] = field(default_factory=dict)
    records: list[RecordSeen] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    requests: list[RequestSeen] = field(default_factory=list)
    effects: list[EffectSeen] = field(default_factory=list)
    lab_errors: list[LabError] = field(default_factory=list)
    variables: dict[str, str] | None = None
    variables_seq: int = 0
    secrets: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        if event.source == "engine":
            self._engine(event)
        elif event.source == "smsts" and event.kind == "record":
            self._record(event)
        elif event.source == "http" and event.kind == "request":
            self._request(event)
        elif (event.source, event.kind) == ("lab", "unfinished"):
            self.unfinished = Unfinished(event.seq, event.machine, str(event.data.get("reason", "")))
        elif (event.source, event.kind) == ("lab", "not-started"):
            self.not_started = NotStarted(event.seq, event.machine, str(event.data.get("reason", "")))
        elif event.source == "site":
            self._site(event)
        elif event.kind == "lab-error" or (event.source, event.kind) == ("lab", "broken"):
            self._lab_error(event)
        elif event.source == "agent" and event.kind == "effect":
            key = (event.machine, _number(event.data.get("pointer"), -1))
            self.hows.setdefault(key, Counter())[str(event.data.get("how", "real"))] += 1
            self.effects.append(
                EffectSeen(
                    event.seq,
                    event.machine,
                    str(event.data.get("effect", "")),
                    str(event.data.get("how", "real")),
                    _number(event.data.get("code")),
                    str(event.data.get("message", "")),
                )
            )
        elif (event.source, event.kind) == ("agent", "wizard-done") and event.data.get("page") == "variable":
            name = str(event.data.get("name", "")).casefold()
            self.settings.append(SettingSeen(event.seq, event.machine, name, WIZARD))
        elif event.source == "agent" and event.kind == "variables":
            self.variables = {str(name).casefold(): str(value) for name, value in event.data.items()}
            self.variables_seq = event.seq

    def _site(self, event: Event) -> None:
        data = event.data
        if event.kind == "pxe":
            start = str(data.get("start", ""))
            if start and any(one.start == start and one.machine == event.machine for one in self.decisions):
                return  # asked again within one start
            reasons = data.get("reasons") or ()
            self.decisions.append(
                DecisionSeen(
                    event.seq,
                    event.machine,
                    str(data.get("action", "")),
                    str(data.get("deployment") or ""),
                    str(data.get("boot_image") or ""),
                    bool(data.get("mandatory")),
                    bool(data.get("known")),
                    str(data.get("device") or ""),
                    (reasons,) if isinstance(reasons, str) else tuple(map(str, reasons)),
                    start,
                    str(data.get("mac") or ""),
                )
            )
        elif event.kind == "location":
            self.locations.append(location_seen(event))
        elif event.kind == "policy":
            self.secrets |= {str(name).casefold() for name in data.get("secrets") or ()}
            device, deployment = (str(data.get(key) or "") for key in ("device", "deployment"))
            self.policies.append(PolicySeen(event.seq, event.machine, device, deployment))
        elif event.kind == "denied":
            self.refusals.append(refusal_seen(event))
        elif event.kind == "status":
            for message in data.get("messages") or ([data] if "id" in data else []):
                words = (str(message.get(key) or "") for key in ("step", "group", "action", "text"))
                text = " · ".join(word for word in words if word)
                self.statuses.append(StatusSeen(event.seq, event.machine, _number(message.get("id")), text))

    def _lab_error(self, event: Event) -> None:
        message = str(event.data.get("message") or "the lab broke")
        if all(message not in known.message and known.message not in message for known in self.lab_errors):
            hint = str(event.data.get("hint") or "")
            self.lab_errors.append(LabError(event.seq, event.machine, message, hint))

    def _engine(self, event: Event) -> None:
        data, key = event.data, (event.machine, _number(event.data.get("pointer"), -1))
        if event.kind == "sequence-started":  # a machine that starts afresh: what was begun before never ends
            self.left += [seq for (machine, _), seq in self.open.items() if machine == event.machine]
            self.open = {key: seq for key, seq in self.open.items() if key[0] != event.machine}
            self.settings = [one for one in self.settings if one.machine != event.machine or one.by == WIZARD]
            self.at.pop(event.machine, None)
        elif event.kind == "instruction":
            if key not in self.open:  # a step that goes on after a restart begins twice
                self.open[key] = event.seq
                self.hows.pop(key, None)
            self.begun.append((event.seq, str(data.get("name", ""))))
            self.at[event.machine] = str(data.get("name", ""))
        elif event.kind in ("step-finished", "group-finished"):
            self.at.pop(event.machine, None)
            self.steps.append(
                StepSeen(
                    seq=event.seq,
                    machine=event.machine,
                    name=str(data.get("name", "")),
                    result=str(data.get("result", "")),
                    code=_number(data.get("code")),
                    reason=str(data.get("reason") or ""),
                    continued=bool(data.get("continued")),
                    group=event.kind == "group-finished",
                    begun=self.open.pop(key, 0),
                    counts=dict(self.hows.pop(key, ())),
                )
            )
        elif event.kind == "variable":
            name = str(data.get("name", "")).casefold()
            step = self.at.get(event.machine)
            by = f"step '{step}'" if step else ENGINE
            self.settings.append(SettingSeen(event.seq, event.machine, name, by))
            if data.get("secret"):
                (self.secrets.add if data.get("value") else self.secrets.discard)(name)
        elif event.kind == "sequence-finished":
            self.finish = Finish(
                event.seq,
                event.machine,
                str(data.get("result", "")),
                _number(data.get("code")),
                str(data.get("failed_step") or ""),
                _number(data.get("step_code")),
            )

    def _record(self, event: Event) -> None:
        message = str(event.data.get("message", ""))
        line = self.lines.get(event.machine, 1)
        self.lines[event.machine] = line + 1 + message.count("\n")
        severity = SEVERITIES.get(_number(event.data.get("type"), 1), "info")
        component = str(event.data.get("component", ""))
        self.records.append(RecordSeen(event.seq, event.machine, component, message, severity, line))

    def _request(self, event: Event) -> None:
        path = str(event.data.get("path", ""))
        parts = path.split("/")
        package = parts[2].upper() if len(parts) > 3 and parts[1] == "content" else ""
        self.requests.append(
            RequestSeen(
                event.seq,
                event.machine,
                str(event.data.get("method", "")),
                path,
                package,
                _number(event.data.get("status")),
            )
        )


def _number(value: Any, default: int = 0) -> int:
    try:
        return int(value) & 0xFFFFFFFF if value is not None else default
    except (TypeError, ValueError):
        return default


def evidence(
    events: Iterable[Event],
    finals: Mapping[str, FinalState],
    *,
    pxe_records: tuple[RecordSeen, ...] | None = None,
) -> Evidence:
    """Sort a timeline. ``finals``: machine -> what stood on its disks when it was off; ``pxe_records``: what
    SMSPXE.log holds."""
    events = list(events)
    machines = {event.machine for event in events if event.machine}
    whole = _sorted(events, finals, pxe_records)
    if len(machines) < 2:
        return replace(whole, by_machine=dict.fromkeys(machines, whole))
    parts = {
        name: _sorted(
            [event for event in events if event.machine in (name, "")],
            {machine: final for machine, final in finals.items() if machine == name},
            pxe_records,
        )
        for name in sorted(machines)
    }
    return replace(whole, by_machine=parts)


def _sorted(
    events: Iterable[Event], finals: Mapping[str, FinalState], pxe_records: tuple[RecordSeen, ...] | None
) -> Evidence:
    sorter = _Sorter()
    walls: dict[int, str] = {}
    last: Event | None = None
    for event in events:
        walls[event.seq] = event.wall
        last = event
        sorter.take(event)
    return Evidence(
        finish=sorter.finish,
        unfinished=sorter.unfinished,
        not_started=sorter.not_started,
        decisions=tuple(sorter.decisions),
        policies=tuple(sorter.policies),
        settings=tuple(sorter.settings),
        statuses=tuple(sorter.statuses),
        locations=tuple(sorter.locations),
        refusals=tuple(sorter.refusals),
        pxe_records=pxe_records,
        steps=tuple(sorter.steps),
        begun=tuple(sorter.begun),
        never_ended=frozenset((*sorter.left, *sorter.open.values())),
        records=tuple(sorter.records),
        requests=tuple(sorter.requests),
        effects=tuple(sorter.effects),
        lab_errors=tuple(sorter.lab_errors),
        variables=sorter.variables,
        variables_seq=sorter.variables_seq,
        secrets=frozenset(sorter.secrets),
        finals=dict(finals),
        walls=walls,
        last=last,
    )
