"""What is typed into the wizard, and what to paste where the scenario does not say it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.client.answers import typed
from lab.errors import LabFault

CHOOSE: dict[str, Any] = {
    "page": "choose",
    "items": [
        {"number": 1, "name": "Windows: new", "deployment": "LAB20002"},
        {"number": 2, "name": "Wipe", "deployment": "LAB20001"},
    ],
    "refused": "",
}
VARIABLE: dict[str, Any] = {"page": "variable", "name": "OSDComputerName", "secret": False, "refused": ""}


@pytest.mark.parametrize("choose", ["Wipe", "lab20001", "2"])
def test_a_sequence_is_chosen_by_its_name_its_deployment_or_its_number(choose: str) -> None:
    assert typed(CHOOSE, {"choose": choose}, machine="PC-1") == "2"


def test_a_value_is_found_whatever_the_case_of_its_name() -> None:
    answers = {"variables": {"osdcomputername": "PC-7"}}
    assert typed(VARIABLE, answers, machine="PC-1") == "PC-7"


@pytest.mark.parametrize(
    ("page", "answers", "answer"),
    [
        (CHOOSE, {}, {"choose": "Windows: new"}),
        (CHOOSE, {"choose": "Windows 95"}, {"choose": "Windows: new"}),
        (VARIABLE, {"choose": "x"}, {"variables": {"OSDComputerName": "the value"}}),
    ],
)
def test_an_answer_that_is_missing_comes_as_lines_to_paste(
    page: dict[str, Any], answers: dict[str, Any], answer: dict[str, Any]
) -> None:
    with pytest.raises(LabFault) as caught:
        typed(page, answers, machine="PC-1")
    assert "'PC-1'" in caught.value.message
    has = "the 'wizard' that the scenario (or its machine) has" in caught.value.hint
    assert has == bool(answers)  # a second one would be refused
    assert yaml.safe_load(caught.value.hint.partition("\n")[2]) == {"wizard": answer}


def test_all_variables_that_have_no_value_are_told_at_the_first_page() -> None:
    page = {**VARIABLE, "later": ["Room", "Pin", "Floor"]}
    answers = {"variables": {"osdcomputername": "PC-7", "FLOOR": ""}}
    with pytest.raises(
        LabFault, match="asks for variables Room, Pin, and the scenario gives no value"
    ) as told:
        typed(page, answers, machine="PC-1")
    assert yaml.safe_load(told.value.hint.partition("\n")[2]) == {
        "wizard": {"variables": {"Room": "the value", "Pin": "the value"}}
    }


@pytest.mark.parametrize(
    ("page", "answers"), [(VARIABLE, {"variables": {"OSDComputerName": "x"}}), (CHOOSE, {"choose": "1"})]
)
def test_an_answer_that_the_wizard_refuses_is_not_typed_for_ever(
    page: dict[str, Any], answers: dict[str, Any]
) -> None:
    with pytest.raises(LabFault, match="refuses the scenario's answer: too long"):
        typed({**page, "refused": "too long"}, answers, machine="PC-1")


@pytest.mark.parametrize(
    "page",
    [{}, {**VARIABLE, "later": 7}, {"page": "choose", "items": []}, {"page": "choose", "items": ["x"]}],
)
def test_what_is_no_page_is_the_labs_trouble(page: dict[str, Any]) -> None:
    with pytest.raises(LabFault, match="none of the wizard's"):
        typed(page, {"choose": "x"}, machine="PC-1")
