"""Variables and secrets while a sequence runs, and the fields of Run Command Line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.sequence import effects as fx
from lab.sequence.model import Condition, Step, StepVariable
from lab.sequence.state import variables_of
from tests.unit.sequence_world import (
    World,
    command,
    fields,
    run,
    sequence,
    set_variable,
)

# variables in a run


@pytest.mark.rule("R12")
@pytest.mark.rule("R15")
def test_a_field_is_known_in_its_step_only_and_a_set_variable_beats_it() -> None:
    own = {"variables": fields(Color="blue")}
    world = World()
    tree = sequence(
        command("a", "%Color%", **own),
        command("b", "%Color%"),
        set_variable("COLOR", "red"),
        command("c", "%Color%", **own),
        set_variable("Color", ""),
        command("d", "%Color%", **own),
    )
    run(tree, world)
    lines = [effect.command for effect in world.performed if isinstance(effect, fx.RunCommand)]
    assert lines == ["blue", "%Color%", "red", "blue"]


@pytest.mark.rule("R17")
def test_read_only_variables_are_not_set_by_users() -> None:
    tree = sequence(
        command("script"),
        set_variable("_SMSTSMachineName", "evil", continue_on_error=True),
        set_variable("My Var", "x", continue_on_error=True),
    )
    outcome = fx.Outcome(value={"sets": {"_SMSTSInWinPE": "no", "Good": "1", "1Bad": "x"}})
    told = run(tree, World(commands={"script": outcome}))
    values = variables_of(told.state)
    assert (values["_SMSTSInWinPE"], values["_SMSTSMachineName"], values["Good"]) == ("true", "PC-1", "1")
    assert [data["code"] for data in told.of("step-finished")] == [0, 0x80070005, 0x80070057]


def test_secrets_are_in_no_event_and_no_report() -> None:
    world = World(commands={"net use": fx.Outcome(value={"output": "using Pa55word! now"})})
    tree = sequence(
        command("join", "net use /user:lab %OSDJoinPassword% %Copy%"),
        set_variable("Copy", "x%OSDJoinPassword%x"),
        command("again", "net use %Copy% %Hidden% %Field%", variables=fields(FieldPassword="LocalSecret")),
        command("literal", "echo LocalSecret", variables=fields(FieldPassword="LocalSecret")),
    )
    given = {"OSDJoinPassword": "Pa55word!", "Hidden": "under the rock"}
    told = run(tree, world, given, secrets=("HIDDEN",))
    lines = [effect for effect in world.performed if isinstance(effect, fx.RunCommand)]
    assert lines[0].command == "net use /user:lab Pa55word! %Copy%"
    assert lines[0].shown == "net use /user:lab *** %Copy%"
    assert lines[1].command == "net use xPa55word!x under the rock %Field%"
    for value in ("Pa55word!", "under the rock", "LocalSecret"):
        assert value not in told.text()
        assert value not in json.dumps(variables_of(told.state))
    assert {"name": "Copy", "value": "***", "secret": True} in told.of("variable")


def test_a_value_that_a_set_step_hides_is_in_no_log() -> None:
    hide = StepVariable("DoNotShowVariableValue", "DoNotShowVariableValue", "true", True)
    named, hidden = set_variable("OSDJoinPassword", "Pa55word!"), set_variable("Token", "under the rock")
    old = replace(set_variable("MyPassword", "drowssap"), variables=())
    told = run(sequence(named, replace(hidden, variables=(*hidden.variables, hide)), old), World())
    for value in ("Pa55word!", "under the rock", "drowssap"):
        assert value not in told.text()
    assert told.log().count('Start executing the command line: tsenv.exe "Token=***"') == 1


def test_a_command_line_may_be_kept_out_of_the_log() -> None:
    told = run(sequence(command("quiet", "cmd /c whisper")), World(), {"OSDDoNotLogCommand": "TRUE"})
    assert "whisper" not in told.text()


def test_the_output_variable_keeps_the_last_thousand_characters() -> None:
    step = command("talk", variables=fields(SMSTSRunCommandLineOutputVariableName="Out"))
    told = run(sequence(step), World(commands={"talk": fx.Outcome(value={"output": "a" * 999 + "b" * 999})}))
    assert variables_of(told.state)["Out"] == "a" + "b" * 999


def test_what_a_command_line_with_a_secret_prints_is_secret() -> None:
    step = command("talk", "talk %MyPassword%", variables=fields(SMSTSRunCommandLineOutputVariableName="Out"))
    world = World(commands={"talk": fx.Outcome(value={"output": "drowssap"})})
    told = run(sequence(step, command("next")), world, {"MyPassword": "password"})
    assert "Out" not in variables_of(told.state)
    assert {"name": "Out", "value": "***", "secret": True} in told.of("variable")


def test_another_account_cannot_be_used_in_pe() -> None:
    who = fields(_SMSTSRunCommandLineAsUser="true", SMSTSRunCommandLineUserName="LAB\\someone")
    step = command("x", variables=who)
    assert run(sequence(step), World()).finished.step_code == 0x80070032
    assert run(sequence(step), World(in_winpe=False)).finished.result == "success"
    nobody = command("x", variables=fields(_SMSTSRunCommandLineAsUser="true"))
    assert run(sequence(nobody), World(in_winpe=False)).finished.step_code == 0x80070057


def test_the_package_of_a_command_is_its_working_directory() -> None:
    world = World(packages={"LAB00004": ["tool.cmd"]})
    step = Step(
        "SMS_TaskSequence_RunCommandLineAction", "tool", action="smsswd.exe /run:LAB00004 tool.cmd /q"
    )
    run(sequence(step), world)
    ran = [effect for effect in world.performed if isinstance(effect, fx.RunCommand)]
    assert ran == [fx.RunCommand("tool.cmd /q", "X:\\_SMSTaskSequence\\Packages\\LAB00004")]


def test_conditions_of_unknown_types_are_false_and_said() -> None:
    odd = Condition("and", operands=(Condition("SMS_TaskSequence_MoonPhaseExpression"),))
    told = run(sequence(command("x", condition=odd)), World())
    assert told.steps() == {"x": "skipped"}
    text = "Unsupported condition expression SMS_TaskSequence_MoonPhaseExpression"
    assert [data["type"] for data in told.of("record") if data["message"] == text] == [3]
