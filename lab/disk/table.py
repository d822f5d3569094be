"""Partition tables as values: GPT and MBR parsed from a disk's bytes.

Pure: bytes in, values out. Own parser because The Sleuth Kit hands out a GPT entry's name but not its type.
Sources: UEFI specification (GPT), the classic MBR layout; documented. Sectors are 512 bytes.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from lab.disk.state import PartitionState

SECTOR = 512

Read = Callable[[int, int], bytes]

GPT_TYPES = {
    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "EFI",
    "E3C9E316-0B5C-4DB8-817D-F92DF00215AE": "MSR",
    "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": "Primary",
    "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC": "Recovery",
}

MBR_TYPES = {
    **dict.fromkeys((0x01, 0x04, 0x06, 0x07, 0x0B, 0x0C, 0x0E), "Primary"),
    **dict.fromkeys((0x11, 0x14, 0x16, 0x17, 0x1B, 0x1C, 0x1E), "Hidden"),
    **dict.fromkeys((0x05, 0x0F), "Extended"),
    0x27: "Recovery",
    0xEF: "EFI",
}

_PROTECTIVE = 0xEE
_MAX_ENTRIES = 1024
_GPT_HIDDEN = 1 << 62
_MAX_LOGICAL = 128


@dataclass(frozen=True)
class Table:
    """A disk's partition table. ``style``: GPT, MBR or "" (none). ``notes``: what is wrong with it."""

    style: str
    partitions: tuple[PartitionState, ...] = ()
    notes: tuple[str, ...] = ()


def parse_table(read: Read, size: int) -> Table:
    """The partition table of a disk of ``size`` bytes; ``read(offset, size)`` gives its bytes.

    Never raises for what stands on the disk: damage becomes a note, no table becomes style "".
    """
    first = read(0, SECTOR)
    if len(first) < SECTOR:
        return Table("", notes=("is too short to hold a partition table",) if size else ("is empty",))
    signed = first[510:512] == b"\x55\xaa"
    protective = signed and any(first[446 + 16 * n + 4] == _PROTECTIVE for n in range(4))
    table = _gpt(read, size)
    if table is not None:
        if not protective:
            table = Table(table.style, table.partitions, (*table.notes, "has a GPT without protective MBR"))
        return table
    if protective:
        return Table("", notes=("has a protective MBR, but no GPT header is valid",))
    if not signed:
        return Table("")
    if first[3:11] == b"NTFS    " or first[82:87] == b"FAT32" or first[54:58] == b"FAT1":
        return Table("", notes=("starts with a file system and has no partition table",))
    return _mbr(read, size, first)


def _gpt(read: Read, size: int) -> Table | None:
    primary = _gpt_at(read, size, 1)
    if primary is not None:
        return primary
    backup = _gpt_at(read, size, size // SECTOR - 1)
    if backup is None:
        return None
    notes = (*backup.notes, "has a damaged primary GPT; read the backup")
    return Table(backup.style, backup.partitions, notes)


def _gpt_at(read: Read, size: int, lba: int) -> Table | None:
    if lba < 1:
        return None
    header = read(lba * SECTOR, SECTOR)
    if len(header) < SECTOR or header[:8] != b"EFI PART":
        return None
    length, crc = struct.unpack_from("<II", header, 12)
    if not 92 <= length <= SECTOR:
        return None
    if zlib.crc32(header[:16] + b"\0\0\0\0" + header[20:length]) != crc:
        return None
    (own_lba,) = struct.unpack_from("<Q", header, 24)
    entries_lba, count, entry_size, entries_crc = struct.unpack_from("<QIII", header, 72)
    if own_lba != lba or count > _MAX_ENTRIES or not 128 <= entry_size <= 4096 or entry_size % 8:
        return None
    raw = read(entries_lba * SECTOR, count * entry_size)
    if len(raw) < count * entry_size or zlib.crc32(raw) != entries_crc:
        return None
    partitions = []
    notes: list[str] = []
    for index in range(count):
        entry = raw[index * entry_size : (index + 1) * entry_size]
        if not any(entry[:16]):
            continue
        type_id = str(uuid.UUID(bytes_le=entry[:16])).upper()
        first, last, attributes = struct.unpack_from("<QQQ", entry, 32)
        kind = GPT_TYPES.get(type_id, type_id)
        if kind == "Primary" and attributes & _GPT_HIDDEN:
            kind = "Hidden"
        partition = PartitionState(
            number=index + 1,
            type=kind,
            start=first,
            sectors=max(0, last - first + 1),
            bootable=bool(attributes & 4),
        )
        partitions.append(partition)
        notes += _beyond(partition, size)
    return Table("GPT", tuple(partitions), tuple(notes))


def _mbr(read: Read, size: int, first: bytes) -> Table:
    partitions: list[PartitionState] = []
    notes: list[str] = []
    for index in range(4):
        flag, kind, start, sectors = _mbr_entry(first, index)
        if kind == 0 or sectors == 0:
            continue
        if flag not in (0x00, 0x80):
            return Table("", notes=("has a boot signature, but no valid partition table",))
        partition = PartitionState(
            index + 1, MBR_TYPES.get(kind, f"0x{kind:02X}"), start, sectors, bootable=flag == 0x80
        )
        partitions.append(partition)
        notes += _beyond(partition, size)
    for extended in [item for item in partitions if item.type == "Extended"]:
        logical, found = _logical(read, extended.start, 5)
        partitions += logical
        notes += found
        for partition in logical:
            notes += _beyond(partition, size)
    return Table("MBR", tuple(partitions), tuple(notes))


def _mbr_entry(sector: bytes, index: int) -> tuple[int, int, int, int]:
    flag, kind, start, sectors = struct.unpack_from("<B3xB3xII", sector, 446 + 16 * index)
    return flag, kind, start, sectors


def _logical(read: Read, base: int, number: int) -> tuple[list[PartitionState], list[str]]:
    """The chain of logical partitions: each link's first entry is the partition, its second the next link."""
    found: list[PartitionState] = []
    seen: set[int] = set()
    link = base
    while True:
        if link in seen or len(found) >= _MAX_LOGICAL:
            return found, ["has a chain of logical partitions that does not end"]
        seen.add(link)
        sector = read(link * SECTOR, SECTOR)
        if len(sector) < SECTOR or sector[510:512] != b"\x55\xaa":
            return found, ["has a damaged chain of logical partitions"]
        flag, kind, start, sectors = _mbr_entry(sector, 0)
        if kind and sectors:
            found.append(
                PartitionState(
                    number + len(found),
                    "Logical" if kind in MBR_TYPES else f"0x{kind:02X}",
                    link + start,
                    sectors,
                    bootable=flag == 0x80,
                )
            )
        _, kind, start, sectors = _mbr_entry(sector, 1)
        if not kind or not sectors:
            return found, []
        link = base + start


def _beyond(partition: PartitionState, size: int) -> list[str]:
    if partition.sectors == 0:
        return [f"partition {partition.number} has no sectors"]
    if (partition.start + partition.sectors) * SECTOR > size:
        return [f"partition {partition.number} reaches beyond the end of the disk"]
    return []
