"""Partition tables from bytes: what is right is read, what is wrong is said, nothing hangs."""

from __future__ import annotations

import random
import struct
import uuid
import zlib

from lab.disk.reader import read_final_state
from lab.disk.table import Table, parse_table

SIZE = 1 << 20
LAST = SIZE // 512 - 1
EFI = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


def table_of(disk: bytes) -> Table:
    return parse_table(lambda offset, size: disk[offset : offset + size], len(disk))


def mbr_entry(kind: int, start: int, sectors: int, flag: int = 0) -> bytes:
    return struct.pack("<B3xB3xII", flag, kind, start, sectors)


def boot_sector(*entries: bytes) -> bytes:
    return b"\0" * 446 + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def gpt_header(lba: int, entries_lba: int, raw: bytes, count: int) -> bytes:
    def header(crc: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, lba, 0, 34, LAST - 34,
                           b"\1" * 16, entries_lba, count, 128, zlib.crc32(raw))  # fmt: skip

    return header(zlib.crc32(header(0))).ljust(512, b"\0")


def gpt_disk(*partitions: tuple[str, int, int], count: int = 128) -> bytearray:
    raw = b"".join(
        uuid.UUID(kind).bytes_le + b"\2" * 16 + struct.pack("<QQQ", start, start + sectors - 1, 0) + bytes(72)
        for kind, start, sectors in partitions
    ).ljust(128 * 128, b"\0")
    disk = bytearray(SIZE)
    disk[:512] = boot_sector(mbr_entry(0xEE, 1, LAST))
    disk[512:1024] = gpt_header(1, 2, raw, count)
    disk[1024 : 1024 + len(raw)] = raw
    disk[-512:] = gpt_header(LAST, LAST - 32, raw, count)
    disk[-33 * 512 : -512] = raw
    return disk


def test_a_blank_disk_has_no_style() -> None:
    assert table_of(bytes(SIZE)) == Table("")


def test_gpt_types_have_names_and_unknown_ones_stay_raw() -> None:
    table = table_of(bytes(gpt_disk((EFI, 34, 100), (LINUX, 134, 10))))
    assert table.style == "GPT" and not table.notes
    assert [(p.number, p.type, p.start, p.sectors) for p in table.partitions] == [
        (1, "EFI", 34, 100),
        (2, LINUX, 134, 10),
    ]


def test_a_gpt_with_a_wrong_checksum_is_not_believed() -> None:
    disk = gpt_disk((EFI, 34, 100))
    disk[1024 + 40] ^= 1  # the primary's entries
    table = table_of(bytes(disk))
    assert table.notes == ("has a damaged primary GPT; read the backup",)
    assert table.partitions[0].sectors == 100
    disk[-33 * 512 + 40] ^= 1
    assert table_of(bytes(disk)) == Table("", notes=("has a protective MBR, but no GPT header is valid",))


def test_a_gpt_that_claims_too_many_entries_is_refused() -> None:
    assert table_of(bytes(gpt_disk((EFI, 34, 100), count=1 << 30))).style == ""


def test_a_partition_beyond_the_disk_is_said() -> None:
    table = table_of(bytes(gpt_disk((EFI, 34, LAST))))
    assert table.notes == ("partition 1 reaches beyond the end of the disk",)


def test_mbr_with_logical_partitions() -> None:
    disk = bytearray(SIZE)
    disk[:512] = boot_sector(mbr_entry(7, 63, 100, 0x80), mbr_entry(5, 200, 300), mbr_entry(0x83, 600, 10))
    disk[200 * 512 : 201 * 512] = boot_sector(mbr_entry(7, 1, 50), mbr_entry(5, 100, 60))
    disk[300 * 512 : 301 * 512] = boot_sector(mbr_entry(7, 1, 40))
    table = table_of(bytes(disk))
    assert table.style == "MBR" and not table.notes
    assert [(p.number, p.type, p.start, p.bootable) for p in table.partitions] == [
        (1, "Primary", 63, True),
        (2, "Extended", 200, False),
        (3, "0x83", 600, False),
        (5, "Logical", 201, False),
        (6, "Logical", 301, False),
    ]


def test_a_hidden_gpt_partition_is_told_by_its_attributes() -> None:
    disk = gpt_disk((DATA, 34, 100), (DATA, 134, 10))
    raw = bytearray(disk[1024 : 1024 + 128 * 128])
    raw[128 + 48 : 128 + 56] = struct.pack("<Q", 1 << 62 | 1 << 63)
    disk[1024 : 1024 + 128 * 128] = raw
    disk[512:1024] = gpt_header(1, 2, bytes(raw), 128)
    assert [item.type for item in table_of(bytes(disk)).partitions] == ["Primary", "Hidden"]


def test_a_chain_of_logical_partitions_that_bites_its_tail_ends() -> None:
    disk = bytearray(SIZE)
    disk[:512] = boot_sector(mbr_entry(5, 200, 300))
    disk[200 * 512 : 201 * 512] = boot_sector(mbr_entry(7, 1, 50), mbr_entry(5, 0, 60))
    table = table_of(bytes(disk))
    assert table.notes == ("has a chain of logical partitions that does not end",)


def test_a_file_system_without_a_table_is_no_table() -> None:
    sector = bytearray(boot_sector())
    sector[3:11] = b"NTFS    "
    assert table_of(bytes(sector) + bytes(SIZE)).notes[0].startswith("starts with a file system")


class Memory:
    """Bytes as a block reader."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]

    def close(self) -> None:
        pass


def test_garbage_and_no_bytes_at_all_are_states_too() -> None:
    for seed in range(30):
        noise = random.Random(seed).randbytes(SIZE // 4)
        signed = noise[:510] + b"\x55\xaa" + noise[512:]
        final = read_final_state([Memory(noise), Memory(signed), Memory(b""), Memory(b"x")])
        assert len(final.disks) == 4 and not final.files and not final.registry
        assert "disk 2 is empty" in final.notes
