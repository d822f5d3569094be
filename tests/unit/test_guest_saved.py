"""A saved run that is damaged anywhere: told clearly, never a traceback."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.guest.saved import FORMAT, Unusable, checked, read_saved
from lab.sequence.effects import Outcome
from tests.unit.test_guest_loop import COMMANDS, RESTARTS, World, restarted


@cache
def saves() -> tuple[dict[str, Any], ...]:
    """What was saved at every effect of two runs, with a restart between."""
    first, second = World({"RunCommand": Outcome(value={"sets": {"Ä": "ö"}})}), restarted()
    first.loop(COMMANDS, "boot-1").start({"Secret": "x"}, ["Secret"])
    second.loop(RESTARTS, "boot-2", second.saves[-1]).resume(second.saves[-1])
    return (*first.saves, *second.saves)


def test_at_every_effect_what_was_saved_can_be_gone_on_with() -> None:
    kinds = set()
    for saved in saves():
        state, pending = checked(read_saved(json.dumps(saved).encode()))
        assert state.to_json() == saved["state"]
        kinds.add(pending.kind)
    assert {"GatherFacts", "RunCommand", "Restart", "CleanUp"} <= kinds


@given(st.data())
def test_a_file_that_is_cut_at_any_byte_is_told_clearly(data: st.DataObject) -> None:
    content = json.dumps(data.draw(st.sampled_from(saves())), ensure_ascii=False).encode()
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    with pytest.raises(Unusable, match=r"empty|damaged"):
        read_saved(cut)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, item in inner for place in _places(item, (*path, key))]


@given(st.data())
def test_a_value_that_is_gone_or_another_never_gives_a_traceback(data: st.DataObject) -> None:
    saved = json.loads(json.dumps(data.draw(st.sampled_from(saves()))))
    *path, last = data.draw(st.sampled_from(_places(saved)))
    parent = saved
    for key in path:
        parent = parent[key]
    if data.draw(st.booleans()):
        del parent[last]
    else:
        parent[last] = data.draw(st.sampled_from([None, 5, "x", [], {}]))
    try:
        checked(read_saved(json.dumps(saved).encode()))
    except Unusable as error:
        assert str(error)


@pytest.mark.parametrize("content", [b"[]", b"1", b'{"format": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_saved_run_says_so(content: bytes) -> None:
    with pytest.raises(Unusable):
        checked(read_saved(content))
    assert FORMAT == 2
