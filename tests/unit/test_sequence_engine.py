"""The engine: groups, failures, conditions, the log's wording, and going on in another process."""

from __future__ import annotations

import json

import pytest

from lab.sequence import effects as fx
from lab.sequence.engine import advance, next_effect, start
from lab.sequence.model import Step
from lab.sequence.state import ExecutionState, pending_data_path, variables_of
from tests.unit.sequence_world import (
    World,
    apply_os,
    command,
    fields,
    group,
    partition,
    positions,
    reboot,
    run,
    sequence,
    set_variable,
    setup_windows,
    when,
)

# groups and failures


@pytest.mark.rule("R06")
def test_the_worked_example_of_failing_groups() -> None:
    tree = sequence(
        group(
            "1", command("s1", continue_on_error=True), command("s2"), command("s3"), continue_on_error=True
        ),
        group("2", command("s4"), command("s5"), command("s6")),
    )
    told = run(tree, World(commands={"s1": 1, "s2": 2}))
    assert told.steps() == {"s1": "failed", "s2": "failed", "s4": "success", "s5": "success", "s6": "success"}
    assert [(data["name"], data["result"], data["continued"]) for data in told.of("group-finished")] == [
        ("1", "failed", True),
        ("2", "success", False),
    ]
    assert told.finished == fx.Finished("success", 0)

    told = run(tree, World(commands={"s4": 1}))
    assert told.steps() == {"s1": "success", "s2": "success", "s3": "success", "s4": "failed"}
    assert told.finished == fx.Finished("failed", 0x80004005, "s4", 1)


@pytest.mark.rule("R06")
def test_a_failing_nested_group_stops_its_continuing_parent() -> None:
    tree = sequence(
        group("outer", group("inner", command("a"), command("b")), command("c"), continue_on_error=True),
        command("d"),
    )
    told = run(tree, World(commands={"a": 1}))
    assert told.steps() == {"a": "failed", "d": "success"}
    assert told.finished.result == "success"


@pytest.mark.rule("R04")
def test_the_tail_of_a_failure_is_as_observed() -> None:
    told = run(sequence(group("G", command("broken"))), World(commands={"broken": 0x80070002}))
    log = told.log()
    order = positions(
        log,
        "Failed to run the action: broken. \nThe system cannot find the file specified. (Error: 80070002; "
        "Source: Windows)",
        "The execution of the group (G) has failed and the execution has been aborted. An action failed.\n"
        "Operation aborted (Error: 80004004; Source: Windows)",
        "Failed to run the last action: broken. Execution of task sequence failed.",
        "Task Sequence Engine failed! Code: enExecutionFail",
        "Task sequence execution failed with error code 80004005",
        "Error Task Sequence Manager failed to execute task sequence. Code 0x80004005",
    )
    assert order == sorted(order)
    assert told.of("sequence-finished") == [
        {"result": "failed", "code": 0x80004005, "failed_step": "broken", "step_code": 0x80070002}
    ]


def test_the_order_of_a_step_is_as_observed() -> None:
    told = run(sequence(group("G", command("work", condition=when("A", "equals", "1")))), World(), {"A": "1"})
    order = positions(
        told.log(),
        "Starting Task Sequence Engine . . . ",
        "The task execution engine started execution",
        "Start executing an instruction. Instruction name: G. Instruction pointer: 0",
        "The group (G) has been successfully started",
        "Start executing an instruction. Instruction name: work. Instruction pointer: 1",
        "Evaluating an AND expression",
        "Evaluating a variable condition expression",
        "The condition for the action (work) is evaluated to be true",
        "Start executing the command line: smsswd.exe /run: work",
        "Executing command line: smsswd.exe /run: work",
        "Process completed with exit code 0",
        "Successfully completed the action (work) with the exit win32 code 0",
        "Set a global environment variable _SMSTSLastActionRetCode=0",
        "Clear local default environment",
        "Start executing an instruction. Instruction name: G. Instruction pointer: 2",
        "The group (G) has been successfully completed",
        "The task exeuction engine successfully completed the execution",
        "Execution engine result code: Success (0)",
    )
    assert order == sorted(order)


@pytest.mark.rule("R03")
def test_conditions_and_disabled_items_skip_and_leave_the_last_action_alone() -> None:
    tree = sequence(
        command("first", success_codes=(0, 7)),
        command("no", condition=when("_SMSTSLastActionRetCode", "notEquals", "7")),
        group("off", command("inside"), disabled=True),
        group("false", command("inside too", condition=when("X", "exists")), condition=when("X", "exists")),
        command("yes", condition=when("_SMSTSLastActionName", "equals", "FIRST")),
    )
    told = run(tree, World(commands={"first": 7}))
    assert told.steps() == {"first": "success", "no": "skipped", "yes": "success"}
    assert [(data["name"], data["result"]) for data in told.of("group-finished")] == [
        ("off", "disabled"),
        ("false", "skipped"),
    ]
    text = "The group (false) has been skipped because the condition is evaluated to be false"
    assert text in told.log()
    assert [data["pointer"] for data in told.of("instruction")] == [0, 1, 2, 5, 8]
    assert [data["n"] for data in told.of("instruction")] == [1, 2, 0, 0, 5]
    assert told.of("sequence-started")[0]["steps"] == 5


def test_exit_codes_are_compared_unsigned() -> None:
    tree = sequence(command("odd", success_codes=(-2147024891,)))
    assert run(tree, World(commands={"odd": 0x80070005})).finished.result == "success"


@pytest.mark.parametrize(("run_in", "result"), [("FullOS", "failed"), ("WinPE", "success")])
def test_a_step_in_the_wrong_environment_fails(run_in: str, result: str) -> None:
    world = World()
    told = run(sequence(command("x", run_in=run_in)), world)
    assert told.finished.result == result
    assert told.finished.step_code == (0x80070032 if result == "failed" else 0)
    assert any(isinstance(effect, fx.RunCommand) for effect in world.performed) is (result == "success")


def test_an_unknown_step_type_never_passes() -> None:
    told = run(sequence(Step("SMS_TaskSequence_Nonsense", "odd", continue_on_error=True)), World())
    assert (told.finished.result, told.finished.step_code) == ("failed", 0x80070032)


def test_a_timeout_is_handed_to_the_performer_and_fails_the_step() -> None:
    world = World(commands={"slow": 0x800705B4})
    told = run(sequence(command("slow", timeout=60)), world)
    assert [effect.timeout for effect in world.performed if isinstance(effect, fx.RunCommand)] == [60]
    assert told.finished.step_code == 0x800705B4
    assert "Command line execution failed (800705B4)" in told.log()


def test_many_steps_without_effects_do_not_recurse() -> None:
    tree = sequence(*(set_variable("Same", str(index)) for index in range(1500)))
    assert run(tree, World()).finished.result == "success"


# going on elsewhere


def whole() -> tuple[object, dict[str, int]]:
    tree = sequence(
        group(
            "PE",
            partition(),
            set_variable("Secret", "%OSDJoinPassword%"),
            apply_os(),
            Step(
                "SMS_TaskSequence_ApplyWindowsSettingsAction",
                "Windows",
                variables=fields(OSDComputerName="%_SMSTSMachineName%", OSDTimeZone="UTC"),
            ),
            setup_windows(),
        ),
        group("OS", command("fails", continue_on_error=True), reboot("HD"), command("end")),
    )
    return tree, {"fails": 5}


@pytest.mark.rule("R11")
def test_a_run_may_stop_at_every_effect_and_go_on_elsewhere() -> None:
    tree, commands = whole()
    once = run(tree, World(commands=commands), {"OSDJoinPassword": "hunter2"})
    hopping = run(tree, World(commands=commands), {"OSDJoinPassword": "hunter2"}, through_json=True)
    assert hopping.events == once.events
    assert hopping.finished == once.finished == fx.Finished("success", 0)
    assert [state.to_json() for state in hopping.states] == [state.to_json() for state in once.states]


def test_a_state_can_be_forked_and_is_never_changed() -> None:
    tree, commands = whole()
    told = run(tree, World(commands=commands))
    kept = [json.dumps(state.to_json()) for state in told.states]
    for state in told.states[:-1]:
        effect = next_effect(tree, state)
        assert not isinstance(effect, fx.Finished)
        advance(tree, state, fx.Outcome(5))
        advance(tree, state, fx.INTERRUPTED)
    assert [json.dumps(state.to_json()) for state in told.states] == kept


def test_an_interrupted_step_looks_at_the_machine_again_and_fails() -> None:
    tree = sequence(command("cut", continue_on_error=True), command("next"))
    state, _ = advance(tree, start(tree, {}), fx.Outcome(value=World().facts()))
    state, _ = advance(tree, state, fx.INTERRUPTED)
    assert next_effect(tree, state) == fx.GatherFacts()
    now = {**World().facts(), "in_winpe": False}
    state, said = advance(tree, state, fx.Outcome(value=now))
    assert [event.data["code"] for event in said if event.kind == "step-finished"] == [0x800704C7]
    assert variables_of(state)["_SMSTSInWinPE"] == "false"


def test_a_state_of_another_format_or_sequence_is_refused() -> None:
    tree = sequence(command("a"))
    state, _ = advance(tree, start(tree, {}), fx.Outcome(value=World().facts()))
    with pytest.raises(ValueError, match="format 1"):
        ExecutionState.from_json({**state.to_json(), "format": 2})
    with pytest.raises(ValueError, match="does not belong"):
        advance(sequence(group("a")), state, fx.Outcome())
    with pytest.raises(ValueError, match="over"):
        told = run(tree, World())
        advance(tree, told.state, fx.Outcome())


def test_the_data_path_is_known_once_there_is_a_volume() -> None:
    told = run(sequence(partition(), command("x")), World())
    assert [pending_data_path(state) for state in told.states][:3] == ["", "", "C:\\_SMSTaskSequence"]
