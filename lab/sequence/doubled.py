"""Which steps a scenario answers itself: marked in the sequence before it runs.

Engine room: pure. A pattern is a glob (* and ?) over a step's name or its type; case does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lab.sequence.conditions import matches
from lab.sequence.model import Group, Step, TaskSequence


def matches_step(pattern: str, name: str, type: str) -> bool:
    """Whether a double's ``step`` means the step of that name and type."""
    wanted = pattern.strip().casefold()
    return any(matches(text.strip().casefold(), wanted) for text in (name, type))


def double_steps(sequence: TaskSequence, patterns: Iterable[str]) -> TaskSequence:
    """The sequence with every step marked that one of the patterns means."""
    wanted = tuple(patterns)
    if not wanted:
        return sequence

    def marked(items: tuple[Group | Step, ...]) -> tuple[Group | Step, ...]:
        found: list[Group | Step] = []
        for item in items:
            if isinstance(item, Group):
                found.append(replace(item, children=marked(item.children)))
            elif any(matches_step(pattern, item.name, item.type) for pattern in wanted):
                found.append(replace(item, doubled=True))
            else:
                found.append(item)
        return tuple(found)

    return replace(sequence, children=marked(sequence.children))
