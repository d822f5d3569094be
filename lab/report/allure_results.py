"""A run's folder as Allure results: each expectation a test, the sequence's steps and the evidence with it.

``osdlab report`` and the pytest plugin tell a run in the same words through this module.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import (
    Attachment,
    Label,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
)

from lab.errors import InputError, LabError
from lab.files import write_whole
from lab.judge.record import RunRecord, read_record
from lab.judge.verdict import Verdict
from lab.report.allure_steps import story
from lab.report.listing import disk_listing
from lab.report.summary import clock_time, counts_text, render_fault, render_verdict
from lab.run.record import read_events, read_final_states
from lab.timeline import Event

TEXT, JSON, XML, PNG = "text/plain", "application/json", "application/xml", "image/png"
#: Files of a machine's folder, in the order they are looked at. Disks stay where they are.
_OF_MACHINE = {"smsts.log": TEXT, "console.log": TEXT, "final-state.json": JSON, "domain.xml": XML}
#: Files of the run itself.
_OF_RUN = {
    "crash.txt": TEXT,
    "lab.log": TEXT,
    "dnsmasq.log": TEXT,
    "SMSPXE.log": TEXT,
    "timeline.jsonl": TEXT,
    "run.json": JSON,
}

#: How a message begins that tells a bug of ours.
BUG = "A bug of osdlab"
#: The kinds of bad news, apart. Allure takes the first that fits.
CATEGORIES = [
    {"name": "An expectation does not hold", "matchedStatuses": ["failed"]},
    {"name": BUG, "matchedStatuses": ["broken"], "messageRegex": rf"[\s\S]*{BUG}[\s\S]*"},
    {"name": "The lab broke, or nothing could be judged", "matchedStatuses": ["broken"]},
    {"name": "This host cannot run it", "matchedStatuses": ["skipped"]},
]
_STATUS = {"held": Status.PASSED, "falsified": Status.FAILED, "no-evidence": Status.BROKEN}
_WIDTH = 100


@dataclass(frozen=True)
class Evidence:
    """A file to attach: ``name`` as it is shown, ``kind``: its MIME type, and where it is or what it says."""

    name: str
    kind: str
    suffix: str
    path: Path | None = None
    text: str = ""


def write_metadata(target: Path, values: Mapping[str, str]) -> None:
    """What holds for all results of a folder: environment.properties and categories.json.

    ``values`` come before what the host is.
    """
    target.mkdir(parents=True, exist_ok=True)
    known = {
        **values,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }
    lines = [f"{name} = {value}" for name, value in known.items()]
    write_whole(target / "environment.properties", "\n".join(lines) + "\n")
    write_whole(target / "categories.json", json.dumps(CATEGORIES, indent=1))


def write_run(folder: Path, target: Path) -> RunRecord | None:
    """Write the Allure results of one run's folder into ``target``; its record, when it has one.

    A run that never was judged (killed, or osdlab broke), or whose files are damaged, is one broken test:
    the others have their report all the same.
    """
    writer = AllureFileLogger(str(target))
    try:
        events = read_events(folder)
        read_final_states(folder)
        if not (folder / "run.json").exists():
            writer.report_result(_unjudged(folder, events, target, _why_unjudged(folder, events)))
            return None
        record = read_record(folder)
    except LabError as error:
        writer.report_result(_unjudged(folder, [], None, str(error)))
        return None
    begin, end = times(record, events, folder)
    for index, verdict in enumerate(record.verdicts):
        status, message = told(record, verdict)
        result = TestResult(
            uuid=str(uuid.uuid4()),
            name=verdict.wanted,
            fullName=f"{record.path}:{verdict.place.line}: {verdict.wanted}",
            status=status,
            statusDetails=StatusDetails(message=message) if message else None,
            description=description(record, verdict),
            # The first has the whole run; the others are judged after it, and stay in their order.
            start=end + index if index else begin,
            stop=end + index,
            labels=[Label(name, value) for name, value in labels(record)],
            parameters=parameters(record),
        )
        identify(result, *_known_by(record), verdict.wanted)
        if shows_evidence(record, index):
            result.steps = story(events)
            result.attachments = attachments(record.machines, folder, target)
        writer.report_result(result)
    return record


def _known_by(record: RunRecord) -> tuple[str, ...]:
    """What a run has in common with those of the same scenario, machine and fidelity before it."""
    return record.path, record.template, record.fidelity, *([record.variant] if record.variant else [])


def identify(result: TestResult, *parts: str) -> None:
    """Give the result the identity by which Allure knows it again in a later run."""
    result.historyId = hashlib.md5("\0".join(parts).encode(), usedforsecurity=False).hexdigest()
    result.testCaseId = result.historyId


def told(record: RunRecord, verdict: Verdict) -> tuple[str, str]:
    """(Allure's status, the words) for one expectation: the lab's own trouble is never a failure."""
    if record.error is not None:
        return Status.BROKEN, render_fault(record, width=_WIDTH)
    message = "" if verdict.status == "held" else render_verdict(record, verdict, width=_WIDTH)
    return _STATUS[verdict.status], message


def shows_evidence(record: RunRecord, index: int) -> bool:
    """Whether the expectation's test has the steps and the files: the first, and those that are not well.
    Where the lab broke, all say the same, and the first has what there is."""
    return index == 0 or (record.error is None and record.verdicts[index].status != "held")


def labels(record: RunRecord) -> Iterator[tuple[str, str]]:
    """(name, value): scenario, then machine, then expectation is how the tests are nested."""
    yield "parentSuite", record.scenario
    yield "suite", f"{record.template}, {'virtual machine' if record.fidelity == 'vm' else 'simulator'}"
    yield "severity", record.severity
    yield "framework", "osdlab"
    for rule in record.rules:
        yield "tag", rule


def parameters(record: RunRecord) -> list[Parameter]:
    """What the test was done with. The run's folder differs each time and makes no other test."""
    return [
        Parameter(name="machine", value=record.template),
        Parameter(name="fidelity", value=record.fidelity),
        Parameter(name="run", value=record.run, excluded=True),
    ]


def description(record: RunRecord, verdict: Verdict) -> str:
    """Where the expectation stands and what of the run was real, in Markdown."""
    how = ", ".join(filter(None, (clock_time(record.seconds), counts_text(dict(record.counts)))))
    return f"`{verdict.place}` · {record.template}, {record.fidelity} · {how}"


def environment(records: Iterable[RunRecord]) -> dict[str, str]:
    """What the runs have in common, or had between them."""
    records = list(records)
    used = [record.accelerator for record in records if record.accelerator]
    between = {
        "accelerator": {f"{one['choice']} ({one['reason']})" for one in used},
        "limits": {f"times {one['factor']}" for one in used},
        "fidelity": {record.fidelity for record in records},
        "machines": {record.template for record in records},
        "runs": {str(len(records))},
    }
    return {name: ", ".join(sorted(values)) for name, values in between.items() if values}


def times(record: RunRecord, events: list[Event], folder: Path) -> tuple[int, int]:
    """Begin and end, milliseconds since 1970. A simulated run's end is its virtual clock's, as its steps'."""
    if not events:
        end = (folder / "run.json").stat().st_mtime
        return round((end - record.seconds) * 1000), round(end * 1000)
    begin = datetime.fromisoformat(events[0].wall).timestamp()
    return round(begin * 1000), round((begin + max(record.seconds, events[-1].time)) * 1000)


def attachments(machines: Iterable[str], folder: Path, target: Path) -> list[Attachment]:
    """Put the run's evidence into ``target`` for one result: Allure 3 loses a file that two refer to."""
    made = []
    for item in evidence(machines, folder):
        source = f"{uuid.uuid4()}-attachment.{item.suffix}"
        if item.path is not None:
            shutil.copyfile(item.path, target / source)
        else:
            write_whole(target / source, item.text)
        made.append(Attachment(name=item.name, source=source, type=item.kind))
    return made


def evidence(machines: Iterable[str], folder: Path) -> Iterator[Evidence]:
    """What a run's folder has to show, the most telling first."""
    finals = read_final_states(folder)
    screens = _screens(read_events(folder))
    for machine in machines:
        for name, kind in _OF_MACHINE.items():
            path = folder / machine / name
            if name == "final-state.json" and machine in finals:
                yield Evidence(f"{machine}: disks.txt", TEXT, "txt", text=disk_listing(finals[machine]))
            if path.is_file() and path.stat().st_size:
                yield Evidence(f"{machine}: {name}", kind, _suffix(kind), path)
        for path in sorted((folder / machine).glob("screen-*.png")):
            shown = screens.get(f"{machine}/{path.name}", path.stem)
            yield Evidence(f"{machine}: {shown}", PNG, "png", path)
    for name, kind in _OF_RUN.items():
        if (folder / name).is_file() and (folder / name).stat().st_size:
            yield Evidence(name, kind, _suffix(kind), folder / name)


def _suffix(kind: str) -> str:
    return {TEXT: "txt", JSON: "json", XML: "xml", PNG: "png"}[kind]


def _screens(events: Iterable[Event]) -> dict[str, str]:
    """File -> what its picture is of. The first event of a picture tells; later ones found the same."""
    shown: dict[str, str] = {}
    for event in events:
        if event.source == "screen" and "file" in event.data:
            file = str(event.data["file"])
            shown.setdefault(file, f"{Path(file).stem} ({event.data.get('reason', '')}, {event.time:.0f} s)")
    return shown


def _why_unjudged(folder: Path, events: list[Event]) -> str:
    if _live(events):
        return "a test in Python judged it: pytest --alluredir has the verdict"
    return f"'{folder}' has no run.json: osdlab was killed, or broke off"


def _live(events: list[Event]) -> bool:
    """Whether the run was a test's in Python: such a run never has a run.json, and that is no trouble."""
    return any(event.kind == "run-started" and event.data.get("live") for event in events)


def _unjudged(folder: Path, events: list[Event], target: Path | None, said: str) -> TestResult:
    """``target`` None: there is nothing to attach."""
    named = (str(event.data.get("name")) for event in events if event.kind == "run-started")
    name = next(named, folder.name)
    machines = sorted(path.name for path in folder.iterdir() if path.is_dir())
    begin = round(datetime.fromisoformat(events[0].wall).timestamp() * 1000) if events else 0
    result = TestResult(
        uuid=str(uuid.uuid4()),
        name="the run is judged",
        fullName=f"{folder.name}: the run is judged",
        status=Status.UNKNOWN if _live(events) else Status.BROKEN,
        statusDetails=StatusDetails(message=said),
        start=begin,
        stop=begin + (round(events[-1].time * 1000) if events else 0),
        labels=[Label("parentSuite", name), Label("framework", "osdlab")],
        steps=story(events),
        attachments=attachments(machines, folder, target) if target else [],
    )
    identify(result, folder.name)
    return result


def is_run(folder: Path) -> bool:
    """Whether it is a run's folder."""
    return (folder / "run.json").is_file() or (folder / "timeline.jsonl").is_file()


def newest_runs(folder: Path) -> tuple[list[Path], int]:
    """The newest run of each scenario, machine and fidelity in a folder of runs; how many were left out."""
    newest: dict[tuple[str, ...], Path] = {}
    runs = [path for path in folder.iterdir() if not path.is_symlink() and path.is_dir() and is_run(path)]
    for path in sorted(runs, key=lambda run: (run.stat().st_mtime, run.name)):
        try:
            record = read_record(path)
            key = _known_by(record)
        except InputError:
            key = (path.name,)
        newest[key] = path
    return sorted(newest.values()), len(runs) - len(newest)
