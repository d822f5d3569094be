"""ConfigMgr's exported XML to the model, with nothing lost.

Engine room: pure; the host uses it, the guest does not. ``read_export`` finds every ``sequence`` element,
also escaped inside a property of a console export's object.xml, and keeps the whole document beside the
models. What a model does not hold is named in its ``unknown``; what is not understood and would change the
run, in its ``flaws``. What the engine cannot do is not this module's matter: see ``validate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.errors import InputError, Problem
from lab.sequence.model import TaskSequence
from lab.sequence.xmlmodel import INSIDE, TAGS, SequenceReader
from lab.sequence.xmltree import Document, Element, read_document

#: schema versions that the engine's log calls supported, and the newest one seen
KNOWN_VERSIONS = ("3.00", "3.10")

#: Of one document; a whole site has fewer.
MAX_SEQUENCES = 1000
#: How often a sequence may be escaped inside another document's text.
_LAYERS = 3
#: The last one is the one that the others are written with.
_ESCAPES = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&apos;", b"'"), (b"&amp;", b"&"))


@dataclass(frozen=True)
class Found:
    """A sequence of a document: its model, its element, what the elements around it say of it, and the
    element whose text it is, with that text as a document, when it is escaped."""

    sequence: TaskSequence
    element: Element
    properties: Mapping[str, str]
    holder: Element | None = None
    inner: Document | None = None


@dataclass(frozen=True)
class Export:
    """A document and all its sequences, in its order; at least one."""

    document: Document
    found: tuple[Found, ...]


def read_sequence(data: bytes, path: str) -> TaskSequence:
    """Read the first sequence of an export. ``path`` is only named in positions, not opened.

    Raises InputError when the file is no XML that may be read, or holds no sequence.
    """
    return read_export(data, path).found[0].sequence


def read_export(data: bytes, path: str) -> Export:
    """Read a document and every sequence in it. Raises InputError as ``read_sequence``."""
    return export_of(read_document(_plain(data), path), path)


def _plain(data: bytes) -> bytes:
    """The document of a file whose whole text was escaped once more (observed): ``&lt;sequence …``."""
    if not data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"&lt;"):
        return data
    for escape, plain in _ESCAPES:
        data = data.replace(escape, plain)
    return data


def export_of(document: Document, path: str) -> Export:
    """The sequences of a document that has been read. Raises InputError when it holds none."""
    found = tuple(_sequences(document, path, {}, _LAYERS))
    if not found:
        said, hint = "there is no <sequence> element", "give the exported task sequence, a console export's "
        hint += "object.xml or zip, or MDT's ts.xml"
        if document.root.name.casefold() == "tss":
            hint = "this is MDT's list of its sequences: give the ts.xml in one of the folders below Control"
        root = document.root
        raise InputError([Problem(path, root.line, root.column, said, hint)])
    return Export(document, found)


def _sequences(document: Document, path: str, outer: dict[str, str], layers: int) -> Iterator[Found]:
    inside: list[tuple[tuple[Element, ...], Element]] = []
    for above, element in document.walk():
        if any(part.name == "sequence" and _is_sequence(part) for part in above):
            continue
        if element.name == "sequence" and _is_sequence(element):
            inside.append((above, element))
    if len(inside) > MAX_SEQUENCES:
        place = inside[MAX_SEQUENCES][1]
        message = f"more than {MAX_SEQUENCES} sequences"
        raise InputError([Problem(path, place.line, place.column, message)])
    for above, element in inside:
        said = {**outer, **properties_of(above)}
        yield Found(SequenceReader(path).sequence(element, said), element, said)
    if inside or not layers or not document.places:
        return
    if len(document.places) > MAX_SEQUENCES:
        root = document.root
        message = f"more than {MAX_SEQUENCES} texts that may be sequences"
        raise InputError([Problem(path, root.line, root.column, message)])
    for above, element in document.walk():
        if id(element) not in document.places:
            continue
        line, column = document.places[id(element)]
        text = element.text
        body = text.lstrip("\ufeff \t\r\n")
        if not body.startswith("<"):
            continue
        skipped = text[: len(text) - len(body)]
        line, column = line + skipped.count("\n"), len(skipped) - skipped.rfind("\n") + (
            column - 1 if "\n" not in skipped else 0
        )  # fmt: skip
        inner = read_document(body, path, line, column)
        for found in _sequences(inner, path, {**outer, **properties_of(above)}, layers - 1):
            yield Found(found.sequence, found.element, found.properties, element, inner)


def _is_sequence(element: Element) -> bool:
    """Another vocabulary's ``sequence`` (XML Schema has one) has a prefix, and nothing of ours in it."""
    return ":" not in element.tag or any(TAGS.get(child.name.casefold()) in INSIDE
                                         for child in element.children)  # fmt: skip


def properties_of(above: tuple[Element, ...]) -> dict[str, str]:
    """What elements (outermost first) say in WMI's form or a package's: name and package, above all."""
    found: dict[str, str] = {}
    for element in reversed(above):
        # An object has some eighty properties; a list of objects says nothing of one.
        for child in element.children[:MAX_SEQUENCES]:
            if child.name.startswith("PROPERTY"):
                values = [value.text for value in child.children if value.name == "VALUE"]
                name = child.attributes.get("NAME", "")
            else:
                values = [child.text]
                name = child.attributes.get("N", child.name)
            if values and len(values[0]) < 1000 and values[0].strip():
                found.setdefault(name, values[0].strip())
        if element.name == "INSTANCE":
            break
    return found
