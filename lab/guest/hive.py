"""Registry values as scripts for hivexsh, and back. Pure.

hivexsh's ``setval`` replaces all values of a key, so what is there is read first and written again. All
values are written as bytes (``hex:type:..``): hivexsh takes only ASCII as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.sequence import registrykeys

REG_SZ = 1
REG_DWORD = 4

#: Root and its subtree -> hive file below \Windows\System32\config.
HIVES = {
    ("HKLM", "SYSTEM"): "SYSTEM", ("HKLM", "SOFTWARE"): "SOFTWARE", ("HKLM", "SAM"): "SAM",
    ("HKLM", "SECURITY"): "SECURITY", ("HKU", ".DEFAULT"): "DEFAULT",
}  # fmt: skip

_TYPES = {
    0: "REG_NONE", 1: "REG_SZ", 2: "REG_EXPAND_SZ", 3: "REG_BINARY", 4: "REG_DWORD", 7: "REG_MULTI_SZ",
    11: "REG_QWORD",
}  # fmt: skip

_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"=', re.DOTALL)
_TEXT = re.compile(r'(?:str\(0?x?([0-9a-f]+)\):)?"((?:[^"\\]|\\.)*)"\n', re.DOTALL)
_DWORD = re.compile(r"dword:([0-9a-f]{8})\n")
_HEX = re.compile(r"hex\((?:0x)?([0-9]+)\):([0-9a-f,]*)\n")


def locate(key: str) -> tuple[str, tuple[str, ...]]:
    """A key as its hive's file name and the names below the hive's root.

    Raises ValueError for a key that is in none of a Windows' hives, and for one with a line end: each line of
    hivexsh's input is a command.
    """
    if not key.isprintable():
        raise ValueError(f"{key!r} is no name of a key")
    root, *names = registrykeys.resolve(key).split("\\")
    hive = HIVES.get((root, names[0].upper())) if names else None
    if hive is None:
        raise ValueError(f"'{key}' is in no registry hive")
    return hive, tuple(names[1:])


def go_to(names: tuple[str, ...]) -> str:
    """The script line that changes to a key."""
    # The space keeps readline from taking a last backslash as a continuation.
    return "cd \\" + ("\\".join(names) or " ") + "\n"


def read_script(names: tuple[str, ...]) -> str:
    """Lists the values of a key; fails when the key is not there."""
    return go_to(names) + "lsval\n"


def write_script(names: tuple[str, ...], existing: int, values: Mapping[str, tuple[int, bytes]]) -> str:
    """Makes the keys of the path from the ``existing``-th on, and replaces all values of the last one."""
    script = go_to(names[:existing])
    for name in names[existing:]:
        script += f"add {name}\ncd {name}\n"
    script += f"setval {len(values)}\n"
    for name, (kind, data) in values.items():
        script += f"{name or '@'}\nhex:{kind}:{data.hex()}\n"
    return script + "commit\n"


def encode(kind: str, data: Any) -> tuple[int, bytes]:
    """A value as type number and bytes. Raises ValueError for a type other than REG_SZ and REG_DWORD."""
    if kind == "REG_SZ":
        return REG_SZ, str(data).encode("utf-16-le") + b"\0\0"
    if kind == "REG_DWORD":
        return REG_DWORD, (int(data) & 0xFFFFFFFF).to_bytes(4, "little")
    raise ValueError(f"registry type '{kind}' is not supported")


def decode(kind: int, data: bytes) -> list[Any]:
    """A value as [type, data]: text, a number, a list of texts (REG_MULTI_SZ), else hexadecimal digits."""
    name = _TYPES.get(kind, f"REG_{kind}")
    if kind in (1, 2):
        return [name, data.decode("utf-16-le", "replace").rstrip("\0")]
    if kind in (4, 11):
        return [name, int.from_bytes(data[: 4 if kind == 4 else 8], "little")]
    if kind == 7:
        return [name, [text for text in data.decode("utf-16-le", "replace").split("\0") if text]]
    return [name, data.hex()]


def merged(
    old: Mapping[str, tuple[int, bytes]], new: Mapping[str, tuple[int, bytes]]
) -> dict[str, tuple[int, bytes]]:
    """Values after a change; names ignore case, and an existing value keeps its spelling."""
    result = dict(old)
    spelling = {name.casefold(): name for name in old}
    for name, value in new.items():
        result[spelling.get(name.casefold(), name)] = value
    return result


def parse_values(listing: str) -> dict[str, tuple[int, bytes]]:
    """What ``lsval`` printed, as name -> (type, bytes). Raises ValueError when it cannot be understood."""
    return dict(_values(listing))


def _values(listing: str) -> Iterator[tuple[str, tuple[int, bytes]]]:
    at = 0
    while at < len(listing):
        name = _NAME.match(listing, at)
        if not name:
            raise ValueError(f"cannot understand what hivexsh lists: {listing[at : at + 80]!r}")
        at = name.end()
        key = "" if name[1] == "@" else _plain(name[1])
        if text := _TEXT.match(listing, at):
            value = (int(text[1]) if text[1] else REG_SZ, _plain(text[2]).encode("utf-16-le") + b"\0\0")
        elif number := _DWORD.match(listing, at):
            value = (REG_DWORD, int(number[1], 16).to_bytes(4, "little"))
        elif data := _HEX.match(listing, at):
            value = (int(data[1]), bytes.fromhex(data[2].replace(",", "")))
        else:
            raise ValueError(f"cannot understand the value that hivexsh lists for '{key}'")
        found = text or number or data
        assert found is not None
        at = found.end()
        yield key, value


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
