"""YAML text -> nodes with places: everything is text, and nothing can grow while it is read.

Ground room: imports ``lab.errors`` only; the one home of PyYAML.

PyYAML's own conventions turn ``52:54:00:12:34:56`` into a number, ``no`` into False, ``0755`` into 493 and
keep the last of two equal keys without a word. Here every scalar stays text, and a plain empty value,
``~`` or ``null`` is None. Anchors, aliases, tags and second documents are refused: a scenario needs none.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from lab.errors import InputError, Problem

#: Limits of a file: bytes, depth of nesting, number of values. Far above any file a person writes.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
#: What YAML 1.1 calls not printable (its section 5.1).
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands in a file. ``line`` and ``column`` count from 1; 0 means unknown."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def problem(self, message: str, hint: str = "") -> Problem:
        return Problem(self.path, self.line, self.column, message, hint)


@dataclass(frozen=True)
class Scalar:
    """A text. ``plain``: it stood without quotes."""

    place: Place
    text: str
    plain: bool = True

    def data(self) -> str | None:
        return None if self.plain and self.text in _NULLS else self.text


@dataclass(frozen=True)
class Listing:
    place: Place
    items: tuple[Node, ...]

    def data(self) -> list[Any]:
        return [item.data() for item in self.items]


@dataclass(frozen=True)
class Mapping:
    place: Place
    entries: tuple[tuple[Scalar, Node], ...]

    def data(self) -> dict[str, Any]:
        return {key.text: value.data() for key, value in self.entries}


Node = Scalar | Listing | Mapping


def quoted(value: object, limit: int = 60) -> str:
    """A value for a message: on one line, printable, not longer than ``limit`` characters. Of a mapping or a
    list only what it is: what stands in it may be secret."""
    if value is None:
        return "an empty value"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return (
        "'"
        + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
        + "'"
    )


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint for a wrong name: the nearest known one, or what there is to choose from."""
    names = sorted(set(known))
    by_case = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wrong[:200].casefold(), list(by_case), n=1)
    if close:
        return f"did you mean {quoted(by_case[close[0]])}?"
    if names and len(names) <= 16:
        return "known: " + ", ".join(names)
    return ""


class _Text:
    """Places from character offsets, counted as editors do (a line ends with a line feed)."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        line = bisect_right(self._starts, offset)
        return Place(self._path, line, offset - self._starts[line - 1] + 1)


class _Composer(yaml.SafeLoader):
    """PyYAML's composer without implicit types, anchors, aliases and tags; bounded in depth and size."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = {}
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._nodes += 1
        self._depth += 1
        refused = ""
        if getattr(event, "anchor", None) is not None:
            refused = "anchors and aliases (& and *) are not used here; write the value out"
        elif getattr(event, "tag", None) is not None:
            refused = "tags (!) are not used here"
        elif self._depth > MAX_DEPTH:
            refused = f"nested deeper than {MAX_DEPTH} levels"
        elif self._nodes > MAX_NODES:
            refused = f"more than {MAX_NODES} values"
        if refused:
            raise yaml.composer.ComposerError(None, None, refused, event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def read_nodes(text: str, path: str) -> Node:
    """YAML text as nodes. Raises InputError; syntax ends at the first problem, equal keys are all named."""
    text = text.removeprefix("\ufeff")
    where = _Text(text, path)
    if len(text) > MAX_BYTES:
        raise InputError([Problem(path, 0, 0, f"is larger than {MAX_BYTES // 1024} KiB")])
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        code = f"U+{ord(unprintable.group()):04X}"
        raise InputError(
            [where.place(unprintable.start()).problem(f"character {code} is not allowed in YAML")]
        )
    try:
        loader = _Composer(text)
        composed = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = mark.index if mark else 0
        message, hint = str(error.problem or error.context), ""
        if text[offset : offset + 1] == "\t":
            message, hint = "a tab cannot indent YAML", "use spaces"
        elif "expected a single document" in str(error.context):
            message = "a second document starts here; a file holds one"
        elif "mapping values are not allowed" in message:
            hint = "a text with ': ' goes in quotes"
        elif "unknown escape character" in message:
            hint = "use single quotes"
        raise InputError([where.place(offset).problem(message, hint)]) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets these through for \U escapes and %YAML numbers that are out of range.
        raise InputError([where.place(0).problem(f"is not YAML: {quoted(error)}")]) from error
    if composed is None:
        raise InputError([where.place(0).problem("the file is empty")])
    problems: list[Problem] = []
    root = _convert(composed, where, problems)
    if problems:
        raise InputError(problems)
    return root


def _convert(node: yaml.Node, where: _Text, problems: list[Problem]) -> Node:
    place = where.place(node.start_mark.index)
    if isinstance(node, yaml.ScalarNode):
        if _SURROGATE.search(node.value):
            problems.append(place.problem("holds half of a character (a lone \\ud8xx escape)"))
        return Scalar(place, str(node.value), plain=node.style is None)
    if isinstance(node, yaml.SequenceNode):
        return Listing(place, tuple(_convert(item, where, problems) for item in node.value))
    entries: dict[str, tuple[Scalar, Node]] = {}
    for raw_key, raw_value in node.value:
        key, value = _convert(raw_key, where, problems), _convert(raw_value, where, problems)
        if not isinstance(key, Scalar):
            problems.append(key.place.problem("a key must be a text"))
        elif key.text in entries:
            first = entries[key.text][0].place
            problems.append(key.place.problem(f"key {quoted(key.text)} stands already in line {first.line}"))
        else:
            entries[key.text] = (key, value)
    return Mapping(place, tuple(entries.values()))


def locate(root: Node, keys: Iterable[str | int], *, at_key: bool = False) -> Place:
    """Walk down; keys that are not there (fields that a shorthand or a grouping stands for) are skipped."""
    node, place, key_place = root, root.place, root.place
    for key in keys:
        if isinstance(node, Mapping):
            found = next((entry for entry in node.entries if entry[0].text == key), None)
            if found is not None:
                node, place, key_place = found[1], found[1].place, found[0].place
        elif isinstance(node, Listing) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
            place = key_place = node.place
    return key_place if at_key else place
