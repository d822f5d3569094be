"""When a record was written: times and dates as logs spell them, to ISO 8601.

Windows' bias is in minutes, UTC = local + bias, so ``+480`` is the ISO offset ``-08:00`` (observed). Scripts
write it unpadded (``+0``, ``-60``), doubled (``+-60``) or not at all. Digits without a sign are a fraction of
a second: whether some of them were meant as a bias cannot be known.
"""

from __future__ import annotations

import re
from datetime import date as Date
from functools import lru_cache
from typing import NamedTuple

_TIME = re.compile(
    r"\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(?:[.,:](\d{1,9}))?\s*([AaPp])?\.?[Mm]?\.?\s*(?:([+-]{1,2})(\d{1,4}))?\s*"
)
_DATE = re.compile(r"\s*(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})\s*")


class Moment(NamedTuple):
    """``iso``: date and time with the offset where ``bias`` (minutes) is known; ``date`` ISO; else None."""

    iso: str | None
    date: str | None
    bias: int | None


@lru_cache(maxsize=4096)
def _day(text: str) -> str | None:
    """Month-day-year, as ConfigMgr writes; year first, or a day that can be no month, are seen as such."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    first, second, third = (int(part) for part in found.groups())
    if len(found[1]) == 4:
        year, month, day = first, second, third
    else:
        year, month, day = third, first, second
        if month > 12:
            month, day = day, month
    if len(found[1]) != 4 and len(found[3]) != 4:
        return None
    try:
        return Date(year, month, day).isoformat()
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _offset(sign: str, digits: str) -> tuple[int | None, str]:
    minutes = int(digits)
    if minutes >= 24 * 60:
        return None, ""
    bias = -minutes if sign.endswith("-") else minutes
    mark = "-" if bias > 0 else "+"
    return bias, f"{mark}{minutes // 60:02}:{minutes % 60:02}"


def moment(time: str, date: str) -> Moment:
    """The moment of a record's two texts; parts that make no sense are None."""
    day = _day(date)
    found = _TIME.fullmatch(time)
    if not found:
        return Moment(None, day, None)
    hours, minutes, seconds, fraction, half, sign, digits = found.groups()
    hour = int(hours)
    if half:
        hour = hour % 12 + (12 if half in "pP" else 0)
    bias, offset = _offset(sign, digits) if sign else (None, "")
    if hour > 23 or int(minutes) > 59 or int(seconds or 0) > 60 or day is None:
        return Moment(None, day, bias)
    if fraction and len(fraction) < 3:
        fraction = fraction.rjust(3, "0")  # scripts write milliseconds unpadded
    clock = f"{hour:02}:{int(minutes):02}:{int(seconds or 0):02}" + (f".{fraction}" if fraction else "")
    return Moment(f"{day}T{clock}{offset}", day, bias)
