"""The firmware's tables of what the machine is made of (SMBIOS), read without dmidecode. Pure.

Source: the SMBIOS reference specification, types 0 to 4 and 17. A damaged table gives what stands before the
damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.sequence.machinefacts import Smbios

#: A structure's numbers behind its header of 4 bytes, and its texts.
_HEADER = 4


@dataclass(frozen=True)
class Structure:
    """One table entry. ``data`` begins with the header, so that offsets are those of the specification."""

    type: int
    data: bytes
    texts: tuple[str, ...]

    def text(self, offset: int) -> str:
        """The text whose number stands at ``offset``; "" when there is none."""
        number = self.data[offset] if offset < len(self.data) else 0
        return self.texts[number - 1].strip() if 0 < number <= len(self.texts) else ""

    def number(self, offset: int, size: int) -> int:
        return int.from_bytes(self.data[offset : offset + size], "little")


@dataclass(frozen=True)
class Hardware:
    """``memory``: bytes of each module; ``clock``: MHz of the first processor; ``sockets`` that are used."""

    smbios: Smbios
    memory: tuple[int, ...] = ()
    sockets: int = 0
    clock: int = 0


def structures(table: bytes) -> Iterator[Structure]:
    at = 0
    while at + _HEADER <= len(table):
        kind, length = table[at], table[at + 1]
        if length < _HEADER or at + length > len(table):
            return
        end = table.find(b"\0\0", at + length)
        if end < 0:
            return
        texts = table[at + length : end].split(b"\0")
        decoded = tuple(text.decode("ascii", "replace") for text in texts)
        yield Structure(kind, table[at : at + length], decoded)
        if kind == 127:
            return
        at = end + 2


def read(table: bytes) -> Hardware:
    """What the table says; empty texts for what is not there."""
    first: dict[int, Structure] = {}
    memory, sockets = [], 0
    for item in structures(table):
        first.setdefault(item.type, item)
        if item.type == 17:
            memory.append(_module(item))
        elif item.type == 4 and len(item.data) > 0x18 and item.data[0x18] & 0x40:
            sockets += 1
    none = Structure(0, b"", ())
    bios, system, board, chassis, cpu = (first.get(kind, none) for kind in (0, 1, 2, 3, 4))
    return Hardware(
        Smbios(
            manufacturer=system.text(4),
            product=system.text(5),
            version=system.text(6),
            serial=system.text(7),
            uuid=_uuid(system.data[8:24]),
            sku=system.text(0x19),
            family=system.text(0x1A),
            bios_vendor=bios.text(4),
            bios_version=bios.text(5),
            bios_date=bios.text(8),
            board_manufacturer=board.text(4),
            board_product=board.text(5),
            board_version=board.text(6),
            board_serial=board.text(7),
            chassis_manufacturer=chassis.text(4),
            chassis_serial=chassis.text(7),
            asset_tag=chassis.text(8),
            chassis_type=chassis.number(5, 1) & 0x7F,
        ),
        tuple(size for size in memory if size),
        sockets,
        cpu.number(0x14, 2),
    )


def _module(item: Structure) -> int:
    size = item.number(0x0C, 2)
    if size in (0, 0xFFFF):
        return 0
    if size == 0x7FFF:
        return (item.number(0x1C, 4) & 0x7FFFFFFF) << 20
    return (size & 0x7FFF) << (10 if size & 0x8000 else 20)


def _uuid(data: bytes) -> str:
    """The first three fields are stored with their low byte first."""
    if len(data) != 16:
        return ""
    parts = (data[3::-1], data[5:3:-1], data[7:5:-1], data[8:10], data[10:])
    return "-".join(part.hex() for part in parts).upper()
