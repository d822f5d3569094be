"""Secret values of a document made blank, as an export does (R32): passwords, product keys, what is marked.

Engine room: pure; works on the document, so that everything else comes back as it was. Secret are: variables
whose name or property says so; a *Set Task Sequence Variable* that hides its value or sets such a name;
values of *Set Dynamic Variables* that are marked or named so; and all of these in a step's command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab.errors import InputError
from lab.sequence.model import Position
from lab.sequence.variables import is_secret_name
from lab.sequence.xmlbuild import store
from lab.sequence.xmlformat import Export
from lab.sequence.xmlmodel import TAGS
from lab.sequence.xmltree import CData, Element, Node, read_document
from lab.sequence.xmlwrite import write_document

_SECRET = re.compile(r"password|productkey|hiddenvariablevalue|bitlocker\w*pin|recoverykey|secret|\bpin$")
#: Settings about a secret, and values that are none.
_SETTINGS = frozenset({"osdrandomadminpassword", "osdbitlockercreaterecoverypassword"})
_NO_SECRET = re.compile(r"\s*(?:true|false|yes|no|none|%[^%]+%)?\s*", re.IGNORECASE)
_RULES = "osdsetdynamicvariablesrules"


@dataclass(frozen=True)
class Blanked:
    """A value that was made blank: the step it is of ("" for the sequence), its name and where it stood."""

    step: str
    name: str
    position: Position

    def __str__(self) -> str:
        of = f"step '{self.step}'" if self.step else "the sequence"
        return f"{self.position}: blanked {self.name} of {of}"


def blank_secrets(export: Export) -> tuple[Blanked, ...]:
    """Make the secret values in ``export``'s document blank and say which; the document itself is changed."""
    blanked: list[Blanked] = []
    for found in export.found:
        path = found.sequence.position.path
        before = len(blanked)
        for element in _holders(found.element):
            for name, place in _blank(element):
                step = element.attributes.get("name", "") if element is not found.element else ""
                blanked.append(Blanked(step, name, Position(path, place.line, place.column)))
        if len(blanked) > before:
            store(found)
    return tuple(blanked)


def _holders(element: Element) -> Iterator[Element]:
    waiting = [element]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += reversed([child for child in one.children if _tag(child) in ("group", "step")])


def _tag(element: Element) -> str:
    tag = TAGS.get(element.name.casefold(), "")
    return "step" if tag == "subtasksequence" else tag


def _attribute(element: Element, name: str) -> str:
    return next((value for key, value in element.attributes.items() if key.casefold() == name), "")


def _blank(holder: Element) -> Iterator[tuple[str, Element]]:
    """Blank one step's or the sequence's own values; yields (name, its element)."""
    lists = [child for child in holder.children if _tag(child) in ("defaultVarList", "globalVarList")]
    variables = [child for one in lists for child in one.children if _tag(child) == "variable"]
    said = {_attribute(one, "name").casefold(): one.text.strip() for one in variables}
    said |= {_attribute(one, "property").casefold(): one.text.strip() for one in variables}
    hides = said.get("donotshowvariablevalue", "").casefold() == "true" or _is_secret(
        said.get("variablename", "")
    )
    values = []
    for one in variables:
        name, prop = _attribute(one, "name"), _attribute(one, "property")
        if _RULES in (name.casefold(), prop.casefold()) or prop.casefold() == "rules":
            for secret in _blank_rules(one):
                yield secret, one
            continue
        secret_value = hides and "variablevalue" in (name.casefold(), prop.casefold())
        if name.casefold() in _SETTINGS or _NO_SECRET.fullmatch(one.text):
            continue
        if secret_value or _is_secret(name) or _is_secret(prop):
            values.append(one.text)
            one.put([])
            yield said.get("variablename", "") if secret_value else name or prop, one
    for child in holder.children:
        if _tag(child) != "action":
            continue
        text = child.text
        for value in sorted(values, key=len, reverse=True):
            whole = rf"(?<!\w){re.escape(value.strip())}(?!\w)"
            text = re.sub(whole, "", text) if len(value.strip()) < 5 else text.replace(value.strip(), "")
        # MDT's and older commands hold a value that no variable does.
        sets = re.match(r'\s*tsenv\.exe\s+"([^"=]+)=', text, re.IGNORECASE)
        if sets and (hides or _is_secret(sets[1])) and not re.match(r'[^=]+="', text):
            text = re.sub(r'(?<==)[^"]*(?="?)', "", text, count=1)
        if text != child.text:
            child.put([text])
            yield "its command line", child


def _is_secret(name: str) -> bool:
    return is_secret_name(name) or _SECRET.search(name.casefold()) is not None


def _blank_rules(variable: Element) -> Iterator[str]:
    try:
        document = read_document(variable.text, "")
    except InputError:
        if variable.text.strip():
            # What cannot be read might hold one.
            variable.put([])
            yield "rules that cannot be read"
        return
    blanked = []
    for _, element in document.walk():
        name = _attribute(element, "name")
        marked = _attribute(element, "issecret").strip().casefold() in ("true", "1")
        named = _is_secret(name) and not _NO_SECRET.fullmatch(element.text)
        if element.name == "Variable" and element.text.strip() and (marked or named):
            element.put([])
            blanked.append(name)
    if blanked:
        text = write_document(document).decode("utf-8").strip()
        node: Node = CData(text) if any(isinstance(one, CData) for one in variable.content) else text
        variable.put([node])
    yield from blanked
