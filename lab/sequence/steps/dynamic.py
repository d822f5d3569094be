"""Set Dynamic Variables: OSDSetDynamicVariables.exe. Rules over the machine, each with variables to set."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import InputError
from lab.sequence import expressions
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.dynamicrules import machine_variables
from lab.sequence.model import Condition
from lab.sequence.steptype import Field

DYNAMIC_FIELDS = (Field("OSDSetDynamicVariablesRules"),)
INVALID_DATA = 0x8007000D


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
                            item.attributes.get("IsSecret", "").strip().casefold() in ("true", "1"),
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
    for name, value in (yield from machine_variables(context)).items():
        context.set(name, value)
    for number, rule in enumerate(rules, 1):
        if not (yield from expressions.holds(rule.condition, context)):
            context.record(f"Rule {number} does not hold", file="setdynamicvariables.cpp:200")
            continue
        context.record(f"Rule {number} holds", file="setdynamicvariables.cpp:200")
        for variable in rule.variables:
            secret = variable.secret or context.is_secret_text(variable.value)
            code = context.set_for_user(variable.name, context.expand(variable.value), secret=secret)
            if code:
                return code
    return 0
