"""Editing a sequence: every edit is another sequence, and a place that is none is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.sequence.editing import NoSuchItem, add, add_condition, at, change, find, move, remove
from lab.sequence.model import Condition, Group, Step, TaskSequence

REBOOT = "SMS_TaskSequence_RebootAction"
CONDITION = Condition(
    "SMS_TaskSequence_VariableConditionExpression", (("Variable", "A"), ("Operator", "exists"))
)


def step(name: str) -> Step:
    return Step(REBOOT, name)


SEQUENCE = TaskSequence(
    "s",
    children=(Group("one", children=(step("a"), step("b"))), Group("two", children=(step("a"),)), step("c")),
)


def names(sequence: TaskSequence) -> list[str]:
    return [item.name for _, _, item in sequence.walk()]


@pytest.mark.rule("R31")
def test_items_are_added_removed_and_moved() -> None:
    assert names(add(SEQUENCE, (0, 1), step("new"))) == ["one", "a", "new", "b", "two", "a", "c"]
    assert names(add(SEQUENCE, (3,), Group("three"))) == ["one", "a", "b", "two", "a", "c", "three"]
    assert names(remove(SEQUENCE, (0,))) == ["two", "a", "c"]
    assert names(move(SEQUENCE, (2,), (1, 0))) == ["one", "a", "b", "two", "c", "a"]
    assert names(move(SEQUENCE, (0,), (0, 1))) == ["two", "a", "one", "a", "b", "c"]
    assert names(SEQUENCE) == ["one", "a", "b", "two", "a", "c"], "the old one is as it was"


@pytest.mark.rule("R31")
def test_an_item_gets_continue_on_error_and_conditions() -> None:
    changed = change(SEQUENCE, (0,), continue_on_error=True)
    assert at(changed, (0,)).continue_on_error and not at(SEQUENCE, (0,)).continue_on_error
    once = add_condition(changed, (0, 1), CONDITION)
    condition = at(add_condition(once, (0, 1), CONDITION), (0, 1)).condition
    assert condition == Condition("and", operands=(CONDITION, CONDITION))


@pytest.mark.rule("R07")
def test_names_need_not_differ() -> None:
    assert find(SEQUENCE, "a") == [(0, 0), (1, 0)]


@pytest.mark.parametrize("path", [(), (3,), (0, 2), (2, 0), (0, 0, 0), (-1,)])
def test_a_place_that_is_none_is_refused(path: tuple[int, ...]) -> None:
    for edit in (remove, at, lambda s, p: change(s, p, name="x"), lambda s, p: move(s, p, (0,))):
        with pytest.raises(NoSuchItem):
            edit(SEQUENCE, path)
    if path != (3,) and path != (0, 2):  # one behind the last is a place to add
        with pytest.raises(NoSuchItem):
            add(SEQUENCE, path, step("x"))
    with pytest.raises(NoSuchItem):
        move(SEQUENCE, (0,), (0, 0, 0))


@given(st.data())
def test_what_is_added_is_there_and_removing_it_gives_the_old_sequence(data: st.DataObject) -> None:
    sequence = SEQUENCE
    for _ in range(data.draw(st.integers(0, 5))):
        groups = [(), *(path for name in ("one", "two", "g") for path in find(sequence, name))]
        group = data.draw(st.sampled_from(groups))
        items = sequence.children if group == () else at(sequence, group).children  # type: ignore[union-attr]
        path = (*group, data.draw(st.integers(0, len(items))))
        item = data.draw(st.sampled_from([step("new"), Group("g")]))
        added = add(sequence, path, item)
        assert at(added, path) == item
        assert remove(added, path) == sequence
        sequence = added
