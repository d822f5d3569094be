"""Condition expressions that ask the machine: WMI, registry, files, folders, software, operating system, and
the rules of *Set Dynamic Variables*.

Engine room: pure. Each is a generator over effects that returns whether it is true; what cannot be asked is
false and an error in the log, and never stops the sequence (guess). Meanings: documented SDK classes; wording
of the records besides those of ``conditions``: by analogy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import Any, Literal, Protocol

from lab.sequence import msi, wql, wqlrows
from lab.sequence.codes import hexadecimal
from lab.sequence.conditions import Evaluation, compare, matches
from lab.sequence.effects import Effect, FileFacts, Outcome, QueryWmi, ReadRegistry
from lab.sequence.model import Condition

Asking = Generator[Effect, Outcome, bool]
Rows = list[dict[str, Any]]

FILE = "tsexpreval.cpp:800"
CIM = "root\\cimv2"

_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
_DATE = re.compile(r"\d{14}")
_ENVIRONMENT = re.compile(r"%([^%\\/:*?\"<>|]{1,40})%")


class Asker(Protocol):
    """What an expression sees of the run. ``Run`` is one."""

    def lookup(self, name: str) -> str | None: ...
    def expand(self, text: str) -> str: ...
    def record(self, message: str, type: int = 1, file: str = "", component: str = "TSManager") -> None: ...

    @property
    def facts(self) -> dict[str, Any]: ...


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
            found = evaluation.answer((yield from kind(_Expression(found, asker))))
    return found


class _Expression:
    """One expression: its values expanded and logged, the queries it may make."""

    def __init__(self, condition: Condition, asker: Asker) -> None:
        self._values = {name.casefold(): value for name, value in condition.values}
        self.asker = asker

    def value(self, *names: str) -> str:
        """The first of these values that is given, expanded; the log says that it was (observed)."""
        text = next((found for name in names if (found := self._values.get(name.casefold()))), "")
        self.asker.record(f"Expand a string: {text}", 0, "utility.cpp:790")
        return self.asker.expand(text)

    def path(self) -> str:
        """``Path`` with the system's environment variables replaced, too (documented)."""
        return with_environment(self.value("Path"), self.in_winpe).strip().strip('"')

    @property
    def in_winpe(self) -> bool:
        return bool(self.asker.facts.get("in_winpe"))

    @property
    def view(self) -> Literal[32, 64]:
        """Documented: the 32-bit view in a 64-bit full OS unless redirection is disabled."""
        disabled = (self.asker.lookup("SMSTSDisableWow64Redirection") or "").strip().casefold() == "true"
        x64 = self.asker.facts.get("architecture") == "x64"
        return 32 if x64 and not disabled and not self.in_winpe else 64

    def begin(self, what: str) -> None:
        self.asker.record(f"Evaluating a {what} condition expression", 1, FILE)

    def fail(self, message: str, code: int = 0) -> bool:
        """Say why the expression cannot be evaluated; it is false."""
        self.asker.record(message + (f" ({hexadecimal(code)})" if code else ""), 3, FILE)
        return False

    def rows(self, class_name: str, namespace: str = CIM) -> Generator[Effect, Outcome, Rows]:
        """The instances of a class; none when it cannot be asked, which the log says."""
        outcome = yield QueryWmi(namespace, class_name)
        if not outcome.ok:
            said = outcome.message or "the query failed"
            self.fail(f"Failed to query {class_name} in {namespace}: {said}", outcome.code)
            return []
        return list(outcome.value.get("instances", ()))

    def values_of(
        self, key: str, view: Literal[32, 64] | None = None
    ) -> Generator[Effect, Outcome, dict[str, Any] | None]:
        """A key's values by name in lower case; None when there is no such key."""
        outcome = yield ReadRegistry(key, view or self.view)
        if not outcome.ok:
            return None
        return {name.casefold(): value for name, value in outcome.value.get("values", {}).items()}


def with_environment(path: str, in_winpe: bool) -> str:
    """``%SystemRoot%`` and its like replaced as Local System has them; what is not known stays."""
    if "%" not in path:
        return path
    drive = "X:" if in_winpe else "C:"
    known = {
        "systemdrive": drive,
        "systemroot": f"{drive}\\Windows",
        "windir": f"{drive}\\Windows",
        "temp": f"{drive}\\Windows\\Temp",
        "tmp": f"{drive}\\Windows\\Temp",
        "programfiles": f"{drive}\\Program Files",
        "programw6432": f"{drive}\\Program Files",
        "programfiles(x86)": f"{drive}\\Program Files (x86)",
        "commonprogramfiles": f"{drive}\\Program Files\\Common Files",
        "programdata": f"{drive}\\ProgramData",
        "allusersprofile": f"{drive}\\ProgramData",
        "public": f"{drive}\\Users\\Public",
        "comspec": f"{drive}\\Windows\\System32\\cmd.exe",
    }
    return _ENVIRONMENT.sub(lambda found: known.get(found[1].casefold(), found[0]), path)


# expressions


def _wmi(expression: _Expression) -> Asking:
    expression.begin("WMI")
    namespace = expression.value("Namespace").strip() or CIM
    text = expression.value("Query")
    try:
        query = wql.parse(text)
    except wql.WqlError as error:
        return expression.fail(f"Failed to read the WMI query '{text}': {error.message}", error.code)
    rows = yield from expression.rows(query.class_name, namespace)
    try:
        return bool(wqlrows.select(query, rows))
    except wql.WqlError as error:
        return expression.fail(f"Failed to execute the WMI query '{text}': {error.message}", error.code)


def _registry(expression: _Expression) -> Asking:
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


def _file(expression: _Expression) -> Asking:
    expression.begin("file")
    return (yield from _stored(expression, "file"))


def _folder(expression: _Expression) -> Asking:
    expression.begin("folder")
    return (yield from _stored(expression, "folder"))


def _stored(expression: _Expression, kind: str) -> Asking:
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


def _ordered(expression: _Expression, order: int, operator: str) -> bool:
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


def _software(expression: _Expression) -> Asking:
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


def _operating_system(expression: _Expression) -> Asking:
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


# rules of Set Dynamic Variables


def _make_model(expression: _Expression) -> Asking:
    """Documented: ``*`` and ``?``, both must fit."""
    expression.begin("make and model")
    make, model = expression.value("Make"), expression.value("Model")
    rows = yield from expression.rows("Win32_ComputerSystem")
    return any(
        matches(str(row.get("Manufacturer") or "").strip().casefold(), make.strip().casefold() or "*")
        and matches(str(row.get("Model") or "").strip().casefold(), model.strip().casefold() or "*")
        for row in rows
    )


#: Value of a computer rule -> where the machine has it.
_COMPUTER = {
    "AssetTag": ("Win32_SystemEnclosure", "SMBIOSAssetTag"),
    "UUID": ("Win32_ComputerSystemProduct", "UUID"),
    "SerialNumber": ("Win32_BIOS", "SerialNumber"),
    "MACAddress": ("Win32_NetworkAdapterConfiguration", "MACAddress"),
}


def _computer(expression: _Expression) -> Asking:
    """Documented: one of the values that are given is enough."""
    expression.begin("computer")
    given = [(name, expression.value(name)) for name in _COMPUTER]
    for name, wanted in given:
        if not wanted.strip():
            continue
        class_name, prop = _COMPUTER[name]
        rows = yield from expression.rows(class_name)
        if any(_plain(str(row.get(prop) or "")) == _plain(wanted) for row in rows):
            return True
    return False


def _plain(text: str) -> str:
    """As people compare serial numbers and addresses: without case, blanks and separators."""
    return re.sub(r"[\s:{}-]", "", text.casefold())


def _location(expression: _Expression) -> Asking:
    """A default gateway of the machine; several are separated by commas or semicolons (guess)."""
    expression.begin("location")
    wanted = set(re.split(r"[\s,;]+", expression.value("DefaultGateway", "DefaultGateways", "Gateway")))
    rows = yield from expression.rows("Win32_NetworkAdapterConfiguration")
    return bool({gate for row in rows for gate in row.get("DefaultIPGateway") or ()} & (wanted - {""}))


def machine_variables(asker: Asker) -> Generator[Effect, Outcome, dict[str, str]]:
    """What *Set Dynamic Variables* sets of the machine itself (documented): _SMSTSMake and so on.

    Several addresses stand behind one another, with commas between (guess).
    """
    expression = _Expression(Condition("and"), asker)
    found: dict[str, str] = {}
    for class_name, names in _MACHINE.items():
        rows = yield from expression.rows(class_name)
        for variable, prop in names.items():
            found[variable] = ",".join(dict.fromkeys(_all(row.get(prop) for row in rows)))
    return found


_MACHINE = {
    "Win32_ComputerSystem": {"_SMSTSMake": "Manufacturer", "_SMSTSModel": "Model"},
    "Win32_BIOS": {"_SMSTSSerialNumber": "SerialNumber"},
    "Win32_SystemEnclosure": {"_SMSTSAssetTag": "SMBIOSAssetTag"},
    "Win32_ComputerSystemProduct": {"_SMSTSUUID": "UUID"},
    "Win32_NetworkAdapterConfiguration": {
        "_SMSTSMacAddresses": "MACAddress",
        "_SMSTSIPAddresses": "IPAddress",
        "_SMSTSDefaultGateways": "DefaultIPGateway",
    },
}


def _all(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        yield from (str(item) for item in (value if isinstance(value, list | tuple) else (value,)) if item)


ORDERS: dict[str, tuple[int, ...]] = {
    "equals": (0,),
    "notequals": (-1, 1),
    "less": (-1,),
    "lessequal": (-1, 0),
    "greater": (1,),
    "greaterequal": (0, 1),
}

_REGISTRY_OPERATORS = {
    "exists": "exists",
    "notexists": "notExists",
    "nonexists": "notExists",
    "equals": "equals",
    "notequals": "notEquals",
    "less": "less",
    "lessequal": "lessEqual",
    "greater": "greater",
    "greaterequal": "greaterEqual",
}

REGISTRY_OPERATORS = tuple(dict.fromkeys(_REGISTRY_OPERATORS.values()))

WMI = "SMS_TaskSequence_WMIConditionExpression"
REGISTRY = "SMS_TaskSequence_RegistryConditionExpression"
FILE_EXPRESSION = "SMS_TaskSequence_FileConditionExpression"
FOLDER = "SMS_TaskSequence_FolderConditionExpression"
SOFTWARE = "SMS_TaskSequence_SoftwareConditionExpression"
OPERATING_SYSTEM = "SMS_TaskSequence_OSConditionExpression"

#: Expression type of the XML -> its meaning.
KINDS: dict[str, Callable[[_Expression], Asking]] = {
    WMI: _wmi,
    REGISTRY: _registry,
    FILE_EXPRESSION: _file,
    FOLDER: _folder,
    SOFTWARE: _software,
    OPERATING_SYSTEM: _operating_system,
    "SMS_TaskSequence_MakeModelConditionExpression": _make_model,
    "SMS_TaskSequence_ComputerConditionExpression": _computer,
    "SMS_TaskSequence_LocationConditionExpression": _location,
}
