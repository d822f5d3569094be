"""The model to XML: a document made of a model alone, and changes of a model put into the document it is of.

Engine room: pure. Shape, order and defaults are those that the console writes (observed, schema 3.10).
``change`` is how a sequence is edited (R31): take the model, replace what is to be other (add, remove and
move steps and groups, continue on error, conditions), and put it back; what was not changed stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.sequence.model import Condition, Group, Reference, Step, StepVariable, TaskSequence
from lab.sequence.xmlformat import Export, Found
from lab.sequence.xmlmodel import SUBSEQUENCE, TAGS
from lab.sequence.xmltree import CData, Document, Element, Node
from lab.sequence.xmlwrite import write_document

Item = Group | Step
_ITEMS = frozenset({"group", "step", "subtasksequence"})
_COMBINING = ("and", "or", "not")


def document_of(sequence: TaskSequence) -> Document:
    """A document of its own for a model; in a package's wrapper where the model has a package id."""
    root = Element("sequence", {"version": sequence.version})
    content: list[Node] = []
    if sequence.references:
        content.append(_references(sequence.references))
    if sequence.variables:
        content.append(Element("globalVarList", None, [_variable(one) for one in sequence.variables]))
    root.put([*content, *(_item(child) for child in sequence.children)])
    if not sequence.package_id:
        if sequence.name:
            root.set("name", sequence.name)
        return Document(root)
    wrapper: list[Node] = [
        Element("Name", None, [sequence.name]),
        Element("PackageID", None, [sequence.package_id]),
        Element("SequenceData", None, [root]),
    ]
    return Document(Element("SmsTaskSequencePackage", None, wrapper))


def change(export: Export, found: Found, changed: TaskSequence) -> Document:
    """Put ``changed``, which was made of ``found.sequence``, into the document of ``export`` and return it.

    Items are known by their positions; one without a position, or one that stands there twice, is new. The
    document itself is changed: read it again after writing.
    """
    if changed != found.sequence:
        _Change(found).apply(changed)
        store(found)
    return export.document


def store(found: Found) -> None:
    """Write a sequence that was escaped in a text into that text again, after its element was changed."""
    if found.holder is None or found.inner is None:
        return
    old = found.holder.text
    found.inner.newline = "\n"
    text = write_document(found.inner).decode("utf-8").rstrip("\n")
    before, after = old[: len(old) - len(old.lstrip())], old[len(old.rstrip()) :]
    text = before + text + after
    cdata = any(isinstance(node, CData) for node in found.holder.content)
    found.holder.put([CData(text) if cdata else text])


def _references(references: Iterable[Reference]) -> Element:
    made: list[Node] = []
    for item in references:
        pairs = {"package": item.package, "program": item.program, "application": item.application}
        made.append(Element("reference", {name: value for name, value in pairs.items() if value}))
    return Element("referenceList", None, made)


def _variable(variable: StepVariable) -> Element:
    attributes = {"name": variable.name}
    if variable.property:
        attributes["property"] = variable.property
    if variable.hidden:
        attributes["hidden"] = "true"
    return Element("variable", attributes, [variable.value] if variable.value else None)


def _attributes(item: Item) -> dict[str, str | None]:
    """An item's attributes as the console writes them; None for those it leaves out."""
    common = {
        "name": item.name,
        "description": item.description,
        "disable": "true" if item.disabled else None,
        "continueOnError": "true" if item.continue_on_error else None,
    }
    if isinstance(item, Group):
        return common
    return {
        "type": item.type or None,
        **common,
        "timeout": None if item.timeout is None else str(item.timeout),
        "runIn": item.run_in,
        "successCodeList": " ".join(map(str, item.success_codes)),
        "retryCount": str(item.retry_count),
        "runFromNet": "true" if item.run_from_net else "false",
    }


def _item(item: Item) -> Element:
    attributes = {name: value for name, value in _attributes(item).items() if value is not None}
    content: list[Node] = [] if item.condition is None else [condition_element(item.condition)]
    if isinstance(item, Group):
        return Element("group", attributes, [*content, *(_item(child) for child in item.children)])
    content.append(Element("action", None, [item.action] if item.action else None))
    variables: list[Node] = [_variable(variable) for variable in item.variables]
    content.append(Element("defaultVarList", None, variables))
    return Element("subtasksequence" if item.type == SUBSEQUENCE else "step", attributes, content)


def condition_element(condition: Condition) -> Element:
    """The ``<condition>`` of an item."""
    operands = condition.operands if condition.kind == "and" and not condition.values else (condition,)
    return Element("condition", None, [_operand(operand) for operand in operands])


def _operand(condition: Condition) -> Element:
    if condition.kind in _COMBINING or condition.operands:
        inside: list[Node] = [_operand(operand) for operand in condition.operands]
        return Element("operator", {"type": condition.kind}, inside)
    values: list[Node] = [
        Element("variable", {"name": name}, [value] if value else None) for name, value in condition.values
    ]
    return Element("expression", {"type": condition.kind}, values)


class _Change:
    def __init__(self, found: Found) -> None:
        self._found = found
        self._items: dict[tuple[int, int], Item] = {}
        for _, _, item in found.sequence.walk():
            self._items[item.position.line, item.position.column] = item
        self._elements = {
            (element.line, element.column): element
            for _, element in Document(found.element).walk()
            if TAGS.get(element.name.casefold()) in _ITEMS
        }
        self._used: set[tuple[int, int]] = set()

    def apply(self, changed: TaskSequence) -> None:
        root, old = self._found.element, self._found.sequence
        if changed.version != old.version:
            root.set("version", changed.version)
        if changed.name != old.name:
            root.set("name", changed.name)
        if changed.references != old.references:
            made = _references(changed.references) if changed.references else None
            self._replace(root, "referenceList", made)
        if changed.variables != old.variables:
            values: list[Node] = [_variable(one) for one in changed.variables]
            self._replace(root, "globalVarList", Element("globalVarList", None, values) if values else None)
        if changed.children != old.children:
            self._arrange(root, changed.children)

    def _element(self, item: Item) -> Element:
        """The item's element: the old one as far as it still says the same, else one made anew."""
        key = (item.position.line, item.position.column)
        old, element = self._items.get(key), self._elements.get(key)
        if old is None or element is None or key in self._used or type(old) is not type(item):
            return self._new(item)
        self._used.add(key)
        if old == item:
            # Those inside count as used, so that a copy elsewhere is made anew.
            return element
        before, now = _attributes(old), _attributes(item)
        for name, value in now.items():
            if value != before[name]:
                written = next((key for key in element.attributes if key.casefold() == name.casefold()), name)
                # An explicit "false" stays explicit.
                element.set(written, "false" if value is None and written in element.attributes else value)
        if item.condition != old.condition:
            made = None if item.condition is None else condition_element(item.condition)
            self._replace(element, "condition", made)
        if isinstance(item, Group):
            if isinstance(old, Group) and item.children != old.children:
                self._arrange(element, item.children)
        elif isinstance(old, Step):
            if item.action != old.action:
                text: list[Node] = [item.action] if item.action else []
                self._replace(element, "action", Element("action", None, text))
            if item.variables != old.variables:
                values: list[Node] = [_variable(one) for one in item.variables]
                self._replace(element, "defaultVarList", Element("defaultVarList", None, values))
        return element

    def _new(self, item: Item) -> Element:
        if isinstance(item, Step):
            return _item(item)
        made = _item(Group(item.name, item.description, item.disabled, item.continue_on_error, (),
                           item.condition))  # fmt: skip
        made.put([*made.content, *(self._element(child) for child in item.children)])
        return made

    def _replace(self, parent: Element, tag: str, made: Element | None) -> None:
        """Put ``made`` where the parent's children of this name were; first where there was none."""
        content: list[Node] = []
        placed = made is None
        for node in parent.content:
            if isinstance(node, Element) and TAGS.get(node.name.casefold()) == tag:
                if not placed and made is not None:
                    content.append(made)
                    placed = True
            else:
                content.append(node)
        if not placed and made is not None:
            content.insert(0, made)
        parent.put(content)

    def _arrange(self, parent: Element, items: tuple[Item, ...]) -> None:
        """Put the parent's items into this order. Comments and white space go with the item they precede;
        a comment stays when its item goes."""
        ahead: list[Node] = []
        owned: dict[int, list[Node]] = {}
        first: list[Node] = []
        for node in parent.content:
            tag = TAGS.get(node.name.casefold()) if isinstance(node, Element) else None
            if tag in _ITEMS:
                owned[id(node)] = ahead
                ahead = []
            else:
                ahead.append(node)
                if isinstance(node, Element):
                    # What is no item stays at the beginning, or where it was at the end.
                    first, ahead = [*first, *ahead], []
        space = next((part for part in owned.values() if part), [])
        indent = [node for node in space if type(node) is str and not node.strip()][-1:]
        made = [self._element(item) for item in items]
        kept = {id(element) for element in made}
        orphans: list[Node] = [
            node for key, part in owned.items() if key not in kept for node in part
            if not (isinstance(node, str) and type(node) is str and not node.strip())
        ]  # fmt: skip
        content = [*first, *orphans]
        for element in made:
            content += [*owned.get(id(element), indent), element]
        parent.put([*content, *ahead])
