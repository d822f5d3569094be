"""Condition expressions that ask the machine: WMI, registry, files, folders, software, operating system, and
the rules of *Set Dynamic Variables*.

Engine room: pure. Each is a generator over effects that returns whether it is true; what cannot be asked is
false and an error in the log, and never stops the sequence (guess). Meanings: documented SDK classes; wording
of the records besides those of ``conditions``: by analogy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from lab.sequence import dynamicrules, msi, wmi, wql, wqlrows
from lab.sequence.asking import CIM as CIM
from lab.sequence.asking import FILE, Asker, Asking, Expression, Rows
from lab.sequence.conditions import OPERATORS, Evaluation, compare
from lab.sequence.effects import Effect, FileFacts, Outcome
from lab.sequence.model import Condition

_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
_DATE = re.compile(r"\d{14}")


def holds(condition: Condition | None, asker: Asker) -> Asking:
    """Whether a condition holds now. No condition, or an empty one, is true."""
    if condition is None:
        return True
    evaluation = Evaluation(condition, asker.lookup, asker.expand, asker.record)
    found = evaluation.begin()
    while isinstance(found, Condition):
        kind = KINDS.get(found.kind)
        if kind is None:
            asker.record(f"Unsupported condition expression {found.kind}", 3, FILE)
            found = evaluation.answer(False)
        else:
            found = evaluation.answer((yield from kind(Expression(found, asker))))
    return found


# expressions


def _wmi(expression: Expression) -> Asking:
    expression.begin("WMI")
    namespace = expression.value("Namespace").strip() or CIM
    text = expression.value("Query")
    try:
        query = wql.parse(text)
    except wql.WqlError as error:
        return expression.fail(f"Failed to read the WMI query '{text}': {error.message}", error.code)
    if query.class_name.casefold() in _OF_FILES and wmi.namespace_of(namespace) == CIM:
        rows = yield from _files(expression, query)
    else:
        rows = yield from expression.rows(query.class_name, namespace)
    try:
        return bool(wqlrows.select(query, rows))
    except wql.WqlError as error:
        return expression.fail(f"Failed to execute the WMI query '{text}': {error.message}", error.code)


#: Classes of files and folders: WMI has an instance for each one that there is.
_OF_FILES = {"cim_datafile": "file", "cim_directory": "folder", "win32_directory": "folder"}


def _files(expression: Expression, query: wql.Query) -> Generator[Effect, Outcome, Rows]:
    """The instances that a query names by ``Name = 'C:\\\\path'``; others are not looked for."""
    tests = [test for test in query.where if isinstance(test, wql.Test) and test.operator in ("=", "LIKE")]
    named = [test.right.value for test in tests if test.left.property.casefold() == "name"]
    rows: Rows = []
    for path in dict.fromkeys(path for path in named if isinstance(path, str)):
        outcome = yield FileFacts(path)
        facts = outcome.value
        if not outcome.ok or facts.get("kind") != _OF_FILES[query.class_name.casefold()]:
            continue
        folder, _, name = path.rpartition("\\")
        stem, dot, extension = name.rpartition(".")
        row = {"Name": path, "Caption": path, "Drive": path[:2], "Path": f"{folder[2:]}\\"}
        row |= {"FileName": stem if dot else name, "Extension": extension if dot else ""}
        row |= {"LastModified": f"{facts['modified']}.000000+000", "FileType": ""}
        rows.append({**row, "Version": facts.get("version") or None})
    if not named:
        expression.fail(f"The lab cannot look for a {query.class_name} without its Name")
    return rows


def _registry(expression: Expression) -> Asking:
    expression.begin("registry")
    key, name, operator, kind, wanted = (
        expression.value(part).strip() for part in ("KeyPath", "Value", "Operator", "Type", "Data")
    )
    canonical = _REGISTRY_OPERATORS.get(operator.casefold())
    if canonical is None:
        return expression.fail(f"Unsupported operator {operator}")
    values = yield from expression.values_of(key.strip("\\"))
    plain = "" if name.casefold() in ("(default)", "@") else name.casefold()
    if canonical in ("exists", "notExists"):
        there = values is not None
        if values is not None and name:
            found = values.get(plain)
            there = found is not None and (not kind or str(found[0]).casefold() == kind.casefold())
        return there == (canonical == "exists")
    if not values or plain not in values:
        return expression.fail(f"There is no value '{name}' in the registry key {key}")
    return compare(_data(*values[plain]), canonical, _number_text(wanted))


def _data(kind: str, data: Any) -> str:
    if isinstance(data, list):
        return "\n".join(map(str, data))
    return str(data)


def _number_text(text: str) -> str:
    """A hexadecimal number as the decimal one that a stored number is compared as."""
    return str(int(text, 16)) if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text) else text


def _file(expression: Expression) -> Asking:
    expression.begin("file")
    return (yield from _stored(expression, "file"))


def _folder(expression: Expression) -> Asking:
    expression.begin("folder")
    return (yield from _stored(expression, "folder"))


def _stored(expression: Expression, kind: str) -> Asking:
    path = expression.path()
    version, version_operator = "", ""
    if kind == "file":
        version, version_operator = expression.value("Version"), expression.value("VersionOperator")
    date = expression.value("DateTime", "Timestamp")
    date_operator = expression.value("DateTimeOperator", "TimestampOperator")
    outcome = yield FileFacts(path, expression.view)
    if not outcome.ok:
        return expression.fail(f"Failed to look at {path}: {outcome.message}", outcome.code)
    facts = outcome.value
    if facts.get("kind") != kind:
        return False
    if version.strip():
        order = version_order(str(facts.get("version") or ""), version)
        if order is None:
            return expression.fail(f"{path} has no version that can be compared with {version}")
        if not _ordered(expression, order, version_operator):
            return False
    if date.strip():
        first, second = str(facts.get("modified") or ""), date.strip()[:14]
        if not (_DATE.fullmatch(first) and _DATE.fullmatch(second)):
            return expression.fail(f"{path} has no date that can be compared with {date}")
        if not _ordered(expression, (first > second) - (first < second), date_operator):
            return False
    return True


def _ordered(expression: Expression, order: int, operator: str) -> bool:
    accepts = ORDERS.get(operator.strip().casefold() or "equals")
    return order in accepts if accepts else expression.fail(f"Unsupported operator {operator}")


def version_order(left: str, right: str) -> int | None:
    """Four dotted numbers compared one by one, missing ones are 0; None when one is no version."""
    found = []
    for text in (left, right):
        if not _VERSION.fullmatch(text.strip()):
            return None
        numbers = [int(part) for part in text.strip().split(".")]
        found.append(numbers + [0] * (4 - len(numbers)))
    return (found[0] > found[1]) - (found[0] < found[1])


def _software(expression: Expression) -> Asking:
    """Windows Installer's own records: a product by its code, a family by its upgrade code."""
    expression.begin("software")
    operator = expression.value("Operator").strip().casefold()
    product, upgrade = (expression.value(name).strip() for name in ("ProductCode", "UpgradeCode"))
    wanted = {"thisversion": product, "anyversion": upgrade}.get(operator)
    if wanted is None:
        return expression.fail(f"Unsupported operator {operator}")
    packed = msi.packed(wanted)
    if not packed:
        return expression.fail(f"'{wanted}' is not a code of a Windows Installer product")
    if operator == "anyversion":
        return bool((yield from expression.values_of(f"{msi.UPGRADE_CODES}\\{packed}", 64)))
    for key in (f"{msi.PRODUCTS}\\{packed}", *(f"{key}\\{wanted}" for key in msi.UNINSTALL)):
        if (yield from expression.values_of(key, 64)) is not None:
            return True
    return False


def _operating_system(expression: Expression) -> Asking:
    """MDT's older form: architecture and version of the system that runs."""
    expression.begin("operating system")
    architecture, wanted, operator = (
        expression.value(name).strip() for name in ("Architecture", "Version", "Operator")
    )
    running = str(expression.asker.facts.get("architecture") or "")
    if architecture and architecture.casefold() != running.casefold():
        return False
    rows = yield from expression.rows("Win32_OperatingSystem")
    order = version_order(str(rows[0].get("Version") or ""), wanted) if rows else None
    return order is not None and _ordered(expression, order, operator)


ORDERS: dict[str, tuple[int, ...]] = {
    "equals": (0,),
    "notequals": (-1, 1),
    "less": (-1,),
    "lessequal": (-1, 0),
    "greater": (1,),
    "greaterequal": (0, 1),
}

#: A registry expression does not know "like".
_REGISTRY_OPERATORS = {key: name for key, name in OPERATORS.items() if "like" not in key}

REGISTRY_OPERATORS = tuple(dict.fromkeys(_REGISTRY_OPERATORS.values()))

WMI = "SMS_TaskSequence_WMIConditionExpression"
REGISTRY = "SMS_TaskSequence_RegistryConditionExpression"
FILE_EXPRESSION = "SMS_TaskSequence_FileConditionExpression"
FOLDER = "SMS_TaskSequence_FolderConditionExpression"
SOFTWARE = "SMS_TaskSequence_SoftwareConditionExpression"
OPERATING_SYSTEM = "SMS_TaskSequence_OSConditionExpression"

#: Expression type of the XML -> its meaning.
KINDS: dict[str, Callable[[Expression], Asking]] = {
    WMI: _wmi,
    REGISTRY: _registry,
    FILE_EXPRESSION: _file,
    FOLDER: _folder,
    SOFTWARE: _software,
    OPERATING_SYSTEM: _operating_system,
    "SMS_TaskSequence_MakeModelConditionExpression": dynamicrules.make_model,
    "SMS_TaskSequence_ComputerConditionExpression": dynamicrules.computer,
    "SMS_TaskSequence_LocationConditionExpression": dynamicrules.location,
}
