"""ConfigMgr's exported XML to the model.

Engine room: pure, expat only; the host uses it, the guest does not. ``read_sequence`` finds the first
``sequence`` element anywhere, also escaped inside a property of a console export's object.xml. What the
sequence asks for that the engine cannot do is not this module's matter: see ``validate``.
"""

from __future__ import annotations

from lab.errors import InputError, Problem
from lab.sequence.model import Condition, Group, Position, Reference, Step, StepVariable, TaskSequence
from lab.sequence.xmltree import Element, read_document

SUBSEQUENCE = "SMS_TaskSequence_SubTasksequence"
#: schema versions that the engine's log calls supported, and the newest one seen
KNOWN_VERSIONS = ("3.00", "3.10")

_OPERATORS = ("and", "or", "not")
_INT32 = range(-(2**31), 2**32)


def read_sequence(data: bytes, path: str) -> TaskSequence:
    """Read an exported sequence. ``path`` is only named in positions and problems, not opened.

    Raises InputError with every structural problem found, each with line and column.
    """
    document = read_document(data, path)
    properties = document.properties
    root = document.sequence
    if root is None and document.embedded is not None:
        text, line, column = document.embedded
        root = read_document(text.encode("utf-8", "surrogatepass"), path, line, column).sequence
    if root is None:
        raise InputError(
            [
                Problem(
                    path, 1, 1, "there is no <sequence> element",
                    "give the exported task sequence, or the object.xml of a console export",
                )
            ]
        )  # fmt: skip
    reader = _Reader(path)
    sequence = reader.sequence(root, properties)
    if reader.problems:
        raise InputError(reader.problems)
    return sequence


def condition_of(element: Element, path: str) -> Condition:
    """A ``<condition>`` that stands elsewhere than at a step, as in the rules of *Set Dynamic Variables*.

    Raises InputError.
    """
    reader = _Reader(path)
    condition = reader._condition(element)
    if reader.problems:
        raise InputError(reader.problems)
    return condition


def _stem(path: str) -> str:
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] or name


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[Problem] = []

    def _position(self, element: Element) -> Position:
        return Position(self._path, element.line, element.column)

    def _wrong(self, element: Element, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self._path, element.line, element.column, message, hint))

    def sequence(self, root: Element, properties: dict[str, str]) -> TaskSequence:
        references: list[Reference] = []
        variables: list[StepVariable] = []
        children: list[Group | Step] = []
        for child in root.children:
            if child.tag == "referenceList":
                references.extend(self._references(child))
            elif child.tag == "globalVarList":
                variables.extend(self._variables(child))
            else:
                children.extend(self._item(child))
        return TaskSequence(
            name=root.attribute("name") or properties.get("Name", "") or _stem(self._path),
            version=root.attribute("version", "3.00"),
            package_id=properties.get("PackageID", ""),
            children=tuple(children),
            references=tuple(references),
            position=self._position(root),
            variables=tuple(variables),
        )

    def _references(self, element: Element) -> list[Reference]:
        found = []
        for child in element.children:
            if child.tag != "reference":
                self._unknown(child)
                continue
            package, program = child.attribute("package"), child.attribute("program")
            found.append(Reference(package, program, child.attribute("application")))
        return found

    def _unknown(self, element: Element) -> None:
        self._wrong(element, f"unknown element <{element.tag}>")

    def _item(self, element: Element) -> list[Group | Step]:
        if element.tag == "group":
            return [self._group(element)]
        if element.tag in ("step", "subtasksequence"):
            return [self._step(element)]
        self._unknown(element)
        return []

    def _boolean(self, element: Element, name: str) -> bool:
        text = element.attribute(name, "false").strip().casefold()
        if text in ("true", "1"):
            return True
        if text not in ("false", "0", ""):
            self._wrong(element, f"{name}='{element.attribute(name)}' is neither true nor false")
        return False

    def _integer(self, element: Element, name: str, default: int | None) -> int | None:
        text = element.attribute(name).strip()
        if not text:
            return default
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text)
        self._wrong(element, f"{name}='{text[:40]}' is not a number")
        return default

    def _success_codes(self, element: Element) -> tuple[int, ...]:
        codes = []
        for word in element.attribute("successCodeList", "0").replace(",", " ").split():
            digits = word.lstrip("-")
            if len(word) > 11 or not (digits.isascii() and digits.isdigit()) or int(word) not in _INT32:
                self._wrong(element, f"successCodeList has '{word[:40]}', which is not an exit code")
            else:
                codes.append(int(word) & 0xFFFFFFFF)
        return tuple(codes) or (0,)

    def _group(self, element: Element) -> Group:
        condition: Condition | None = None
        children: list[Group | Step] = []
        for child in element.children:
            if child.tag == "condition":
                condition = self._condition(child)
            elif child.tag not in ("action", "defaultVarList"):  # MDT writes empty ones
                children.extend(self._item(child))
        return Group(
            name=element.attribute("name"),
            description=element.attribute("description"),
            disabled=self._boolean(element, "disable"),
            continue_on_error=self._boolean(element, "continueOnError"),
            children=tuple(children),
            condition=condition,
            position=self._position(element),
        )

    def _step(self, element: Element) -> Step:
        condition: Condition | None = None
        variables: tuple[StepVariable, ...] = ()
        action = ""
        for child in element.children:
            if child.tag == "condition":
                condition = self._condition(child)
            elif child.tag == "action":
                action = child.text.strip()
            elif child.tag == "defaultVarList":
                variables = tuple(self._variables(child))
            else:
                self._unknown(child)
        kind = element.attribute("type") or (SUBSEQUENCE if element.tag == "subtasksequence" else "")
        return Step(
            type=kind,
            name=element.attribute("name"),
            description=element.attribute("description"),
            disabled=self._boolean(element, "disable"),
            continue_on_error=self._boolean(element, "continueOnError"),
            run_in=element.attribute("runIn") or "WinPEandFullOS",
            success_codes=self._success_codes(element),
            retry_count=self._integer(element, "retryCount", 0) or 0,
            run_from_net=self._boolean(element, "runFromNet"),
            # An explicit 0 is the console's way to say "no limit".
            timeout=self._integer(element, "timeout", None) or None,
            action=action,
            variables=variables,
            condition=condition,
            position=self._position(element),
        )

    def _variables(self, element: Element) -> list[StepVariable]:
        found = []
        for child in element.children:
            if child.tag != "variable":
                self._unknown(child)
                continue
            name, prop = child.attribute("name"), child.attribute("property")
            if not name and not prop:
                self._wrong(child, "a <variable> has neither name nor property")
                continue
            found.append(StepVariable(name or prop, prop, child.text, self._boolean(child, "hidden")))
        return found

    def _condition(self, element: Element) -> Condition:
        return Condition("and", operands=self._operands(element), position=self._position(element))

    def _operands(self, element: Element) -> tuple[Condition, ...]:
        found = []
        for child in element.children:
            if child.tag == "expression":
                found.append(self._expression(child))
            elif child.tag == "operator":
                kind = child.attribute("type").strip().casefold()
                if kind not in _OPERATORS:
                    self._wrong(
                        child, f"condition operator '{child.attribute('type')}'", "the types are and, or, not"
                    )
                    kind = "and"
                found.append(Condition(kind, (), self._operands(child), self._position(child)))
            elif child.tag == "osConditionGroup":
                found.append(Condition("or", (), self._operands(child), self._position(child)))
            elif child.tag == "osExpressionGroup":
                found.append(Condition("and", (), self._operands(child), self._position(child)))
            else:
                self._unknown(child)
        return tuple(found)

    def _expression(self, element: Element) -> Condition:
        values: list[tuple[str, str]] = []
        for child in element.children:
            if child.tag == "variable" and child.attribute("name"):
                values.append((child.attribute("name"), child.text))
            else:
                self._unknown(child)
        if not element.attribute("type"):
            self._wrong(element, "a condition's <expression> has no type")
        return Condition(element.attribute("type"), tuple(values), (), self._position(element))
