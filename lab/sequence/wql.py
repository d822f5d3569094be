"""WQL as conditions use it: a query read into a flat program, ready for ``wqlrows``.

Engine room: pure. Grammar: documented ("WQL (SQL for WMI)": SELECT, WHERE, AND, OR, NOT, LIKE, IS NULL, ISA,
comparison operators, TRUE and FALSE, quoted strings in which only ``\\`` and quotes may be escaped).
Hand-written, one pass and no recursion: neither a long nor a deeply nested query is a danger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: The longest query that is looked at; WMI's own limits are lower.
MAX_LENGTH = 1 << 16

#: WBEM_E_INVALID_QUERY, WBEM_E_NOT_SUPPORTED.
INVALID_QUERY = 0x80041017
NOT_SUPPORTED = 0x8004100C

#: A constant. None is NULL.
Value = str | int | float | bool | None


class WqlError(ValueError):
    """A query that WMI would refuse, or that the lab cannot ask. ``offset`` counts characters from 0."""

    def __init__(self, message: str, offset: int, code: int = INVALID_QUERY) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code = code


@dataclass(frozen=True)
class Operand:
    """One side of a comparison: a property, or a constant when ``property`` is "". ``function``: UPPER,
    LOWER or ""."""

    property: str = ""
    value: Value = None
    function: str = ""


@dataclass(frozen=True)
class Test:
    """One comparison. ``operator``: = <> < <= > >= LIKE UNLIKE ISA NULL NOTNULL (the last two: no right)."""

    left: Operand
    operator: str
    right: Operand = Operand()


#: A WHERE clause in postfix order: tests, and the words that combine what came before.
Program = tuple[Test | Literal["AND", "OR", "NOT"], ...]


@dataclass(frozen=True)
class Query:
    """``SELECT columns FROM class_name WHERE where``. An empty ``where`` takes every instance."""

    columns: tuple[str, ...]
    class_name: str
    where: Program = ()


@dataclass
class _Token:
    kind: str  # word, text, number, symbol, end
    text: str
    offset: int
    value: Value = None


_SYMBOLS = ("<>", "<=", ">=", "!=", "=", "<", ">", "(", ")", ",", "*", ".")
_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
#: What an operator becomes when its sides change places.
_SWAPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PRECEDENCE = {"OR": 1, "AND": 2, "NOT": 3}
_CONSTANTS: dict[str, Value] = {"TRUE": True, "FALSE": False, "NULL": None}
_FUNCTIONS = ("UPPER", "LOWER")
_DIGITS = frozenset("0123456789")


def parse(text: str) -> Query:
    """Read a query. Raises WqlError with the place of the first thing that is wrong."""
    return _Parser(text).query()


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum()


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise WqlError(f"the query is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    found: list[_Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
        elif character in "\"'":
            value, end = _string(text, at)
            found.append(_Token("text", text[at:end], at, value))
            at = end
        elif character in _DIGITS or (character in "+-." and text[at + 1 : at + 2] in _DIGITS):
            value_, end = _number(text, at)
            found.append(_Token("number", text[at:end], at, value_))
            at = end
        elif _is_word(character):
            end = at + 1
            while end < len(text) and _is_word(text[end]):
                end += 1
            found.append(_Token("word", text[at:end], at))
            at = end
        else:
            symbol = next((symbol for symbol in _SYMBOLS if text.startswith(symbol, at)), "")
            if not symbol:
                raise WqlError(f"'{character}' is not understood", at)
            found.append(_Token("symbol", symbol, at))
            at += len(symbol)
    found.append(_Token("end", "", len(text)))
    return found


def _string(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    parts: list[str] = []
    at = start + 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(parts), at + 1
        if character == "\\":
            at += 1
            if text[at : at + 1] not in ("\\", '"', "'"):
                raise WqlError("a backslash in a string must be doubled", at - 1)
            character = text[at]
        parts.append(character)
        at += 1
    raise WqlError("a string has no end", start)


def _number(text: str, start: int) -> tuple[int | float, int]:
    at = start + (text[start] in "+-")
    if text[at : at + 2].lower() == "0x":
        end = at + 2
        while end < len(text) and text[end] in "0123456789abcdefABCDEF":
            end += 1
        if at + 2 < end <= at + 18:
            number = int(text[at + 2 : end], 16)
            return (-number if text[start] == "-" else number), end
        raise WqlError("a hexadecimal number has 1 to 16 digits", start)
    end = at
    while end < len(text) and (
        text[end] in _DIGITS
        or text[end] == "."
        or (text[end] in "eE" and end > at)
        or (text[end] in "+-" and text[end - 1] in "eE")
    ):
        end += 1
    if end < len(text) and _is_word(text[end]):
        raise WqlError(f"'{text[start : end + 1]}' is not a number", start)
    word = text[start:end]
    try:
        if word.lstrip("+-").isdigit():
            if len(word) > 30:
                raise ValueError
            return int(word), end
        return float(word), end
    except ValueError:
        raise WqlError(f"'{word[:40]}' is not a number", start) from None


@dataclass
class _Parser:
    text: str
    tokens: list[_Token] = field(default_factory=list)
    at: int = 0

    def query(self) -> Query:
        if not self.text.strip():
            raise WqlError("the query is empty", 0)
        first = self.text.split(None, 1)[0].upper()
        if first in ("ASSOCIATORS", "REFERENCES"):
            raise WqlError(f"{first} OF is not supported", self.text.upper().index(first), NOT_SUPPORTED)
        self.tokens = _tokens(self.text)
        if not self._accept("SELECT"):
            raise self._expected("SELECT")
        columns = self._columns()
        if not self._accept("FROM"):
            raise self._expected("FROM")
        name = self._take_word("the name of a class")
        where = self._where() if self._accept("WHERE") else ()
        if self._peek().kind != "end":
            raise self._expected("the end of the query" if where else "WHERE")
        return Query(columns, name, where)

    def _columns(self) -> tuple[str, ...]:
        if self._symbol("*"):
            return ("*",)
        columns = [self._property()]
        while self._symbol(","):
            columns.append(self._property())
        return tuple(columns)

    def _where(self) -> Program:
        """Operator precedence with a stack of its own: NOT before AND before OR."""
        output: list[Test | Literal["AND", "OR", "NOT"]] = []
        waiting: list[tuple[str, int]] = []

        def reduce(above: int) -> None:
            while waiting and waiting[-1][0] != "(" and _PRECEDENCE[waiting[-1][0]] >= above:
                output.append(waiting.pop()[0])  # type: ignore[arg-type]

        while True:
            while True:
                token = self._peek()
                if self._symbol("("):
                    waiting.append(("(", token.offset))
                elif self._accept("NOT"):
                    waiting.append(("NOT", token.offset))
                else:
                    break
            output.append(self._test())
            while self._symbol(")"):
                reduce(1)
                if not waiting:
                    raise WqlError("there is no '(' for this ')'", self.tokens[self.at - 1].offset)
                waiting.pop()
            word = self._word()
            if word not in ("AND", "OR"):
                break
            self.at += 1
            reduce(_PRECEDENCE[word])
            waiting.append((word, 0))
        reduce(1)
        if waiting:
            raise WqlError("there is no ')' for this '('", waiting[-1][1])
        return tuple(output)

    def _test(self) -> Test:
        left = self._operand()
        token = self._peek()
        word = self._word()
        if word == "IS":
            self.at += 1
            negated = self._accept("NOT")
            if not self._accept("NULL"):
                raise self._expected("NULL")
            return Test(self._as_property(left, token), "NOTNULL" if negated else "NULL")
        if word == "NOT":
            self.at += 1
            if not self._accept("LIKE"):
                raise self._expected("LIKE")
            return Test(self._as_property(left, token), "UNLIKE", self._pattern())
        if word == "LIKE":
            self.at += 1
            return Test(self._as_property(left, token), "LIKE", self._pattern())
        if word == "ISA":
            self.at += 1
            return Test(self._as_property(left, token), "ISA", self._pattern())
        operator = _COMPARISONS.get(token.text) if token.kind == "symbol" else None
        if operator is None:
            raise self._expected("an operator")
        self.at += 1
        right = self._operand()
        if not left.property:
            left, right, operator = right, left, _SWAPPED[operator]
        left = self._as_property(left, token)
        if not right.property and right.value is None:
            if operator not in ("=", "<>"):
                raise WqlError("NULL can only be compared with = and <>", token.offset)
            return Test(left, "NULL" if operator == "=" else "NOTNULL")
        return Test(left, operator, right)

    def _operand(self) -> Operand:
        token = self._peek()
        if token.kind in ("text", "number"):
            self.at += 1
            return Operand(value=token.value)
        word = self._word()
        if word in _CONSTANTS:
            self.at += 1
            return Operand(value=_CONSTANTS[word])
        if word in _FUNCTIONS and self._follows("("):
            self.at += 2
            inner = self._operand()
            if not self._symbol(")"):
                raise self._expected("')'")
            return Operand(inner.property, inner.value, word)
        if word == "DATEPART" and self._follows("("):
            raise WqlError("DATEPART is not supported", token.offset, NOT_SUPPORTED)
        return Operand(self._property())

    def _pattern(self) -> Operand:
        token = self._peek()
        operand = self._operand()
        if operand.property or not isinstance(operand.value, str):
            raise WqlError("a text in quotes is expected", token.offset)
        return operand

    def _property(self) -> str:
        """A property's name; what stands before a point is the class (or its alias)."""
        name = self._take_word("a property")
        while self._symbol("."):
            name = self._take_word("a property")
        return name

    @staticmethod
    def _as_property(operand: Operand, token: _Token) -> Operand:
        if not operand.property:
            raise WqlError("one side of a comparison must be a property", token.offset)
        return operand

    # tokens

    def _peek(self) -> _Token:
        return self.tokens[self.at]

    def _word(self) -> str:
        token = self.tokens[self.at]
        return token.text.upper() if token.kind == "word" else ""

    def _accept(self, word: str) -> bool:
        if self._word() != word:
            return False
        self.at += 1
        return True

    def _symbol(self, symbol: str) -> bool:
        token = self.tokens[self.at]
        if token.kind != "symbol" or token.text != symbol:
            return False
        self.at += 1
        return True

    def _follows(self, symbol: str) -> bool:
        following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        return following is not None and following.kind == "symbol" and following.text == symbol

    def _take_word(self, what: str) -> str:
        token = self._peek()
        if token.kind != "word" or self._word() in _RESERVED:
            raise self._expected(what)
        self.at += 1
        return token.text

    def _expected(self, what: str) -> WqlError:
        token = self._peek()
        found = f"'{token.text[:40]}'" if token.kind != "end" else "the end of the query"
        return WqlError(f"{what} is expected, not {found}", token.offset)


_RESERVED = frozenset({"SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IS", "NULL", "TRUE", "FALSE"})
