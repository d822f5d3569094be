"""One ``sequence`` element to the model (see ``xmlformat``). Engine room: pure."""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import InputError, Problem
from lab.sequence.model import (
    Condition,
    Group,
    Position,
    Reference,
    Step,
    StepVariable,
    TaskSequence,
    Unknown,
)
from lab.sequence.variables import is_secret_name
from lab.sequence.xmltree import Comment, Element, Node

SUBSEQUENCE = "SMS_TaskSequence_SubTasksequence"

_OPERATORS = ("and", "or", "not")
_INT32 = range(-(2**31), 2**32)
_ITEM = "name description disable continueOnError"
_STEP = _ITEM + " type runIn successCodeList retryCount runFromNet timeout"
#: element -> the attributes that the model holds
_ATTRIBUTES = {
    tag: frozenset(names.split())
    for tag, names in {
        "sequence": "version name",
        "group": _ITEM,
        "step": _STEP,
        "subtasksequence": _STEP,
        "referenceList": "",
        "reference": "package program application",
        "globalVarList": "",
        "defaultVarList": "",
        "variable": "name property hidden",
        "action": "",
        "condition": "",
        "operator": "type",
        "osConditionGroup": "type",
        "osExpressionGroup": "type name",
        "platformKey": "arch type minVer maxVer",
        "expression": "type",
    }.items()
}
TAGS = {tag.casefold(): tag for tag in _ATTRIBUTES}
_FOLDED = {tag: {name.casefold(): name for name in names} for tag, names in _ATTRIBUTES.items()}
#: No more flaws of one sequence are named: nobody reads them.
MAX_FLAWS = 1000
#: what a sequence may hold
INSIDE = frozenset({"group", "step", "subtasksequence", "referenceList", "globalVarList"})


def _stem(path: str) -> str:
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] or name


def condition_of(element: Element, path: str) -> Condition:
    """A ``<condition>`` that stands elsewhere than at a step, as in the rules of *Set Dynamic Variables*.

    Raises InputError.
    """
    return SequenceReader(path).condition(element)


class SequenceReader:
    """Reads one sequence; ``_owner`` is the item at hand, ``_idle`` how many disabled ones are around it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._unknown: list[Unknown] = []
        self._flaws: list[Problem] = []
        self._owner = Position()
        self._idle = 0

    def _position(self, element: Element) -> Position:
        return Position(self._path, element.line, element.column)

    def _flaw(self, element: Element, message: str, hint: str = "") -> None:
        if not self._idle and len(self._flaws) < MAX_FLAWS:
            self._flaws.append(Problem(self._path, element.line, element.column, message, hint))

    def _stranger(self, element: Element) -> None:
        self._remark(element, "element", element.tag, "")

    def _remark(self, element: Element, kind: str, name: str, value: str) -> None:
        value = "" if is_secret_name(name) else value[:200]
        self._unknown.append(Unknown(kind, name, value, self._position(element), self._owner))

    def _attributes(self, element: Element, tag: str) -> dict[str, str]:
        """The attributes that the model holds, by the names it knows: their case does not count."""
        given, known = element.attributes, _ATTRIBUTES[tag]
        if given.keys() <= known:
            return given
        found = {name: value for name, value in given.items() if name in known}
        for name, value in given.items():
            meant = _FOLDED[tag].get(name.casefold(), "")
            if meant and meant not in found:
                found[meant] = value
            elif name not in known and not name.startswith("xmlns"):
                self._remark(element, "attribute", name, value)
        return found

    def _children(self, element: Element, *, text: bool = False) -> Iterator[tuple[str, Element]]:
        """The child elements with their names in our spelling; ``text``: the element may hold text."""
        for node in element.content:
            if type(node) is Element:
                yield TAGS.get(node.name.casefold(), ""), node
            elif not text:
                self._loose(element, node)

    def _loose(self, element: Element, node: Node) -> None:
        if isinstance(node, Comment):
            self._remark(element, "comment", "", node.strip())
        elif isinstance(node, str):
            if node.strip():
                self._remark(element, "text", "", node.strip())
        else:
            self._remark(element, "instruction", getattr(node, "target", ""), "")

    def _text(self, element: Element, tag: str) -> str:
        self._attributes(element, tag)
        content = element.content
        if len(content) == 1 and type(content[0]) is str:
            return content[0]
        for node in content:
            if isinstance(node, Element):
                self._stranger(node)
            elif isinstance(node, Comment) or not isinstance(node, str):
                self._loose(element, node)
        return element.text

    def sequence(self, root: Element, properties: dict[str, str]) -> TaskSequence:
        self._owner = self._position(root)
        given = self._attributes(root, "sequence")
        references: list[Reference] = []
        variables: list[StepVariable] = []
        children: list[Group | Step] = []
        for tag, child in self._children(root):
            if tag == "referenceList":
                references.extend(self._references(child))
            elif tag == "globalVarList":
                variables.extend(self._variables(child, tag))
            else:
                self._item(tag, child, children)
        return TaskSequence(
            name=given.get("name") or properties.get("Name", "") or _stem(self._path),
            version=given.get("version", "3.00"),
            package_id=properties.get("PackageID", ""),
            children=tuple(children),
            references=tuple(references),
            position=self._position(root),
            variables=tuple(variables),
            unknown=tuple(self._unknown),
            flaws=tuple(self._flaws),
        )

    def _references(self, element: Element) -> Iterator[Reference]:
        self._attributes(element, "referenceList")
        for tag, child in self._children(element):
            if tag != "reference":
                self._stranger(child)
                continue
            given = self._attributes(child, tag)
            for _, inner in self._children(child):
                self._stranger(inner)
            package, program = given.get("package", ""), given.get("program", "")
            yield Reference(package, program, given.get("application", ""), self._position(child))

    def _item(self, tag: str, element: Element, items: list[Group | Step]) -> None:
        outer, self._owner = self._owner, self._position(element)
        if tag == "group":
            items.append(self._group(element))
        elif tag in ("step", "subtasksequence"):
            items.append(self._step(tag, element))
        else:
            self._owner = outer
            self._stranger(element)
            self._flaw(element, f"unknown element <{element.tag}> among the steps")
        self._owner = outer

    def _boolean(self, element: Element, given: dict[str, str], name: str) -> bool:
        text = given.get(name, "false").strip().casefold()
        if text in ("true", "1"):
            return True
        if text not in ("false", "0", ""):
            self._flaw(element, f"{name}='{given[name][:40]}' is neither true nor false")
        return False

    def _integer(self, element: Element, given: dict[str, str], name: str) -> int | None:
        text = given.get(name, "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text)
        self._flaw(element, f"{name}='{text[:40]}' is not a number")
        return None

    def _success_codes(self, element: Element, given: dict[str, str]) -> tuple[int, ...]:
        codes = []
        for word in given.get("successCodeList", "0").replace(",", " ").replace(";", " ").split():
            digits = word.lstrip("-")
            if len(word) > 11 or not (digits.isascii() and digits.isdigit()) or int(word) not in _INT32:
                self._flaw(element, f"successCodeList has '{word[:40]}', which is not an exit code")
            else:
                codes.append(int(word) & 0xFFFFFFFF)
        return tuple(codes) or (0,)

    def _group(self, element: Element) -> Group:
        given = self._attributes(element, "group")
        disabled = self._boolean(element, given, "disable")
        self._idle += disabled
        conditions: list[Condition] = []
        children: list[Group | Step] = []
        for tag, child in self._children(element):
            if tag == "condition":
                conditions.append(self._condition(child))
            elif tag in ("action", "defaultVarList"):  # MDT writes empty ones
                if child.content or child.attributes:
                    self._stranger(child)
            else:
                self._item(tag, child, children)
        group = Group(
            name=given.get("name", ""),
            description=given.get("description", ""),
            disabled=disabled,
            continue_on_error=self._boolean(element, given, "continueOnError"),
            children=tuple(children),
            condition=self._one(element, conditions),
            position=self._position(element),
        )
        self._idle -= disabled
        return group

    def _step(self, tag: str, element: Element) -> Step:
        given = self._attributes(element, tag)
        disabled = self._boolean(element, given, "disable")
        self._idle += disabled
        conditions: list[Condition] = []
        variables: list[StepVariable] = []
        action = ""
        for name, child in self._children(element):
            if name == "condition":
                conditions.append(self._condition(child))
            elif name == "action" and not action:
                action = self._text(child, name).strip()
            elif name == "defaultVarList":
                variables.extend(self._variables(child, name))
            else:
                self._stranger(child)
        step = Step(
            type=given.get("type") or (SUBSEQUENCE if tag == "subtasksequence" else ""),
            name=given.get("name", ""),
            description=given.get("description", ""),
            disabled=disabled,
            continue_on_error=self._boolean(element, given, "continueOnError"),
            run_in=given.get("runIn") or "WinPEandFullOS",
            success_codes=self._success_codes(element, given),
            retry_count=self._integer(element, given, "retryCount") or 0,
            run_from_net=self._boolean(element, given, "runFromNet"),
            # An explicit 0 is the console's way to say "no limit".
            timeout=self._integer(element, given, "timeout") or None,
            action=action,
            variables=tuple(variables),
            condition=self._one(element, conditions),
            position=self._position(element),
        )
        self._idle -= disabled
        return step

    def _variables(self, element: Element, tag: str) -> Iterator[StepVariable]:
        self._attributes(element, tag)
        for name, child in self._children(element):
            if name != "variable":
                self._stranger(child)
                continue
            given = self._attributes(child, "variable")
            text = self._text(child, "variable") if child.content else ""
            if text.isspace() and "\n" in text:
                text = ""  # an empty element that a program has indented (observed)
            name, prop = given.get("name", ""), given.get("property", "")
            if name or prop:
                hidden = self._boolean(child, given, "hidden")
                yield StepVariable(name or prop, prop, text, hidden)
            else:
                self._remark(child, "element", "variable without name and property", "")

    def _one(self, element: Element, conditions: list[Condition]) -> Condition | None:
        if len(conditions) > 1:
            self._flaw(element, f"there are {len(conditions)} conditions", "put them into one")
            return Condition("and", operands=tuple(conditions), position=conditions[0].position)
        return conditions[0] if conditions else None

    def condition(self, element: Element) -> Condition:
        """The condition of an element that stands alone. Raises InputError with what is not understood."""
        found = self._condition(element)
        if self._flaws:
            raise InputError(self._flaws)
        return found

    def _condition(self, element: Element) -> Condition:
        self._attributes(element, "condition")
        return Condition("and", operands=self._operands(element), position=self._position(element))

    def _operands(self, element: Element) -> tuple[Condition, ...]:
        found = []
        for tag, child in self._children(element):
            if tag == "expression":
                found.append(self._expression(child))
                continue
            if tag == "platformKey" and any(
                TAGS.get(other.name.casefold()) == "expression" for other in element.children
            ):
                # For the console: the expressions beside it ask the machine for the same.
                self._attributes(child, tag)
                continue
            # An operator or an element that is not known stays, as one that cannot be evaluated.
            kind = {"osConditionGroup": "or", "osExpressionGroup": "and"}.get(tag, child.tag)
            if tag in ("operator", "osConditionGroup", "osExpressionGroup"):
                given = self._attributes(child, tag)
                if tag == "operator":
                    kind = given.get("type", "").strip()
                    kind = kind.casefold() if kind.casefold() in _OPERATORS else kind
            else:
                self._stranger(child)
            found.append(Condition(kind, (), self._operands(child), self._position(child)))
        return tuple(found)

    def _expression(self, element: Element) -> Condition:
        given = self._attributes(element, "expression")
        values: list[tuple[str, str]] = []
        for tag, child in self._children(element):
            name = self._attributes(child, tag).get("name", "") if tag == "variable" else ""
            if name:
                values.append((name, self._text(child, tag)))
            else:
                self._stranger(child)
        return Condition(given.get("type", ""), tuple(values), (), self._position(element))
