"""Text logs without CMTrace's marks: Windows Setup, DISM, CMTrace's clipboard, ConfigMgr's old server format.

Every line that is not blank is a record; a layout that is known gives it time, component and thread, another
one only its text. In the old server format (``message  $$<component><date time+bias><thread=1 (0x1)>``) a
record ends at its mark and may span lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab.logs import pasted


@dataclass(frozen=True, slots=True)
class Piece:
    """``data[start:end]`` is a record, or damage when there is a ``reason``; ``line`` counts from 1."""

    start: int
    end: int
    line: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the layout tells of a line."""

    message: str
    time: str | None = None
    date: str | None = None
    component: str | None = None
    type: str | None = None
    thread: str | None = None
    file: str | None = None

    def field(self, name: str) -> str | None:
        value = getattr(self, name) if name in self.__slots__ else None
        return value if isinstance(value, str) else None


_CONTROL = bytes(set(range(32)) - set(b"\t\r\n\x0b\x0c\x1a\x1b"))
_LINES_PER_MARK = 10
_MARK = re.compile(rb"\$\$<[^<>\r\n]*><[^<>\r\n]*>(?:<thread=[^<>\r\n]*>)?")
_OLD = re.compile(
    r"\$\$<(?P<component>[^<>]*)><(?P<date>[^<>\s]+)\s+(?P<time>[^<>]*)>(?:<thread=(?P<thread>[^<>]*)>)?"
)
_TYPES = {
    "info": "1", "information": "1", "warning": "2", "error": "3", "fatal error": "3", "fatal": "3",
    "perf": "0", "verbose": "0", "debug": "0",
}  # fmt: skip
#: Windows Setup, CBS and DISM: ``2019-03-29 00:25:29, Info       [0x0601c1] IBS    text``.
_SETUP = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d(?:[.:]\d+)?), (?P<type>[A-Za-z ]+?)  +"
    r"(?:\[(?P<file>0x[0-9A-Fa-f]+)\]\s*)?(?:(?P<component>[A-Z][A-Za-z0-9_]{1,15})  +)?(?P<message>.*)"
)
#: Copied out of CMTrace's window: ``text <tab> component <tab> date time <tab> thread (0x…)``.
_CLIPBOARD = re.compile(
    r"(?P<message>[^\t]*(?:\t[^\t]*)*?)\t(?P<component>[^\t]*)\t"
    r"(?P<date>[\d./-]{6,10}) (?P<time>[\d:.,]+(?: ?[AP]M)?)\t(?P<thread>\d+(?: \(0x[0-9A-Fa-f]+\))?)\s*",
    re.IGNORECASE,
)
#: ``01-13-2016 17:56:35.510   TSManager    2176 (0x880)    text``, date and time at times run together.
_COLUMNS = re.compile(
    r"(?P<date>\d{1,2}[-/]\d{1,2}[-/]\d{4})\s*(?P<time>\d{1,2}:\d\d:\d\d(?:\.\d+)?(?:[+-]\d+)?)\s+"
    r"(?P<component>[A-Za-z]\w*)\s+(?P<thread>\d+ \(0x[0-9A-Fa-f]+\))\s+(?P<message>.*)"
)
_LAYOUTS = (_SETUP, _CLIPBOARD, _COLUMNS)


def split(data: bytes) -> Iterator[Piece]:
    """The pieces of a text log; with blanks they tile ``data``."""
    at, line = 0, 1
    marks = sum(1 for _ in _MARK.finditer(data))
    # A lone mark in another kind of log must not make one record of all that stands before it.
    old = marks * _LINES_PER_MARK >= data.count(b"\n")
    for found in _MARK.finditer(data) if old else ():
        start = _skip_blank(data, at, found.start())
        line += data.count(b"\n", at, start)
        yield Piece(start, found.end(), line)
        line += data.count(b"\n", start, found.end())
        at = found.end()
    damaged: Piece | None = None
    while at < len(data):
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        start = _skip_blank(data, at, stop)
        if start < stop:
            last = start + len(data[start:stop].rstrip(b" \t\r\n\x0b\x0c"))
            reason = _trouble(data[start:last])
            if reason and damaged and damaged.reason == reason:
                damaged = Piece(damaged.start, last, damaged.line, reason)
            else:
                if damaged:
                    yield damaged
                damaged = Piece(start, last, line, reason) if reason else None
                if not reason:
                    yield Piece(start, last, line)
        line += 1
        at = stop
    if damaged:
        yield damaged


def _skip_blank(data: bytes, start: int, end: int) -> int:
    return end - len(data[start:end].lstrip(b" \t\r\n\x0b\x0c"))


def _trouble(data: bytes) -> str:
    """Why a line is no text, or "": a lone control character is passed over."""
    if not data.strip(b"\0"):
        return "NUL padding"
    controls = len(data) - len(data.translate(None, _CONTROL))
    return "bytes that are no text" if controls * 10 > len(data) else ""


def parts(text: str) -> Parts:
    """The parts of a line, or of the lines up to an old mark."""
    mark = text.rfind("$$<")
    old = _OLD.fullmatch(text, mark) if mark >= 0 else None
    if old:
        return Parts(_without_tildes(text[:mark].rstrip()), **old.groupdict())
    if len(text) < 100_000:
        for layout in _LAYOUTS:
            found = layout.fullmatch(text)
            if found:
                values = found.groupdict()
                if "type" in values:
                    values["type"] = _TYPES.get((values["type"] or "").strip().lower())
                return Parts(**values)
        whole = pasted.marked(text)
        if whole is not None:
            return Parts(**{name: value for name, value in whole.items() if name in Parts.__slots__})
        text = pasted.unquoted(text)
        named = pasted.columns(text)
        if named is not None:
            return Parts(**named)
    return Parts(text)


def _without_tildes(text: str) -> str:
    """The old server format writes ``~`` where a message's line ends were."""
    return text.rstrip("~ ").removeprefix("~")
