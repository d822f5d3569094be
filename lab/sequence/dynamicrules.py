"""The rules of *Set Dynamic Variables*: make and model, computer, location; and what the step sets by itself.

Engine room: pure. Each rule is an expression of a condition (see ``expressions``).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any

from lab.sequence.asking import Asker, Asking, Expression
from lab.sequence.conditions import matches
from lab.sequence.effects import Effect, Outcome
from lab.sequence.model import Condition


def make_model(expression: Expression) -> Asking:
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


def computer(expression: Expression) -> Asking:
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


def location(expression: Expression) -> Asking:
    """A default gateway of the machine; several are separated by commas or semicolons (guess)."""
    expression.begin("location")
    wanted = set(re.split(r"[\s,;]+", expression.value("DefaultGateway", "DefaultGateways", "Gateway")))
    rows = yield from expression.rows("Win32_NetworkAdapterConfiguration")
    return bool({gate for row in rows for gate in row.get("DefaultIPGateway") or ()} & (wanted - {""}))


def machine_variables(asker: Asker) -> Generator[Effect, Outcome, dict[str, str]]:
    """What *Set Dynamic Variables* sets of the machine itself (documented): _SMSTSMake and so on.

    Several addresses stand behind one another, with commas between (guess).
    """
    expression = Expression(Condition("and"), asker)
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
