"""The rules: each that is due is shown by something, and the check itself is seen to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.commands.rules import as_markdown
from lab.errors import InputError
from lab.rules.catalogue import Catalogue, load_catalogue
from lab.rules.shown import gaps, marks, shown
from lab.scenario.loader import load_scenarios
from lab.yamlio import parse

ROOT = Path(__file__).parents[2]


def test_every_rule_that_is_due_is_shown() -> None:
    catalogue = load_catalogue()
    found = shown(catalogue, marks(ROOT / "tests", ROOT), load_scenarios([ROOT / "scenarios"]), ROOT)
    assert [str(gap) for gap in gaps(catalogue, found)] == []


def test_the_page_of_rules_is_the_catalogue() -> None:
    page = ROOT / "docs" / "rules.md"
    assert page.read_text() == as_markdown(load_catalogue()), "make it anew: osdlab rules --markdown"


CATALOGUE = """
parts: {now: {title: now, due: "true"}, later: {title: later, due: "false"}}
rules:
  R01: {holds: one, sim: now, vm: now}
  R02: {holds: two, sim: now, vm: later}
  R03: {holds: three, sim: later, vm: later}
"""


def catalogue() -> Catalogue:
    return parse(CATALOGUE, "rules.yaml", Catalogue)


def a_file(folder: Path, text: str) -> Path:
    (folder / "tests").mkdir()
    (folder / "tests" / "test_a.py").write_text(text)
    return folder


def test_a_due_rule_without_anything_is_a_gap_in_each_place_where_it_is_due(tmp_path: Path) -> None:
    root = a_file(tmp_path, '@pytest.mark.rule("R01")\ndef test_one(): pass\n')
    found = shown(catalogue(), marks(root / "tests", root), [], root)
    assert found["R01"].tests == ["tests/test_a.py::test_one"]
    assert [(gap.rule, gap.where) for gap in gaps(catalogue(), found)] == [
        ("R01", "sim"), ("R01", "vm"), ("R02", "tests"), ("R02", "sim"),
    ]  # fmt: skip


def test_marks_say_where_a_test_shows_its_rule(tmp_path: Path) -> None:
    text = (
        'class TestB:\n    @pytest.mark.rule("R01", shown="vm")\n    @pytest.mark.rule("R02", shown="sim")\n'
        '    def test_two(self): pass\n@pytest.mark.rule("R01", shown="sim")\ndef test_one(): pass\n'
    )
    root = a_file(tmp_path, text)
    found = shown(catalogue(), marks(root / "tests", root), [], root)
    assert (found["R01"].sim, found["R01"].vm) == (
        ["tests/test_a.py::test_one"], ["tests/test_a.py::TestB::test_two"],
    )  # fmt: skip
    assert gaps(catalogue(), found) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('@pytest.mark.rule("R99")\ndef test_one(): pass\n', "test_a.py:1:1: there is no rule 'R99'"),
        ('@pytest.mark.rule("R01", shown="no")\ndef test_one(): pass\n', "this mark cannot be read"),
        ("@pytest.mark.rule(NUMBER)\ndef test_one(): pass\n", "this mark cannot be read"),
        ("def test_one(:\n", "Python cannot read this"),
    ],
)
def test_a_mark_that_means_nothing_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    root = a_file(tmp_path, text)
    with pytest.raises(InputError) as caught:
        shown(catalogue(), marks(root / "tests", root), [], root)
    assert said in str(caught.value.problems[0])


def test_a_part_that_nobody_defined_is_refused() -> None:
    with pytest.raises(InputError, match="R01 is due with 'never'"):
        parse(CATALOGUE.replace("sim: now, vm: now", "sim: never"), "rules.yaml", Catalogue)
