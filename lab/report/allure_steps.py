"""The timeline as Allure's nested steps: booting by its phases, and the sequence's groups and steps. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from allure_commons.model2 import Parameter, Status, StatusDetails, TestStepResult

from lab.report.summary import counts_text
from lab.sequence.codes import describe
from lab.timeline import Event

_STATUS = {"success": Status.PASSED, "failed": Status.FAILED}
#: What a machine's phases are, for whoever reads a report; "off" before power-on takes no time.
_PHASES = {
    "firmware": "firmware starts", "dhcp": "DHCP", "boot-file": "boot file is fetched",
    "pe-kernel": "LabPE starts", "pe-hello": "LabPE is up", "policy": "policy is fetched",
    "content": "content is fetched", "restart": "machine goes down", "disk-boot": "system on the disk starts",
    "os-hello": "system on the disk is up", "finished": "machine powers off", "failed": "machine powers off",
}  # fmt: skip
_ENDS = ("finished", "failed")


def story(events: Iterable[Event]) -> list[TestStepResult]:
    """All steps in the order they began. Times are the run's own: in the simulator its virtual clock's.

    What never ended is broken.
    """
    events = list(events)
    if not events:
        return []
    begin = datetime.fromisoformat(events[0].wall).timestamp() - events[0].time
    found = [*_sequence(events, begin), *_boots(events, begin)]
    return sorted(found, key=lambda step: int(step.start))


def _at(begin: float, event: Event) -> int:
    return round((begin + event.time) * 1000)


def _sequence(events: list[Event], begin: float) -> list[TestStepResult]:
    """The groups and steps of each machine's sequence."""
    roots: list[TestStepResult] = []
    below: dict[str, list[TestStepResult]] = {}
    known: dict[tuple[str, int], TestStepResult] = {}
    several = len({event.machine for event in events if event.machine}) > 1
    hows: dict[tuple[str, int], dict[str, int]] = {}
    for event in events:
        if event.source not in ("engine", "agent") or "pointer" not in event.data:
            continue
        now, data, key = _at(begin, event), event.data, (event.machine, int(event.data["pointer"]))
        if event.kind == "effect":
            how, counts = str(data.get("how", "real")), hows.setdefault(key, {})
            counts[how] = counts.get(how, 0) + 1
        if event.kind == "instruction" and key not in known:  # one that goes on after a restart begins twice
            made = TestStepResult(name=str(data.get("name", "")), status=Status.BROKEN, start=now, stop=now)
            depth = int(data.get("depth") or 0)
            line = below.setdefault(event.machine, [])
            del line[depth:]
            if several and not line:
                made.name = f"{event.machine}: {made.name}"
            (line[-1].steps if line else roots).append(made)
            line.append(made)
            known[key] = made
        elif event.kind in ("step-finished", "group-finished") and key in known:
            _end(known[key], event, now)
            if how := counts_text(hows.pop(key, {})):
                known[key].parameters.append(Parameter(name="effects", value=how))
    last = _at(begin, events[-1])
    for step in known.values():
        if step.status == Status.BROKEN and step.statusDetails is None:
            step.stop, step.statusDetails = last, StatusDetails(message="never ended")
    return roots


def _end(step: TestStepResult, event: Event, now: int) -> None:
    result, code = str(event.data.get("result", "")), int(event.data.get("code") or 0)
    step.status, step.stop = _STATUS.get(result, Status.SKIPPED), now
    message = describe(code) if code else str(event.data.get("reason") or "")
    if message:
        step.statusDetails = StatusDetails(message=message)


def _boots(events: list[Event], begin: float) -> list[TestStepResult]:
    """Each stretch of time outside the sequence, with its phases; one in which the lab broke is broken."""
    made: list[TestStepResult] = []
    for machine in dict.fromkeys(event.machine for event in events if event.machine):
        stretch: TestStepResult | None = None
        phase = ""
        for event in events:
            broke = event.kind in ("lab-error", "stalled") and event.machine in ("", machine)
            if broke and stretch is not None and stretch.steps[-1].status == Status.PASSED:
                message = str(event.data.get("message") or f"silent for {event.data.get('limit', 0):.0f} s")
                for step in (stretch, stretch.steps[-1]):
                    step.status, step.statusDetails = Status.BROKEN, StatusDetails(message=message)
            if event.machine != machine or event.phase == phase:
                continue
            phase, now = event.phase, _at(begin, event)
            if stretch is not None:
                stretch.stop = stretch.steps[-1].stop = now
            if phase not in _PHASES:
                stretch = None
                continue
            if stretch is None:
                stretch = _step(_name(machine, phase), now)
                made.append(stretch)
            stretch.steps.append(_step(_PHASES[phase], now))
        if stretch is not None:
            stretch.stop = stretch.steps[-1].stop = _at(begin, events[-1])
    return made


def _step(name: str, now: int) -> TestStepResult:
    return TestStepResult(name=name, status=Status.PASSED, start=now, stop=now)


def _name(machine: str, phase: str) -> str:
    if phase in _ENDS:
        return f"{machine} ends"
    return f"{machine} restarts" if phase in ("restart", "disk-boot", "os-hello") else f"{machine} starts"
