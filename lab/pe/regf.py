"""Write registry hives: the REGF format, version 1.5, as Windows keeps them and hivex edits them.

A hive is a header of 4096 bytes and "bins" of cells; every cell is a multiple of 8 bytes with its size,
negative when in use, in front. Offsets inside a hive count from the first bin. Pure; the same tree gives
the same bytes. Source of the layout: the format as documented by hivex and regipy, both of which read it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import LabFault

_HEADER = 4096
_BIN = 4096
_NOTHING = 0xFFFFFFFF
#: All times in a built hive: 1 January 2020, in 100 ns since 1601.
_TIME = 132223104000000000

_REG_SZ, _REG_EXPAND_SZ, _REG_BINARY, _REG_DWORD, _REG_MULTI_SZ, _REG_QWORD = 1, 2, 3, 4, 7, 11

Value = tuple[str, str | int]


@dataclass
class _Key:
    name: str
    values: dict[str, Value] = field(default_factory=dict)
    children: dict[str, _Key] = field(default_factory=dict)


def build_hive(name: str, keys: Mapping[str, Mapping[str, Value]]) -> bytes:
    """A hive named ``name`` with ``keys``: path below the root, ``A\\B`` -> value name -> (type, data).

    Types are REG_SZ, REG_EXPAND_SZ, REG_DWORD, REG_QWORD, REG_MULTI_SZ (strings joined by newlines) and
    REG_BINARY (hex). The value name "" is the key's default value.
    """
    root = _Key("CMI-CreateHive{2A7FB991-7BBE-4F9D-B91E-7CB51D4737F5}")
    for path, values in keys.items():
        key = root
        for part in path.split("\\"):
            key = key.children.setdefault(part.upper(), _Key(part))
        key.values.update(values)
    cells = _Cells()
    top = _room(cells, root)  # first of all cells: regipy takes the first one for the root
    security = cells.add(_security_cell(0))  # offsets are known only once it stands
    cells.replace(security, _security_cell(security))
    _write_key(cells, root, top, _NOTHING, security)
    body = cells.finish()
    struct.pack_into("<I", body, security + 4 + 12, _count_keys(root))  # how many keys refer to it
    return _header(name, top, len(body)) + bytes(body)


class _Cells:
    """Grows the area of bins. A cell never crosses a bin, and a bin may be several pages long."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._free = 0  # where the current bin's free space starts
        self._end = 0

    def add(self, content: bytes) -> int:
        """Put a cell; gives its offset."""
        size = (len(content) + 4 + 7) & ~7
        if self._free + size > self._end:
            self._close_bin()
            length = -(-(size + 32) // _BIN) * _BIN
            start = len(self._data)
            self._data += struct.pack("<4sIIQQI", b"hbin", start, length, 0, _TIME, 0) + bytes(length - 32)
            self._free, self._end = start + 32, start + length
        offset = self._free
        struct.pack_into("<i", self._data, offset, -size)
        self._data[offset + 4 : offset + 4 + len(content)] = content
        self._free += size
        return offset

    def replace(self, offset: int, content: bytes) -> None:
        self._data[offset + 4 : offset + 4 + len(content)] = content

    def _close_bin(self) -> None:
        if self._free < self._end:
            struct.pack_into("<i", self._data, self._free, self._end - self._free)

    def finish(self) -> bytearray:
        self._close_bin()
        return self._data


def _room(cells: _Cells, key: _Key) -> int:
    return cells.add(bytes(76 + len(key.name)))


def _write_key(cells: _Cells, key: _Key, offset: int, parent: int, security: int) -> None:
    name = key.name.encode("latin-1")
    below = [(_room(cells, child), child) for _, child in sorted(key.children.items())]
    for place, child in below:
        _write_key(cells, child, place, offset, security)
    subkeys = _NOTHING
    if below:
        entries = b"".join(struct.pack("<II", place, _name_hash(child.name)) for place, child in below)
        subkeys = cells.add(struct.pack("<2sH", b"lh", len(below)) + entries)
    values = _NOTHING
    if key.values:
        places = [_write_value(cells, value_name, value) for value_name, value in key.values.items()]
        values = cells.add(struct.pack(f"<{len(places)}I", *places))
    flags = 0x20 | (0x0C if parent == _NOTHING else 0)  # name is Latin-1; root, not to be deleted
    cells.replace(
        offset,
        struct.pack(
            "<2sHQIIIIIIIIIIIIIIIHH",
            b"nk", flags, _TIME, 0, parent, len(below), 0, subkeys, _NOTHING, len(key.values), values,
            security, _NOTHING, max((2 * len(child.name) for _, child in below), default=0), 0,
            max((2 * len(value_name) for value_name in key.values), default=0),
            max((len(_data(value)[1]) for value in key.values.values()), default=0),
            0, len(name), 0,
        ) + name,
    )  # fmt: skip


def _write_value(cells: _Cells, name: str, value: Value) -> int:
    kind, data = _data(value)
    if len(data) <= 4:  # kept in the place of the offset
        size, place = len(data) | 0x80000000, struct.unpack("<I", data.ljust(4, b"\0"))[0]
    else:
        size, place = len(data), cells.add(data)
    raw = name.encode("latin-1")
    return cells.add(struct.pack("<2sHIIIHH", b"vk", len(raw), size, place, kind, 1 if raw else 0, 0) + raw)


def _data(value: Value) -> tuple[int, bytes]:
    kind, data = value
    match kind, data:
        case "REG_SZ", str():
            return _REG_SZ, (data + "\0").encode("utf-16-le")
        case "REG_EXPAND_SZ", str():
            return _REG_EXPAND_SZ, (data + "\0").encode("utf-16-le")
        case "REG_MULTI_SZ", str():
            joined = "".join(f"{line}\0" for line in data.splitlines())
            return _REG_MULTI_SZ, (joined + "\0").encode("utf-16-le")
        case "REG_DWORD", int():
            return _REG_DWORD, struct.pack("<I", data)
        case "REG_QWORD", int():
            return _REG_QWORD, struct.pack("<Q", data)
        case "REG_BINARY", str():
            return _REG_BINARY, bytes.fromhex(data)
    raise LabFault(f"a registry value cannot be of type {kind} with {data!r}")


def _name_hash(name: str) -> int:
    total = 0
    for character in name.upper():
        total = (total * 37 + ord(character)) & 0xFFFFFFFF
    return total


def _count_keys(key: _Key) -> int:
    return 1 + sum(_count_keys(child) for child in key.children.values())


def _security_cell(own: int) -> bytes:
    """One descriptor for all keys: owner Administrators, full access for System and Administrators."""
    system = struct.pack("<BB6sI", 1, 1, b"\0\0\0\0\0\5", 18)
    administrators = struct.pack("<BB6sII", 1, 2, b"\0\0\0\0\0\5", 32, 544)
    rights = b"".join(
        struct.pack("<BBHI", 0, 2, 8 + len(who), 0xF003F) + who for who in (system, administrators)
    )
    rules = struct.pack("<BBHHH", 2, 0, 8 + len(rights), 2, 0) + rights
    owner = 20 + len(rules)
    group = owner + len(administrators)
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8004, owner, group, 0, 20) + rules + administrators + system
    return struct.pack("<2sHIIII", b"sk", 0, own, own, 1, len(descriptor)) + descriptor


def _header(name: str, top: int, size: int) -> bytes:
    out = bytearray(_HEADER)
    struct.pack_into("<4sIIQIIIIIII", out, 0, b"regf", 1, 1, _TIME, 1, 5, 0, 1, top, size, 1)
    file_name = f"\\SystemRoot\\System32\\Config\\{name}"[-31:].encode("utf-16-le")
    out[48 : 48 + len(file_name)] = file_name
    checksum = 0
    for (word,) in struct.iter_unpack("<I", out[:508]):
        checksum ^= word
    struct.pack_into("<I", out, 508, {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(checksum, checksum))
    return bytes(out)
