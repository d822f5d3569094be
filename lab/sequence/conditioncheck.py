"""What is wrong with a condition, found before anything starts; each with its position.

Engine room: pure. A problem is what the engine cannot evaluate at all; a warning is what will be false, or
differs from what it seems to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.sequence import expressions as ask
from lab.sequence import msi, wmi, wql
from lab.sequence.conditions import INTEGER, OPERATORS, VARIABLE_EXPRESSION, expressions
from lab.sequence.model import Condition

_ORDERING = ("less", "lessEqual", "greater", "greaterEqual")
_FILES = (ask.FILE_EXPRESSION, ask.FOLDER)


def condition_problems(condition: Condition, of: str) -> Iterator[Problem]:
    """Unknown types and operators, a variable test without a variable. ``of``: whose condition it is."""
    for node in expressions(condition):
        if node.kind not in ask.KINDS and node.kind != VARIABLE_EXPRESSION:
            kind = f"the type '{node.kind}', which is not supported" if node.kind else "no type"
            yield _problem(node, f"{of} has {kind}")
            continue
        yield from _operators(node, of)
        if node.kind == VARIABLE_EXPRESSION and not node.value("Variable").strip():
            yield _problem(node, f"{of} names no variable")


def _operators(node: Condition, of: str) -> Iterator[Problem]:
    known: dict[str, tuple[str, ...]] = {}
    if node.kind == VARIABLE_EXPRESSION:
        known = {node.value("Operator"): tuple(OPERATORS.values())}
    elif node.kind == ask.REGISTRY:
        known = {node.value("Operator"): ask.REGISTRY_OPERATORS}
    elif node.kind == ask.SOFTWARE:
        known = {node.value("Operator"): ("AnyVersion", "ThisVersion")}
    elif node.kind in _FILES:
        # An operator counts only beside what it compares with.
        known = {
            node.value(f"{name}Operator"): tuple(ask.ORDERS)
            for name in ("Version", "DateTime")
            if node.value(name).strip() and node.value(f"{name}Operator").strip()
        }
    for operator, names in known.items():
        folded = {name.casefold() for name in (*names, *(("nonExists",) if "exists" in names else ()))}
        if "%" not in operator and operator.strip().casefold() not in folded:
            hint = "known: " + ", ".join(sorted(set(names)))
            yield _problem(node, f"{of} has the unknown operator '{operator}'", hint)


def condition_warnings(condition: Condition, of: str) -> Iterator[Problem]:
    """What will be false, or compares otherwise than it seems."""
    for node in expressions(condition):
        if node.kind == VARIABLE_EXPRESSION:
            yield from _ordering(node, node.value("Value"), of)
        elif node.kind == ask.REGISTRY:
            yield from _ordering(node, node.value("Data"), of)
        elif node.kind == ask.SOFTWARE:
            name = "UpgradeCode" if node.value("Operator").casefold() == "anyversion" else "ProductCode"
            code = node.value(name).strip()
            if "%" not in code and not msi.packed(code):
                said = f"{of} is always false: {name} '{code}' is not a code of a Windows Installer product"
                yield _problem(node, said)
        elif node.kind == ask.WMI:
            yield from _query(node, of)


def _ordering(node: Condition, wanted: str, of: str) -> Iterator[Problem]:
    operator = OPERATORS.get(node.value("Operator").strip().casefold())
    if operator in _ORDERING and "%" not in wanted and not INTEGER.fullmatch(wanted.strip()):
        said = f"{of} compares with '{wanted}' as text: '10' is less than '9'"
        yield _problem(node, said, "an order of whole numbers is what it seems to be")


def _query(node: Condition, of: str) -> Iterator[Problem]:
    text = node.value("Query")
    namespace = node.value("Namespace").strip() or ask.CIM
    try:
        query = wql.parse(text)
    except wql.WqlError as error:
        place = f"character {error.offset + 1} of the query"
        yield _problem(node, f"{of} is always false: {error.message} ({place})", "correct the query")
        return
    if "%" in namespace:
        return
    known = wmi.known_class(namespace, query.class_name)
    if known is None:
        said = f"{of} is always false here: the lab has no namespace {namespace}"
        yield _problem(node, said)
    elif not known:
        said = f"{of} is always false here: the lab has no class {query.class_name} in {namespace}"
        yield _problem(node, said)


def _problem(node: Condition, message: str, hint: str = "") -> Problem:
    place = node.position
    return Problem(place.path, place.line, place.column, message, hint)
