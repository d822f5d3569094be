"""The judge: expectations and evidence in, one verdict for each expectation out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.judge.causes import chain, decided, engine_failure, failing_step, origin
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
from lab.judge.site_checks import check_pxe, check_pxe_count, check_status
from lab.judge.verdict import Verdict
from lab.scenario.expectations import (
    CodeExpected,
    Expectation,
    FailedStepExpected,
    LogExpected,
    PxeCountExpected,
    PxeExpected,
    RequestExpected,
    ResultExpected,
    StatusExpected,
    StepExpected,
    VariableExpected,
)  # fmt: skip


def judge(expectations: Iterable[Expectation], evidence: Evidence) -> list[Verdict]:
    """One verdict for each expectation, in their order."""
    asked = list(expectations)
    made: dict[int, Verdict] = {}
    for machine in dict.fromkeys(item.machine for item in asked):
        own = [(number, item) for number, item in enumerate(asked) if item.machine == machine]
        verdicts = _of_machine([item for _, item in own], evidence.of(machine))
        for (number, _), verdict in zip(own, verdicts, strict=True):
            made[number] = replace(verdict, machine=machine)
    return [made[number] for number in range(len(asked))]


def _of_machine(asked: Sequence[Expectation], evidence: Evidence) -> list[Verdict]:
    disks: dict[str, DiskJudge] = {}
    verdicts = [_one(item, evidence, disks) for item in asked]
    if not any(isinstance(item, ResultExpected) and item.result == "failed" for item in asked):
        verdicts = [_explained(verdict, evidence) for verdict in verdicts]
    verdicts = [
        replace(verdict, causes=origin(evidence, item.name))
        if isinstance(item, VariableExpected) and verdict.status == "falsified" and not verdict.causes
        else verdict
        for item, verdict in zip(asked, verdicts, strict=True)
    ]
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
        case PxeExpected():
            return check_pxe(item, evidence)
        case PxeCountExpected():
            return check_pxe_count(item, evidence)
        case StatusExpected():
            return check_status(item, evidence)
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
    if evidence.not_started is not None and evidence.finish is None and evidence.unfinished is None:
        return replace(verdict, causes=decided(evidence))
    return replace(verdict, causes=chain(evidence, step) if step else engine_failure(evidence))
