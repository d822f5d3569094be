"""The variables of a task sequence: an immutable, case-insensitive environment with its rules.

Engine room: standard library only. Rules R10 to R19: a user's name begins with a letter and has letters,
digits, ``_`` and ``-``; names that begin with ``_`` are read-only; the empty string deletes; a value has at
most 4,000 characters, the whole environment 32 MB; ``%Name%`` is replaced once, what is unknown stays.
Secret values never leave by ``shown``, ``public`` or ``mask``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

MAX_VALUE = 4000
#: bytes; a character counts two (Windows' strings)
MAX_TOTAL = 32 * 1024 * 1024
MASK = "***"

_USER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,255}")
_ANY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,255}")
_REFERENCE = re.compile(r"%([A-Za-z_][A-Za-z0-9_-]{0,255})%")
_SECRET_NAME = re.compile(
    r"(?<!^osdrandomadmin)password|productkey|bitlockerpin|startupkey|^_smstsreserved|^_osd\w*account"
)


class VariableRefused(ValueError):
    """A name or value that the environment does not take. ``reason`` is one phrase; ``code`` a Win32 one."""

    def __init__(self, name: str, reason: str, code: int) -> None:
        super().__init__(f"variable '{name}' {reason}")
        self.name = name
        self.reason = reason
        self.code = code


def user_name_problem(name: str) -> str:
    """What is wrong with a name that a user wants to set, as a phrase; "" when it is valid (R16, R17)."""
    name = name.strip()
    if _USER_NAME.fullmatch(name):
        return ""
    if not name:
        return "has no name"
    if name.startswith("_"):
        return "is read-only: its name begins with '_'"
    if len(name) > 256:
        return "has a name of more than 256 characters"
    return "has an invalid name: letters, digits, '_' and '-', beginning with a letter"


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Names whose values are secret wherever they come from: passwords, product keys, account secrets.

    OSDRandomAdminPassword says whether there is to be one (documented): to hide its value hid every "true".
    """
    return _SECRET_NAME.search(name.casefold()) is not None


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """Replace each ``%Name%`` that ``lookup`` knows, in one pass: values are not expanded again (R19)."""
    if "%" not in text:
        return text
    parts: list[str] = []
    position = 0
    while True:
        found = _REFERENCE.search(text, position)
        if not found:
            parts.append(text[position:])
            return "".join(parts)
        value = lookup(found.group(1))
        if value is None:
            # The closing % may open the next name: "50%A%" and "%unknown%A%".
            parts.append(text[position : found.end() - 1])
            position = found.end() - 1
        else:
            parts.append(text[position : found.start()])
            parts.append(value)
            position = found.end()


def references(text: str) -> Iterator[str]:
    """Names that could be variables in ``text``, overlapping ones too."""
    position = 0
    while found := _REFERENCE.search(text, position):
        yield found.group(1)
        position = found.end() - 1


class Variables:
    """An immutable environment. Names keep the case they were first set with and are found in any case."""

    __slots__ = ("_hidden", "_secrets", "_total", "_values")

    def __init__(self, values: Mapping[str, str] | None = None, secrets: Iterable[str] = ()) -> None:
        """``secrets``: names whose values are secret, besides those that are by their name."""
        self._values: dict[str, tuple[str, str]] = {}
        self._secrets = frozenset(name.strip().casefold() for name in secrets)
        #: keys of the secret variables that there are: asked for at every log record
        self._hidden: frozenset[str] = frozenset()
        self._total = 0
        for name, value in (values or {}).items():
            _check(name, value)
            self._put(name.strip(), value)
        if self._total > MAX_TOTAL:
            raise VariableRefused("", "does not fit: the variables together are over 32 MB", 0x80070008)

    def _put(self, name: str, value: str) -> None:
        key = name.casefold()
        old = self._values.pop(key, None)
        if old is not None:
            self._total -= 2 * (len(old[0]) + len(old[1]))
            name = old[0]
        if value and (key in self._secrets or is_secret_name(key)):
            self._hidden |= {key}
        elif key in self._hidden:
            self._hidden -= {key}
        if value:
            self._values[key] = (name, value)
            self._total += 2 * (len(name) + len(value))

    def get(self, name: str) -> str | None:
        """The value, or None when there is no such variable."""
        found = self._values.get(name.strip().casefold())
        return found[1] if found else None

    def value(self, name: str, default: str = "") -> str:
        return self.get(name) or default

    def __contains__(self, name: str) -> bool:
        return name.strip().casefold() in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Variables) and self._values == other._values and self._secrets == other._secrets
        )

    __hash__ = None  # type: ignore[assignment]

    def set(self, name: str, value: str, *, secret: bool = False) -> Variables:
        """The environment with ``name`` set, by the engine or a step: ``_`` names are allowed.

        "" deletes (R13). Raises VariableRefused for a bad name, a value over 4,000 characters, or a total
        over 32 MB.
        """
        key = name.strip().casefold()
        old = self._values.get(key)
        if old is not None and not secret and 0 < len(value) <= MAX_VALUE:
            return self if old[1] == value else self._with(key, (old[0], value))
        _check(name, value)
        name = name.strip()
        if not secret and (old[1] if old else "") == value:
            return self
        new = Variables.__new__(Variables)
        new._values = self._values.copy()
        new._secrets = self._secrets | {key} if secret else self._secrets
        new._hidden = self._hidden
        new._total = self._total
        new._put(name, value)
        if new._total > MAX_TOTAL:
            raise VariableRefused(name, "does not fit: together they would be over 32 MB", 0x80070008)
        return new

    def _with(self, key: str, item: tuple[str, str]) -> Variables:
        """The environment with another value of a variable that is there; nearly all changes are this."""
        new = Variables.__new__(Variables)
        new._values = self._values.copy()
        new._values[key] = item
        new._secrets, new._hidden = self._secrets, self._hidden
        new._total = self._total + 2 * (len(item[1]) - len(self._values[key][1]))
        if new._total > MAX_TOTAL:
            raise VariableRefused(item[0], "does not fit: together they would be over 32 MB", 0x80070008)
        return new

    def set_by_user(self, name: str, value: str, *, secret: bool = False) -> Variables:
        """As ``set``, for a user's step or script: read-only and invalid names are refused (R16, R17)."""
        problem = user_name_problem(name)
        if problem:
            code = 0x80070005 if name.strip().startswith("_") else 0x80070057
            raise VariableRefused(name.strip(), problem, code)
        return self.set(name, value, secret=secret)

    def is_secret(self, name: str) -> bool:
        key = name.strip().casefold()
        return key in self._secrets or is_secret_name(key)

    def shown(self, name: str) -> str:
        """The value for eyes: ``***`` when it is secret."""
        value = self.value(name)
        return MASK if value and self.is_secret(name) else value

    def public(self) -> dict[str, str]:
        """All that is not secret, by name."""
        return {name: value for key, (name, value) in self._values.items() if key not in self._hidden}

    def secret_values(self) -> tuple[str, ...]:
        """The secret values, longest first."""
        if not self._hidden:
            return ()
        values = {self._values[key][1] for key in self._hidden}
        return tuple(sorted(values, key=lambda value: (-len(value), value)))

    def to_json(self) -> dict[str, Any]:
        """Everything, secret values too: for the state file on the machine only."""
        return {
            "values": {name: value for name, value in self._values.values()},
            "secrets": sorted(self._secrets),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Variables:
        return Variables(data["values"], data["secrets"])


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    return _ANY_NAME.fullmatch(name.strip()) is not None


def _check(name: str, value: str) -> None:
    if not _is_name(name):
        raise VariableRefused(name.strip(), user_name_problem(name), 0x80070057)
    if len(value) > MAX_VALUE:
        raise VariableRefused(
            name.strip(), f"has {len(value)} characters, the limit is {MAX_VALUE}", 0x8007000D
        )


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret value replaced by ``***``."""
    for value in secrets:
        if value in text:
            text = text.replace(value, MASK)
    return text


def merge(
    *,
    builtin: Mapping[str, str] | None = None,
    collection: Mapping[str, str] | None = None,
    device: Mapping[str, str] | None = None,
    media: Mapping[str, str] | None = None,
    media_variables: Literal["replace", "merge"] = "replace",
) -> dict[str, str]:
    """The variables a run starts with, by precedence (R14).

    Device beats collection beats built-in. ``media`` (None: not started from media; PXE is not media) stands
    in place of collection and device, or with "merge" beats them. An empty value deletes (R13).
    """
    if media is not None and media_variables == "replace":
        layers = [builtin, media]
    else:
        layers = [builtin, collection, device, media]
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in (layer or {}).items():
            key = name.strip().casefold()
            merged.pop(key, None)
            if value:
                merged[key] = (name.strip(), value)
    return dict(merged.values())
