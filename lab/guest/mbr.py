"""MBR as a value: partition types, sfdisk's input for a layout, and reading a table's bytes. Pure.

Sources: the classic MBR layout, documented partition types of Windows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lab.guest.gpt import SECTOR
from lab.sequence.effects import Partition

#: Type of a partition as the engine names it -> its byte, for NTFS (and none) and for FAT32.
TYPES: dict[str, tuple[int, int]] = {
    "Primary": (0x07, 0x0C),
    "Hidden": (0x17, 0x1C),
    "Recovery": (0x27, 0x27),
}

#: What Windows gives a drive letter: a data partition that is neither hidden nor for recovery (documented).
DATA = frozenset((0x06, 0x07, 0x0B, 0x0C, 0x0E))

#: Bytes of a master boot record that are code; the disk's signature and the table follow.
CODE_BYTES = 440

_PROTECTIVE = 0xEE


@dataclass(frozen=True)
class MbrPartition:
    """A primary partition found on a disk. ``start`` and ``sectors`` in sectors; ``type`` is its byte."""

    number: int
    type: int
    active: bool
    start: int
    sectors: int


def sfdisk_script(partitions: tuple[Partition, ...]) -> str:
    """What sfdisk reads to write these partitions: exact sectors, types, the active flag.

    Raises ValueError for a type that an MBR does not have (EFI, MSR), or that is not made yet (Extended,
    Logical), and for more than four partitions.
    """
    if len(partitions) > 4:
        raise ValueError("an MBR disk holds four primary partitions at most")
    lines = ["label: dos", "unit: sectors"]
    for partition in partitions:
        if partition.type not in TYPES:
            raise ValueError(f"the lab makes no partition of type '{partition.type}' on an MBR disk")
        kind = TYPES[partition.type][partition.file_system == "FAT32"]
        place = f"start={partition.start}, size={partition.sectors}, type={kind:x}"
        lines.append(f"{partition.number} : {place}{', bootable' if partition.bootable else ''}")
    return "\n".join(lines) + "\n"


def parse_table(sector: bytes) -> tuple[MbrPartition, ...]:
    """The primary partitions of a disk whose first sector this is; none when it has no MBR, or a GPT's."""
    if len(sector) < SECTOR or sector[510:512] != b"\x55\xaa":
        return ()
    found = []
    for index in range(4):
        flag, kind, start, sectors = struct.unpack_from("<B3xB3xII", sector, 446 + 16 * index)
        if flag not in (0x00, 0x80) or kind == _PROTECTIVE:
            return ()
        if kind and sectors:
            found.append(MbrPartition(index + 1, kind, flag == 0x80, start, sectors))
    return tuple(found)
