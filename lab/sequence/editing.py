"""Editing a sequence (R31): items added, removed, moved and changed; each edit gives a new sequence.

Engine room: pure. An item is known by its path: the indices of its ancestors and itself among their
siblings, from the top: ``(1, 0)`` is the first item of the second item. ``lab.sequence.xmlbuild.change`` puts
an edited sequence back into the document it was read from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.sequence.model import Condition, Group, Step, TaskSequence

Item = Group | Step
Path = tuple[int, ...]


class NoSuchItem(LookupError):
    """A path that leads to nothing, or through a step."""


def find(sequence: TaskSequence, name: str) -> list[Path]:
    """The paths of all items with this name (names need not differ, R07), in running order."""
    found: list[Path] = []

    def below(items: tuple[Item, ...], path: Path) -> None:
        for index, item in enumerate(items):
            if item.name == name:
                found.append((*path, index))
            if isinstance(item, Group):
                below(item.children, (*path, index))

    below(sequence.children, ())
    return found


def at(sequence: TaskSequence, path: Path) -> Item:
    """The item at a path. Raises NoSuchItem."""
    items: tuple[Item, ...] = sequence.children
    item: Item | None = None
    for index in path:
        if not 0 <= index < len(items):
            raise NoSuchItem(f"there is no item at {path}")
        item = items[index]
        items = item.children if isinstance(item, Group) else ()
    if item is None:
        raise NoSuchItem("the empty path is the sequence itself")
    return item


def add(sequence: TaskSequence, path: Path, item: Item) -> TaskSequence:
    """Insert ``item`` so that it stands at ``path``; one behind the last is the end. Raises NoSuchItem."""
    if not path:
        raise NoSuchItem("the empty path is the sequence itself")

    def put(items: tuple[Item, ...]) -> tuple[Item, ...]:
        if not 0 <= path[-1] <= len(items):
            raise NoSuchItem(f"there is no place {path}")
        return (*items[: path[-1]], item, *items[path[-1] :])

    return _edit(sequence, path[:-1], put)


def remove(sequence: TaskSequence, path: Path) -> TaskSequence:
    """Take the item at ``path`` out, a group with all that is in it. Raises NoSuchItem."""
    at(sequence, path)
    return _edit(sequence, path[:-1], lambda items: (*items[: path[-1]], *items[path[-1] + 1 :]))


def move(sequence: TaskSequence, path: Path, to: Path) -> TaskSequence:
    """Take the item at ``path`` out and insert it at ``to``, a path in the sequence without it.

    Raises NoSuchItem. A group cannot move into itself: such a place is gone once it is out.
    """
    item = at(sequence, path)
    return add(remove(sequence, path), to, item)


def change(sequence: TaskSequence, path: Path, **changes: Any) -> TaskSequence:
    """Give the item at ``path`` other fields: ``name``, ``disabled``, ``continue_on_error``, ``condition``…

    Raises NoSuchItem; TypeError for a field that the item does not have.
    """
    changed = replace(at(sequence, path), **changes)
    return _edit(sequence, path[:-1], lambda items: (*items[: path[-1]], changed, *items[path[-1] + 1 :]))


def add_condition(sequence: TaskSequence, path: Path, condition: Condition) -> TaskSequence:
    """Let the item at ``path`` run only where ``condition`` holds too (the root of a condition is an AND)."""
    old = at(sequence, path).condition
    operands = () if old is None else old.operands if old.kind == "and" and not old.values else (old,)
    return change(sequence, path, condition=Condition("and", operands=(*operands, condition)))


def _edit(
    sequence: TaskSequence, path: Path, put: Callable[[tuple[Item, ...]], tuple[Item, ...]]
) -> TaskSequence:
    """The sequence with the children of the group at ``path`` (``()``: its own) put otherwise."""

    def below(items: tuple[Item, ...], rest: Path) -> tuple[Item, ...]:
        if not rest:
            return put(items)
        if not 0 <= rest[0] < len(items) or not isinstance(items[rest[0]], Group):
            raise NoSuchItem(f"there is no group at {path}")
        group = items[rest[0]]
        assert isinstance(group, Group)
        made = replace(group, children=below(group.children, rest[1:]))
        return (*items[: rest[0]], made, *items[rest[0] + 1 :])

    return replace(sequence, children=below(sequence.children, path))
