"""smsts.log records in CMTrace's format: written and read.

Engine room: standard library only, no I/O. Format (observed log)::

    <![LOG[message]LOG]!><time="16:53:52.712+480" date="02-07-2024" component="TSManager" context=""
    type="1" thread="1328" file="engine.cxx:143">

on one line, ended by CRLF; the file begins with a UTF-8 byte order mark. The number behind the time is the
Windows bias in minutes: UTC = local + bias. A message may span lines (LF) and hold any bracket but the
closing mark. ``type``: 0 verbose, 1 information, 2 warning, 3 error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: What a log file begins with.
BOM = b"\xef\xbb\xbf"

#: Bytes after which a new smsts.log is begun (observed: "Setting LogMaxSize to 5242880").
LIMIT = 5_242_880
#: A record's time and date, in the file.
_STAMP = re.compile(rb'<time="(\d\d):(\d\d):(\d\d)[^"]*" date="(\d\d)-(\d\d)-(\d{4})"')

_OPEN, _CLOSE = "<![LOG[", "]LOG]!>"
_TAIL = re.compile(
    r'<time="([^"<>]*)" date="([^"<>]*)" component="([^"<>]*)" context="([^"<>]*)" '
    r'type="(\d)" thread="(\d+)" file="([^"<>]*)">'
)
_ANY_TAIL = re.compile(r"<([^<>]*)>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Record:
    """One record. ``time`` and ``date`` as in the file; ``type`` 0 to 3; ``thread`` 0 when missing."""

    message: str
    time: str = ""
    date: str = ""
    component: str = ""
    context: str = ""
    type: int = 1
    thread: int = 0
    file: str = ""

    @property
    def bias(self) -> int:
        """Minutes to add to the local time to get UTC; 0 when the record has none."""
        found = re.search(r"([+-]\d+)$", self.time)
        return int(found.group(1)) if found else 0


def rolled_name(records: bytes) -> str:
    """What a full smsts.log is called from now on, told by the first record that it has no room for.

    Observed: smsts-*.log with a time stamp; the stamp's form is a guess.
    """
    found = _STAMP.search(records)
    if found is None:
        return "smsts-00000000-000000.log"
    hour, minute, second, month, day, year = (part.decode() for part in found.groups())
    return f"smsts-{year}{month}{day}-{hour}{minute}{second}.log"


def stamp(epoch: float, bias: int = 0) -> tuple[str, str]:
    """``(time, date)`` texts of a moment: ``epoch`` UTC seconds, ``bias`` minutes (UTC = local + bias)."""
    milliseconds = round(epoch * 1000) - bias * 60_000
    days, rest = divmod(milliseconds, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    year, month, day = _civil(days)
    sign = "-" if bias < 0 else "+"
    return (
        f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}{sign}{abs(bias):03}",
        f"{month:02}-{day:02}-{year:04}",
    )


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of the day that is ``days`` after 1970-01-01, in the Gregorian calendar.

    Counted from 1 March of year 0, so that a leap day is the last of its year.
    """
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return era * 400 + year + (month <= 2), month, day


def format_record(
    message: str,
    *,
    component: str,
    time: str,
    date: str,
    type: int = 1,
    thread: int = 0,
    file: str = "",
    context: str = "",
) -> str:
    """One record with its CRLF. ``time`` and ``date`` come from ``stamp``.

    The closing mark inside a message would end the record early: it is written with a space in it.
    """
    body = message.replace("\r\n", "\n").replace(_CLOSE, "]LOG]! >")
    return (
        f'{_OPEN}{body}{_CLOSE}<time="{time}" date="{date}" component="{_plain(component)}" '
        f'context="{_plain(context)}" type="{type}" thread="{thread}" file="{_plain(file)}">\r\n'
    )


def _plain(text: str) -> str:
    return re.sub(r'["<>\r\n]', "_", text)


def parse_records(data: bytes | str) -> Iterator[Record]:
    """The records of a log, in order. Damaged pieces between and around records are left out.

    A record without its closing mark ends where the next one opens at the start of a line. Undecodable
    bytes become replacement characters; nothing raises.
    """
    text = data if isinstance(data, str) else data.decode("utf-8-sig", errors="replace")
    start = text.find(_OPEN)
    while start >= 0:
        end = text.find(_CLOSE, start)
        if end < 0:
            return
        reopened = text.rfind("\n" + _OPEN, start, end)
        if reopened >= 0:
            start = reopened + 1
        message = text[start + len(_OPEN) : end]
        tail = end + len(_CLOSE)
        found = _TAIL.match(text, tail)
        if found:
            when, date, component, context, kind, thread, file = found.groups()
            yield Record(message, when, date, component, context, int(kind), int(thread), file)
        else:
            found = _ANY_TAIL.match(text, tail)
            if found:
                yield _from_attributes(message, dict(_ATTRIBUTE.findall(found.group(1))))
        start = text.find(_OPEN, found.end() if found else tail)


def _from_attributes(message: str, values: dict[str, str]) -> Record:
    """The slow path: attributes missing, in another order, or not numeric."""

    def number(name: str, default: int) -> int:
        text = values.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else default

    return Record(
        message=message,
        time=values.get("time", ""),
        date=values.get("date", ""),
        component=values.get("component", ""),
        context=values.get("context", ""),
        type=number("type", 1),
        thread=number("thread", 0),
        file=values.get("file", ""),
    )
