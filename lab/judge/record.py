"""The record of a run, ``run.json``: what was run, what came of it, and why. Reports are drawn from it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.disk.state import FinalState
from lab.errors import InputError, LabError, LabFault, Problem
from lab.judge.evidence import Evidence, evidence
from lab.judge.judging import judge
from lab.judge.seen import RecordSeen
from lab.judge.verdict import Cause, Outcome, Verdict, outcome
from lab.scenario.loader import LoadedScenario
from lab.timeline import Event
from lab.yamlio import Place

FORMAT = 1


@dataclass(frozen=True)
class RunRecord:
    """One run, judged.

    run         the name of its folder
    folder      that folder as the user would write it: reports/<run>
    path        the scenario file as the user gave it; without one, the sequence, and ``arguments`` has the
                command line
    fidelity    "sim" or "vm"
    started     ISO 8601 UTC time of the first event, or ""; seconds: how long the run took on the wall clock
    template    of the machine; of several, each once with commas between
    machines    names, in the order of their first event
    counts      effects by how they came about: real, modelled, doubled, recorded
    steps       {"name", "result", "code", "counts"} of each step that ended, in order; of several machines
                with "machine", too
    error       what broke the lab: {"message", "hint", "seq"}, or None; with "bug": true a bug of ours
    accelerator {"choice", "reason", "factor"}, or {} when nothing was accelerated
    variant     which run of the file's matrix this is, or ""
    """

    run: str
    folder: str
    scenario: str
    path: str
    template: str
    fidelity: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    counts: Mapping[str, int]
    steps: tuple[Mapping[str, Any], ...] = ()
    machines: tuple[str, ...] = ()
    started: str = ""
    seconds: float = 0.0
    events: int = 0
    rules: tuple[str, ...] = ()
    severity: str = "normal"
    error: Mapping[str, Any] | None = None
    accelerator: Mapping[str, Any] = field(default_factory=dict)
    arguments: str = ""
    variant: str = ""

    @property
    def exit_code(self) -> int:
        return self.outcome.exit_code

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        return {"format": FORMAT, **data, "outcome": self.outcome.value, "exit_code": self.exit_code}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> RunRecord:
        """Raises KeyError, TypeError or ValueError for data that is no record of this format."""
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}, expected {FORMAT}")
        values = {key: value for key, value in data.items() if key not in ("format", "exit_code")}
        values["outcome"] = Outcome(values["outcome"])
        for key in ("machines", "rules", "steps"):
            values[key] = tuple(values.get(key, ()))
        values["verdicts"] = tuple(_verdict(item) for item in values["verdicts"])
        return RunRecord(**values)


def _verdict(data: Mapping[str, Any]) -> Verdict:
    values = dict(data)
    values["place"] = Place(**values["place"])
    values["evidence"] = tuple(values["evidence"])
    values["causes"] = tuple(Cause(**item) for item in values["causes"])
    return Verdict(**values)


def build_record(
    loaded: LoadedScenario,
    events: Sequence[Event],
    finals: Mapping[str, FinalState],
    *,
    run: str,
    folder: str,
    fidelity: str,
    fault: LabError | None = None,
    seconds: float | None = None,
    bug: str = "",
    pxe_records: tuple[RecordSeen, ...] | None = None,
) -> RunRecord:
    """Judge a run. ``fault`` is what broke the lab, if something did; ``seconds`` the time it took
    (the timeline's own, when not given); ``bug`` a bug of ours, in its own words; ``pxe_records`` what
    SMSPXE.log holds."""
    found = evidence(events, finals, pxe_records=pxe_records)
    verdicts = tuple(judge(loaded.expectations, found))
    accelerator: Mapping[str, Any] = {}
    for event in events:
        if event.source == "lab" and event.kind == "accelerator":
            accelerator = {key: event.data.get(key) for key in ("choice", "reason", "factor")}
    return RunRecord(
        run=run,
        folder=folder,
        scenario=loaded.title,
        path=str(loaded.path),
        template=loaded.hardware or loaded.scenario.machine,
        fidelity=fidelity,
        outcome=Outcome.ERROR if bug else outcome(verdicts, found, fault),
        verdicts=verdicts,
        counts=found.counts,
        steps=tuple(
            {
                "name": step.name,
                "result": step.result,
                "code": step.code,
                "counts": dict(step.counts),
                **({"machine": step.machine} if len(loaded.machines) > 1 else {}),
            }
            for step in found.steps
            if not step.group
        ),
        machines=tuple(dict.fromkeys(event.machine for event in events if event.machine)),
        started=events[0].wall if events else "",
        seconds=round(seconds if seconds is not None else (events[-1].time if events else 0.0), 3),
        events=len(events),
        rules=loaded.scenario.rules,
        severity=loaded.scenario.severity,
        error=_bug(bug) if bug else _error(found, fault),
        accelerator=accelerator,
        arguments=loaded.arguments,
        variant=loaded.variant,
    )


def _bug(bug: str) -> dict[str, Any]:
    message = f"A bug of osdlab, not of the sequence: {bug}"
    return {
        "message": message,
        "hint": "the traceback is in crash.txt, beside run.json",
        "seq": 0,
        "bug": True,
    }


def _error(found: Evidence, fault: LabError | None) -> dict[str, Any] | None:
    """The first thing that broke; its event may know the place, the exception the hint."""
    told = found.lab_errors[0] if found.lab_errors else None
    if fault is not None:
        same = next((item for item in found.lab_errors if fault.message in item.message), None)
        seq = same.seq if same else 0
        if told is not None and same is None:
            # The machine named the trouble before the lab noticed that something was wrong.
            return {"message": told.message, "hint": told.hint or fault.hint, "seq": told.seq}
        return {"message": fault.message, "hint": fault.hint or (same.hint if same else ""), "seq": seq}
    return {"message": told.message, "hint": told.hint, "seq": told.seq} if told else None


def write_record(folder: Path, record: RunRecord) -> Path:
    """Write ``folder/run.json``, whole or not at all. Raises LabFault when the folder cannot be written."""
    target = folder / "run.json"
    text = json.dumps(record.to_json(), ensure_ascii=False, indent=1) + "\n"
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".run-", suffix=".json")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o644)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LabFault(f"'{target}' cannot be written: {error.strerror}") from error
    return target


def read_record(folder: Path) -> RunRecord:
    """Read ``folder/run.json``. Raises InputError when it is missing or none of this format."""
    path = folder / "run.json"
    try:
        return RunRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError([Problem(str(path), 0, 0, f"is no record of a run: {error}")]) from error


def update_latest(reports: Path, run: str) -> None:
    """Let ``reports/latest`` point to this run, in one step. Raises LabFault when something else is there."""
    link = reports / "latest"
    if link.exists() and not link.is_symlink():
        raise LabFault(f"'{link}' is not a link", hint="move it away")
    temporary = reports / f".latest-{os.getpid()}"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(run)
        os.replace(temporary, link)
    except OSError as error:
        raise LabFault(f"'{link}' cannot be written: {error.strerror}") from error
