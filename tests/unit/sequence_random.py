"""Random sequences for property tests: everything that the engine decides about."""

from __future__ import annotations

from hypothesis import strategies as st

from lab.sequence.model import Group, Step, TaskSequence
from tests.unit.sequence_world import (
    apply_os,
    command,
    partition,
    reboot,
    sequence,
    set_variable,
    setup_windows,
    when,
)

#: What the commands of these sequences end with, by their command line.
CODES = {"ok": 0, "bad": 5, "again": 3010}

conditions = st.sampled_from(
    [
        None,
        None,
        when("A", "exists"),
        when("_SMSTSLastActionSucceeded", "equals", "false"),
        when("_SMSTSInWinPE", "equals", "true"),
    ]
)
flags = st.sampled_from([False, False, False, True])


@st.composite
def steps(draw: st.DrawFn) -> Step:
    more = {
        "disabled": draw(flags), "continue_on_error": draw(flags), "condition": draw(conditions),
    }  # fmt: skip
    kind = draw(st.sampled_from(["ok", "bad", "again", "set", "HD", "WinPE", "disk", "os", "setup", "odd"]))
    if kind in CODES:
        return command(kind, kind, **more)
    if kind == "set":
        return set_variable(draw(st.sampled_from(["A", "B", "_X"])), draw(st.sampled_from(["1", ""])), **more)
    if kind in ("HD", "WinPE"):
        return reboot(kind, **more)
    if kind == "disk":
        return partition(**more)
    if kind == "odd":
        return Step("Vendor_Step", "Odd", action="vendor.exe", **more)
    return apply_os(**more) if kind == "os" else setup_windows()


def _groups(items: st.SearchStrategy[Group | Step]) -> st.SearchStrategy[Group | Step]:
    return st.builds(
        lambda children, disabled, goes_on, condition: Group(
            "G", disabled=disabled, continue_on_error=goes_on, children=tuple(children), condition=condition
        ),
        st.lists(items, max_size=4),
        flags,
        st.booleans(),
        conditions,
    )


sequences: st.SearchStrategy[TaskSequence] = st.lists(
    st.recursive(steps(), _groups, max_leaves=8), max_size=6
).map(lambda items: sequence(*items))
