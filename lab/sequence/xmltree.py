"""XML with positions, read safely: the small tree that the export reader works on.

Engine room: expat only. Refused with a Problem: document types and entities, more than MAX_BYTES,
MAX_DEPTH or MAX_ELEMENTS, unknown encodings, NUL bytes, anything not well-formed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from lab.errors import InputError, Problem

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200
MAX_ELEMENTS = 1_000_000


@dataclass
class Element:
    """An element inside the first ``sequence``. ``line`` and ``column`` count from 1."""

    tag: str
    attributes: dict[str, str]
    line: int
    column: int
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def attribute(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)


@dataclass
class Document:
    """What was found: the first ``sequence`` element or None, the wrapper's properties by name, and escaped
    XML that a property's text holds, with the position where it begins."""

    sequence: Element | None
    properties: dict[str, str]
    embedded: tuple[str, int, int] | None


class _Refused(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def read_document(data: bytes, path: str, line: int = 1, column: int = 1) -> Document:
    """Parse ``data``; ``line`` and ``column`` say where it begins in ``path``. Raises InputError."""
    builder = _Builder(line, column)
    try:
        builder.parse(data)
    except _Refused as refused:
        raise _problem(path, builder.place(), refused.message, refused.hint) from None
    except expat.ExpatError as error:
        here = builder.at(error.lineno, error.offset)
        reason = expat.ErrorString(error.code)
        raise _problem(path, here, f"not well-formed XML: {reason}", _hint(data, reason)) from None
    except (LookupError, ValueError, UnicodeError) as error:
        raise _problem(path, builder.place(), f"the file's encoding cannot be read: {error}") from None
    return Document(builder.sequence, builder.properties, builder.embedded)


def _problem(path: str, place: tuple[int, int], message: str, hint: str = "") -> InputError:
    return InputError([Problem(path, place[0], place[1], message, hint)])


def _hint(data: bytes, reason: str) -> str:
    if not data.strip():
        return "the file is empty"
    if data[:2] == b"PK":
        return "this is a zip file: take the sequence out of it first"
    if b"\0" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return "the file holds NUL bytes: it is binary, or UTF-16 without a byte order mark"
    if "encoding" in reason:
        return "save the file as UTF-8, and let its XML declaration say so"
    if "no element found" in reason or "unclosed" in reason:
        return "the file ends too early: is it cut?"
    return ""


class _Builder:
    def __init__(self, line: int, column: int) -> None:
        self.sequence: Element | None = None
        self.properties: dict[str, str] = {}
        self.embedded: tuple[str, int, int] | None = None
        self._line = line
        self._column = column
        self._stack: list[Element] = []
        self._texts: list[list[str]] = []
        self._depth = 0
        self._elements = 0
        self._done = False
        self._outer: list[str] = []
        self._outer_text: list[str] = []
        self._outer_place = (0, 0)
        self._property = ""
        self._parser = expat.ParserCreate()
        # Text comes in pieces: buffered, it would come with the position of what follows it.
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._entity

    def parse(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise _Refused(f"the file has {len(data)} bytes, the limit is {MAX_BYTES}")
        self._parser.Parse(data, True)

    def at(self, line: int, offset: int) -> tuple[int, int]:
        return self._line + line - 1, offset + (self._column if line == 1 else 1)

    def place(self) -> tuple[int, int]:
        return self.at(max(self._parser.CurrentLineNumber, 1), max(self._parser.CurrentColumnNumber, 0))

    def _doctype(self, name: str, *rest: object) -> None:
        raise _Refused(f"document type declaration '{name}'", "an export has none; remove it")

    def _entity(self, *rest: object) -> None:
        raise _Refused("entity declaration", "an export has none; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rsplit(":", 1)[-1]
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"elements are nested more than {MAX_DEPTH} deep")
        if self._elements > MAX_ELEMENTS:
            raise _Refused(f"more than {MAX_ELEMENTS} elements")
        if not self._stack and (self._done or tag != "sequence"):
            self._outer.append(tag)
            self._outer_text.clear()
            if tag == "PROPERTY":
                self._property = attributes.get("NAME", "")
            return
        line, column = self.place()
        element = Element(tag, attributes, line, column)
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self.sequence = element
        self._stack.append(element)
        self._texts.append([])

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._stack:
            self._stack.pop().text = "".join(self._texts.pop())
            self._done = not self._stack
            return
        self._outer.pop()
        text = "".join(self._outer_text)
        self._outer_text.clear()
        if not text.strip():
            return
        parent = self._outer[-1] if self._outer else ""
        name = self._property if parent == "PROPERTY" else tag.rsplit(":", 1)[-1]
        if len(text) < 1000 and parent != "QUALIFIER":
            self.properties.setdefault(name, text.strip())
        body = text.lstrip()
        if self.embedded is None and body.startswith("<sequence"):
            line, column = self._outer_place
            skipped = text[: len(text) - len(body)]
            if "\n" in skipped:
                line, column = line + skipped.count("\n"), len(skipped) - skipped.rfind("\n")
            else:
                column += len(skipped)
            self.embedded = (body, line, column)

    def _characters(self, text: str) -> None:
        if self._stack:
            self._texts[-1].append(text)
        elif not self._done:
            if not self._outer_text:
                self._outer_place = self.place()
            self._outer_text.append(text)
