"""The small types of a scenario: codes, durations, sizes, names, paths. Text in, a value of the house out."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)  # fmt: skip
from pydantic_core import CoreSchema, core_schema

from lab.yamlio import BadValue, quoted

_TEXT_OR_NUMBER = {"type": ["string", "number"]}

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?i?B)", re.IGNORECASE)
_DURATION_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _nothing_is_empty(value: Any) -> Any:
    return {} if value is None else value


class _Empty:
    """An entry of which nothing is said (``DP1:``) has all its defaults."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_nothing_is_empty, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        return {"anyOf": [handler(schema), {"type": "null"}]}


EMPTY = _Empty()


def _text(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    given = "nothing" if value is None else "a list" if isinstance(value, list) else "a mapping"
    raise BadValue(f"expected {what}, not {given}")


def code(value: Any) -> int:
    """A Win32 code or HRESULT in any spelling (0x80070002, 2147942402, -2147024894), unsigned 32 bit."""
    text = _text(value, "a code")
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|-?\d{1,10}", text):
        number = int(text, 16 if text[:2] in ("0x", "0X") else 10)
        if -(1 << 31) <= number < 1 << 32:
            return number & 0xFFFFFFFF
    raise BadValue(f"{quoted(text)} is not a code", "write it as 0x80070002 or 1603")


def duration(value: Any) -> float:
    """A length of time in seconds: ``20s``, ``1h 30m``, ``+2h``, ``500ms``."""
    text = _text(value, "a duration").removeprefix("+").strip()
    parts = _DURATION_PART.findall(text)
    if not parts or _DURATION_PART.sub("", text).strip():
        raise BadValue(f"{quoted(text)} is not a duration", "write it as 20s, 10m or 1h 30m")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def size(value: Any) -> int:
    """A size in bytes: ``20 GiB``, ``500 MB``, ``0 B``."""
    text = _text(value, "a size")
    match = _SIZE.fullmatch(text)
    if not match:
        raise BadValue(f"{quoted(text)} is not a size", "write it as 20 GiB or 500 MB")
    return round(float(match.group(1)) * _UNITS[match.group(2).upper()])


@dataclass(frozen=True)
class SizeRange:
    """The sizes that will do, in bytes, both ends included. ``text`` is what the scenario says."""

    least: int
    most: int
    text: str

    def holds(self, number: int) -> bool:
        return self.least <= number <= self.most

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(size_range)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "examples": ["500 MiB", "20 GiB ± 1 GiB", "at least 10 GiB", "at most 1 MB"],
        }


def size_range(value: Any) -> SizeRange:
    """``500 MiB`` (to within 1 MiB, as partitions are aligned), ``500 MiB ± 10 MiB``, ``at least …``,
    ``at most …``, ``exactly …``."""
    if isinstance(value, SizeRange):
        return value
    text = _text(value, "a size")
    for word, least, most in (("at least", True, False), ("at most", False, True), ("exactly", True, True)):
        if text.startswith(word + " "):
            limit = size(text[len(word) :])
            return SizeRange(limit if least else 0, limit if most else 1 << 63, text)
    middle, sign, around = text.replace("+-", "±").partition("±")
    centre, tolerance = size(middle), size(around) if sign else 1 << 20
    return SizeRange(max(0, centre - tolerance), centre + tolerance, text)


def flag(value: Any) -> bool:
    """true or false; ``yes``, ``on`` and ``1`` are texts here."""
    if isinstance(value, bool):
        return value
    text = _text(value, "true or false")
    if text not in ("true", "false"):
        raise BadValue(f"expected true or false, not {quoted(text)}")
    return text == "true"


def count(value: Any) -> int:
    text = _text(value, "a whole number")
    if not re.fullmatch(r"\d{1,9}", text):
        raise BadValue(f"{quoted(text)} is not a whole number")
    return int(text)


def regular_expression(value: Any) -> str:
    """A regular expression of Python's, found anywhere in the text."""
    text = value if isinstance(value, str) else _text(value, "a regular expression")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadValue(f"{quoted(text)} is not a regular expression: {error}") from error
    return text


def command_pattern(value: Any) -> str:
    """A glob over a command line, or ``/regular expression/``."""
    text = _text(value, "a command pattern")
    if not text:
        raise BadValue("a command pattern may not be empty", "'*' answers every command")
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        regular_expression(text[1:-1])
    return text


def variable_name(value: Any) -> str:
    """A name a user may give to a task sequence variable (rules R16, R17)."""
    text = _text(value, "a variable name")
    if text.startswith("_"):
        raise BadValue(f"variable {quoted(text)} is read-only", "names that begin with _ are ConfigMgr's own")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,255}", text):
        raise BadValue(
            f"{quoted(text)} is not a variable name", "a letter, then letters, digits, _ and -; at most 256"
        )
    return text


def variable_value(value: Any) -> str:
    """A variable's value (rule R18: at most 4,000 characters)."""
    if not isinstance(value, str):
        return _text(value, "a text")
    if len(value) > 4000:
        raise BadValue(f"a value has at most 4000 characters, this one has {len(value)}")
    return value


def package_id(value: Any) -> str:
    """A package's id: the site's code of three characters and five hexadecimal digits."""
    text = _text(value, "a package id")
    if not re.fullmatch(r"[A-Za-z0-9]{3}[0-9A-Fa-f]{5}", text):
        raise BadValue(
            f"{quoted(text)} is not a package id", "three characters and five hex digits: LAB00001"
        )
    return text


WINDOWS_PATH = r"^[A-Za-z]+:\\"
REGISTRY_KEY = r"^(HKLM|HKEY_LOCAL_MACHINE)\\"


def windows_path(value: Any) -> str:
    r"""A path on a volume of the machine: ``C:\Windows``, ``EFI:\EFI\Boot\bootx64.efi``."""
    text = _text(value, "a Windows path")
    if not re.match(WINDOWS_PATH, text) or "/" in text or "\\\\" in text:
        raise BadValue(f"{quoted(text)} is not a Windows path", r"write it as C:\Windows or EFI:\EFI\Boot")
    return text


def registry_key(value: Any) -> str:
    r"""A key of the machine's own hives: ``HKLM\SYSTEM\Setup``."""
    text = _text(value, "a registry key")
    if not re.match(REGISTRY_KEY, text, re.IGNORECASE) or text.endswith("\\") or "\\\\" in text:
        raise BadValue(f"{quoted(text)} is not a registry key", r"write it as HKLM\SYSTEM\Setup")
    return text


def mac_address(value: Any) -> str:
    """A network card's own address, lower case, with colons; dashes and no separators are read, too."""
    text = value.strip().lower() if isinstance(value, str) else ""
    digits = re.sub(r"[:-]", "", text)
    if not re.fullmatch(r"[0-9a-f]{2}(?:([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4})", text):
        raise BadValue(f"{quoted(value)} is not a MAC address", "write it as 52:54:00:12:34:56")
    if int(digits[:2], 16) & 1 or digits == "0" * 12:
        raise BadValue(f"{quoted(text)} is no card's own address", "its first byte must be even")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def guid(value: Any) -> str:
    """The UUID of a machine's SMBIOS, lower case without braces."""
    try:
        return str(uuid.UUID(value.strip() if isinstance(value, str) else ""))
    except ValueError:
        hint = "write it as 8d1f2f5e-1111-4222-8333-444455556666"
        raise BadValue(f"{quoted(value)} is not an SMBIOS GUID", hint) from None


def one_or_more(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class OneOrMore:
    """A value that stands for a list of one: for editors, too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(one_or_more, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        made = handler(schema)
        return {"anyOf": [made["items"], made]}


def _schema(**keys: Any) -> WithJsonSchema:
    return WithJsonSchema(keys)


Code = Annotated[int, PlainValidator(code), _schema(**_TEXT_OR_NUMBER)]
Duration = Annotated[float, PlainValidator(duration), _schema(type="string", examples=["20s", "1h 30m"])]
Size = Annotated[int, PlainValidator(size), _schema(type="string", examples=["20 GiB", "500 MB"])]
Flag = Annotated[bool, PlainValidator(flag), _schema(type="boolean")]
Count = Annotated[int, PlainValidator(count), _schema(type="integer", minimum=0)]
Regex = Annotated[str, PlainValidator(regular_expression), _schema(type="string", format="regex")]
CommandPattern = Annotated[str, PlainValidator(command_pattern), _schema(type="string")]
VariableName = Annotated[str, PlainValidator(variable_name), _schema(type="string")]
VariableValue = Annotated[str, PlainValidator(variable_value), _schema(type=["string", "number", "boolean"])]
PackageId = Annotated[str, PlainValidator(package_id), _schema(type="string")]
Mac = Annotated[str, PlainValidator(mac_address), _schema(type="string")]
Guid = Annotated[str, PlainValidator(guid), _schema(type="string", format="uuid")]
WindowsPath = Annotated[str, PlainValidator(windows_path), _schema(type="string", pattern=WINDOWS_PATH)]
RegistryKey = Annotated[str, PlainValidator(registry_key), _schema(type="string", pattern=REGISTRY_KEY)]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(one_or_more),
    _schema(anyOf=[_TEXT_OR_NUMBER, {"type": "array", "items": _TEXT_OR_NUMBER}]),
]
