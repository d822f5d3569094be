"""The records of a log: found, with every byte accounted for as a record, as damage or as blank.

``scan`` gives, in the file's order, ``Record`` and ``Damage``; together with blanks (white space and byte
order marks) their ranges tile the file. Format (observed): ``<![LOG[message]LOG]!><time="…" date="…"
component="…" context="" type="1" thread="…" file="…">``. A closing mark counts only with attributes behind
it; a record that is not closed before the next one opens was cut. A file without any such record is read
line by line (``lab.logs.lines``). Time is linear in the file's size, whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.logs import lines
from lab.logs.records import OPEN, CleanRecord, Damage, LineRecord, MarkedRecord, Place, Record, Spans
from lab.logs.source import Source

CLOSE = b"]LOG]!>"

_VALUE = rb'"([^"]*+)"'
#: A record as it should be, with its line end. The message ends at the next opening mark at the latest.
_CLEAN = re.compile(
    rb"<!\[LOG\[([^\]<]*(?:(?:\](?!LOG\]!>)|<(?!!\[LOG\[))[^\]<]*)*)\]LOG\]!>"
    rb"<time=" + _VALUE + rb" date=" + _VALUE + rb" component=" + _VALUE + rb" context=" + _VALUE
    + rb" type=" + _VALUE + rb" thread=" + _VALUE + rb" file=" + _VALUE + rb">(\r?\n)?"
)  # fmt: skip
#: Any attributes in any order, one by one; a value may hold line ends only if it is closed.
_BEGINS = re.compile(rb"<\s*(?=\w+\s*=\s*(?:[\"']|\\\"))")
#: In a log that was put into JSON, a backslash stands before each quote.
_ATTRIBUTE = re.compile(
    rb"\s*(\w+)\s*=\s*(?:\"([^\"\r\n<>]*)\"|'([^'\r\n<>]*)'|\\\"((?:[^\"\\\r\n<>]|\\[^\"\r\n])*)\\\")"
)
_ATTRIBUTE_WILD = re.compile(rb"\s*(\w+)\s*=\s*\"([^\"\r\n]*)\"(?=\s*(?:>|\w+\s*=\s*\"))")
_ENDS = re.compile(rb"\s*/?>")
_MOST_ATTRIBUTES = 32


def scan(source: Source) -> Iterator[Record | Damage]:
    """All of a file in order. Never raises."""
    if source.scanned.find(OPEN) < 0:
        yield from _scan_lines(source)
        return
    yield from _Scanner(source).scan()
    whole = source.offset(len(source.scanned))
    if whole < len(source.raw):
        line = source.scanned.count(b"\n") + 1
        yield Damage(source.path, whole, len(source.raw) - whole, line, "half a UTF-16 character")


class _Scanner:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.data = source.scanned
        self.at = 0  # up to here all is accounted for
        self.line = 1
        self.counted = 0  # up to here the line ends are counted

    def scan(self) -> Iterator[Record | Damage]:
        data, source, match, count = self.data, self.source, _CLEAN.match, self.data.count
        record = tuple.__new__
        size = len(data)
        at, line = 0, 1
        while at < size:
            found = match(data, at)
            if found is not None:
                yield record(CleanRecord, (source, found, line))
                end = found.end()
                line += count(b"\n", at, end)
                at = end
                continue
            self.at = self.counted = at
            self.line = line
            start = data.find(OPEN, at)
            if start < 0:
                yield from self._outside(at, size)
                return
            if start > at:
                yield from self._outside(at, start)
            if start == at or match(data, start) is None:
                yield from self._unusual(start, data.find(OPEN, start + len(OPEN)))
            line = self._line_of(self.at)
            at = self.at

    def _line_of(self, index: int) -> int:
        self.line += self.data.count(b"\n", self.counted, index)
        self.counted = index
        return self.line

    def _damage(self, start: int, end: int, reason: str) -> Damage:
        source = self.source
        text = source.text(start, min(end, start + 200)).replace("\0", "").strip()
        return Damage(
            source.path,
            source.offset(start),
            (end - start) * source.unit,
            self._line_of(start),
            reason,
            text,
        )

    def _unusual(self, start: int, following: int) -> Iterator[Record | Damage]:
        """A record whose first closing mark has no usual attributes, or a cut one."""
        data = self.data
        limit = following if following >= 0 else len(data)
        partial: tuple[int, int, Spans] | None = None
        close = data.find(CLOSE, start + 7, limit)
        while close >= 0:
            values, end, whole = self._attributes(close + 7, limit)
            if whole and values:
                yield self._record(start, close, end, values)
                return
            if values and partial is None:
                partial = (close, end, values)
                if "time" in values:
                    break  # these are a record's attributes, though they are cut
            close = data.find(CLOSE, close + 7, limit)
        if partial is not None:
            close, end, values = partial
            yield self._record(start, close, end, values)
            stop = self._trimmed(end, limit)
            if stop > end:
                yield self._damage(end, stop, "the record's attributes are cut")
                self.at = stop
            return
        quoting = self._quoting(start, following)
        if quoting is not None:
            close, end, values = quoting
            yield self._record(start, close, end, values)
            return
        stop = self._trimmed(start, limit)
        if data.find(CLOSE, start, limit) >= 0:
            reason = "the record has no attributes"
        else:
            reason = "the record is cut" if following >= 0 else "the last record is cut"
        yield self._damage(start, stop, reason)
        self.at = stop

    def _record(self, start: int, close: int, end: int, values: Spans) -> Record:
        self.at = end
        return MarkedRecord(Place(self.source, start, end, self._line_of(start)), close, values)

    def _attributes(self, at: int, limit: int) -> tuple[Spans, int, bool]:
        """The attributes from ``at``: values by name, where they end, whether they are closed by ``>``."""
        values: Spans = {}
        begins = _BEGINS.match(self.data, at, limit)
        if not begins:
            return values, at, False
        end = begins.end()
        for _ in range(_MOST_ATTRIBUTES):
            found = _ATTRIBUTE.match(self.data, end, limit) or _ATTRIBUTE_WILD.match(self.data, end, limit)
            if not found:
                break
            name = found[1].decode("latin-1").lower()
            values.setdefault(name, found.span(found.lastindex or 0))
            end = found.end()
        ends = _ENDS.match(self.data, end, limit)
        return values, ends.end() if ends else end, bool(ends)

    def _quoting(self, start: int, following: int) -> tuple[int, int, Spans] | None:
        """A message that quotes a whole record in its line: the close and attributes behind that."""
        data = self.data
        if following < 0 or data.find(b"\n", start, following) >= 0:
            return None
        another = data.find(OPEN, following + 7)
        limit = another if another >= 0 else len(data)
        newline = data.find(b"\n", following, limit)
        limit = newline if newline >= 0 else limit
        inner = data.find(CLOSE, following, limit)
        if inner < 0:
            return None
        _, end, whole = self._attributes(inner + 7, limit)
        close = data.find(CLOSE, end, limit) if whole else -1
        if close < 0:
            return None
        values, end, whole = self._attributes(close + 7, limit)
        return (close, end, values) if whole and values else None

    def _trimmed(self, start: int, end: int) -> int:
        """``end`` without the white space before it."""
        return start + len(self.data[start:end].rstrip())

    def _outside(self, start: int, end: int) -> Iterator[Damage]:
        """What stands between records: blank, padding, or text and bytes that belong to none."""
        piece = self.data[start:end]
        self.at = end
        if not piece.strip():
            return
        stripped = piece.strip(b"\0 \t\r\n\x0b\x0c")
        zeros = piece.find(b"\0")
        if not stripped:
            first = start + zeros
            yield self._damage(first, self._trimmed(first, end), "NUL padding")
            return
        begin = start + piece.find(stripped)
        after = begin + len(stripped)
        if 0 <= zeros < begin - start:
            yield self._damage(start + zeros, begin, "NUL padding")
        yield self._damage(
            begin, after, "bytes outside records" if b"\0" in stripped else "text outside records"
        )
        rest = self.data[after:end]
        zeros = rest.find(b"\0")
        if zeros >= 0:
            yield self._damage(after + zeros, self._trimmed(after, end), "NUL padding")


def _scan_lines(source: Source) -> Iterator[Record | Damage]:
    for piece in lines.split(source.scanned):
        if piece.reason:
            yield Damage(
                source.path,
                source.offset(piece.start),
                (piece.end - piece.start) * source.unit,
                piece.line,
                piece.reason,
                source.text(piece.start, min(piece.end, piece.start + 200)).replace("\0", "").strip(),
            )
        else:
            yield LineRecord(Place(source, piece.start, piece.end, piece.line))
    whole = source.offset(len(source.scanned))
    if whole < len(source.raw):
        line = source.scanned.count(b"\n") + 1
        yield Damage(source.path, whole, len(source.raw) - whole, line, "half a UTF-16 character")
