"""Conditions as far as a log tells the variables: true, false, or not to be known."""

from __future__ import annotations

from collections.abc import Mapping

from lab.sequence.conditions import OPERATORS, VARIABLE_EXPRESSION, compare
from lab.sequence.model import Condition


def evaluate_known(condition: Condition | None, known: Mapping[str, str]) -> bool | None:
    """What a condition comes to. ``known``: variables by case-folded name; all others are unknown."""
    if condition is None:
        return True
    kind = condition.kind
    if kind in ("and", "or", "not"):
        values = [evaluate_known(operand, known) for operand in condition.operands]
        if kind == "and":
            return False if False in values else None if None in values else True
        if not values:
            return True
        anything = True if True in values else None if None in values else False
        return anything if kind == "or" or anything is None else not anything
    operator = OPERATORS.get(condition.value("Operator").strip().casefold())
    value = known.get(condition.value("Variable").strip().casefold())
    wanted = condition.value("Value")
    if kind != VARIABLE_EXPRESSION or operator is None or value is None or "%" in wanted:
        return None
    return compare(value, operator, wanted)
