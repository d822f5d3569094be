"""--vm-budget: the core always, the rest in turns, nothing left out in silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.run.budget import Candidate, choose, makespan, minutes

CORE = [
    Candidate("scenarios/bare-metal.yaml", 240, core=True),
    Candidate("scenarios/bios.yaml", 300, core=True),
]
REST = [Candidate(f"scenarios/{letter}.yaml", 200) for letter in "abcdefg"]


def names(turn: int, budget: float = 900, lanes: int = 2, factor: float = 1.0) -> list[str]:
    chosen = choose([*REST, *CORE], budget=budget, lanes=lanes, factor=factor, turn=turn)
    assert len(chosen.taken) + len(chosen.left_out) == 9
    return [item.name.removeprefix("scenarios/").removesuffix(".yaml") for item in chosen.taken]


def test_the_core_is_first_and_the_rest_takes_turns() -> None:
    for turn in range(20):
        assert names(turn)[:2] == ["bios", "bare-metal"] and names(turn) == names(turn)
    seen = set().union(*(names(turn) for turn in range(3)))
    assert seen == {"bios", "bare-metal", *"abcdefg"}
    assert names(0) != names(1)


def test_a_slower_host_takes_less_and_two_measurements_of_one_host_the_same() -> None:
    assert len(names(0, factor=2.0)) < len(names(0))
    assert names(0, factor=1.01) == names(0, factor=1.2)


def test_the_core_runs_whatever_the_budget_and_what_is_too_long_is_named() -> None:
    chosen = choose([*CORE, *REST], budget=60, lanes=1, factor=1, turn=7)
    assert [item.name for item in chosen.taken] == ["scenarios/bios.yaml", "scenarios/bare-metal.yaml"]
    told = "\n".join(chosen.lines())
    assert "the core alone takes about 9 min: longer than the budget" in told
    assert told.count("left out") == 8 and "takes about 3 min 20 s: no room for it beside the core" in told


def test_what_is_left_out_says_when_its_turn_comes() -> None:
    chosen = choose(REST, budget=400, lanes=1, factor=1, turn=1)
    assert [item.name for item in chosen.taken] == ["scenarios/c.yaml", "scenarios/d.yaml"]
    assert dict((item.name[10], why) for item, why in chosen.left_out) == {
        "e": "its turn comes in 1 commit", "f": "its turn comes in 1 commit",
        "g": "its turn comes in 2 commits", "a": "its turn comes in 3 commits",
        "b": "its turn comes in 3 commits",
    }  # fmt: skip
    assert chosen.lines()[0] == (
        "VM budget 6 min 40 s, 1 lane, host factor 1, turn 1: batch 2 of 4; 2 to run in about 6 min 40 s, "
        "5 left out"
    )


@given(
    st.lists(st.tuples(st.floats(1, 2000), st.booleans()), max_size=12),
    st.integers(1, 4), st.floats(1, 4), st.integers(0, 50), st.floats(1, 5000),
)  # fmt: skip
def test_nothing_is_lost_and_the_rest_never_breaks_the_budget(
    found: list[tuple[float, bool]], lanes: int, factor: float, turn: int, budget: float
) -> None:
    given_ = [Candidate(f"s{index}", takes, core) for index, (takes, core) in enumerate(found)]
    chosen = choose(given_, budget=budget, lanes=lanes, factor=factor, turn=turn)
    assert sorted([*chosen.taken, *(item for item, _ in chosen.left_out)], key=given_.index) == given_
    assert all(item in chosen.taken for item in given_ if item.core)
    if any(not item.core for item in chosen.taken):
        assert makespan([chosen.estimate(item) for item in chosen.taken], lanes) <= budget
    core = [item for item in chosen.taken if item.core]
    turns = [
        choose(given_, budget=budget, lanes=lanes, factor=factor, turn=number)
        for number in range(chosen.batches)
    ]
    for item in given_:  # whatever there is room for has its turn
        alone = makespan([chosen.estimate(other) for other in (*core, item)], lanes)
        if item.core or alone <= budget:
            assert any(item in one.taken for one in turns)


def test_times_in_words() -> None:
    told = {0: "0 s", 40: "40 s", 60: "1 min", 150: "2 min 30 s", 1500: "25 min"}
    assert {seconds: minutes(seconds) for seconds in told} == told
