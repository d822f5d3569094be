"""Run Task Sequence: parent and child become one sequence before it runs, as in the machine's policy.

Engine room: pure. Documented: the child shares the parent's variables; it may hold children itself. A step
whose child is not known stays what it is, and the run says what that means (``steps.subsequence``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.references import PACKAGE_ID

SUBSEQUENCE = "SMS_TaskSequence_SubTasksequence"


class EndlessSequence(ValueError):
    """A sequence that holds itself. ``path``: the ids on the way round."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(f"task sequence {path[-1]} runs itself: {' > '.join(path)}")
        self.path = path


def child_id(step: Step) -> str:
    """The package id of the sequence that a Run Task Sequence step runs."""
    return step.variable("TsPackageID").strip() or step.variable("OSDSubTasksequencePackageID").strip()


def child_name(step: Step) -> str:
    """The name of that sequence; observed: the package id may stand before it, with a comma."""
    text = step.variable("TsName").strip() or step.variable("OSDSubTasksequenceTsName").strip()
    before, comma, rest = text.partition(",")
    return rest.strip() if comma and PACKAGE_ID.fullmatch(before.strip()) else text


def found_in(
    sequence: TaskSequence, known: Mapping[str, TaskSequence], offered: Collection[TaskSequence]
) -> dict[str, TaskSequence]:
    """The children, and theirs, that are not ``known`` by their package id but ``offered``: by that id, else
    by their name, when only one has it. Key: the id that the step says."""
    by_id = {child.package_id.casefold(): child for child in offered if child.package_id}
    by_name: dict[str, list[TaskSequence]] = {}
    for child in offered:
        by_name.setdefault(child.name.casefold(), []).append(child)
    said = {key.casefold() for key in known}
    found: dict[str, TaskSequence] = {}
    waiting = [sequence, *known.values()]
    while waiting:
        for step in children_of(waiting.pop()):
            key = child_id(step).casefold()
            if key in said:
                continue
            named = by_name.get(child_name(step).casefold(), [])
            chosen = by_id.get(key) or (named[0] if len(named) == 1 else None)
            if chosen is not None:
                said.add(key)
                found[child_id(step)] = chosen
                waiting.append(chosen)
    return found


def children_of(sequence: TaskSequence) -> Iterator[Step]:
    """The steps that run another sequence and may come to run: neither they nor a group around them is
    disabled, and no double answers them."""

    def below(items: tuple[Group | Step, ...]) -> Iterator[Step]:
        for item in items:
            if item.disabled:
                continue
            if isinstance(item, Group):
                yield from below(item.children)
            elif item.type == SUBSEQUENCE and not item.doubled:
                yield item

    return below(sequence.children)


def expand(
    sequence: TaskSequence, children: Mapping[str, TaskSequence], *, path: tuple[str, ...] = ()
) -> TaskSequence:
    """The sequence with the children's items in place of the steps that run them, as groups of their names.

    ``children`` by package id, case does not count. What is in its place is no reference any more; what it
    refers to is one. Raises EndlessSequence.
    """
    known = {key.casefold(): child for key, child in children.items()}
    above = path or (sequence.package_id or sequence.name,)
    references, variables = list(sequence.references), list(sequence.variables)
    placed: set[str] = set()

    def items(given: tuple[Group | Step, ...]) -> tuple[Group | Step, ...]:
        return tuple(item(one) for one in given)

    def item(one: Group | Step) -> Group | Step:
        if isinstance(one, Group):
            return replace(one, children=items(one.children))
        child = known.get(child_id(one).casefold()) if one.type == SUBSEQUENCE else None
        if child is None or one.doubled:
            return one
        way = (*above, child_id(one))
        if child_id(one).casefold() in {name.casefold() for name in above}:
            raise EndlessSequence(way)
        whole = expand(child, children, path=way)
        placed.add(child_id(one).casefold())
        references.extend(whole.references)
        variables.extend(whole.variables)
        return Group(
            name=one.name,
            description=one.description,
            disabled=one.disabled,
            continue_on_error=one.continue_on_error,
            children=whole.children,
            condition=one.condition,
            position=one.position,
        )

    children_ = items(sequence.children)
    left = tuple(item for item in references if item.package.casefold() not in placed)
    return replace(sequence, children=children_, references=left, variables=tuple(variables))
