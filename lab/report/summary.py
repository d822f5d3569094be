"""The last word of a run on the console: what came of it and, when it is red, why. Pure."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence

from rich.text import Text

from lab.judge.record import RunRecord
from lab.judge.run_checks import PXE_LOG
from lab.judge.verdict import Cause, Outcome, Verdict

_STYLES = {Outcome.PASSED: "bold green", Outcome.FAILED: "bold red", Outcome.ERROR: "bold magenta"}
_MARKS = {"held": ("✓", "green"), "falsified": ("✗", "red"), "no-evidence": ("?", "magenta")}
_INDENT = 13
#: Verdicts told in full; the rest is counted. The record has them all.
MAX_TOLD = 8

#: A line as pieces of (text, style).
_Line = list[tuple[str, str]]


def render_rich(record: RunRecord, *, width: int = 100, verbose: bool = False) -> Text:
    """The summary for a Rich console; nothing in it is read as markup.

    ``verbose`` lists steps and what held.
    """
    made = Text(no_wrap=True, overflow="ignore")
    for number, line in enumerate(_lines(record, width, verbose)):
        if number:
            made.append("\n")
        for text, style in line:
            made.append(text, style=style or None)
    return made


def render_verdict(record: RunRecord, verdict: Verdict, *, width: int = 100) -> str:
    """What the summary says of one expectation that does not hold, or has no evidence; it stands alone."""
    return _plain([*_verdict(record, verdict, width, []), *_again(record, width)])


def render_fault(record: RunRecord, *, width: int = 100) -> str:
    """What the summary says of a lab that broke; "" when it did not."""
    return _plain([*_fault(record, width), *_again(record, width)]) if record.error is not None else ""


def _plain(lines: Iterable[_Line]) -> str:
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def render_total(records: Sequence[RunRecord]) -> str:
    """One line over several runs: ``5 scenarios: 3 passed, 1 failed, 1 error``."""
    parts = []
    for outcome, word in ((Outcome.PASSED, "passed"), (Outcome.FAILED, "failed"), (Outcome.ERROR, "error")):
        number = sum(record.outcome is outcome for record in records)
        if number:
            parts.append(f"{number} {word}")
    return f"{len(records)} scenario{'' if len(records) == 1 else 's'}: {', '.join(parts) or 'nothing ran'}"


def clock_time(seconds: float) -> str:
    """Seconds as HH:MM:SS; below ten seconds with hundredths, as a simulated run takes no longer."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def counts_text(counts: dict[str, int] | Iterable[tuple[str, int]]) -> str:
    """``12 real, 2 doubled``: how the effects came about, without the zeros."""
    pairs = counts.items() if isinstance(counts, dict) else counts
    return ", ".join(f"{number} {how}" for how, number in pairs if number)


def _lines(record: RunRecord, width: int, verbose: bool) -> list[_Line]:
    lines = [_headline(record, width)]
    lines += _fault(record, width)
    told = [verdict for verdict in record.verdicts if verdict.status != "held"]
    if record.error is not None:
        # What could not be seen because the lab broke is no news of its own.
        told = [verdict for verdict in told if verdict.status == "falsified"]
    told.sort(key=lambda verdict: verdict.status != "falsified")
    shown: list[tuple[Cause, ...]] = []
    for number, verdict in enumerate(told[:MAX_TOLD]):
        if number or record.error is not None:
            lines.append([])
        lines += _verdict(record, verdict, width, shown)
    if len(told) > MAX_TOLD:
        lines += [[], *_field("", f"… and {len(told) - MAX_TOLD} more, in {record.folder}/run.json", width)]
    if record.outcome is not Outcome.PASSED:
        lines += _again(record, width)
    if verbose:
        lines += _steps(record)
        for verdict in record.verdicts:
            mark, style = _MARKS[verdict.status]
            lines.append([(f"  {mark} ", style), (verdict.wanted, ""), (f"   {verdict.place}", "dim")])
    return lines


def _steps(record: RunRecord) -> list[_Line]:
    """What of each step was real: nothing that a double answered counts as shown on a machine."""
    names = [": ".join(filter(None, (step.get("machine"), str(step["name"])))) for step in record.steps]
    room = max(map(len, names), default=0)
    made: list[_Line] = []
    for name, step in zip(names, record.steps, strict=True):
        how = counts_text(dict(step["counts"])) or "no effects"
        made.append([("  · ", "dim"), (f"{name:<{room}}  {step['result']:<8}  ", ""), (how, "dim")])
    return made


def _fault(record: RunRecord, width: int) -> list[_Line]:
    """What broke, if anything did."""
    if record.error is None:
        return []
    return [
        *_field("broke", str(record.error["message"]), width),
        *_hint(str(record.error["hint"]), width),
        *_references(record, [int(record.error["seq"])] if record.error["seq"] else [], None),
    ]


def _again(record: RunRecord, width: int) -> list[_Line]:
    """How to run it again: what the simulator shows too is found quickest there; a lab that broke has to be
    tried as it was."""
    fidelity = "sim" if record.error is None else record.fidelity
    what = record.arguments or record.path
    if record.variant:
        what += f" --variant {shlex.quote(record.variant)}"
    return _field("again", f"osdlab run {what} --fidelity {fidelity}", width, wrap=False)


def _headline(record: RunRecord, width: int) -> _Line:
    total = len(record.verdicts)
    bad = sum(verdict.status == "falsified" for verdict in record.verdicts)
    unknown = sum(verdict.status == "no-evidence" for verdict in record.verdicts)
    plural = "" if total == 1 else "s"
    if record.outcome is Outcome.PASSED:
        tail = f"{total} expectation{plural} held"
    elif bad:
        tail = f"{bad} of {total} expectation{plural}"
    elif unknown:
        tail = f"no evidence for {unknown} of {total} expectation{plural}"
    else:
        tail = f"{total} expectation{plural}"
    if record.outcome is Outcome.PASSED:
        tail = "  ".join(filter(None, (tail, clock_time(record.seconds), counts_text(dict(record.counts)))))
    word = record.outcome.value.ljust(6)
    names = dict.fromkeys((record.template, *filter(None, record.variant.split(", ")), record.fidelity))
    middle = f"  {record.path} [{', '.join(names)}]"
    gap = max(2, width - len(word) - len(middle) - len(tail))
    return [(word, _STYLES[record.outcome]), (middle, "bold"), (" " * gap, ""), (tail, "")]


def _verdict(record: RunRecord, verdict: Verdict, width: int, shown: list[tuple[Cause, ...]]) -> list[_Line]:
    lines = _field("expected", verdict.wanted, width)
    seen = verdict.seen if verdict.status == "falsified" else f"no evidence: {verdict.seen}"
    lines += _field("seen", seen, width)
    if verdict.causes and shown[-1:] == [verdict.causes]:
        lines += _field("cause", "as above", width)
    elif verdict.causes:
        shown.append(verdict.causes)
        for number, cause in enumerate(verdict.causes):
            time = cause.time.ljust(10) if cause.time else ""
            lines += _field("" if number else "cause", time + cause.text, width, hang=len(time))
    lines += _field("place", str(verdict.place), width, wrap=False)
    return lines + _references(
        record, [*verdict.evidence, *(c.seq for c in verdict.causes if c.seq)], verdict
    )


def _references(record: RunRecord, numbers: Sequence[int], verdict: Verdict | None) -> list[_Line]:
    parts = []
    if verdict is not None and verdict.file and (record.machines or verdict.file == PXE_LOG):
        line = f":{verdict.line}" if verdict.line else ""
        folder = "" if verdict.file == PXE_LOG else f"{verdict.machine or record.machines[0]}/"
        parts.append(f"{folder}{verdict.file}{line}")
    if numbers:
        parts.append(f"timeline.jsonl:{ranges(numbers)}")
    elif record.machines and not parts:
        parts.append("timeline.jsonl")
    return _field("evidence", f"{record.folder}: {' · '.join(parts)}", 0, wrap=False) if parts else []


def ranges(numbers: Iterable[int]) -> str:
    """``3,7-9`` for 3, 7, 8, 9: the timeline's lines, which are its sequence numbers."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def _field(label: str, text: str, width: int, *, wrap: bool = True, hang: int = 0) -> list[_Line]:
    room = max(30, width - _INDENT)
    plain = text if not wrap else " ".join(text.split("\n"))
    pieces = [plain]
    if wrap:
        pieces = textwrap.wrap(
            plain, room, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True,
        ) or [""]  # fmt: skip
    lines: list[_Line] = []
    for number, piece in enumerate(pieces):
        head = f"  {'' if number else label:<{_INDENT - 2}}"
        lines.append([(head, "dim"), (piece, "")])
    return lines


def _hint(hint: str, width: int) -> list[_Line]:
    """A hint of several lines is something to paste: it stays as it is."""
    if "\n" not in hint.strip():
        return _field("hint", hint.strip(), width) if hint.strip() else []
    lines: list[_Line] = []
    for number, line in enumerate(hint.strip("\n").split("\n")):
        lines.append([(f"  {'' if number else 'hint':<{_INDENT - 2}}", "dim"), (line, "")])
    return lines
