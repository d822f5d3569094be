"""MBR as a value: partition types, sfdisk's input for a layout, and reading a table's bytes. Pure.

Sources: the classic MBR layout, documented partition types of Windows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from lab.guest.gpt import SECTOR
from lab.sequence.effects import Partition

#: Type of a partition as the engine names it -> its byte, for NTFS (and none) and for FAT32.
TYPES: dict[str, tuple[int, int]] = {
    "Primary": (0x07, 0x0C),
    "Hidden": (0x17, 0x1C),
    "Recovery": (0x27, 0x27),
    "Extended": (0x0F, 0x0F),
    "Logical": (0x07, 0x0C),
}

#: What Windows gives a drive letter: a data partition that is neither hidden nor for recovery (documented).
DATA = frozenset((0x06, 0x07, 0x0B, 0x0C, 0x0E))

#: Bytes of a master boot record that are code; the disk's signature and the table follow.
CODE_BYTES = 440

_PROTECTIVE = 0xEE
_EXTENDED = frozenset((0x05, 0x0F))
_FIRST_LOGICAL = 5
_MOST_LOGICAL = 128


@dataclass(frozen=True)
class MbrPartition:
    """A partition found on a disk; logical ones have numbers from 5. ``start`` and ``sectors`` in sectors of
    the disk; ``type`` is its byte."""

    number: int
    type: int
    active: bool
    start: int
    sectors: int

    @property
    def logical(self) -> bool:
        return self.number >= _FIRST_LOGICAL


def sfdisk_script(partitions: tuple[Partition, ...]) -> str:
    """What sfdisk reads to write these partitions: exact sectors, types, the active flag.

    The chain of logical partitions is sfdisk's to write: each one's boot record goes 1 MiB before it.
    Raises ValueError for a type that an MBR does not have (EFI, MSR), and for more than four partitions that
    are not logical.
    """
    if sum(partition.type != "Logical" for partition in partitions) > 4:
        raise ValueError("an MBR disk holds four primary partitions at most")
    lines = ["label: dos", "unit: sectors"]
    for partition in partitions:
        if partition.type not in TYPES:
            raise ValueError(f"the lab makes no partition of type '{partition.type}' on an MBR disk")
        kind = TYPES[partition.type][partition.file_system == "FAT32"]
        place = f"start={partition.start}, size={partition.sectors}, type={kind:x}"
        lines.append(f"{partition.number} : {place}{', bootable' if partition.bootable else ''}")
    return "\n".join(lines) + "\n"


def parse_table(read: Callable[[int], bytes]) -> tuple[MbrPartition, ...]:
    """The partitions of a disk, logical ones last; none when it has no MBR, or a GPT's.

    ``read(n)`` gives the disk's sector n. A chain of logical partitions is followed as far as it is whole.
    """
    first = read(0)
    if not _signed(first):
        return ()
    found = []
    for index in range(4):
        flag, kind, start, sectors = _entry(first, index)
        if flag not in (0x00, 0x80) or kind == _PROTECTIVE:
            return ()
        if kind and sectors:
            found.append(MbrPartition(index + 1, kind, flag == 0x80, start, sectors))
    extended = [item for item in found if item.type in _EXTENDED]
    for item in extended:
        found += _logical(read, item.start)
    return tuple(found)


def _logical(read: Callable[[int], bytes], base: int) -> list[MbrPartition]:
    """A chain's links: a boot record's first entry is a partition, its second the next link."""
    found: list[MbrPartition] = []
    link, seen = base, set[int]()
    while link not in seen and len(seen) < _MOST_LOGICAL:
        seen.add(link)
        sector = read(link)
        if not _signed(sector):
            break
        _, kind, start, sectors = _entry(sector, 0)
        if kind and sectors:
            number = _FIRST_LOGICAL + len(found)
            found.append(MbrPartition(number, kind, False, link + start, sectors))
        _, kind, start, sectors = _entry(sector, 1)
        if not kind or not sectors:
            break
        link = base + start
    return found


def _signed(sector: bytes) -> bool:
    return len(sector) >= SECTOR and sector[510:512] == b"\x55\xaa"


def _entry(sector: bytes, index: int) -> tuple[int, int, int, int]:
    """(flag, type, start, sectors) of one entry of four."""
    flag, kind, start, sectors = struct.unpack_from("<B3xB3xII", sector, 446 + 16 * index)
    return flag, kind, start, sectors
