"""The judge: expectations and evidence in, one verdict for each expectation out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lab.judge.causes import chain, engine_failure, failing_step
from lab.judge.disk_checks import DiskJudge, check_disk
from lab.judge.evidence import Evidence
from lab.judge.run_checks import (
    LOG,
    check_code,
    check_failed_step,
    check_log,
    check_request,
    check_result,
    check_step,
    check_variable,
)  # fmt: skip
from lab.judge.verdict import Verdict
from lab.scenario.expectations import (
    CodeExpected,
    Expectation,
    FailedStepExpected,
    LogExpected,
    RequestExpected,
    ResultExpected,
    StepExpected,
    VariableExpected,
)  # fmt: skip


def judge(expectations: Iterable[Expectation], evidence: Evidence) -> list[Verdict]:
    """One verdict for each expectation, in their order."""
    asked = list(expectations)
    disks: dict[str, DiskJudge] = {}
    verdicts = [_one(item, evidence, disks) for item in asked]
    if not any(isinstance(item, ResultExpected) and item.result == "failed" for item in asked):
        verdicts = [_explained(verdict, evidence) for verdict in verdicts]
    return [_with_log_line(verdict, evidence) for verdict in verdicts]


def _one(item: Expectation, evidence: Evidence, disks: dict[str, DiskJudge]) -> Verdict:
    match item:
        case ResultExpected():
            return check_result(item, evidence)
        case CodeExpected():
            return check_code(item, evidence)
        case FailedStepExpected():
            return check_failed_step(item, evidence)
        case StepExpected():
            return check_step(item, evidence)
        case LogExpected():
            return check_log(item, evidence)
        case VariableExpected():
            return check_variable(item, evidence)
        case RequestExpected():
            return check_request(item, evidence)
    return check_disk(item, evidence, disks)


def _with_log_line(verdict: Verdict, evidence: Evidence) -> Verdict:
    """A cause that stands in smsts.log is pointed to there, where nothing else is."""
    if verdict.status != "falsified" or verdict.file or not verdict.causes:
        return verdict
    links = {cause.seq for cause in verdict.causes}
    record = next((record for record in evidence.records if record.seq in links), None)
    return replace(verdict, file=LOG, line=record.line) if record else verdict


def _explained(verdict: Verdict, evidence: Evidence) -> Verdict:
    """What does not hold after a sequence that was not meant to fail has that failure as its likely cause."""
    step = failing_step(evidence)
    if verdict.status != "falsified" or verdict.causes:
        return verdict
    return replace(verdict, causes=chain(evidence, step) if step else engine_failure(evidence))
