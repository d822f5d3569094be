"""Which instances a WQL query takes: comparisons as WMI makes them, over plain dicts.

Engine room: pure. An instance maps property names to str, int, float, bool, None, or a list of them.
Documented: names and texts ignore case, arrays cannot be compared, LIKE knows ``%``, ``_``, ``[a-z]``,
``[^a-z]``. Guesses: a missing value is unequal to everything; a text property holds a number's ordering when
the constant is a number and the text is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lab.sequence.wql import Operand, Query, Test, Value, WqlError

_INFINITE = float("inf")

Row = Mapping[str, Any]

#: WBEM_E_TYPE_MISMATCH
TYPE_MISMATCH = 0x80041005

_COMPARE: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "<>": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def select(query: Query, rows: Iterable[Row]) -> list[Row]:
    """The instances that the query takes.

    Raises WqlError for a property that an instance does not have, an array that is compared, and a constant
    that cannot be what the property is. The columns are not looked at: whether there is a result does not
    depend on them.
    """
    return [row for row in rows if matches(query, row)]


def matches(query: Query, row: Row) -> bool:
    """Whether one instance fulfils the WHERE clause. Raises WqlError as ``select``."""
    if not query.where:
        return True
    known = {name.casefold(): value for name, value in row.items()}
    known.setdefault("__class", query.class_name)
    stack: list[bool] = []
    for item in query.where:
        if isinstance(item, Test):
            stack.append(_test(item, known))
        elif item == "NOT":
            stack.append(not stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append((left and right) if item == "AND" else (left or right))
    return stack[0]


def _test(test: Test, row: Mapping[str, Any]) -> bool:
    if test.operator == "ISA":
        return str(row["__class"]).casefold() == str(test.right.value).casefold()
    left, right = _value(test.left, row), _value(test.right, row)
    if test.operator == "NULL":
        return left is None
    if test.operator == "NOTNULL":
        return left is not None
    if isinstance(left, list | tuple) or isinstance(right, list | tuple):
        raise WqlError(f"the property {test.left.property} is an array, which cannot be compared", 0)
    if left is None or right is None:
        return test.operator in ("<>", "UNLIKE")
    if test.operator in ("LIKE", "UNLIKE"):
        return like(_text(left), str(right)) == (test.operator == "LIKE")
    order = _order(left, right, test.left.property)
    return test.operator == "<>" if order is None else _COMPARE[test.operator](order)


def _value(operand: Operand, row: Mapping[str, Any]) -> Any:
    if not operand.property:
        value: Any = operand.value
    else:
        key = operand.property.casefold()
        if key not in row:
            raise WqlError(f"the class has no property {operand.property}", 0)
        value = row[key]
    if operand.function and isinstance(value, str):
        return value.upper() if operand.function == "UPPER" else value.lower()
    return value


def _text(value: Value) -> str:
    return str(value)


def _order(left: Value, right: Value, name: str) -> int | None:
    """Smaller than, equal or greater than 0; None where there is no order (a text and a number)."""
    if isinstance(left, str) and isinstance(right, str):
        first, second = left.casefold(), right.casefold()
        times = cim_seconds(left), cim_seconds(right)
        if times[0] is not None and times[1] is not None:
            return (times[0] > times[1]) - (times[0] < times[1])
        return (first > second) - (first < second)
    if isinstance(left, str):
        number = _number(left)
        if number is None:
            return None
        wanted = _number(right)
    else:
        number, wanted = float(left) if isinstance(left, float) else left, _number(right)
        if wanted is None:
            raise WqlError(f"'{right}' is no value for the property {name}", 0, TYPE_MISMATCH)
    assert number is not None and wanted is not None
    return (number > wanted) - (number < wanted)


def _number(value: Value) -> int | float | None:
    if not isinstance(value, str):
        return value
    word = value.strip()
    if word.casefold() in ("true", "false"):
        return int(word.casefold() == "true")
    if len(word) > 40:
        return None
    try:
        return int(word, 16) if word[:2].casefold() == "0x" else int(word)
    except ValueError:
        try:
            number = float(word)
        except ValueError:
            return None
        return number if abs(number) < _INFINITE else None  # "nan" is a name, and equal to nothing


def cim_seconds(text: str) -> float | None:
    """A CIM date and time (``yyyymmddHHMMSS.ffffff+UUU``, UUU minutes east of UTC) as a number that orders
    in UTC; None when it is none."""
    if (
        len(text) != 25
        or not text.isascii()
        or text[14] != "."
        or text[21] not in "+-"
        or not text[:14].isdigit()
    ):
        return None
    if not (text[15:21].isdigit() and text[22:].isdigit()):
        return None
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    hours, minutes, seconds = int(text[8:10]), int(text[10:12]), int(text[12:14])
    offset = int(text[21:])
    # Days since 0000-03-01: years that begin in March have the leap day at their end.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day
    return ((days * 24 + hours) * 60 + minutes - offset) * 60 + seconds + int(text[15:21]) / 1e6


def like(text: str, pattern: str) -> bool:
    """Whether a LIKE pattern covers all of ``text``; at most the product of both lengths."""
    wanted = _pattern(pattern.casefold())
    folded = text.casefold()
    at = here = star = 0
    after = -1
    while here < len(folded):
        if at < len(wanted) and wanted[at] is None:
            after, star = at + 1, here
            at += 1
        elif at < len(wanted) and _fits(wanted[at], folded[here]):
            at += 1
            here += 1
        elif after >= 0:
            star += 1
            at, here = after, star
        else:
            return False
    return all(item is None for item in wanted[at:])


#: One place of a pattern: None is any text; otherwise (negated, ranges of characters).
_Place = tuple[bool, tuple[tuple[str, str], ...]] | None
_ANY: _Place = (True, ())


def _fits(place: _Place, character: str) -> bool:
    assert place is not None
    negated, ranges = place
    return any(low <= character <= high for low, high in ranges) != negated


def _pattern(pattern: str) -> list[_Place]:
    places: list[_Place] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        end = pattern.find("]", at + 2) if character == "[" else -1
        if character == "%":
            if not places or places[-1] is not None:
                places.append(None)
        elif character == "_":
            places.append(_ANY)
        elif end > 0:
            places.append(_set(pattern[at + 1 : end]))
            at = end
        else:
            places.append((False, ((character, character),)))
        at += 1
    return places


def _set(text: str) -> _Place:
    negated = text[0] == "^" and len(text) > 1
    text = text[negated:]
    ranges = []
    at = 0
    while at < len(text):
        # Documented: a range is written with "=" as well as with "-".
        if at + 2 < len(text) and text[at + 1] in "-=":
            ranges.append((text[at], text[at + 2]))
            at += 3
        else:
            ranges.append((text[at], text[at]))
            at += 1
    return negated, tuple(ranges)
