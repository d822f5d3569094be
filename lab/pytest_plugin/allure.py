"""What a scenario's items tell Allure through allure-pytest; the words and the evidence are the report's."""

from __future__ import annotations

from pathlib import Path

import pytest
from allure_commons.model2 import Label, StatusDetails, TestResult

from lab.judge.record import RunRecord
from lab.report.allure_results import (
    BUG,
    attachments,
    description,
    labels,
    parameters,
    shows_evidence,
    write_metadata,
)
from lab.report.allure_steps import story
from lab.run.record import read_events

#: Labels of which a test has one; allure-pytest's own would say where its file lies.
_ONE_OF_A_KIND = ("parentSuite", "suite", "subSuite", "severity", "framework")


class Environment:
    """Writes what holds for all results: environment.properties and categories.json. A plugin of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput"):  # not in a worker of xdist; the front writes them
            write_metadata(self._folder, {"fidelity": session.config.getoption("fidelity")})


def describe_verdict(config: pytest.Config, record: RunRecord, index: int) -> None:
    """Give the item that is being set up, of this expectation, the run's labels, and where it is to show them
    the steps and the evidence."""
    result = describe_run(config, record)
    if result is None:
        return
    result.description = description(record, record.verdicts[index])
    if shows_evidence(record, index):
        folder, target = Path(record.folder), Path(config.option.allure_report_dir).absolute()
        result.steps.extend(story(read_events(folder)))
        result.attachments.extend(attachments(record.machines, folder, target))


def describe_run(config: pytest.Config, record: RunRecord) -> TestResult | None:
    """Give the item that is being set up the run's labels; its result, or None without allure-pytest."""
    if (result := _result(config)) is not None:
        result.labels = [
            *(label for label in result.labels if label.name not in _ONE_OF_A_KIND),
            *(Label(name, value) for name, value in labels(record)),
        ]
        result.parameters.extend(parameters(record))
    return result


def _result(config: pytest.Config) -> TestResult | None:
    listener = config.pluginmanager.get_plugin("allure_listener")
    return None if listener is None else listener.allure_logger.get_test(None)


def explain(config: pytest.Config, message: str, trace: str = "") -> None:
    """Replace what allure-pytest says of an exception: ours are words that stand alone."""
    if (result := _result(config)) is not None:
        result.statusDetails = StatusDetails(message=message, trace=trace or None)


def bug_message(error: BaseException) -> str:
    """How a bug of ours is told, so that it lands in its own category."""
    return f"{BUG}, not of the sequence: {type(error).__name__}: {error}"
