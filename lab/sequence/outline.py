"""What a sequence looks like: its tree as JSON values, its conditions as prose.

Engine room: pure. ``outline`` is what ``osdlab sequence show --json`` prints for each sequence::

    {"name", "package_id", "version", "file", "line", "column", "references": [...], "variables": [name...],
     "flaws": [text...], "unknown": [...], "children": [node...]}

A node has "kind" ("group" or "step"; a nested sequence is a step), "name", "type" ("" for a group),
"description", "disabled", "continue_on_error", "conditions" (prose, or ""), "condition" (the tree, or null),
"references", "unknown", "line", "column"; a group has "children"; a step has "run_in", "success_codes",
"retry_count", "timeout" (seconds or null) and "sequence" (the package id of a nested sequence, or "").
Values of variables are left out: they may be secret.
"""

from __future__ import annotations

from typing import Any

from lab.sequence.model import Condition, Group, Position, Reference, Step, TaskSequence, Unknown
from lab.sequence.references import CHILD_SEQUENCE, listed_ids, step_references
from lab.sequence.steptypes import STEP_TYPES

_PREFIX, _SUFFIX = "SMS_TaskSequence_", "ConditionExpression"
_OPERATORS = {
    "exists": "exists",
    "notexists": "does not exist",
    "equals": "equals",
    "notequals": "does not equal",
    "less": "is less than",
    "lessequal": "is at most",
    "greater": "is greater than",
    "greaterequal": "is at least",
    "like": "is like",
    "notlike": "is not like",
}


def outline(sequence: TaskSequence) -> dict[str, Any]:
    """The sequence as JSON values; see above."""
    unknown: dict[tuple[int, int], list[Unknown]] = {}
    for item in sequence.unknown:
        unknown.setdefault((item.owner.line, item.owner.column), []).append(item)
    listed = listed_ids(sequence)
    return {
        "name": sequence.name,
        "package_id": sequence.package_id,
        "version": sequence.version,
        "file": sequence.position.path,
        **_place(sequence.position),
        "references": [_reference(item) for item in sequence.references],
        "variables": [variable.name for variable in sequence.variables],
        "flaws": [str(flaw) for flaw in sequence.flaws],
        "unknown": _unknown(sequence.position, unknown),
        "children": [_item(child, listed, unknown) for child in sequence.children],
    }


def _place(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column}


def _reference(reference: Reference) -> dict[str, str]:
    pairs = {
        "package": reference.package, "program": reference.program, "application": reference.application,
    }  # fmt: skip
    return {name: value for name, value in pairs.items() if value}


def _unknown(owner: Position, unknown: dict[tuple[int, int], list[Unknown]]) -> list[dict[str, Any]]:
    return [
        {"kind": item.kind, "name": item.name, "value": item.value, **_place(item.position)}
        for item in unknown.get((owner.line, owner.column), ())
    ]


def _item(
    item: Group | Step, listed: frozenset[str], unknown: dict[tuple[int, int], list[Unknown]]
) -> dict[str, Any]:
    step = item if isinstance(item, Step) else None
    data: dict[str, Any] = {
        "kind": "step" if step else "group",
        "name": item.name,
        "type": step.type if step else "",
        "description": item.description,
        "disabled": item.disabled,
        "continue_on_error": item.continue_on_error,
        "conditions": "" if item.condition is None else prose(item.condition),
        "condition": None if item.condition is None else _condition(item.condition),
        "references": [_reference(one) for one in step_references(step, listed)] if step else [],
        "unknown": _unknown(item.position, unknown),
        **_place(item.position),
    }
    if step:
        data["run_in"] = step.run_in
        data["success_codes"] = list(step.success_codes)
        data["retry_count"] = step.retry_count
        data["timeout"] = step.timeout
        data["sequence"] = step.variable("TsPackageID").strip() if step.type == CHILD_SEQUENCE else ""
    elif isinstance(item, Group):
        data["children"] = [_item(child, listed, unknown) for child in item.children]
    return data


def _condition(condition: Condition) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": condition.kind, **_place(condition.position)}
    if condition.values:
        data["values"] = dict(condition.values)
    if condition.operands:
        data["operands"] = [_condition(operand) for operand in condition.operands]
    return data


def type_name(type: str) -> str:
    """A step type as the editor names it, or its XML name without the prefix."""
    if type in STEP_TYPES:
        return STEP_TYPES[type].name
    return type.removeprefix(_PREFIX).removesuffix("Action") or "no type"


def prose(condition: Condition) -> str:
    """A condition as words: ``A equals "1" and none of (B exists, C exists)``; "" for an empty one."""
    return _prose(condition, outer=True)


def _prose(condition: Condition, outer: bool = False) -> str:
    kind = condition.kind
    if kind not in ("and", "or", "not"):
        return _expression(condition)
    parts = [text for text in (_prose(operand) for operand in condition.operands) if text]
    if kind == "not":
        return f"not ({parts[0]})" if len(parts) == 1 else f"none of ({', '.join(parts)})" if parts else ""
    if len(parts) <= 1 or outer:
        # The outermost 'and' of one 'or' would only add brackets.
        only = [operand for operand in condition.operands if _prose(operand)]
        if len(only) == 1:
            return _prose(only[0], outer)
        return f" {kind} ".join(parts)
    return "(" + f" {kind} ".join(parts) + ")"


def _expression(condition: Condition) -> str:
    kind = condition.kind.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    values = {name.casefold(): _short(value) for name, value in condition.values}
    if kind == "Variable":
        operator = values.get("operator", "").strip()
        words = _OPERATORS.get(operator.casefold(), operator or "?")
        wanted = "" if operator.casefold().endswith("exists") else f' "{values.get("value", "")}"'
        return f"{values.get('variable', '?')} {words}{wanted}"
    if kind == "WMI":
        return f"WMI {values.get('namespace', '')}: {values.get('query', '')}"
    told = ", ".join(f"{name} {_short(value)}" for name, value in condition.values if value)
    inside = ", ".join(filter(None, (_prose(operand) for operand in condition.operands)))
    return (kind or "no type") + (f": {told}" if told else "") + (f" ({inside})" if inside else "")


def _short(value: str) -> str:
    text = " ".join(value.split())
    return text if len(text) <= 200 else text[:199] + "…"
