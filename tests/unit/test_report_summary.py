"""The rendered summaries, held against golden files, and the record they are drawn from."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lab.disk.state import FinalState
from lab.errors import InputError, LabError, LabFault
from lab.judge.record import RunRecord, build_record, read_record, update_latest, write_record
from lab.report.summary import MAX_TOLD, clock_time, ranges, render_rich, render_total
from lab.scenario.expectations import expectations
from lab.scenario.loader import LoadedScenario
from lab.scenario.schema import Scenario, Template
from lab.yamlio import parse, parse_document
from tests.golden_file import check_golden
from tests.story import Story, bad_run, final_state, good_run

SCENARIO = """\
scenario: A blank machine gets the image
machine: uefi-x64
sequence: bare-metal.xml
expect:
  result: success
  steps:
    Apply Operating System: success
  log:
    - {contains: Applied image 1, component: ApplyOperatingSystem}
    - {contains: Applied image 1, severity: error, absent: true}
  disk:
    C:\\Windows\\Panther\\unattend.xml: {contains: "<ComputerName>PC-1"}
"""


def record(
    story: Story, *, text: str = SCENARIO, final: FinalState | None = None, fault: LabError | None = None
) -> RunRecord:
    document = parse_document(text, "scenarios/bare-metal.yaml", Scenario)
    template = parse("firmware: uefi\nmemory: 1 GiB\ndisks: []\n", "t.yaml", Template)
    loaded = LoadedScenario(
        Path("scenarios/bare-metal.yaml"), document, template, Path("s.xml"), {}, expectations(document)
    )
    return build_record(
        loaded, story.events, {"PC-1": final or final_state()},
        run="run-1", folder="reports/run-1", fidelity="vm", fault=fault, seconds=68.25,
    )  # fmt: skip


def unanswered() -> Story:
    story = Story()
    story.begin()
    story.instruction("Run script")
    story.say(
        "agent", "lab-error",
        message="no double answers the command of step 'Run script': cmd /c run.cmd",
        hint='doubles:\n  - command: "cmd /c run.cmd"   # Run script\n    exit: 0\n',
    )  # fmt: skip
    return story


_WRONG_LOG = SCENARIO.replace("Applied image 1, component: ApplyOperatingSystem", "Nonsense")

CASES = {
    "passed": record(good_run()),
    "failed": record(bad_run()),
    "failed-log": record(good_run(), text=_WRONG_LOG),
    "failed-file": record(good_run(), final=final_state(files={})),
    "error-double": record(unanswered(), fault=LabFault("the run ended before the sequence did")),
    "error-nothing": record(
        Story(), fault=LabFault("the lab process ended with signal 9", hint="see lab.log")
    ),
    "no-evidence": record(good_run(), final=final_state(notes=("volume 0,3 is damaged",), files={})),
}


def render(made: RunRecord, *, verbose: bool = False) -> str:
    lines = render_rich(made, verbose=verbose).plain.split("\n")
    return "\n".join(line.rstrip() for line in lines)


@pytest.mark.parametrize("name", CASES)
def test_the_summary_as_text(name: str) -> None:
    check_golden(f"report/{name}.txt", render(CASES[name]) + "\n")


def test_the_summary_with_every_expectation() -> None:
    check_golden("report/verbose.txt", render(CASES["failed"], verbose=True) + "\n")


def test_square_brackets_of_a_log_are_no_markup() -> None:
    text = SCENARIO.replace("Applied image 1, component", "'[red]x[/]', component")
    assert "'[red]x[/]'" in render_rich(record(good_run(), text=text)).plain


def test_long_lists_of_failures_are_cut_and_counted() -> None:
    lines = "".join(f"    - no such text {number}\n" for number in range(MAX_TOLD + 3))
    text = SCENARIO[: SCENARIO.index("  log:")] + "  log:\n" + lines
    shown = render(record(good_run(), text=text))
    assert shown.count("  expected   ") == MAX_TOLD and "… and 3 more, in reports/run-1/run.json" in shown


def test_as_above_is_what_stands_right_above() -> None:
    story = Story()
    story.say("site", "policy", device="PC-1", deployment="LAB20001", secrets=[])
    story.begin()
    story.end()
    story.say("agent", "variables", Given="x")
    expect = "expect:\n  variables: {A: a, B: b, Given: y, C: c}\n"
    text = render(record(story, text=SCENARIO.partition("expect:")[0] + expect))
    causes = [line.split("  ")[-1] for line in text.splitlines() if line.startswith("  cause")]
    of = "no step set it; the policy of PC-1 for deployment LAB20001"
    assert causes == [f"{of} did not give it", "as above", f"{of} gave it", f"{of} did not give it"]


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    for name, made in CASES.items():
        write_record(tmp_path, made)
        assert read_record(tmp_path) == made, name
    data = json.loads((tmp_path / "run.json").read_text())
    assert data["format"] == 1 and data["outcome"] == "ERROR" and data["exit_code"] == 4
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "outcome": "X"}', "\0"])
def test_what_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match="is no record of a run"):
        read_record(tmp_path)


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_record(tmp_path, CASES["passed"])
    unwritable = replace(CASES["failed"], accelerator={"reason": object()})
    with pytest.raises(TypeError):
        write_record(tmp_path, unwritable)
    assert read_record(tmp_path) == CASES["passed"]
    with pytest.raises(LabFault, match="cannot be written"):
        write_record(tmp_path / "none", CASES["passed"])


def test_latest_points_to_the_newest(tmp_path: Path) -> None:
    for name in ("run-1", "run-2"):
        (tmp_path / name).mkdir()
        update_latest(tmp_path, name)
        assert os.readlink(tmp_path / "latest") == name
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").mkdir()
    with pytest.raises(LabFault, match="is not a link"):
        update_latest(tmp_path, "run-1")


def test_small_texts() -> None:
    assert ranges([9, 3, 7, 8, 3]) == "3,7-9"
    assert (clock_time(0.254), clock_time(3725.9)) == ("0.25 s", "01:02:05")
    assert render_total([CASES["passed"], CASES["failed"], CASES["error-double"]]) == (
        "3 scenarios: 1 passed, 1 failed, 1 error"
    )


def test_a_missing_golden_file_is_written_and_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="was missing"):
        check_golden("a/b.txt", "x", tmp_path)
    check_golden("a/b.txt", "x", tmp_path)
    with pytest.raises(AssertionError, match="differs"):
        check_golden("a/b.txt", "y", tmp_path)
