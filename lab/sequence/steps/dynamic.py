"""Set Dynamic Variables: OSDSetDynamicVariables.exe. Rules over the machine, each with variables to set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.errors import InputError
from lab.sequence.conditions import evaluate, matches
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects_software import GatherInventory
from lab.sequence.model import Condition
from lab.sequence.steptype import Field

DYNAMIC_FIELDS = (Field("OSDSetDynamicVariablesRules"),)
INVALID_DATA = 0x8007000D

#: Read-only variables that only this step sets (documented), and what of the inventory is in them.
_FACTS = {
    "_SMSTSMake": "make",
    "_SMSTSModel": "model",
    "_SMSTSMacAddresses": "mac_addresses",
    "_SMSTSIPAddresses": "ip_addresses",
    "_SMSTSSerialNumber": "serial_number",
    "_SMSTSAssetTag": "asset_tag",
    "_SMSTSUUID": "uuid",
    "_SMSTSDefaultGateways": "default_gateways",
}
#: The values of a computer rule and what they are compared with; one that is given and equal is enough.
_COMPUTER = {
    "assettag": "asset_tag", "uuid": "uuid", "serialnumber": "serial_number", "macaddress": "mac_addresses",
}  # fmt: skip


@dataclass(frozen=True)
class DynamicVariable:
    """A variable that a rule sets. A secret one whose value an export dropped is empty."""

    name: str
    value: str
    secret: bool


@dataclass(frozen=True)
class Rule:
    """What a rule asks for (None: it always holds) and sets."""

    condition: Condition | None
    variables: tuple[DynamicVariable, ...]


def read_rules(text: str) -> tuple[Rule, ...]:
    """The rules of the step's XML. Raises InputError when it is no such XML."""
    # Imported when a step has rules: the parser is dear at the start of a machine.
    from lab.sequence.xmlmodel import condition_of
    from lab.sequence.xmltree import read_document

    if not text.strip():
        return ()
    wrapped = f"<sequence>{text.lstrip(chr(0xFEFF))}</sequence>"
    root = read_document(wrapped.encode("utf-8", "surrogatepass"), "the rules").root
    rules = []
    for outer in root.children:
        for rule in outer.children if outer.tag == "Rules" else [outer]:
            condition, found = None, []
            for part in rule.children:
                if part.tag == "condition":
                    condition = condition_of(part, "the rules")
                elif part.tag == "Variables":
                    found = [
                        DynamicVariable(
                            item.attributes["Name"],
                            item.text,
                            item.attributes.get("IsSecret", "").casefold() == "true",
                        )
                        for item in part.children
                        if item.attributes.get("Name")
                    ]
            rules.append(Rule(condition, tuple(found)))
    return tuple(rules)


def set_dynamic_variables(context: StepContext) -> Behaviour:
    """Learn the machine, then take the rules in their order; a later one wins (documented)."""
    context.record(
        "==============================[ OSDSetDynamicVariables.exe ]=============================="
    )
    try:
        # A rule's values are expanded when the rule is reached: one may use what an earlier one set.
        rules = read_rules(context.argument("OSDSetDynamicVariablesRules"))
    except InputError as error:
        text = error.problems[0].message if error.problems else str(error)
        return context.fail(f"The step's rules cannot be read: {text}", INVALID_DATA)
    outcome = yield GatherInventory()
    if not outcome.ok:
        return context.fail("The machine could not be looked at", outcome.code)
    for name, key in _FACTS.items():
        fact = outcome.value.get(key) or ""
        context.set(name, ",".join(map(str, fact)) if isinstance(fact, list) else str(fact))
    for number, rule in enumerate(rules, 1):
        if rule.condition is not None and not _holds(context, rule.condition, outcome.value):
            context.record(f"Rule {number} does not hold", file="setdynamicvariables.cpp:200")
            continue
        context.record(f"Rule {number} holds", file="setdynamicvariables.cpp:200")
        for variable in rule.variables:
            secret = variable.secret or context.is_secret_text(variable.value)
            code = context.set_for_user(variable.name, context.expand(variable.value), secret=secret)
            if code:
                return code
    return 0


def _holds(context: StepContext, condition: Condition, facts: dict[str, Any]) -> bool:
    if condition.kind == "and":
        return all(_holds(context, operand, facts) for operand in condition.operands)
    if condition.kind == "or":
        return not condition.operands or any(
            _holds(context, operand, facts) for operand in condition.operands
        )
    if condition.kind == "not":
        return not any(_holds(context, operand, facts) for operand in condition.operands)
    kind = condition.kind.casefold()
    if "makemodel" in kind:
        return all(
            matches(
                str(facts.get(key) or "").casefold(), context.expand(condition.value(name, "*")).casefold()
            )
            for name, key in (("Make", "make"), ("Model", "model"))
        )
    if "computercondition" in kind:
        return _one_is_the_same(context, condition, facts, _COMPUTER)
    if "location" in kind or "gateway" in kind:
        names = {name.casefold(): "default_gateways" for name, _ in condition.values}
        return _one_is_the_same(context, condition, facts, names)
    return evaluate(
        condition, context.lookup, context.expand, lambda text, type, file: context.record(text, type, file)
    )


def _one_is_the_same(
    context: StepContext, condition: Condition, facts: dict[str, Any], keys: dict[str, str]
) -> bool:
    """Values that are left out ask for nothing; of the others one that fits is enough (documented)."""
    for name, wanted in condition.values:
        fact = facts.get(keys.get(name.casefold(), "")) or ""
        have = {_plain(str(item)) for item in (fact if isinstance(fact, list) else [fact])}
        if wanted.strip() and _plain(context.expand(wanted)) in have:
            return True
    return False


def _plain(text: str) -> str:
    """Addresses are written with colons, dashes or neither; case does not count."""
    return text.strip().casefold().replace("-", "").replace(":", "").strip("{}")
