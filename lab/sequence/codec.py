"""TaskSequence <-> JSON, with a format version: how the host hands a sequence to the guest.

Engine room: standard library only. Defaults are left out, so the JSON stays small. ``from_json`` raises
ValueError for another format version or a shape that is not a sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.sequence.model import (
    Condition,
    Group,
    Position,
    Reference,
    Step,
    StepVariable,
    TaskSequence,
)

FORMAT = 1


def to_json(sequence: TaskSequence) -> dict[str, Any]:
    """The sequence as JSON values."""
    return {
        "format": FORMAT,
        "name": sequence.name,
        "version": sequence.version,
        "package_id": sequence.package_id,
        "path": sequence.position.path,
        "position": _place(sequence.position),
        "children": [_item(child) for child in sequence.children],
        "references": [
            {"package": ref.package, "program": ref.program, "application": ref.application}
            for ref in sequence.references
        ],
        "variables": [_variable(variable) for variable in sequence.variables],
    }


_recent: list[tuple[TaskSequence, dict[str, Any]]] = []


def encoded(sequence: TaskSequence) -> Mapping[str, Any]:
    """``to_json``, remembered for the few sequences that were asked for last (by identity): for reading."""
    for known, data in _recent:
        if known is sequence:
            return data
    data = to_json(sequence)
    _recent.insert(0, (sequence, data))
    del _recent[8:]
    return data


def from_json(data: dict[str, Any]) -> TaskSequence:
    """The sequence that ``to_json`` wrote. Raises ValueError when it is something else."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise ValueError(f"not a task sequence of format {FORMAT}: {found}")
    try:
        path = data["path"]
        return TaskSequence(
            name=data["name"],
            version=data["version"],
            package_id=data["package_id"],
            children=tuple(_read_item(child, path) for child in data["children"]),
            references=tuple(Reference(**reference) for reference in data["references"]),
            position=_read_place(data["position"], path),
            variables=tuple(StepVariable(*variable) for variable in data["variables"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not a task sequence: {error!r}") from error


def _place(position: Position) -> list[int]:
    return [position.line, position.column]


def _read_place(data: list[int], path: str) -> Position:
    return Position(path, data[0], data[1])


def _variable(variable: StepVariable) -> list[Any]:
    return [variable.name, variable.property, variable.value, variable.hidden]


def _item(item: Group | Step) -> dict[str, Any]:
    data: dict[str, Any] = {"name": item.name, "position": _place(item.position)}
    if item.description:
        data["description"] = item.description
    if item.disabled:
        data["disabled"] = True
    if item.continue_on_error:
        data["continue_on_error"] = True
    if item.condition is not None:
        data["condition"] = _condition(item.condition)
    if isinstance(item, Group):
        data["children"] = [_item(child) for child in item.children]
        return data
    data["type"] = item.type
    data["run_in"] = item.run_in
    data["success_codes"] = list(item.success_codes)
    data["retry_count"] = item.retry_count
    data["run_from_net"] = item.run_from_net
    data["timeout"] = item.timeout
    data["action"] = item.action
    data["variables"] = [_variable(variable) for variable in item.variables]
    if item.doubled:
        data["doubled"] = True
    return data


def _read_item(data: dict[str, Any], path: str) -> Group | Step:
    condition = data.get("condition")
    common: dict[str, Any] = {
        "name": data["name"],
        "description": data.get("description", ""),
        "disabled": data.get("disabled", False),
        "continue_on_error": data.get("continue_on_error", False),
        "condition": None if condition is None else _read_condition(condition, path),
        "position": _read_place(data["position"], path),
    }
    if "children" in data:
        return Group(children=tuple(_read_item(child, path) for child in data["children"]), **common)
    return Step(
        type=data["type"],
        run_in=data["run_in"],
        success_codes=tuple(data["success_codes"]),
        retry_count=data["retry_count"],
        run_from_net=data["run_from_net"],
        timeout=data["timeout"],
        action=data["action"],
        variables=tuple(StepVariable(*variable) for variable in data["variables"]),
        doubled=data.get("doubled", False),
        **common,
    )


def _condition(condition: Condition) -> dict[str, Any]:
    return {
        "kind": condition.kind,
        "values": [list(pair) for pair in condition.values],
        "operands": [_condition(operand) for operand in condition.operands],
        "position": _place(condition.position),
    }


def _read_condition(data: dict[str, Any], path: str) -> Condition:
    return Condition(
        kind=data["kind"],
        values=tuple((name, value) for name, value in data["values"]),
        operands=tuple(_read_condition(operand, path) for operand in data["operands"]),
        position=_read_place(data["position"], path),
    )
