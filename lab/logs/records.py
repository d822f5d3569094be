"""The records of a log as values: where they stand, and their fields, decoded when asked for."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass

from lab.logs import lines, when
from lab.logs.source import Source

OPEN = b"<![LOG["

#: attribute -> its group in the match of a clean record
GROUPS = {"time": 2, "date": 3, "component": 4, "context": 5, "type": 6, "thread": 7, "file": 8}
#: attribute -> where its value stands
Spans = dict[str, tuple[int, int]]

_SEVERITIES = {0: "verbose", 1: "info", 2: "warning", 3: "error"}


@dataclass(frozen=True)
class Damage:
    """A range of a file that is no record: byte ``offset`` and ``length``, ``line`` from 1, and why."""

    path: str
    offset: int
    length: int
    line: int
    reason: str
    text: str = ""


class Record:
    """One record; its text is decoded when asked for. ``offset`` and ``length`` in bytes, ``line`` from 1.

    Fields that the record does not have are None: nothing is guessed. ``time`` is ISO 8601, with the zone
    where the record gives its bias. ``start`` and ``end`` are indexes into the source's ``scanned``.
    """

    __slots__ = ()

    @property
    def source(self) -> Source:
        raise NotImplementedError

    @property
    def line(self) -> int:
        raise NotImplementedError

    @property
    def start(self) -> int:
        raise NotImplementedError

    @property
    def end(self) -> int:
        raise NotImplementedError

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def offset(self) -> int:
        return self.source.offset(self.start)

    @property
    def length(self) -> int:
        return (self.end - self.start) * self.source.unit

    def field(self, name: str) -> str | None:
        """An attribute as it stands in the file, or None when the record has none of that name."""
        raise NotImplementedError

    def get(self, name: str) -> str:
        return self.field(name) or ""

    @property
    def message(self) -> str:
        raise NotImplementedError

    @property
    def moment(self) -> when.Moment:
        return when.moment(self.get("time"), self.get("date"))

    @property
    def time(self) -> str | None:
        return self.moment.iso

    @property
    def component(self) -> str | None:
        return self.field("component")

    @property
    def context(self) -> str | None:
        return self.field("context")

    @property
    def file(self) -> str | None:
        return self.field("file")

    @property
    def type(self) -> int | None:
        text = self.get("type").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else None

    @property
    def severity(self) -> str | None:
        kind = self.type
        return None if kind is None else _SEVERITIES.get(kind)

    @property
    def thread(self) -> int | None:
        text = self.get("thread").split("(")[0].strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    def to_json(self) -> dict[str, object]:
        moment = self.moment
        return {
            "time": moment.iso,
            "date": moment.date,
            "bias": moment.bias,
            "component": self.component,
            "context": self.context,
            "type": self.type,
            "severity": self.severity,
            "thread": self.thread,
            "file": self.file,
            "message": self.message,
            "path": self.path,
            "offset": self.offset,
            "length": self.length,
            "line": self.line,
        }


class CleanRecord(tuple[Source, re.Match[bytes], int], Record):
    """A record between CMTrace's marks with all attributes in their order.

    A tuple (source, match, line), because a log has very many of these and tuples are made fastest.
    """

    __slots__ = ()

    @property
    def source(self) -> Source:
        return self[0]

    @property
    def line(self) -> int:
        return self[2]

    @property
    def start(self) -> int:
        return self[1].start()

    @property
    def end(self) -> int:
        return self[1].end(8) + 2  # the quote and the bracket

    @property
    def message(self) -> str:
        return self[0].text(*self[1].span(1))

    def field(self, name: str) -> str | None:
        return self[0].text(*self[1].span(GROUPS[name]))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: ``start`` and ``end`` index the source's ``scanned``."""

    source: Source
    start: int
    end: int
    line: int


class PlacedRecord(Record):
    """A record that knows its place."""

    __slots__ = ("place",)

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def source(self) -> Source:
        return self.place.source

    @property
    def start(self) -> int:
        return self.place.start

    @property
    def end(self) -> int:
        return self.place.end

    @property
    def line(self) -> int:
        return self.place.line


class MarkedRecord(PlacedRecord):
    """A record between CMTrace's marks of any other shape. ``values``: where each value stands."""

    __slots__ = ("close", "values")

    def __init__(self, place: Place, close: int, values: Spans) -> None:
        super().__init__(place)
        self.close = close
        self.values = values

    @property
    def message(self) -> str:
        return self._plain(self.start + len(OPEN), self.close)

    def field(self, name: str) -> str | None:
        span = self.values.get(name)
        return None if span is None else self._plain(*span)

    def _plain(self, start: int, end: int) -> str:
        """The text, which JSON escapes when it escapes the quotes of the attributes."""
        text, scanned = self.source.text(start, end), self.source.scanned
        if "\\" in text and any(scanned[at - 2 : at] == b'\\"' for at, _ in self.values.values()):
            with contextlib.suppress(ValueError):
                return str(json.loads(f'"{text}"', strict=False))
        return text


class LineRecord(PlacedRecord):
    """A record of a text log: one line, or the lines before a ``$$<`` mark, split by its layout."""

    __slots__ = ("_parts",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._parts: lines.Parts | None = None

    @property
    def parts(self) -> lines.Parts:
        if self._parts is None:
            self._parts = lines.parts(self.source.text(self.start, self.end))
        return self._parts

    @property
    def message(self) -> str:
        return self.parts.message

    def field(self, name: str) -> str | None:
        return self.parts.field(name)
