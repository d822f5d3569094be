"""Conditions: the variable tests of a step or group, combined with and, or, not.

Engine room: pure. Sources: documented operators; the log's wording and the case-insensitive comparison are
observed; ordering as numbers when both sides are integers, else as text, is a guess; ``like`` takes ``*``
and ``?`` over the whole value (guess). A missing variable behaves as the empty string.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.sequence.model import Condition

VARIABLE_EXPRESSION = "SMS_TaskSequence_VariableConditionExpression"

#: operator in the XML, case folded -> canonical name
OPERATORS = {
    "exists": "exists",
    "notexists": "notExists",
    "nonexists": "notExists",
    "equals": "equals",
    "notequals": "notEquals",
    "less": "less",
    "lessequal": "lessEqual",
    "greater": "greater",
    "greaterequal": "greaterEqual",
    "like": "like",
    "notlike": "notLike",
}

_INTEGER = re.compile(r"[+-]?\d{1,40}")

Report = Callable[[str, int, str], None]


def evaluate(
    condition: Condition | None,
    lookup: Callable[[str], str | None],
    expand: Callable[[str], str],
    report: Report = lambda message, type, file: None,
) -> bool:
    """Whether the condition holds now. No condition, or an empty one, is true.

    ``report(message, type, file)`` gets the log's records. An expression of a type that the engine does not
    know is false and is reported as an error (the reader's ``validate`` names it before the run).
    """
    if condition is None:
        return True
    kind = condition.kind
    if kind == "and":
        report("Evaluating an AND expression", 1, "tsexpreval.cpp:567")
        return all(evaluate(operand, lookup, expand, report) for operand in condition.operands)
    if kind == "or":
        report("Evaluating an OR expression", 1, "tsexpreval.cpp:624")
        # An "any" of nothing is an empty condition.
        return not condition.operands or any(
            evaluate(operand, lookup, expand, report) for operand in condition.operands
        )
    if kind == "not":
        report("Evaluating a NOT expression", 1, "tsexpreval.cpp:681")
        return not any(evaluate(operand, lookup, expand, report) for operand in condition.operands)
    if kind == VARIABLE_EXPRESSION:
        return _variable(condition, lookup, expand, report)
    report(f"Unsupported condition expression {kind}", 3, "tsexpreval.cpp:800")
    return False


def _variable(
    condition: Condition, lookup: Callable[[str], str | None], expand: Callable[[str], str], report: Report
) -> bool:
    report("Evaluating a variable condition expression", 1, "tsexpreval.cpp:750")
    values = [condition.value(name) for name in ("Operator", "Variable", "Value")]
    for value in values:
        report(f"Expand a string: {value}", 0, "utility.cpp:790")
    operator, name, wanted = (expand(value) for value in values)
    canonical = OPERATORS.get(operator.strip().casefold())
    if canonical is None:
        report(f"Unsupported operator {operator}", 3, "tsexpreval.cpp:750")
        return False
    return compare(lookup(name) or "", canonical, wanted)


def compare(value: str, operator: str, wanted: str) -> bool:
    """Compare a variable's value ("" when there is none) by one of the canonical operators."""
    if operator == "exists":
        return value != ""
    if operator == "notExists":
        return value == ""
    left, right = value.casefold(), wanted.casefold()
    if operator == "equals":
        return left == right
    if operator == "notEquals":
        return left != right
    if operator == "like":
        return matches(left, right)
    if operator == "notLike":
        return not matches(left, right)
    order = _order(left, right)
    if operator == "less":
        return order < 0
    if operator == "lessEqual":
        return order <= 0
    if operator == "greater":
        return order > 0
    if operator == "greaterEqual":
        return order >= 0
    raise ValueError(f"unknown operator '{operator}'")


def _order(left: str, right: str) -> int:
    if _INTEGER.fullmatch(left.strip()) and _INTEGER.fullmatch(right.strip()):
        first, second = int(left), int(right)
        return (first > second) - (first < second)
    return (left > right) - (left < right)


def matches(text: str, pattern: str) -> bool:
    """Whether ``pattern`` with ``*`` and ``?`` covers all of ``text``; no backtracking beyond one ``*``."""
    at = star = 0
    after_star = -1
    here = 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            after_star, star = at + 1, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[here]):
            at += 1
            here += 1
        elif after_star >= 0:
            star += 1
            at, here = after_star, star
        else:
            return False
    return all(character == "*" for character in pattern[at:])
