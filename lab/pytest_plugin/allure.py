"""What a scenario's items tell Allure: the sequence's steps with their times, and the evidence."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import allure
import pytest
from allure_commons.model2 import Status, StatusDetails, TestStepResult

from lab.judge.record import RunRecord
from lab.run.record import read_events
from lab.sequence.codes import describe
from lab.timeline import Event

_STATUS = {"success": Status.PASSED, "failed": Status.FAILED}
_KINDS = allure.attachment_type
#: Files of a machine's folder, in the order they are looked at. Disks stay where they are.
_FILES = {
    "smsts.log": _KINDS.TEXT, "console.log": _KINDS.TEXT, "final-state.json": _KINDS.JSON,
    "domain.xml": _KINDS.XML, "*.png": _KINDS.PNG,
}  # fmt: skip
_CATEGORIES = [
    {"name": "An expectation does not hold", "matchedStatuses": ["failed"],
     "messageRegex": "(?s).*ExpectationFailed.*"},
    {"name": "The lab broke, or nothing could be judged", "matchedStatuses": ["broken"],
     "messageRegex": "(?s).*LabBroke.*"},
    {"name": "This host cannot run it", "matchedStatuses": ["skipped"],
     "messageRegex": "(?s).*this host cannot run it.*"},
    {"name": "A bug of osdlab", "matchedStatuses": ["broken"]},
]  # fmt: skip


class Environment:
    """Writes what holds for all results: environment.properties and categories.json. A plugin of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return  # a worker of xdist; the front writes them
        self._folder.mkdir(parents=True, exist_ok=True)
        values = {
            "fidelity": session.config.getoption("fidelity"),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
        }
        lines = [f"{name} = {value}" for name, value in values.items()]
        (self._folder / "environment.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self._folder / "categories.json").write_text(json.dumps(_CATEGORIES, indent=1), encoding="utf-8")


def describe_run(config: pytest.Config, record: RunRecord, *, whole: bool) -> None:
    """Give the item that is being set up the run's labels; with ``whole`` also its steps and evidence."""
    allure.dynamic.parent_suite(f"{record.template} ({record.fidelity})")
    allure.dynamic.suite(record.scenario)
    allure.dynamic.severity(record.severity)
    if record.rules:
        allure.dynamic.tag(*record.rules)
    if not whole:
        return
    folder = Path(record.folder)
    listener = config.pluginmanager.get_plugin("allure_listener")
    if listener is not None and (result := listener.allure_logger.get_test(None)) is not None:
        result.steps.extend(steps(read_events(folder)))
    for machine in record.machines:
        for pattern, kind in _FILES.items():
            for path in sorted((folder / machine).glob(pattern)):
                allure.attach.file(str(path), name=f"{machine}/{path.name}", attachment_type=kind)
    for name, kind in (("run.json", _KINDS.JSON), ("lab.log", _KINDS.TEXT)):
        if (folder / name).is_file():
            allure.attach.file(str(folder / name), name=name, attachment_type=kind)


def steps(events: Iterable[Event]) -> list[TestStepResult]:
    """The groups and steps of the sequence as nested steps. Their times are the run's own: in the simulator
    its virtual clock's. What never ended is broken."""
    roots: list[TestStepResult] = []
    below: dict[str, list[TestStepResult]] = {}
    known: dict[tuple[str, int], TestStepResult] = {}
    begin: float | None = None
    for event in events:
        if begin is None:
            begin = datetime.fromisoformat(event.wall).timestamp() - event.time
        now = round((begin + event.time) * 1000)
        if event.source != "engine" or "pointer" not in event.data:
            continue
        data, key = event.data, (event.machine, int(event.data["pointer"]))
        if event.kind == "instruction" and key not in known:  # one that goes on after a restart begins twice
            made = TestStepResult(name=str(data.get("name", "")), status=Status.BROKEN, start=now, stop=now)
            depth = int(data.get("depth") or 0)
            line = below.setdefault(event.machine, [])
            del line[depth:]
            (line[-1].steps if line else roots).append(made)
            line.append(made)
            known[key] = made
        elif event.kind in ("step-finished", "group-finished") and key in known:
            _end(known[key], event, now)
    return roots


def _end(step: TestStepResult, event: Event, now: int) -> None:
    result, code = str(event.data.get("result", "")), int(event.data.get("code") or 0)
    step.status, step.stop = _STATUS.get(result, Status.SKIPPED), now
    message = describe(code) if code else str(event.data.get("reason") or "")
    if message:
        step.statusDetails = StatusDetails(message=message)
