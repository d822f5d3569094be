"""A scenario's matrix: a run for each combination, each with its own machine, and problems at their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import validator_for

from lab.errors import InputError
from lab.judge.record import build_record, write_record
from lab.report.allure_results import newest_runs, write_run
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.scenario.machines import identity
from lab.scenario.matrix import file_schema
from lab.scenario.siteschema import SiteFile
from lab.yamlio import json_schema

SCENARIOS = Path(__file__).parents[2] / "scenarios"

TEMPLATE = "firmware: {}\nmemory: 768 MiB\ndisks: [{{size: 20 GiB}}]\n"
HEAD = "scenario: A title\nexpect: {result: success}\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    (tmp_path / "vm-templates").mkdir()
    for name, firmware in (("one", "uefi"), ("two", "bios")):
        (tmp_path / "vm-templates" / f"{name}.yaml").write_text(TEMPLATE.format(firmware))
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text("<sequence/>")
    return tmp_path


def load(house: Path, text: str) -> list[LoadedScenario]:
    path = house / "s.yaml"
    path.write_text(HEAD + text)
    return load_scenarios([path])


def test_each_combination_is_a_run_of_its_own(house: Path) -> None:
    loaded = load(house, "matrix:\n  machine: [one, two]\n  sequence: [a.xml, b.xml]\n")
    assert [run.title for run in loaded] == [
        "A title [one, a]", "A title [one, b]", "A title [two, a]", "A title [two, b]",
    ]  # fmt: skip
    assert [(run.template.firmware, run.sequence_path.name) for run in loaded[1:3]] == [
        ("uefi", "b.xml"), ("bios", "a.xml"),
    ]  # fmt: skip
    assert len({identity(run.identity) for run in loaded}) == 4


def test_what_is_not_in_the_matrix_is_said_once_for_all(house: Path) -> None:
    loaded = load(house, "machine: one\nmatrix: {sequence: [a.xml, b.xml]}\n")
    assert [(run.variant, run.scenario.machine) for run in loaded] == [("a", "one"), ("b", "one")]


def test_sequences_of_one_name_are_told_by_their_paths(house: Path) -> None:
    for folder in ("x", "y"):
        (house / folder).mkdir()
        (house / folder / "same.xml").write_text("<sequence/>")
    loaded = load(house, "machine: one\nmatrix: {sequence: [x/same.xml, y/same.xml, a.xml]}\n")
    assert [run.variant for run in loaded] == ["x/same.xml", "y/same.xml", "a"]
    assert len({identity(run.identity) for run in loaded}) == 3


def test_the_report_has_each_run_of_a_matrix(house: Path) -> None:
    """They are no repetitions of each other: neither left out as older, nor shown as retries."""
    made = house / "results"
    made.mkdir()
    for run in load(house, "machine: one\nmatrix: {sequence: [a.xml, b.xml]}\n"):
        folder = house / "reports" / run.variant
        folder.mkdir(parents=True)
        write_record(
            folder, build_record(run, [], {}, run=run.variant, folder=str(folder), fidelity="sim", bug="none")
        )
    runs, left_out = newest_runs(house / "reports")
    assert ([path.name for path in runs], left_out) == (["a", "b"], 0)
    for path in runs:
        write_run(path, made)
    known = {json.loads(path.read_text())["historyId"] for path in made.glob("*-result.json")}
    assert len(known) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("matrix: {machine: [one, tow]}\nsequence: a.xml\n", "s.yaml:3:25: unknown template 'tow'"),
        ("matrix: {machine: [one]}\nmachine: two\nsequence: a.xml\n", "s.yaml:3:10: 'machine' stands in the"),
        ("matrix: {}\nmachine: one\nsequence: a.xml\n", "s.yaml:3:9: the matrix is empty"),
        (
            "matrix: {machine: [one, one]}\nsequence: a.xml\n",
            "s.yaml:3:9: a value stands in the matrix twice",
        ),
        ("matrix: {disk: [one]}\nmachine: one\nsequence: a.xml\n", "s.yaml:3:10: unknown key 'disk'"),
        ("matrix: [one]\nmachine: one\nsequence: a.xml\n", "s.yaml:3:9: expected a mapping"),
        ("matrix: {machine: one}\nsequence: a.xml\n", "s.yaml:3:19: expected a list"),
        ("matrix: {machine: [one]}\n", "s.yaml:1:1: key 'sequence' is missing"),
    ],
)
def test_what_is_wrong_in_a_matrix_is_told_once_at_its_place(house: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(house, text)
    assert len(caught.value.problems) == 1
    assert said in str(caught.value.problems[0])


def test_the_schema_for_editors_lets_a_matrix_stand_for_machine_and_sequence() -> None:
    schema = file_schema()
    assert set(schema["required"]) == {"scenario"}
    assert schema["anyOf"] == [{"required": ["expect"]}, {"required": ["machines"]}]
    assert set(schema["properties"]["matrix"]["properties"]) == {"machine", "sequence"}


def as_an_editor(path: Path) -> Any:
    return json.loads(json.dumps(yaml.safe_load(path.read_text())))  # keys are texts, types by their look


def test_the_schemas_for_editors_take_the_examples_and_refuse_what_is_misspelled() -> None:
    scenarios, sites = validator_for(file_schema()), validator_for(json_schema(SiteFile))
    found = [*SCENARIOS.rglob("*.yaml")]
    for path in found:
        schema = sites if path.parent.name == "sites" else scenarios
        assert [str(error) for error in schema.iter_errors(as_an_editor(path))] == [], path
    precedence = as_an_editor(SCENARIOS / "site" / "precedence.yaml")
    precedence["site"]["devices"]["PC-1"]["macc"] = "x"
    assert not scenarios.is_valid(precedence) and len(found) > 40
