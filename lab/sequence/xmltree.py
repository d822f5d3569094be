"""XML read safely and without loss: a tree with positions that holds all a document says.

Engine room: expat only. Kept: elements, attributes, text, CDATA sections, comments, processing instructions,
the declaration, in their order (``xmlwrite`` writes them again). Refused with a Problem: document types and
entities, more than MAX_BYTES, MAX_DEPTH or MAX_NODES, unknown encodings, NUL bytes, anything not well-formed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from lab.errors import InputError, Problem

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 256
#: elements, comments and processing instructions
MAX_NODES = 500_000

_DECLARED = re.compile(rb"^(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
#: Encodings of several bytes that expat cannot read and that real editors of the East write.
_WIDE = frozenset(["gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr", "ks_c_5601-1987"])
_NONE: dict[str, str] = {}


class CData(str):
    """The text of a CDATA section."""

    __slots__ = ()


class Comment(str):
    """The text of a comment."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Instruction:
    """A processing instruction."""

    target: str
    data: str


class Element:
    """An element. ``content``: elements, text (``str``), CData, Comment, Instruction, in order.

    ``line`` and ``column`` count from 1 and say where it begins in its file.
    """

    __slots__ = ("attributes", "column", "content", "line", "tag")

    def __init__(
        self,
        tag: str,
        attributes: dict[str, str] | None = None,
        content: list[Node] | None = None,
        line: int = 0,
        column: int = 0,
    ) -> None:
        self.tag = tag
        self.attributes = attributes or _NONE
        self.content: list[Node] | tuple[()] = content or ()
        self.line = line
        self.column = column

    @property
    def name(self) -> str:
        """The tag without its namespace prefix."""
        return self.tag.rpartition(":")[2]

    @property
    def children(self) -> list[Element]:
        return [node for node in self.content if type(node) is Element]

    @property
    def text(self) -> str:
        """The element's own text, CDATA sections included."""
        return "".join(str(node) for node in self.content if type(node) is str or type(node) is CData)

    def put(self, content: list[Node]) -> None:
        """Replace what the element holds."""
        self.content = content or ()

    def set(self, name: str, value: str | None) -> None:
        """Set an attribute, or take it away (None)."""
        attributes = {**self.attributes}
        if value is None:
            attributes.pop(name, None)
        else:
            attributes[name] = value
        self.attributes = attributes or _NONE


Node = Element | str | Instruction


@dataclass
class Document:
    """A whole document. ``outside``: comments and instructions (before the root, after it).

    ``declaration``: (version, encoding or "", standalone as expat has it: -1 for not said), or None.
    ``newline``: how the file ends its lines. ``places``: where the texts that hold escaped XML begin, by the
    identity of their element.
    """

    root: Element
    outside: tuple[tuple[Node, ...], tuple[Node, ...]] = ((), ())
    declaration: tuple[str, str, int] | None = None
    newline: str = "\n"
    places: dict[int, tuple[int, int]] = field(default_factory=dict)

    def walk(self) -> Iterator[tuple[tuple[Element, ...], Element]]:
        """Every element with those it stands in (outermost first), in the document's order."""
        above: list[Element] = []
        waiting: list[tuple[int, Element]] = [(0, self.root)]
        while waiting:
            depth, element = waiting.pop()
            del above[depth:]
            yield tuple(above), element
            above.append(element)
            if element.content:
                waiting += [(depth + 1, child) for child in reversed(element.children)]


#: Text that holds a sequence once more, as a document of its own.
SEQUENCE_TAG = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?sequence[\s/>]")


class _Refused(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def read_document(data: bytes | str, path: str, line: int = 1, column: int = 1) -> Document:
    """Parse ``data``; ``line`` and ``column`` say where it begins in ``path``. Raises InputError.

    A text's declared encoding does not count, and neither does a declared UTF-16 in a file that has no NUL
    (the console and .NET write both).
    """
    encoding = None
    if isinstance(data, str):
        data, encoding = data.encode("utf-8", "surrogatepass"), "utf-8"
    builder = _Builder(line, column, encoding or "")
    if len(data) > MAX_BYTES:
        raise _problem(path, (line, column), f"the file has {len(data)} bytes, the limit is {MAX_BYTES}")
    declared = _DECLARED.match(data[:200])
    if declared is not None and encoding is None:
        name = declared[1].decode("ascii").casefold()
        if name in ("utf-16", "unicode", "utf-16le") and b"\0" not in data[:4096]:
            builder = _Builder(line, column, "utf-8")
        elif name in _WIDE:
            try:
                data = data.decode(name).encode("utf-8")
            except (UnicodeError, LookupError) as error:
                raise _problem(path, (line, column), f"the file's encoding cannot be read: {error}") from None
            builder = _Builder(line, column, "utf-8")
    try:
        root = builder.parse(data)
    except _Refused as refused:
        raise _problem(path, builder.place(), refused.message, refused.hint) from None
    except expat.ExpatError as error:
        here = builder.at(error.lineno, error.offset)
        reason = expat.ErrorString(error.code)
        raise _problem(path, here, f"not well-formed XML: {reason}", _hint(data, reason)) from None
    except (LookupError, ValueError, UnicodeError) as error:
        raise _problem(path, builder.place(), f"the file's encoding cannot be read: {error}") from None
    newline = "\r\n" if b"\r\n" in data[:65536] or b"\r\0\n" in data[:65536] else "\n"
    before, after = tuple(builder.before), tuple(builder.after)
    return Document(root, (before, after), builder.declaration, newline, builder.places)


def _problem(path: str, place: tuple[int, int], message: str, hint: str = "") -> InputError:
    return InputError([Problem(path, place[0], place[1], message, hint)])


def _hint(data: bytes, reason: str) -> str:
    if not data.strip():
        return "the file is empty"
    if data[:2] == b"PK":
        return "this is a zip file: its name must end in .zip"
    if b"\0" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return "the file holds NUL bytes: it is binary, or UTF-16 without a byte order mark"
    if "encoding" in reason:
        return "save the file as UTF-8, and let its XML declaration say so"
    if "no element found" in reason or "unclosed" in reason:
        return "the file ends too early: is it cut?"
    return ""


class _Builder:
    """Turns expat's events into a tree."""

    def __init__(self, line: int, column: int, encoding: str = "") -> None:
        self.before: list[Node] = []
        self.after: list[Node] = []
        self.declaration: tuple[str, str, int] | None = None
        self.places: dict[int, tuple[int, int]] = {}
        self._root: Element | None = None
        self._line = line
        self._column = column
        self._stack: list[Element] = []
        self._contents: list[list[Node]] = []
        #: where the first text of each open element begins
        self._texts: list[tuple[int, int] | None] = []
        self._pieces: list[str] = []
        self._nodes = 0
        self._parser = parser = expat.ParserCreate(encoding or None)
        # Text comes in pieces: buffered, it would come with the position of what follows it.
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartCdataSectionHandler = self._flush
        parser.EndCdataSectionHandler = self._cdata
        parser.CommentHandler = self._comment
        parser.ProcessingInstructionHandler = self._instruction
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity

    def parse(self, data: bytes) -> Element:
        self._parser.Parse(data, True)
        assert self._root is not None  # expat has raised otherwise
        return self._root

    def at(self, line: int, offset: int) -> tuple[int, int]:
        return self._line + line - 1, offset + (self._column if line == 1 else 1)

    def place(self) -> tuple[int, int]:
        return self.at(max(self._parser.CurrentLineNumber, 1), max(self._parser.CurrentColumnNumber, 0))

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        self.declaration = (version, encoding or "", standalone)

    def _doctype(self, name: str, *rest: object) -> None:
        raise _Refused(f"document type declaration '{name}'", "an export has none; remove it")

    def _entity(self, *rest: object) -> None:
        raise _Refused("entity declaration", "an export has none; remove it")

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES} nodes")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._pieces:
            self._flush()
        self._count()
        if len(self._stack) >= MAX_DEPTH:
            raise _Refused(f"elements are nested more than {MAX_DEPTH} deep")
        line, column = self.place()
        element = Element(tag, attributes, None, line, column)
        if self._stack:
            self._contents[-1].append(element)
        else:
            self._root = element
        self._stack.append(element)
        self._contents.append([])
        self._texts.append(None)

    def _end(self, tag: str) -> None:
        if self._pieces:
            self._flush()
        element = self._stack.pop()
        content = self._contents.pop()
        begins = self._texts.pop()
        if content:
            # An exact list: one that grew by appending has room to spare.
            element.content = content[:]
            if begins is not None and SEQUENCE_TAG.search(element.text):
                self.places[id(element)] = begins

    def _characters(self, text: str) -> None:
        if self._texts and self._texts[-1] is None:
            self._texts[-1] = self.place()
        self._pieces.append(text)

    def _flush(self) -> None:
        if self._pieces:
            self._contents[-1].append("".join(self._pieces))
            self._pieces.clear()

    def _cdata(self) -> None:
        if self._pieces:
            self._contents[-1].append(CData("".join(self._pieces)))
            self._pieces.clear()

    def _comment(self, text: str) -> None:
        self._aside(Comment(text))

    def _instruction(self, target: str, data: str) -> None:
        self._aside(Instruction(target, data))

    def _aside(self, node: Node) -> None:
        self._flush()
        self._count()
        if self._stack:
            self._contents[-1].append(node)
        else:
            (self.before if self._root is None else self.after).append(node)
