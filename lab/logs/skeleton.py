"""The skeleton of a task sequence from its log alone: groups, steps, what is known of each.

What the log does not show (children of a skipped group, steps that were never reached, conditions' text) is
not in it. That a failed item continues is taken from what ran after it in the same group (R04, R06).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from lab.logs.history import Item
from lab.sequence.conditions import VARIABLE_EXPRESSION
from lab.sequence.model import Condition, Group, Position, Step, TaskSequence
from lab.sequence.steptypes import STEP_TYPES

#: Stands where the log shows that there is a condition, but not which.
UNKNOWN_CONDITION = Condition(
    VARIABLE_EXPRESSION, (("Operator", "equals"), ("Variable", "OSDUnknown"), ("Value", ""))
)


@dataclass
class _Node:
    item: Item | None
    children: list[_Node] = field(default_factory=list)
    continues: bool = False


def skeleton(items: list[Item], name: str = "") -> TaskSequence:
    """The sequence that these items of one run show."""
    root = _Node(None)
    path = [root]
    retried = ""
    for item in items:
        if retried == item.name:
            retried = item.name if item.retry else ""
            continue  # the same instruction again, after a restart that it asked for
        retried = item.name if item.retry else ""
        del path[max(1, min(len(path), item.depth + 1)) :]
        siblings = path[-1].children
        if siblings and siblings[-1].item is not None and siblings[-1].item.status == "failed":
            siblings[-1].continues = True
        node = _Node(item, continues=bool(item.continued))
        siblings.append(node)
        if item.kind == "group" and item.status not in ("skipped", "disabled"):
            path.append(node)
    return TaskSequence(name, children=tuple(map(_model, root.children)))


def _model(node: _Node) -> Group | Step:
    item = node.item
    assert item is not None
    position = Position(item.path, item.line, 1)
    condition = None if item.condition is None else replace(UNKNOWN_CONDITION, position=position)
    if item.kind == "group":
        children = tuple(map(_model, node.children))
        return Group(
            item.name, "", item.status == "disabled", node.continues, children, condition, position
        )  # fmt: skip
    codes: tuple[int, ...] = (0,)
    if item.status == "succeeded" and item.code:
        codes = (0, item.code)
    elif item.status == "failed" and not item.code:
        codes = ()
    return Step(
        item.type or step_type(item.command or ""),
        item.name,
        disabled=item.status == "disabled",
        continue_on_error=node.continues,
        success_codes=codes,
        action=item.command or "",
        condition=condition,
        position=position,
    )


def step_type(command: str) -> str:
    """The XML type of the step whose action this command line is, or "" when it cannot be told."""
    words = command.replace('"', " ").split()
    program = words[0].replace("/", "\\").rsplit("\\", 1)[-1].casefold() if words else ""
    if not program:
        return ""
    if program == "smsswd.exe":
        wanted = "install" if "/install" in command.casefold() else "command"
        types = [kind.type for kind in STEP_TYPES.values() if kind.program.casefold() == program]
        return next((kind for kind in types if wanted in kind.casefold()), "")
    found = [kind.type for kind in STEP_TYPES.values() if kind.program.casefold() == program]
    return found[0] if len(found) == 1 else ""


def tree(sequence: TaskSequence) -> list[dict[str, Any]]:
    """The skeleton as JSON: name, kind, type, action, continue_on_error, condition (bool), children, line."""
    return [_json(item) for item in sequence.children]


def _json(item: Group | Step) -> dict[str, Any]:
    common = {
        "name": item.name,
        "kind": "group" if isinstance(item, Group) else "step",
        "disabled": item.disabled,
        "continue_on_error": item.continue_on_error,
        "condition": item.condition is not None,
        "line": item.position.line,
    }
    if isinstance(item, Group):
        return {**common, "children": [_json(child) for child in item.children]}
    return {**common, "type": item.type or None, "action": item.action or None}
