"""Trace and replay: what a log tells of a run, and where the engine would have gone another way."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.cli import guarded, osdlab
from lab.logs.history import Trace
from lab.logs.replay import Replay, replay
from lab.logs.scan import scan
from lab.logs.skeleton import skeleton, tree
from lab.logs.source import source_of
from lab.logs.trace import trace
from lab.sequence.effects import EngineEvent, Finished
from lab.sequence.engine import advance, next_effect, start
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.smsts import format_record, stamp
from lab.sequence.xmlbuild import document_of
from lab.sequence.xmlwrite import write_document
from tests.unit.sequence_world import (
    World,
    apply_os,
    command,
    group,
    partition,
    reboot,
    sequence,
    setup_windows,
    when,
)


def traced(text: str) -> Trace:
    return trace(scan(source_of(text.encode(), "smsts.log")))


def log_of(plan: TaskSequence, world: World, variables: dict[str, str] | None = None) -> str:
    """The log that our own engine writes of a run."""
    state = start(plan, variables or {})
    events: list[EngineEvent] = []
    while not isinstance(effect := next_effect(plan, state), Finished):
        state, more = advance(plan, state, world.perform(effect))
        events += more
    text = ""
    for event in events:
        if event.kind == "record":
            data = event.data
            time, date = stamp(1_700_000_000.0)
            text += format_record(
                data["message"], component=data["component"], time=time, date=date, type=data["type"],
                thread=1, file=data["file"],
            )  # fmt: skip
    return text


def told(found: Trace) -> list[tuple[str, str | None, int | None]]:
    return [(item.name, item.status, item.code) for item in found.items]


WORKED = sequence(
    group(
        "Group 1", command("Step 1", "one", continue_on_error=True), command("Step 2", "two"),
        command("Step 3", "three"), continue_on_error=True,
    ),
    group("Group 2", command("Step 4", "four"), command("Step 5", "five"), command("Step 6", "six")),
)  # fmt: skip


@pytest.mark.rule("R06")
def test_a_failed_run_is_rebuilt_and_agrees_with_its_sequence() -> None:
    log = log_of(WORKED, World(commands={"one": 1, "two": 2, "four": 5}))
    found = traced(log)
    assert told(found) == [
        ("Group 1", "failed", None), ("Step 1", "failed", 1), ("Step 2", "failed", 2),
        ("Group 2", "failed", None), ("Step 4", "failed", 5),
    ]  # fmt: skip
    assert (found.result, found.failed_step, found.code, found.engine_code) == (
        "failed", "Step 4", 5, 0x80004005,
    )  # fmt: skip
    assert [item.continued for item in found.items[:3]] == [True, True, None]
    assert replay(WORKED, found).agrees is True
    rebuilt = skeleton(found.items)
    assert replay(rebuilt, found).agrees is True
    assert [entry["continue_on_error"] for entry in tree(rebuilt)] == [True, False]


def diverged(plan: TaskSequence, found: Trace) -> Any:
    result: Replay = replay(plan, found)
    assert result.agrees is False and result.divergence is not None
    return result.divergence


def changed(plan: TaskSequence, which: str, **more: Any) -> TaskSequence:
    def below(items: tuple[Group | Step, ...]) -> tuple[Group | Step, ...]:
        return tuple(
            replace(
                replace(item, children=below(item.children)) if isinstance(item, Group) else item,
                **(more if item.name == which else {}),
            )
            for item in items
        )

    return replace(plan, children=below(plan.children))


@pytest.mark.rule("R04")
@pytest.mark.rule("R06")
def test_a_replay_finds_the_first_place_where_the_engine_goes_another_way() -> None:
    found = traced(log_of(WORKED, World(commands={"one": 1, "two": 2})))
    stricter = diverged(changed(WORKED, "Step 1", continue_on_error=False), found)
    assert stricter.name == "Step 2" and "does not continue" in stricter.engine
    group_1 = diverged(changed(WORKED, "Group 1", continue_on_error=False), found)
    assert group_1.name == "Group 2" and "ends with failed" in group_1.engine
    codes = diverged(changed(WORKED, "Step 1", success_codes=(0, 1)), found)
    assert codes.name == "Step 1" and "success codes are 0 1" in codes.engine
    other = diverged(changed(WORKED, "Step 4", name="Other"), found)
    assert "goes on with 'Other'" in other.engine and "'Step 4'" in other.log
    skipped = diverged(changed(WORKED, "Step 4", disabled=True), found)
    assert "disabled" in skipped.engine
    longer = replace(WORKED, children=(*WORKED.children, command("More", "more")))
    assert "goes on with 'More'" in diverged(longer, found).engine


@pytest.mark.rule("R03")
def test_conditions_are_taken_from_the_log_and_checked_where_its_variables_are_known() -> None:
    plan = sequence(
        command("First", "first", condition=when("Unknown", "equals", "x")),
        group("Skipped", command("Inside"), condition=when("Other", "equals", "y")),
        command("Fails", "fails", continue_on_error=True),
        command("Handler", "handler", condition=when("_SMSTSLastActionSucceeded", "equals", "false")),
    )
    found = traced(log_of(plan, World(commands={"fails": 7}), {"Unknown": "x"}))
    assert [item.condition for item in found.items] == [True, False, None, True]
    assert replay(plan, found).compared["conditions"] == 3
    turned = changed(plan, "Handler", condition=when("_SMSTSLastActionSucceeded", "equals", "true"))
    assert "finds it false" in diverged(turned, found).engine


def test_restarts_are_seen_and_replayed() -> None:
    plan = sequence(partition(), apply_os(), setup_windows(), reboot("HD", "Again"), command("After"))
    log = log_of(plan, World(), {"_SMSTSClientPackageID": "LAB00003", "_SMSTSBootImageID": "LAB00002"})
    found = traced(log)
    assert found.result in ("success", "failed")
    if found.result == "success":
        assert [restart.after for restart in found.restarts][-1] == "Again"
    assert replay(plan, found).agrees is True
    cut = traced(log[: log.index("Reboot to")] if "Reboot to" in log else log)
    assert cut.result == "restart"


@pytest.mark.rule("R66")
def test_a_restart_that_could_not_be() -> None:
    plan = sequence(reboot("WinPE", "Too early", continue_on_error=True), command("Never", "never"))
    found = traced(log_of(plan, World()))
    assert (found.result, found.failed_step, found.code) == ("failed", "Too early", 0x80004005)
    assert replay(plan, found).agrees is True


def test_3010_without_a_restart_in_the_log_is_a_difference() -> None:
    plan = sequence(command("Needs it", "x", success_codes=(0, 3010)), command("Next", "next"))
    log = log_of(plan, World()).replace("with the exit win32 code 0", "with the exit win32 code 3010", 1)
    assert "restarts the machine" in diverged(plan, traced(log)).engine


def test_a_log_that_begins_late_and_ends_early() -> None:
    log = log_of(WORKED, World())
    begin = log.rindex("<![LOG[", 0, log.index("Instruction name: Step 2"))
    end = log.index("Successfully completed the action (Step 5)")
    found = traced(log[begin:end])
    assert told(found) == [
        ("Step 2", "succeeded", 0), ("Step 3", "succeeded", 0), ("Group 1", "succeeded", None),
        ("Group 2", None, None), ("Step 4", "succeeded", 0), ("Step 5", None, None),
    ]  # fmt: skip
    assert found.result == "unknown" and found.failed_step is None
    assert found.damage[-1].reason == "the last record is cut"


def test_other_builds_say_it_otherwise() -> None:
    found = traced(
        "\n".join(
            f'<![LOG[{text}]LOG]!><time="1:2:3.4+0" date="1-2-2024" component="TSManager" type="1">'
            for text in (
                "The task execution engine started execution",
                "Start executing an instruction. Instruction name: 'A (b)'.  Pointer: 0. Type: ''.",
                "The group (A (b)) has been successfully started",
                "Start executing an instruction. Instruction name: 'S'.  Pointer: 1. Type: ''. Disabled: 0",
                "Failed to run the action: S. Error -2147024894",
                "The execution of the group (A (b)) has failed and the execution has been aborted.",
                "Failed to run the last action: S. Execution of task sequence failed.",
            )
        )
    )
    assert told(found) == [("A (b)", "failed", None), ("S", "failed", 0x80070002)]
    assert (found.result, found.failed_step, found.code) == ("failed", "S", 0x80070002)
    assert [item.pointer for item in found.items] == [0, 1]


def test_a_group_in_a_group_of_the_same_name_that_continues() -> None:
    found = traced(
        log_of(
            sequence(group("G", group("G", command("S", "run 0")), continue_on_error=True)),
            World(commands={"run 0": 5}),
        )
    )
    assert [(item.name, item.depth, item.status, item.continued) for item in found.items] == [
        ("G", 0, "failed", True),
        ("G", 1, "failed", None),
        ("S", 2, "failed", None),
    ]


def test_mdt_scripts_have_return_values() -> None:
    def line(component: str, text: str) -> str:
        return (
            f'<![LOG[{text}]LOG]!><time="1:2:3.000+000" date="02-07-2024" component="{component}" '
            f'context="" type="1" thread="" file="{component}">\r\n'
        )

    found = traced(
        line("ZTIGather", "Microsoft Deployment Toolkit version: 6.3")
        + line("ZTIGather", "ZTIGather processing completed successfully.")
        + line("LTIApply", "ZTI ERROR - Non-zero return code by LTIApply, rc = 2")
        + line("LiteTouch", "Command completed, return code = -2147467259")
    )
    assert told(found) == [("ZTIGather", "succeeded", None), ("LTIApply", "failed", 2)]
    assert (found.result, found.failed_step, found.engine_code) == ("failed", "LTIApply", 0x80004005)


ITEMS = st.recursive(
    st.builds(
        lambda n, keep, off, true: command(
            f"Step {n}", f"run {n}", continue_on_error=keep, disabled=off,
            condition=None if true is None else when("Known", "equals", "yes" if true else "no"),
        ),
        st.integers(0, 6), st.booleans(), st.just(False), st.sampled_from([None, None, True, False]),
    ),
    lambda below: st.builds(
        lambda n, keep, off, children: group(f"Group {n}", *children, continue_on_error=keep, disabled=off),
        st.integers(0, 3), st.booleans(), st.booleans(), st.lists(below, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.rule("R04")
@pytest.mark.rule("R06")
@settings(max_examples=40, deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=5), st.sets(st.integers(0, 6), max_size=3))
def test_what_the_engine_wrote_it_agrees_with(items: list[Any], failing: set[int]) -> None:
    plan = sequence(*items)
    world = World(commands={f"run {n}": 5 for n in failing})
    found = traced(log_of(plan, world, {"Known": "yes"}))
    assert found.result in ("success", "failed")
    assert replay(plan, found).divergence is None
    assert replay(skeleton(found.items), found).divergence is None


def test_a_replay_takes_the_sequence_out_of_a_console_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, export = tmp_path / "smsts.log", tmp_path / "export.zip"
    log.write_text(log_of(WORKED, World(commands={"one": 1, "two": 2, "four": 5})), encoding="utf-8")
    with zipfile.ZipFile(export, "w") as archive:
        for package, plan in (("LAB00001", sequence()), ("LAB00002", WORKED)):
            document = document_of(replace(plan, package_id=package, name=package))
            archive.writestr(f"SMS_TaskSequencePackage/{package}/object.xml", write_document(document))
    words = ["replay", str(log), "--sequence", str(export)]
    assert guarded(lambda: osdlab.main([*words, "--name", "LAB00002"], standalone_mode=False)) == 0
    assert "log and engine agree" in capsys.readouterr().out
    assert guarded(lambda: osdlab.main(words, standalone_mode=False)) == 2
    assert "holds 2 sequences" in capsys.readouterr().err
