"""Detection methods and requirements of applications: rules over files, registry, products and the machine.

Engine room: pure. A rule is JSON of one of these shapes; all rules of a list must hold:
``{"file": path, "version": "1.2", "operator": "greaterEqual"}``, ``{"folder": path}``,
``{"registry": key, "value": name, "data": text, "operator": "equals"}``, ``{"product": "{GUID}"}``,
``{"memory": MiB}``, ``{"disk": MB}``, ``{"architecture": "x64"}``, ``{"variable": name, "value": text}``.
``"view": 32`` beside a file, folder or registry key: as a 32-bit program sees it (documented: a clause may be
associated with a 32-bit application on 64-bit systems; it is not by default).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, Literal

from lab.sequence.conditions import OPERATORS, compare
from lab.sequence.context import StepContext
from lab.sequence.effects import Effect, FileFacts, Outcome, ReadRegistry
from lab.sequence.expressions import ORDERS, version_order
from lab.sequence.inventory import Inventory

Answer = Generator[Effect, Outcome, bool]

_UNINSTALL = (
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
    r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
)


def all_hold(context: StepContext, rules: Iterable[Mapping[str, Any]]) -> Answer:
    """Whether every rule holds; each that does not is in the log."""
    for rule in rules:
        if not (yield from holds(context, rule)):
            text = ", ".join(f"{key} {value}" for key, value in rule.items())
            context.record(f"Does not hold: {text}", file="appdetection.cpp:100")
            return False
    return True


def holds(context: StepContext, rule: Mapping[str, Any]) -> Answer:
    """Whether one rule holds now. A rule of an unknown shape does not."""
    operator = OPERATORS.get(str(rule.get("operator") or "").casefold(), "")
    view: Literal[32, 64] = 32 if rule.get("view") == 32 else 64
    if "file" in rule or "folder" in rule:
        path = context.expand(str(rule.get("file") or rule.get("folder")))
        outcome = yield FileFacts(path, view)
        if not outcome.ok or outcome.value.get("kind") != ("folder" if "folder" in rule else "file"):
            return False
        wanted = str(rule.get("version") or "")
        have = str(outcome.value.get("version") or "")
        accepts = ORDERS.get((operator or "greaterEqual").casefold(), ())
        return not wanted or version_order(have, wanted) in accepts
    if "registry" in rule:
        outcome = yield ReadRegistry(context.expand(str(rule["registry"])), view)
        return outcome.ok and _registry(outcome.value.get("values") or {}, rule, operator)
    if "product" in rule:
        for root in _UNINSTALL:
            outcome = yield ReadRegistry(f"{root}\\{rule['product']}")
            if outcome.ok:
                return True
        return False
    if "variable" in rule:
        value = context.variables.value(str(rule["variable"]))
        return compare(value, operator or "equals", context.expand(str(rule.get("value") or "")))
    inventory = Inventory(context)
    if "memory" in rule:
        return bool((yield from inventory.memory()) >= float(rule["memory"]))
    if "disk" in rule:
        return bool((yield from inventory.free_disk()) >= float(rule["disk"]))
    have = yield from inventory.architecture()
    return str(rule.get("architecture") or "?").casefold() == str(have)


def _registry(values: Mapping[str, Any], rule: Mapping[str, Any], operator: str) -> bool:
    name = rule.get("value")
    if name is None:
        return True
    found = next((data for key, data in values.items() if key.casefold() == str(name).casefold()), None)
    if found is None or rule.get("data") is None:
        return found is not None
    return compare(str(found[1]), operator or "equals", str(rule["data"]))
