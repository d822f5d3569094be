"""The project's own scenarios, templates and the examples of their README are what the loader takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.run.software import complete
from lab.scenario.finding import templates_folder
from lab.scenario.loader import check_steps, load_scenarios
from lab.scenario.schema import Double, Scenario, Template
from lab.sequence.xmlformat import read_sequence
from lab.yamlio import Model, load_model, parse

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "scenarios" / "README.md").read_text(encoding="utf-8"), re.S
)


class Doubles(Model):
    doubles: tuple[Double, ...]


def test_every_sample_loads_and_asks_for_steps_that_its_sequence_has() -> None:
    samples = load_scenarios([ROOT / "scenarios"])
    assert "bare-metal.yaml" in [loaded.path.name for loaded in samples]
    for loaded in samples:
        whole = complete(loaded, read_sequence(loaded.sequence_path.read_bytes(), str(loaded.sequence_path)))
        assert check_steps(loaded, whole) == []


def test_the_first_sample_expects_something_of_every_step_and_of_every_kind() -> None:
    (loaded,) = load_scenarios([ROOT / "scenarios" / "bare-metal.yaml"])
    sequence = read_sequence(loaded.sequence_path.read_bytes(), str(loaded.sequence_path))
    assert set(loaded.scenario.expect.steps) == {item.name for _, _, item in sequence.walk()}
    kinds = {type(item).__name__ for item in loaded.expectations}
    assert kinds >= {
        "ResultExpected", "LogExpected", "VariableExpected", "RequestExpected", "PartitionExpected",
        "BootLoaderExpected", "FileExpected", "RegistryValueExpected",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", sorted(templates_folder(ROOT / "scenarios" / "x").glob("*.yaml")), ids=lambda p: p.stem
)
def test_templates(path: Path) -> None:
    assert load_model(path, Template).memory >= 256 << 20


def test_the_examples_of_the_readme() -> None:
    first, machines, doubles, software = EXAMPLES
    assert parse(first, "README", Scenario).expect.disk is not None
    several = parse("scenario: A\n" + machines, "README", Scenario).machines
    assert several["GUEST"].f12 == "left" and several["PC-2"].machine == "bios-x64"
    assert parse(doubles, "README", Doubles).doubles[0].to_json()["exit"] == 3010
    head = "scenario: A\nmachine: uefi-x64\nsequence: a.xml\nexpect: {result: success}\n"
    found = parse(head + software, "README", Scenario)
    assert found.applications["Editor"].detection[0].version == "2.0"
