"""smsts.log records in CMTrace's format, written; ``lab.logs`` reads them.

Engine room: standard library only, no I/O. Format (observed log)::

    <![LOG[message]LOG]!><time="16:53:52.712+480" date="02-07-2024" component="TSManager" context=""
    type="1" thread="1328" file="engine.cxx:143">

on one line, ended by CRLF; the file begins with a UTF-8 byte order mark. The number behind the time is the
Windows bias in minutes: UTC = local + bias. A message may span lines (LF) and hold any bracket but the
closing mark. ``type``: 0 verbose, 1 information, 2 warning, 3 error.
"""

from __future__ import annotations

import re

#: What a log file begins with.
BOM = b"\xef\xbb\xbf"

#: Bytes after which a new smsts.log is begun (observed: "Setting LogMaxSize to 5242880").
LIMIT = 5_242_880
#: A record's time and date, in the file.
_STAMP = re.compile(rb'<time="(\d\d):(\d\d):(\d\d)[^"]*" date="(\d\d)-(\d\d)-(\d{4})"')

_OPEN, _CLOSE = "<![LOG[", "]LOG]!>"


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
