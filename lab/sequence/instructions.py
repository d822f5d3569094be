"""The instruction table of a sequence: what the engine's pointer points into.

Engine room: pure. Depth first from 0; groups, disabled items and the end of each group are instructions
(observed log: the group's name appears again, at the pointer behind its last child).
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.sequence.conditions import asks_the_machine
from lab.sequence.model import Group, Step, TaskSequence


@dataclass(frozen=True)
class Instruction:
    """One entry. ``parents``: pointers of the groups around it, outermost first. ``number``: the how-manieth
    enabled step it is (0 for groups and disabled steps). ``end``: a group's end's pointer, else its own.
    ``closes``: it is a group's end; ``opening`` is where that group begins, else its own pointer.
    ``asks``: its condition tests more than variables."""

    item: Group | Step
    pointer: int
    depth: int
    parents: tuple[int, ...]
    number: int = 0
    end: int = 0
    opening: int = 0
    closes: bool = False
    asks: bool = False


@dataclass(frozen=True)
class Table:
    """All instructions by pointer. ``steps``: how many steps are enabled (progress counts these)."""

    instructions: tuple[Instruction, ...]
    steps: int


def build(sequence: TaskSequence) -> Table:
    """The table of a sequence. Steps in a disabled group count as enabled unless they are disabled too."""
    entries: list[Instruction] = []
    steps = 0

    def add(items: tuple[Group | Step, ...], parents: tuple[int, ...]) -> None:
        nonlocal steps
        for item in items:
            pointer = len(entries)
            asks = asks_the_machine(item.condition)
            if isinstance(item, Step):
                steps += not item.disabled
                number = 0 if item.disabled else steps
                entry = Instruction(item, pointer, len(parents), parents, number, pointer, pointer, asks=asks)
                entries.append(entry)
                continue
            entries.append(Instruction(item, pointer, len(parents), parents))
            add(item.children, (*parents, pointer))
            end = len(entries)
            entries[pointer] = Instruction(item, pointer, len(parents), parents, 0, end, pointer, asks=asks)
            entries.append(Instruction(item, end, len(parents), parents, 0, end, pointer, closes=True))

    add(sequence.children, ())
    return Table(tuple(entries), steps)


_recent: list[tuple[TaskSequence, Table]] = []


def table(sequence: TaskSequence) -> Table:
    """``build``, remembered for the few sequences that were asked for last (by identity: hashing is deep)."""
    for known, built in _recent:
        if known is sequence:
            return built
    built = build(sequence)
    _recent.insert(0, (sequence, built))
    del _recent[8:]
    return built
