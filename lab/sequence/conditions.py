"""Conditions: and, or, not over expressions, and the one expression that only needs variables.

What asks the machine is in ``expressions``.

Engine room: pure. Sources: documented operators; the log's wording and the case-insensitive comparison are
observed; ordering as numbers when both sides are integers, else as text, is a guess; ``like`` takes ``*``
and ``?`` over the whole value (guess). A missing variable behaves as the empty string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lab.sequence.model import Condition

VARIABLE_EXPRESSION = "SMS_TaskSequence_VariableConditionExpression"

#: What combines expressions -> how the log calls it (NOT: by analogy), and where in the source.
COMBINATIONS = {
    "and": ("an AND", "tsexpreval.cpp:567"),
    "or": ("an OR", "tsexpreval.cpp:624"),
    "not": ("a NOT", "tsexpreval.cpp:681"),
}

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

INTEGER = re.compile(r"[+-]?\d{1,40}")

Report = Callable[[str, int, str], None]


class Evaluation:
    """One condition being evaluated. Keeps a stack of its own: conditions nest to any depth.

    ``report(message, type, file)`` gets the log's records. Operands are looked at in order, and only as long
    as the result is open (observed log).
    """

    def __init__(
        self,
        condition: Condition,
        lookup: Callable[[str], str | None],
        expand: Callable[[str], str],
        report: Report = lambda message, type, file: None,
    ) -> None:
        self._node = condition
        self._lookup = lookup
        self._expand = expand
        self._report = report
        self._above: list[tuple[Condition, int]] = []

    def begin(self) -> bool | Condition:
        """The result, or the expression that asks for more than variables: then call ``answer``."""
        while True:
            node = self._node
            if node.kind in COMBINATIONS:
                name, file = COMBINATIONS[node.kind]
                self._report(f"Evaluating {name} expression", 1, file)
                if node.operands:
                    self._above.append((node, 1))
                    self._node = node.operands[0]
                    continue
                value = True  # "any" of nothing is an empty condition, too
            elif node.kind == VARIABLE_EXPRESSION:
                value = _variable(node, self._lookup, self._expand, self._report)
            else:
                return node
            decided = self._decide(value)
            if decided is not None:
                return decided

    def answer(self, value: bool) -> bool | Condition:
        """Go on with the value of the expression that ``begin`` or ``answer`` gave."""
        decided = self._decide(value)
        return self.begin() if decided is None else decided

    def _decide(self, value: bool) -> bool | None:
        """What the value means for the operators above; None when another operand is to be looked at."""
        above = self._above
        while above:
            node, following = above.pop()
            if value == (node.kind != "and"):
                value = node.kind == "or"  # decided: one false of "and", one true of "or" and "not"
            elif following < len(node.operands):
                above.append((node, following + 1))
                self._node = node.operands[following]
                return None
            else:
                value = node.kind != "or"
        return value


def evaluate(
    condition: Condition | None,
    lookup: Callable[[str], str | None],
    expand: Callable[[str], str],
    report: Report = lambda message, type, file: None,
) -> bool:
    """Whether a condition that only tests variables holds now. No condition, or an empty one, is true.

    An expression of another type is false and reported as an error: see ``lab.sequence.expressions``.
    """
    if condition is None:
        return True
    evaluation = Evaluation(condition, lookup, expand, report)
    found = evaluation.begin()
    while isinstance(found, Condition):
        report(f"Unsupported condition expression {found.kind}", 3, "tsexpreval.cpp:800")
        found = evaluation.answer(False)
    return found


def expressions(condition: Condition | None) -> Iterator[Condition]:
    """All expressions of a condition, in order."""
    left = [condition] if condition else []
    while left:
        node = left.pop()
        if node.kind in COMBINATIONS:
            left.extend(reversed(node.operands))
        else:
            yield node


def asks_the_machine(condition: Condition | None) -> bool:
    """Whether a condition tests anything besides variables."""
    return any(node.kind != VARIABLE_EXPRESSION for node in expressions(condition))


def _variable(
    condition: Condition, lookup: Callable[[str], str | None], expand: Callable[[str], str], report: Report
) -> bool:
    report("Evaluating a variable condition expression", 1, "tsexpreval.cpp:750")
    given = dict(condition.values)
    values = [given.get(name, "") for name in ("Operator", "Variable", "Value")]
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
    order = order_of(left, right)
    if operator == "less":
        return order < 0
    if operator == "lessEqual":
        return order <= 0
    if operator == "greater":
        return order > 0
    if operator == "greaterEqual":
        return order >= 0
    raise ValueError(f"unknown operator '{operator}'")


def order_of(left: str, right: str) -> int:
    """Negative, 0 or positive: as numbers when both are integers, else as text (guess)."""
    if INTEGER.fullmatch(left.strip()) and INTEGER.fullmatch(right.strip()):
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
