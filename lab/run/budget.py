"""Which runs on real machines fit into a given time: a fixed core always, the rest in turns. Pure.

The same turn, budget, lanes and factor choose the same. Over as many turns as there are batches each of the
rest has been in; what is left out is named with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Seconds of a run that says nothing of itself, on the accelerator probe's reference host.
USUAL = 240.0
#: The host's factor counts in steps of this, so that two measurements of one host choose the same.
_STEP = 0.25


@dataclass(frozen=True)
class Candidate:
    """Something that starts machines: a scenario, or a file of tests. ``takes``: seconds on the reference
    host; ``core``: it is always taken."""

    name: str
    takes: float = USUAL
    core: bool = False


@dataclass(frozen=True)
class Choice:
    """What is to run, in this order, what is not and why. Seconds are the host's own, by ``factor``."""

    taken: tuple[Candidate, ...]
    left_out: tuple[tuple[Candidate, str], ...]
    budget: float
    lanes: int
    factor: float
    turn: int
    batch: int
    batches: int
    note: str = ""

    def estimate(self, candidate: Candidate) -> float:
        return candidate.takes * self.factor

    def lines(self) -> list[str]:
        """The choice in words, one line each."""
        needed = makespan([self.estimate(item) for item in self.taken], self.lanes)
        told = [
            f"VM budget {minutes(self.budget)}, {self.lanes} lane{'' if self.lanes == 1 else 's'}, "
            f"host factor {self.factor:g}, turn {self.turn}: batch {self.batch + 1} of {self.batches}; "
            f"{len(self.taken)} to run in about {minutes(needed)}, {len(self.left_out)} left out"
        ]
        if self.note:
            told.append(f"  {self.note}")
        for item in self.taken:
            why = "core" if item.core else "its turn"
            told.append(f"  runs      {item.name}  about {minutes(self.estimate(item))}, {why}")
        told += [f"  left out  {item.name}  {why}" for item, why in self.left_out]
        if needed > self.budget:
            told.append(f"  the core alone takes about {minutes(needed)}: longer than the budget")
        return told


def choose(
    candidates: Iterable[Candidate], *, budget: float, lanes: int, factor: float, turn: int, note: str = ""
) -> Choice:
    """Choose for ``budget`` seconds on ``lanes`` machines at a time. ``turn`` counts up from one choice to
    the next, as a repository's commits do; ``note``: what is to be told of it."""
    known = sorted(set(candidates), key=lambda item: item.name)
    factor = math.ceil(factor / _STEP) * _STEP
    core = sorted((item for item in known if item.core), key=lambda item: -item.takes)
    rest = [item for item in known if not item.core]

    def fits(chosen: Sequence[Candidate], more: Candidate) -> bool:
        return makespan([item.takes * factor for item in (*chosen, more)], lanes) <= budget

    batches: list[list[Candidate]] = [[]]
    too_long = []
    for item in rest:
        if not fits(core, item):
            too_long.append(item)
        elif fits([*core, *batches[-1]], item):
            batches[-1].append(item)
        else:
            batches.append([item])
    number = turn % len(batches)
    taken = [*core, *batches[number]]
    left_out = []
    for other in (*batches[number + 1 :], *batches[:number]):  # those whose turn comes next fill what is left
        for item in other:
            if fits(taken, item):
                taken.append(item)
            else:
                away = (next(n for n, batch in enumerate(batches) if item in batch) - number) % len(batches)
                left_out.append((item, f"its turn comes in {away} commit{'' if away == 1 else 's'}"))
    for item in too_long:
        left_out.append((item, f"takes about {minutes(item.takes * factor)}: no room for it beside the core"))
    return Choice(
        tuple(taken), tuple(left_out), budget, lanes, factor, turn, number, len(batches), note
    )  # fmt: skip


def makespan(durations: Sequence[float], lanes: int) -> float:
    """Seconds until all are done when each starts, in this order, on the lane that is free first."""
    busy = [0.0] * max(1, lanes)
    for duration in durations:
        busy.sort()
        busy[0] += duration
    return max(busy)


def minutes(seconds: float) -> str:
    """Seconds in minutes and seconds: ``25 min``, ``2 min 30 s``, ``40 s``."""
    whole, rest = divmod(round(seconds), 60)
    parts = [f"{whole} min" if whole else "", f"{rest} s" if rest or not whole else ""]
    return " ".join(part for part in parts if part)
