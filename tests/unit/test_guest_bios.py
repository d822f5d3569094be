"""MBR disks and the BIOS boot files, over folders and a runner that only records."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.guest import bios, disk_tools, mbr, pefile
from lab.guest.runner import Ran, ToolFailed
from lab.guest.volumes import Volume, Volumes
from lab.pe.uki import unified_image
from lab.sequence.effects import InstallBootFiles, Partition, PartitionDisk, StageBootImage
from tests.unit.test_guest_performer import DISK, Rig, rig
from tests.unit.test_pe_formats import stub

__all__ = ["rig"]

SYSTEM = Partition(1, "Primary", 2048, 4096, "NTFS", "System Reserved", bootable=True)
WINDOWS = Partition(2, "Primary", 6144, 4096, "NTFS", "Windows", letter="C:")
RECOVERY = Partition(3, "Recovery", 10240, 2048, "NTFS", "Recovery")
LAYOUT = (SYSTEM, WINDOWS, RECOVERY)
NTFS = b"\xeb\x52\x90NTFS    " + bytes(501)


def first_sector(*entries: tuple[int, int, int, int]) -> bytes:
    """A master boot record of (flag, type, start, sectors) entries."""
    rows = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
    return bytes(446) + rows.ljust(64, b"\0") + b"\x55\xaa"


MBR = first_sector((0x80, 7, 2048, 4096), (0, 7, 6144, 4096), (0, 0x27, 10240, 2048))


def lay_out(machine: Rig, table: bytes = MBR) -> Path:
    """The disk with a system partition that is not mounted and C: that is; gives the folder of C:."""
    (machine.root / "dev/sda").write_bytes(table + bytes(DISK - len(table)))
    for number in (1, 2, 3):
        (machine.root / f"dev/sda{number}").write_bytes(NTFS)
    [disk] = machine.volumes.disks()
    folder = machine.root / "c"
    machine.volumes.volumes["C:"] = Volume("C:", disk, 2, "NTFS", str(folder), mounted=True)
    machine.drives["C:"] = str(folder)
    return folder


def test_sfdisk_is_told_exact_sectors_types_and_the_active_flag() -> None:
    hidden = Partition(4, "Hidden", 12288, 2048, "FAT32")
    assert mbr.sfdisk_script((*LAYOUT, hidden)).splitlines() == [
        "label: dos",
        "unit: sectors",
        "1 : start=2048, size=4096, type=7, bootable",
        "2 : start=6144, size=4096, type=7",
        "3 : start=10240, size=2048, type=27",
        "4 : start=12288, size=2048, type=1c",
    ]


def test_logical_partitions_are_written_and_their_chain_is_read() -> None:
    extended = Partition(2, "Extended", 6144, 40960)
    data = Partition(5, "Logical", 8192, 8192, "NTFS")
    script = mbr.sfdisk_script((SYSTEM, extended, data, replace(data, number=6, start=18432)))
    assert script.splitlines()[3:] == [
        "2 : start=6144, size=40960, type=f",
        "5 : start=8192, size=8192, type=7",
        "6 : start=18432, size=8192, type=7",
    ]
    sectors = {
        0: first_sector((0x80, 7, 2048, 4096), (0, 0x0F, 6144, 40960)),
        6144: first_sector((0, 7, 2048, 8192), (0, 5, 10240, 10240)),
        16384: first_sector((0, 7, 2048, 8192), (0, 5, 99999, 9)),
    }
    found = mbr.parse_table(lambda number: sectors.get(number, bytes(512)))
    assert [(item.number, item.type, item.start) for item in found] == [
        (1, 7, 2048), (2, 0x0F, 6144), (5, 7, 8192), (6, 7, 18432),
    ], "as far as the chain is whole"  # fmt: skip
    sectors[16384] = first_sector((0, 7, 2048, 8192), (0, 5, 10240, 9))
    assert len(mbr.parse_table(lambda number: sectors.get(number, bytes(512)))) == 4, "it bites its tail"


def test_an_extended_partition_holds_its_chain_and_none_of_an_older_table(rig: Callable[..., Rig]) -> None:
    machine = rig()
    start = DISK // 2 // 512
    (machine.root / "dev/sda1").write_bytes(b"chain" + bytes(1019))
    (machine.root / "mbr.bin").write_bytes(b"C" * 440)
    effect = PartitionDisk(0, "MBR", (Partition(1, "Extended", start, 64),))
    disk_tools.partition_disk(
        effect, machine.runner, machine.volumes, boot_code=str(machine.root / "mbr.bin")
    )
    assert (machine.root / "dev/sda1").read_bytes().startswith(b"chain")
    disk = (machine.root / "dev/sda").read_bytes()
    assert not any(disk[start * 512 : start * 512 + 512]) and all(
        disk[start * 512 + 512 : start * 512 + 1024]
    )


@pytest.mark.parametrize("kind", ["EFI", "MSR"])
def test_what_an_mbr_does_not_hold_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        mbr.sfdisk_script((replace(WINDOWS, type=kind),))
    with pytest.raises(ValueError, match="four"):
        mbr.sfdisk_script(LAYOUT[:1] * 5)


def test_a_table_is_read_and_what_is_none_is_not() -> None:
    [system, windows, recovery] = mbr.parse_table(lambda number: MBR)
    assert system == mbr.MbrPartition(1, 7, True, 2048, 4096)
    assert not windows.active and recovery.type == 0x27
    for other in (bytes(512), MBR[:511], first_sector((0, 0xEE, 1, 99)), first_sector((0x33, 7, 1, 9))):
        assert mbr.parse_table(lambda number, first=other: first) == ()  # type: ignore[misc]


def test_an_mbr_disk_is_written_formatted_and_gets_boot_code(rig: Callable[..., Rig]) -> None:
    machine = rig()
    for number in (1, 2, 3):
        (machine.root / f"dev/sda{number}").touch()
    (machine.root / "mbr.bin").write_bytes(b"C" * 440)
    outcome = disk_tools.partition_disk(
        PartitionDisk(0, "MBR", LAYOUT), machine.runner, machine.volumes,
        boot_code=str(machine.root / "mbr.bin"),
    )  # fmt: skip
    assert outcome.value == {"volumes": {"C:": {"disk": 0, "partition": 2}}}
    assert machine.runner.programs == ["sfdisk", "mkntfs", "mkntfs", "mkntfs", "ntfs-3g"]
    assert machine.runner.inputs[0] == mbr.sfdisk_script(LAYOUT)
    sector = (machine.root / "dev/sda").read_bytes()[:512]
    assert sector == b"C" * 440 + bytes(72), "table and signature are sfdisk's"


def test_the_system_partition_gets_no_letter_unless_it_is_the_only_one(rig: Callable[..., Rig]) -> None:
    machine = rig()
    lay_out(machine)
    for table, expected in ((MBR, 2), (first_sector((0x80, 7, 2048, 4096), (0, 0x17, 6144, 9)), 1)):
        (machine.root / "dev/sda").write_bytes(table)
        volumes = Volumes(
            machine.runner, VirtualClock(), {}, root=str(machine.root), sys=str(machine.root / "sys"),
            dev=str(machine.root / "dev"), mounts=str(machine.root / "mounts"),
        )  # fmt: skip
        volumes.scan()
        assert volumes.facts() == {"C:": {"disk": 0, "partition": expected}}


def test_boot_files_go_to_the_active_partition(rig: Callable[..., Rig]) -> None:
    machine = rig()
    source = lay_out(machine) / "Windows/Boot/PCAT"
    assert bios.install_boot_files(InstallBootFiles("C:"), machine.runner, machine.volumes).code == 0x80070002
    source.mkdir(parents=True)
    for name in bios.BOOT_FILES:
        (source / name).write_text(name)
    assert bios.install_boot_files(InstallBootFiles("C:"), machine.runner, machine.volumes).ok
    assert machine.runner.commands == [
        ["ntfs-3g", str(machine.root / "dev/sda1"), str(machine.root / "s")],
        ["extlinux", "--install", str(machine.root / "s/Boot")],
        ["umount", str(machine.root / "s")],
    ]
    assert (machine.root / "s/bootmgr").read_text() == "bootmgr"
    assert (machine.root / "s/Boot/extlinux.conf").read_text() == "extlinux.conf"
    lay_out(machine, first_sector((0, 7, 2048, 4096), (0, 7, 6144, 4096)))
    outcome = bios.install_boot_files(InstallBootFiles("C:"), machine.runner, machine.volumes)
    assert outcome.code == 0x80070003 and "no active partition" in outcome.message


def test_a_system_that_is_the_active_partition_itself_is_not_mounted_twice(rig: Callable[..., Rig]) -> None:
    machine = rig()
    source = lay_out(machine, first_sector((0, 7, 2048, 9), (0x80, 7, 6144, 9))) / "Windows/Boot/PCAT"
    source.mkdir(parents=True)
    for name in bios.BOOT_FILES:
        (source / name).touch()
    assert bios.install_boot_files(InstallBootFiles("C:"), machine.runner, machine.volumes).ok
    assert machine.runner.commands == [["extlinux", "--install", str(machine.root / "c/Boot")]]


def test_a_boot_image_is_taken_apart_and_started_once(rig: Callable[..., Rig]) -> None:
    machine = rig()
    folder = lay_out(machine) / "WinPE"
    effect = StageBootImage("LAB00002", "C:\\WinPE")
    assert bios.stage_boot_image(effect, machine.runner, machine.volumes).code == 0x80070002
    folder.mkdir()
    (folder / "labpe.efi").write_bytes(unified_image(stub(), {".linux": b"K" * 700}))
    outcome = bios.stage_boot_image(effect, machine.runner, machine.volumes)
    assert outcome.code == 0x80070002 and "no section .initrd" in outcome.message
    parts = {".cmdline": b"quiet\0", ".initrd": b"I" * 3_000_000, ".linux": b"K" * 700}
    (folder / "labpe.efi").write_bytes(unified_image(stub(), parts))
    assert bios.stage_boot_image(effect, machine.runner, machine.volumes).ok
    boot = machine.root / "s/Boot"
    assert machine.runner.commands[1:3] == [
        ["extlinux", "--install", str(boot)],
        ["extlinux", "--once=labpe", str(boot)],
    ]
    assert (boot / "labpe.krn").read_bytes() == b"K" * 700
    assert (boot / "labpe.img").read_bytes() == b"I" * 3_000_000
    assert (boot / "labpe.conf").read_text().endswith("  INITRD /Boot/labpe.img\n  APPEND quiet\n")
    assert "LOCALBOOT -1" in (boot / "extlinux.conf").read_text()
    (boot / "extlinux.conf").write_text("the deployed system's")
    assert bios.stage_boot_image(effect, machine.runner, machine.volumes).ok
    assert (boot / "extlinux.conf").read_text() == "the deployed system's"


def test_a_loader_that_cannot_be_installed_leaves_nothing_mounted(rig: Callable[..., Rig]) -> None:
    machine = rig(extlinux=Ran(1, "extlinux: cannot open device\n"))
    source = lay_out(machine) / "Windows/Boot/PCAT"
    source.mkdir(parents=True)
    for name in bios.BOOT_FILES:
        (source / name).touch()
    with pytest.raises(ToolFailed, match="cannot open device"):
        bios.install_boot_files(InstallBootFiles("C:"), machine.runner, machine.volumes)
    assert machine.runner.programs[-1] == "umount"


def test_what_is_no_executable_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"MZ" + bytes(300), stub()[:90]):
        (tmp_path / "a.efi").write_bytes(content)
        with pytest.raises(ValueError, match="no UEFI executable"):
            pefile.sections(str(tmp_path / "a.efi"))
    (tmp_path / "a.efi").write_bytes(b"short")
    with pytest.raises(OSError, match="cut short"):
        pefile.extract(str(tmp_path / "a.efi"), (0, 99), str(tmp_path / "out"))
