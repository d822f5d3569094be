"""A run that stays alive between outcomes is the same as one that is made anew for each of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from lab.sequence import engine
from lab.sequence.effects import EngineEvent, Finished, Outcome
from lab.sequence.model import TaskSequence
from lab.sequence.state import ExecutionState
from tests.unit.sequence_random import CODES, sequences
from tests.unit.sequence_world import World, command, sequence

VARIABLES = {"_SMSTSBootImageID": "LAB00002", "_SMSTSClientPackageID": "LAB00003"}


@settings(max_examples=150, deadline=None)
@given(sequences)
def test_the_live_form_gives_the_same_states_and_events_at_every_effect(made: TaskSequence) -> None:
    compared(made, World(commands=dict(CODES)))


def compared(made: TaskSequence, world: World, form: type[engine.Running] = engine.Running) -> None:
    state = engine.start(made, VARIABLES)
    live = form(made, state)
    for _ in range(150):
        effect = engine.next_effect(made, state)
        if isinstance(effect, Finished):
            with pytest.raises(ValueError, match="over"):
                live.advance(Outcome())
            return
        outcome = world.perform(effect)
        state, events = engine.advance(made, state, outcome)
        assert live.advance(outcome) == (state, events)


class Forgetful(engine.Running):
    """Does not say all."""

    def advance(self, outcome: Outcome) -> tuple[ExecutionState, tuple[EngineEvent, ...]]:
        state, events = super().advance(outcome)
        return state, events[1:]


def test_the_comparison_sees_a_form_that_forgets() -> None:
    with pytest.raises(AssertionError):
        compared(sequence(command("ok")), World(), Forgetful)
