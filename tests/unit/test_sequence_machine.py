"""Random sequences and outcomes: resuming changes nothing, and the group rules are those of a reference."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.sequence import effects as fx
from lab.sequence.engine import advance, next_effect, start
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.state import ExecutionState
from tests.unit.sequence_world import World, command, group, reboot, run, sequence, set_variable, when

FINE, WRONG, RESTARTS = (0, 7), (1, 5, 0x80070002, -2147467259), 3010
CONDITIONS = {
    "none": None,
    "true": when("Known", "equals", "yes"),
    "false": when("Known", "equals", "no"),
    "failed before": when("_SMSTSLastActionSucceeded", "equals", "false"),
}


@dataclass(frozen=True)
class Made:
    """A drawn item: a step with its outcome, or a group of items."""

    name: str
    condition: str
    disabled: bool
    continues: bool
    code: int = 0
    asks: str = ""
    items: tuple[Made, ...] | None = None


def _made(draw: st.DrawFn, depth: int, numbers: itertools.count[int], codes: tuple[int, ...]) -> Made:
    common: dict[str, Any] = {
        "condition": draw(st.sampled_from(["none", "none", "true", "false", "failed before"])),
        "disabled": draw(st.sampled_from([False, False, False, True])),
        "continues": draw(st.booleans()),
    }
    if depth and draw(st.booleans()):
        items = tuple(_made(draw, depth - 1, numbers, codes) for _ in range(draw(st.integers(0, 4))))
        return Made(f"G{next(numbers)}", items=items, **common)
    code = draw(st.sampled_from(codes))
    asks = draw(st.sampled_from(["", "", "restart", "retry"])) if RESTARTS in codes else ""
    return Made(f"S{next(numbers)}", code=code, asks=asks, **common)


@st.composite
def trees(draw: st.DrawFn, codes: tuple[int, ...] = (*FINE, *WRONG)) -> tuple[Made, ...]:
    numbers = itertools.count()
    return tuple(_made(draw, 3, numbers, codes) for _ in range(draw(st.integers(1, 5))))


def item(made: Made) -> Group | Step:
    common: dict[str, Any] = {
        "condition": CONDITIONS[made.condition],
        "disabled": made.disabled,
        "continue_on_error": made.continues,
    }
    if made.items is not None:
        return group(made.name, *map(item, made.items), **common)
    return command(made.name, f"run {made.name}.", success_codes=(0, 7, 3010), **common)


def steps(items: tuple[Made, ...]) -> list[Made]:
    return [s for made in items for s in (steps(made.items) if made.items is not None else [made])]


class Machine(World):
    """Each command answers as drawn. One that asks for a retry asks twice."""

    def __init__(self, items: tuple[Made, ...]) -> None:
        super().__init__(volumes={"C:": {"disk": 0, "partition": 3}}, in_winpe=False)
        self.drawn = {f"run {made.name}.": made for made in steps(items)}
        self.ran: list[str] = []

    def run(self, command: str) -> fx.Outcome:
        made = self.drawn[command]
        early = self.ran.count(made.name) < 2
        self.ran.append(made.name)
        wants = {"SMSTSRebootRequested": "HD"} if made.asks == "restart" else {}
        if made.asks == "retry" and early:
            wants = {"SMSTSRebootRequested": "HD", "SMSTSRetryRequested": "true"}
        return fx.Outcome(made.code, "doubled", value={"sets": wants} if wants else {})


# The reference, written from R04 and R06 (and R03): what runs, and whether the items as a whole failed.


def reference(items: tuple[Made, ...], ran: list[tuple[str, bool]]) -> bool:
    for made in items:
        true = {"none": True, "true": True, "false": False}.get(made.condition)
        if made.disabled or not (true if true is not None else bool(ran) and not ran[-1][1]):
            continue
        if made.items is None:
            ran.append((made.name, made.code in FINE))
        failed = reference(made.items, ran) if made.items is not None else made.code not in FINE
        if failed and not made.continues:
            return True
    return False


@pytest.mark.rule("R03")
@pytest.mark.rule("R04")
@pytest.mark.rule("R06")
@settings(max_examples=300, deadline=None)
@given(trees())
def test_groups_and_failures_follow_the_reference(items: tuple[Made, ...]) -> None:
    machine, expected = Machine(items), []
    failed = reference(items, expected)
    told = run(sequence(*map(item, items)), machine, {"Known": "yes"})
    assert machine.ran == [name for name, _ in expected]
    assert told.finished.result == ("failed" if failed else "success")
    if failed:
        assert told.finished.failed_step == expected[-1][0]


@pytest.mark.rule("R11")
@settings(max_examples=150, deadline=None)
@given(trees((*FINE, *WRONG, RESTARTS)))
def test_stopping_and_resuming_at_every_effect_changes_nothing(items: tuple[Made, ...]) -> None:
    plan = sequence(set_variable("Known", "yes"), *map(item, items), reboot("HD"), command("End", "run End."))
    last = Made("End", "none", False, False)
    straight = run(plan, Machine((*items, last)))
    stopped = run(plan, Machine((*items, last)), through_json=True)
    assert stopped.text() == straight.text()
    assert stopped.state == straight.state


@settings(max_examples=60, deadline=None)
@given(trees((*FINE, *WRONG, RESTARTS)), st.data())
def test_an_interrupted_effect_fails_its_step_and_the_run_comes_to_an_end(
    items: tuple[Made, ...], data: st.DataObject
) -> None:
    """Wherever the power is cut: what may not be repeated is answered INTERRUPTED, and the rules go on."""
    plan: TaskSequence = sequence(*map(item, items))
    machine = Machine(items)
    cut = data.draw(st.integers(0, 30), "the effect at which the power is cut")
    state = start(plan, {"Known": "yes"})
    for number in range(500):
        effect = next_effect(plan, state)
        if isinstance(effect, fx.Finished):
            return
        if number == cut:
            state = ExecutionState.from_json(json.loads(json.dumps(state.to_json())))
        interrupted = number == cut and not effect.repeatable and not isinstance(effect, fx.Restart)
        outcome = fx.INTERRUPTED if interrupted else machine.perform(effect)
        state, events = advance(plan, state, outcome)
        if interrupted and isinstance(next_effect(plan, state), fx.GatherFacts):
            state, events = advance(plan, state, machine.perform(fx.GatherFacts()))
        if interrupted:
            first = next(event.data for event in events if event.kind == "step-finished")
            assert (first["result"], first["code"]) == ("failed", fx.INTERRUPTED.code)
    raise AssertionError("the run did not come to an end")
