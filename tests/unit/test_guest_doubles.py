"""Doubles: which one answers, and what is offered when none does."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.guest.doubles import Double, UnansweredCommand, answer, suggestion
from lab.sequence.effects import RunCommand


def test_the_first_double_that_matches_the_whole_line_answers() -> None:
    doubles = [Double("setup.exe"), Double("*Set-Bios*", exit=3010), Double("*", exit=1)]
    found = answer(doubles, 'PowerShell.exe -File "\\\\srv\\SET-BIOS.ps1" ')
    assert found is doubles[1]
    assert answer(doubles[:2], "cmd /c setup.exe") is None, "a glob is over the whole line"


def test_a_regular_expression_is_searched_and_ignores_case() -> None:
    assert answer([Double("/bios[0-9]+\\.exe/")], "cmd /c BIOS12.EXE /s") is not None
    with pytest.raises(ValueError, match="regular expression"):
        Double.from_json({"command": "/(/"})


def test_an_exit_code_is_unsigned() -> None:
    assert Double("x", exit=-1).code == 0xFFFFFFFF


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(TypeError):
        Double.from_json({"command": "x", "exits": 1})


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"), max_codepoint=0x2FFF), min_size=1))
def test_what_is_suggested_can_be_pasted_and_answers_that_command_only(command: str) -> None:
    [pasted] = yaml.safe_load(suggestion([UnansweredCommand(RunCommand(command), "Run: it")]))["doubles"]
    double = Double.from_json(pasted)
    if "***" not in command:
        assert not double.answers(command + "x")
    assert double.answers(command)


def test_a_masked_secret_in_a_suggestion_matches_anything() -> None:
    [pasted] = yaml.safe_load(
        suggestion([UnansweredCommand(RunCommand("join.exe /p:x /q", shown="join.exe /p:*** /q"), "Join")])
    )["doubles"]
    assert Double.from_json(pasted).answers("join.exe /p:hunter2 /q")
