"""GPT as a value: type GUIDs, sgdisk's arguments for a layout, and reading a table's bytes. Pure.

Sources: UEFI specification (GUID Partition Table), documented partition types of Windows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lab.sequence.effects import Partition

SECTOR = 512

#: Type of a partition as the engine names it -> its GUID and the name Windows gives such a partition.
TYPES: dict[str, tuple[str, str]] = {
    "EFI": ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EFI system partition"),
    "MSR": ("E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "Microsoft reserved partition"),
    "Primary": ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "Basic data partition"),
    "Recovery": ("DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "Recovery partition"),
    "Hidden": ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "Basic data partition"),
}  # fmt: skip

#: Attribute bits by type. Required, no drive letter: what Windows sets on a recovery partition (documented).
#: Hidden, no drive letter: a GPT has no type for hidden partitions, but these attributes (documented).
ATTRIBUTES = {"Recovery": (0, 63), "Hidden": (62, 63)}
_HIDDEN = 1 << 62


@dataclass(frozen=True)
class GptPartition:
    """A partition found on a disk. ``start`` and ``sectors`` in sectors; GUIDs in text form, upper case."""

    number: int
    type: str
    guid: str
    start: int
    sectors: int
    name: str = ""
    hidden: bool = False


def sgdisk_arguments(partitions: tuple[Partition, ...]) -> list[str]:
    """What sgdisk is told to write these partitions: exact sectors, types, names.

    Raises ValueError for a type that GPT does not have (Extended, Logical).
    """
    arguments = ["--set-alignment=1"]
    for partition in partitions:
        if partition.type not in TYPES:
            raise ValueError(f"a GPT disk has no partition of type '{partition.type}'")
        guid, name = TYPES[partition.type]
        number = partition.number
        arguments += [
            f"--new={number}:{partition.start}:{partition.start + partition.sectors - 1}",
            f"--typecode={number}:{guid}",
            f"--change-name={number}:{name}",
        ]
        arguments += [f"--attributes={number}:set:{bit}" for bit in ATTRIBUTES.get(partition.type, ())]
    return arguments


def guid_text(data: bytes) -> str:
    """A GUID's 16 bytes (first three fields little-endian) as text."""
    first, second, third = struct.unpack("<IHH", data[:8])
    return f"{first:08X}-{second:04X}-{third:04X}-{data[8:10].hex()}-{data[10:].hex()}".upper()


def guid_bytes(text: str) -> bytes:
    """A GUID's text as its 16 bytes."""
    first, second, third, fourth, fifth = text.strip("{}").split("-")
    head = struct.pack("<IHH", int(first, 16), int(second, 16), int(third, 16))
    return head + bytes.fromhex(fourth) + bytes.fromhex(fifth)


def header_extent(header: bytes) -> tuple[int, int]:
    """Where the entries of the table with this header (second sector of a disk) stand, as (offset, bytes).

    Raises ValueError when it is no GPT header.
    """
    if header[:8] != b"EFI PART":
        raise ValueError("there is no GPT")
    sector, count, size = struct.unpack_from("<QII", header, 72)
    return sector * SECTOR, count * size


def parse_entries(header: bytes, entries: bytes) -> tuple[GptPartition, ...]:
    """The partitions of a table, from its header sector and its entries."""
    count, size = struct.unpack_from("<II", header, 80)
    found = []
    for index in range(count):
        entry = entries[index * size : (index + 1) * size]
        if len(entry) < 128 or entry[:16] == bytes(16):
            continue
        first, last, attributes = struct.unpack_from("<QQQ", entry, 32)
        name = entry[56:128].decode("utf-16-le", "replace").split("\0")[0]
        kind, guid = guid_text(entry[:16]), guid_text(entry[16:32])
        hidden = bool(attributes & _HIDDEN)
        found.append(GptPartition(index + 1, kind, guid, first, last - first + 1, name, hidden))
    return tuple(found)
