"""Judging what the run showed: its result, its steps, its log, its variables, its requests. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import Protocol

from lab.judge.causes import chain, decided, engine_failure, failing_step, lost, told_decision, turned_away
from lab.judge.evidence import Evidence
from lab.judge.seen import RecordSeen, StepSeen
from lab.judge.verdict import Cause, Status, Verdict
from lab.scenario.expect import LogExpectation, RequestExpectation, ValueExpectation
from lab.scenario.expectations import (
    CodeExpected,
    FailedStepExpected,
    LogExpected,
    RequestExpected,
    ResultExpected,
    StepExpected,
    VariableExpected,
)  # fmt: skip
from lab.sequence.codes import describe
from lab.yamlio import Place, quoted

#: The log's name in a machine's folder.
LOG = "smsts.log"

#: The site's own, in the run's folder.
PXE_LOG = "SMSPXE.log"

#: Sequence numbers that one verdict names at most.
MAX_REFERENCES = 20


def unfinished(evidence: Evidence) -> str:
    """What to say when the sequence did not come to its end."""
    if evidence.unfinished is not None:
        return f"the sequence came to no end: {evidence.unfinished.reason}"
    if evidence.not_started is not None:
        sent = turned_away(evidence)
        return (
            f"no sequence began: {f'the site {told_decision(sent)}' if sent else evidence.not_started.reason}"
        )
    last = evidence.last
    if last is None:
        return "nothing was observed at all"
    phase = f" in phase {last.phase}" if last.phase else ""
    return f"the sequence did not come to its end; last seen{phase}: {last.source} {last.kind}"


def _failure(evidence: Evidence) -> tuple[Cause, ...]:
    step = failing_step(evidence)
    return chain(evidence, step) if step else engine_failure(evidence)


_RESULTS = {
    "success": "the sequence succeeds", "failed": "the sequence fails",
    "unfinished": "the sequence comes to no end", "not-started": "no sequence begins",
}  # fmt: skip


def _without_end(expected: str, place: Place, evidence: Evidence) -> Verdict:
    """The verdict on what only a sequence that ended has."""
    status: Status = "falsified" if evidence.complete else "no-evidence"
    return Verdict(status, expected, unfinished(evidence), place, evidence.end)


def check_result(item: ResultExpected, evidence: Evidence) -> Verdict:
    expected = _RESULTS[item.result]
    finish = evidence.finish
    if finish is None:
        came = "unfinished" if evidence.unfinished is not None else "not-started"
        held = item.result == came
        status: Status = "no-evidence" if not evidence.complete else "held" if held else "falsified"
        causes = lost(evidence) if status == "falsified" else ()
        return Verdict(status, expected, unfinished(evidence), item.place, evidence.end, causes=causes)
    if finish.result == "success":
        seen = "the sequence succeeded"
    else:
        seen = f"the sequence failed with {describe(finish.code)}"
        if finish.failed_step:
            seen += f", in step '{finish.failed_step}' with {describe(finish.step_code)}"
    held = finish.result == item.result
    # Why one began that should not have is the site's to tell.
    why = decided(evidence) if item.result == "not-started" else ()
    causes = () if held else why or _failure(evidence)
    return Verdict("held" if held else "falsified", expected, seen, item.place, (finish.seq,), causes=causes)


def check_code(item: CodeExpected, evidence: Evidence) -> Verdict:
    expected = f"the sequence ends with {describe(item.code)}"
    finish = evidence.finish
    if finish is None:
        return _without_end(expected, item.place, evidence)
    held = finish.code == item.code
    seen = f"it ended with {describe(finish.code)}"
    causes = () if held else _failure(evidence)
    return Verdict("held" if held else "falsified", expected, seen, item.place, (finish.seq,), causes=causes)


def check_failed_step(item: FailedStepExpected, evidence: Evidence) -> Verdict:
    expected = f"step '{item.step}' is the one that ends the sequence"
    finish = evidence.finish
    if finish is None:
        return _without_end(expected, item.place, evidence)
    if finish.result == "success":
        seen = "the sequence succeeded"
    else:
        seen = f"step '{finish.failed_step}' ended it with {describe(finish.step_code)}"
    held = finish.result == "failed" and finish.failed_step == item.step
    causes = () if held else _failure(evidence)
    return Verdict("held" if held else "falsified", expected, seen, item.place, (finish.seq,), causes=causes)


_VERBS = {"success": "succeeds", "failed": "fails", "skipped": "is skipped", "disabled": "is disabled"}
_SEEN = {"success": "succeeded", "failed": "failed", "skipped": "was skipped", "disabled": "was disabled"}


def check_step(item: StepExpected, evidence: Evidence) -> Verdict:
    want = item.want
    name = f"step '{item.step}'"
    if want.result == "not-run":
        return _check_not_run(item, evidence)
    if want.result == "unfinished":
        return _check_begun(item, evidence)
    expected = f"{name} {_VERBS[want.result]}"
    if want.code is not None:
        expected += f" with {describe(want.code)}"
    ends = [step for step in evidence.steps if step.name == item.step]
    wrong = [step for step in ends if step.result != want.result or want.code not in (None, step.code)]
    references = tuple(step.seq for step in wrong or ends)[:MAX_REFERENCES]
    if wrong:
        step = wrong[0]
        causes = chain(evidence, step) if step.result == "failed" else ()
        return Verdict("falsified", expected, _told(step), item.place, references, causes=causes)
    if not ends:
        status: Status = "falsified" if evidence.complete else "no-evidence"
        seen = f"{name} did not run" if evidence.finish else unfinished(evidence)
        failed = failing_step(evidence)
        if failed is not None:
            seen += f"; step '{failed.name}' before it failed, with {describe(failed.code)}"
            references = (failed.seq,)
        return Verdict(status, expected, seen, item.place, references, causes=_failure(evidence))
    return Verdict("held", expected, _told(ends[-1]), item.place, references)


def _told(step: StepSeen) -> str:
    seen = f"{'group' if step.group else 'step'} '{step.name}' {_SEEN.get(step.result, step.result)}"
    if step.code or (step.result == "failed" and not step.group):
        seen += f" with {describe(step.code)}"
    if step.result == "skipped" and step.reason == "condition":
        seen += ": its condition was false"
    elif step.reason and step.reason not in describe(step.code):
        seen += f": {step.reason}"
    return seen + (" (and the sequence continued)" if step.continued else "")


def _check_not_run(item: StepExpected, evidence: Evidence) -> Verdict:
    expected = f"step '{item.step}' does not run"
    ran = [s for s in evidence.steps if s.name == item.step and s.result in ("success", "failed")]
    if ran:
        return Verdict("falsified", expected, _told(ran[0]), item.place, (ran[0].seq,))
    if begun := _never_ended(item.step, evidence):
        return Verdict("falsified", expected, f"step '{item.step}' was begun", item.place, begun[:1])
    if not evidence.complete:
        return Verdict("no-evidence", expected, unfinished(evidence), item.place)
    return Verdict("held", expected, "it did not run", item.place, evidence.end)


def _never_ended(name: str, evidence: Evidence) -> tuple[int, ...]:
    """Where steps and groups of that name were begun that never ended."""
    return tuple(seq for seq, begun in evidence.begun if begun == name and seq in evidence.never_ended)


def _check_begun(item: StepExpected, evidence: Evidence) -> Verdict:
    expected = f"step '{item.step}' is begun and never ends"
    if not evidence.complete:
        return Verdict("no-evidence", expected, unfinished(evidence), item.place)
    if begun := _never_ended(item.step, evidence):
        return Verdict("held", expected, "it was begun and never ended", item.place, begun[:MAX_REFERENCES])
    ends = [step for step in evidence.steps if step.name == item.step]
    seen = _told(ends[-1]) if ends else f"step '{item.step}' did not run"
    return Verdict("falsified", expected, seen, item.place, tuple(step.seq for step in ends[-1:]))


class _Counted(Protocol):
    @property
    def count(self) -> int | None: ...
    @property
    def at_least(self) -> int | None: ...
    @property
    def absent(self) -> bool: ...


def how_often(want: _Counted) -> str:
    if want.absent:
        return "no"
    if want.count is not None:
        return f"exactly {want.count}"
    return f"at least {want.at_least or 1}"


def plural(want: _Counted, what: str) -> str:
    number = 1 if want.absent else want.count if want.count is not None else (want.at_least or 1)
    return what if number == 1 else what + "s"


def counted(want: _Counted, found: int, complete: bool) -> Status:
    """Whether ``found`` is the wanted number. What can only grow is judged early, the rest at the end."""
    least = 0 if want.absent else want.count if want.count is not None else (want.at_least or 1)
    most = 0 if want.absent else want.count
    if most is not None and found > most:
        return "falsified"
    if found >= least and (most is None or complete):
        return "held"
    return "falsified" if complete else "no-evidence"


def many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _record_is(want: LogExpectation, record: RecordSeen) -> bool:
    if want.contains is not None:
        return want.contains in record.message
    return re.search(want.matches or "", record.message) is not None


def check_log(item: LogExpected, evidence: Evidence) -> Verdict:
    want = item.want
    one = plural(want, "record") == "record"
    verb = ("contains" if one else "contain") if want.contains else ("matches" if one else "match")
    text = f"{verb} {quoted(want.contains) if want.contains else f'/{want.matches}/'}"
    kind = " ".join(
        filter(
            None, (want.severity, plural(want, "record"), f"of {want.component}" if want.component else "")
        )
    )
    expected = f"{how_often(want)} {kind} in {want.file} that {text}"
    complete = evidence.complete
    records: Sequence[RecordSeen] = evidence.records
    if want.file == PXE_LOG:
        if evidence.pxe_records is None:
            return Verdict("no-evidence", expected, "the run has no SMSPXE.log", item.place)
        records = evidence.pxe_records
    for word, bound in (("after", want.after), ("before", want.before)):
        if bound is None:
            continue
        expected += f", {word} {quoted(bound)}"
        index = next((n for n, record in enumerate(records) if bound in record.message), None)
        if index is None:
            seen = f"no record contains {quoted(bound)}" if complete else unfinished(evidence)
            bound_status: Status = "falsified" if complete else "no-evidence"
            return Verdict(bound_status, expected, seen, item.place, file=want.file)
        records = records[index + 1 :] if word == "after" else records[:index]
    with_text = [record for record in records if _record_is(want, record)]
    found = [
        record
        for record in with_text
        if want.component in (None, record.component) and want.severity in (None, record.severity)
    ]
    status = counted(want, len(found), complete)
    shown = found[0] if found else None
    if status == "no-evidence":
        seen = unfinished(evidence)
    elif found:
        seen = f"{many(len(found), 'such record')}, first: {quoted(found[0].message, 90)}"
    elif with_text:
        shown = with_text[0]
        seen = f"the text is there, but in a record of {shown.component} with severity {shown.severity}"
    else:
        seen = f"none among {many(len(records), 'record')}"
    references = tuple(record.seq for record in found or with_text if record.seq)[:MAX_REFERENCES]
    line = shown.line if shown else None
    return Verdict(status, expected, seen, item.place, references, want.file, line)


def check_request(item: RequestExpected, evidence: Evidence) -> Verdict:
    want: RequestExpectation = item.want
    what = f"content {want.content}" if want.content else str(want.path)
    answered = f" answered {want.status}" if want.status is not None else ""
    expected = f"{how_often(want)} {plural(want, 'request')} for {what}{answered}"
    asked = [
        request
        for request in evidence.requests
        if (want.content and request.package == want.content.upper())
        or (want.path and fnmatch.fnmatchcase(request.path, want.path))
    ]
    found = [request for request in asked if want.status in (None, request.status)]
    status = counted(want, len(found), evidence.complete)
    if status == "no-evidence":
        seen = unfinished(evidence)
    elif found:
        seen = many(len(found), "such request")
    elif asked:
        statuses = ", ".join(str(number) for number in sorted({request.status for request in asked}))
        seen = f"{len(asked)} for it, answered {statuses}"
    else:
        seen = f"none among {many(len(evidence.requests), 'request')}"
    references = tuple(request.seq for request in found or asked)[:MAX_REFERENCES]
    return Verdict(status, expected, seen, item.place, references)


def told_value(want: ValueExpectation) -> str:
    """An expected value as a clause that follows a name."""
    if want.equals is not None:
        return f"is {quoted(want.equals)}"
    if want.contains is not None:
        return f"contains {quoted(want.contains)}"
    return f"matches /{want.matches}/" if want.matches is not None else "is not there"


def value_holds(want: ValueExpectation, value: str | None) -> bool:
    if value is None or want.absent:
        return (value is None) == want.absent
    if want.equals is not None:
        return value == want.equals
    if want.contains is not None:
        return want.contains in value
    return re.search(want.matches or "", value) is not None


def check_variable(item: VariableExpected, evidence: Evidence) -> Verdict:
    expected = f"variable {item.name} {told_value(item.want)} at the end"
    if evidence.variables is None:
        seen = "the machine did not tell its variables" if evidence.finish else unfinished(evidence)
        return Verdict("no-evidence", expected, seen, item.place)
    references = (evidence.variables_seq,)
    if item.name.casefold() in evidence.secrets:
        seen = f"variable {item.name} is secret, so its value is on no record"
        return Verdict("no-evidence", expected, seen, item.place, references)
    value = evidence.variables.get(item.name.casefold())
    seen = "there is no such variable" if value is None else f"it is {quoted(value)}"
    status: Status = "held" if value_holds(item.want, value) else "falsified"
    return Verdict(status, expected, seen, item.place, references)
