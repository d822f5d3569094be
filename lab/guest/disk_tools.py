"""PartitionDisk: wipe, write the table, format, mount."""

from __future__ import annotations

import os

from lab.guest import gpt, mbr
from lab.guest.runner import Runner, must
from lab.guest.volumes import Disk, Volume, Volumes
from lab.sequence.effects import Outcome, Partition, PartitionDisk

#: Bytes wiped at both ends of a disk: both copies of a GPT, and an MBR.
TABLE_BYTES = 1 << 20
#: Bytes wiped at the start of a partition that is not formatted, so that no old file system is found.
SIGNATURE_BYTES = 1 << 16

#: SYSLINUX's master boot record: starts the active partition, else hands back to the BIOS.
BOOT_CODE = "/usr/lib/EXTLINUX/mbr.bin"

#: ERROR_FILE_NOT_FOUND, ERROR_INVALID_PARAMETER.
NO_SUCH_DISK = 0x80070002
INVALID = 0x80070057


def partition_disk(
    effect: PartitionDisk, runner: Runner, volumes: Volumes, *, boot_code: str = BOOT_CODE
) -> Outcome:
    """Carry the effect out. Raises ToolFailed and OSError."""
    disk = volumes.disk(effect.disk)
    if disk is None:
        return Outcome(NO_SUCH_DISK, message=f"there is no disk {effect.disk}")
    try:
        command, script = _table_command(effect, disk.device)
        for partition in effect.partitions:
            format_command(partition, disk.device)
    except ValueError as error:
        return Outcome(INVALID, message=str(error))
    if max((part.start + part.sectors for part in effect.partitions), default=0) > disk.sectors:
        return Outcome(INVALID, message=f"the partitions reach beyond the end of disk {effect.disk}")
    volumes.unmount_disk(disk)
    wipe(disk.device, disk.sectors * gpt.SECTOR)
    for partition in effect.partitions:
        if partition.type == "Extended":  # or the logical partitions of an older table would be found
            clear(disk.device, partition.start * gpt.SECTOR, gpt.SECTOR)
    must(runner, *command, timeout=60, input=script)
    if effect.style == "MBR":
        write_boot_code(disk.device, boot_code)
    devices = [disk.partition(partition.number) for partition in effect.partitions]
    if not all(os.path.exists(device) for device in devices):
        runner.run(["blockdev", "--rereadpt", disk.device], timeout=20)
    volumes.wait_for(devices)
    for partition in effect.partitions:
        format_partition(partition, disk, runner)
    for partition in effect.partitions:
        if partition.letter and partition.file_system:
            letter = partition.letter
            volumes.add(Volume(letter, disk, partition.number, partition.file_system, volumes.folder(letter)))
    return Outcome(value={"volumes": volumes.facts()})


def _table_command(effect: PartitionDisk, device: str) -> tuple[list[str], str]:
    """The command that writes the table, and its input. Raises ValueError."""
    if effect.style == "MBR":
        script = mbr.sfdisk_script(effect.partitions)
        return ["sfdisk", "--quiet", "--wipe", "never", "--wipe-partitions", "never", device], script
    return ["sgdisk", *gpt.sgdisk_arguments(effect.partitions), device], ""


def write_boot_code(device: str, source: str = BOOT_CODE) -> None:
    """Put the boot code into a disk's master boot record, as Windows does when it makes one.

    Raises OSError.
    """
    with open(source, "rb") as file:
        code = file.read(mbr.CODE_BYTES)
    with open(device, "r+b", buffering=0) as disk:
        sector = disk.read(512)
        disk.seek(0)
        disk.write(code + sector[len(code) :])
        os.fsync(disk.fileno())


def wipe(device: str, size: int) -> None:
    """Clear both ends of a disk of ``size`` bytes."""
    with open(device, "r+b", buffering=0) as file:
        file.write(bytes(min(TABLE_BYTES, size)))
        file.seek(max(0, size - TABLE_BYTES))
        file.write(bytes(min(TABLE_BYTES, size)))
        os.fsync(file.fileno())


def clear(device: str, offset: int, size: int) -> None:
    """Write zeros."""
    with open(device, "r+b", buffering=0) as file:
        file.seek(offset)
        file.write(bytes(size))


def format_command(partition: Partition, device: str) -> list[str]:
    """The command that formats a partition; empty when it gets no file system. Raises ValueError."""
    label = partition.label
    match partition.file_system:
        case "":
            return []
        case "NTFS":
            quick = ["-Q"] if partition.quick_format else []
            return ["mkntfs", "-q", *quick, *(["-L", label] if label else []), device]
        case "FAT32":
            return ["mkfs.fat", "-F", "32", *(["-n", label.upper()[:11]] if label else []), device]
        case other:
            raise ValueError(f"a partition cannot be formatted as '{other}'")


def format_partition(partition: Partition, disk: Disk, runner: Runner) -> None:
    device = disk.partition(partition.number)
    command = format_command(partition, device)
    if command:
        # A full format writes every sector; a quick one takes seconds at any size.
        must(runner, *command, timeout=120 if partition.quick_format else 7200)
    elif partition.type != "Extended":  # which holds a boot record
        clear(device, 0, min(SIGNATURE_BYTES, partition.sectors * gpt.SECTOR))
