"""Nested sequences, and steps that the scenario answers itself."""

from __future__ import annotations

import pytest

from lab.sequence import codec
from lab.sequence import effects as fx
from lab.sequence.doubled import double_steps
from lab.sequence.engine import variables_of
from lab.sequence.model import Step
from lab.sequence.nested import EndlessSequence, expand
from lab.sequence.validate import validate
from tests.unit.sequence_world import World, command, fields, group, run, sequence, set_variable, when


def child(name: str = "Child", package: str = "LAB00020", **more: object) -> Step:
    variables = fields(TsName="x", TsPackageID=package)
    return Step("SMS_TaskSequence_SubTasksequence", name, variables=variables, **more)  # type: ignore[arg-type]


def test_a_child_shares_the_variables_and_fails_as_a_group() -> None:
    inner = sequence(set_variable("Seen", "%Given%"), command("breaks"))
    outer = sequence(set_variable("Given", "1"), child(continue_on_error=True), command("after"))
    told = run(expand(outer, {"lab00020": inner}), World(commands={"breaks": 5}), through_json=True)
    assert variables_of(told.state)["Seen"] == "1"
    assert told.steps() == {
        "Set Given": "success", "Set Seen": "success", "breaks": "failed", "after": "success",
    }  # fmt: skip


def test_children_nest_but_not_endlessly() -> None:
    inner = sequence(child("Deeper", "LAB00021"), command("in"))
    deeper = sequence(command("deep"))
    whole = expand(sequence(child()), {"LAB00020": inner, "LAB00021": deeper})
    assert list(run(whole, World()).steps()) == ["deep", "in"]
    with pytest.raises(EndlessSequence):
        expand(sequence(child()), {"LAB00020": inner, "LAB00021": sequence(child())})


@pytest.mark.rule("R68")
def test_a_deleted_child_keeps_the_sequence_from_running() -> None:
    told = run(sequence(command("first"), child()), World())
    assert told.finished.result == "failed"
    assert told.finished.step_code == 0x80040104
    assert told.steps() == {}
    skipped = sequence(command("first"), group("off", child(), disabled=True))
    assert run(skipped, World()).finished.result == "success"


def test_a_disabled_child_fails_whatever_the_error_handling_says() -> None:
    world = World(policy={"children": {"LAB00020": {"disabled": True}}})
    told = run(sequence(child(continue_on_error=True), command("after")), world)
    assert told.steps() == {"Child": "failed"}
    assert told.finished.result == "failed"
    never = sequence(child(condition=when("No", "exists")), command("after"))
    assert run(never, world).finished.result == "success"


def test_an_unknown_step_type_is_named_and_can_be_answered() -> None:
    item = Step("Vendor_Action", "Flash", action="flash.exe", run_in="WinPE", success_codes=(0, 3010))
    [problem] = validate(sequence(item))
    assert "'Flash'" in problem.message
    assert "Vendor_Action" in problem.message
    assert 'step: "Flash"' in problem.hint
    marked = double_steps(sequence(item, command("after")), ["vendor_*"])
    assert validate(marked) == []
    assert codec.from_json(codec.to_json(marked)) == marked
    answer = fx.Outcome(7, "doubled", value={"sets": {"Flashed": "yes"}})
    told = run(marked, World(scripts={"Flash": answer}))
    assert told.codes()["Flash"] == 7
    assert variables_of(told.state)["Flashed"] == "yes"
    restarting = World(scripts={"Flash": 3010}, volumes={"C:": {"disk": 0, "partition": 1}}, staged=True)
    run(marked, restarting, {"_SMSTSBootImageID": "LAB00002"})
    assert restarting.restarts == ["WinPE"]


def test_a_known_step_can_be_answered_but_not_in_the_wrong_place() -> None:
    item = command("Do", run_in="FullOS")
    marked = double_steps(sequence(item), ["Do"])
    world = World(scripts={"Do": 5})
    assert run(marked, world).finished.step_code == 0x80070032
    assert run(marked, World(in_winpe=False, scripts={"Do": 5})).finished.step_code == 5
