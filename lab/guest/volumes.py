"""The machine's disks and volumes: what is there, which drive letter it has, where it is mounted.

Disks come from /sys/block in the order of their device paths, as a firmware finds them. Volumes are NTFS
partitions (and FAT ones that were given a letter). Letters are given in order of disk and partition from C:
on. Recovery and Hidden partitions get none (documented), nor does the active partition of an MBR disk that
has other ones: it is the System Reserved partition (the lab's own choice). What is mounted already keeps its
letter, so in the deployed system the system's volume is C:.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.clock import Clock, wait_until
from lab.guest import gpt, mbr
from lab.guest.runner import Runner, ToolFailed, must

#: What is not a fixed disk.
_NOT_DISKS = ("ram", "loop", "sr", "fd", "zram", "dm-", "nbd", "md")

#: The data folder at a volume's root.
DATA_FOLDER = "_SMSTaskSequence"

MOUNT_OPTIONS = "noatime,windows_names,big_writes"


@dataclass(frozen=True)
class Disk:
    """A fixed disk. ``sectors`` of 512 bytes; ``sector_size`` the logical one in bytes."""

    index: int
    name: str
    device: str
    sectors: int
    sector_size: int

    def partition(self, number: int) -> str:
        """The device of a partition."""
        return f"{self.device}{'p' if self.device[-1].isdigit() else ''}{number}"


@dataclass
class Volume:
    """A formatted partition. ``letter`` "C:"; ``folder`` is where it is mounted, or would be."""

    letter: str
    disk: Disk
    partition: int
    file_system: str
    folder: str
    mounted: bool = False

    @property
    def device(self) -> str:
        return self.disk.partition(self.partition)


def find_disks(sys: str = "/sys", dev: str = "/dev") -> tuple[Disk, ...]:
    """The fixed disks, in order of their device paths."""
    found = []
    for name in os.listdir(f"{sys}/block"):
        folder = f"{sys}/block/{name}"
        if name.startswith(_NOT_DISKS) or not (sectors := _number(f"{folder}/size")):
            continue
        place = os.path.realpath(f"{folder}/device")
        found.append((place, name, sectors, _number(f"{folder}/queue/logical_block_size") or 512))
    return tuple(
        Disk(index, name, f"{dev}/{name}", sectors, size)
        for index, (_, name, sectors, size) in enumerate(sorted(found))
    )


def read_table(device: str) -> tuple[gpt.GptPartition, ...]:
    """The GPT partitions of a disk; none when it has no GPT. Raises OSError."""
    with open(device, "rb", buffering=0) as file:
        file.seek(gpt.SECTOR)
        header = file.read(gpt.SECTOR)
        try:
            offset, size = gpt.header_extent(header)
        except ValueError:
            return ()
        file.seek(offset)
        return gpt.parse_entries(header, file.read(size))


def read_mbr(device: str) -> tuple[mbr.MbrPartition, ...]:
    """The partitions of a disk, logical ones last; none when it has no MBR. Raises OSError."""
    with open(device, "rb", buffering=0) as file:

        def sector(number: int) -> bytes:
            file.seek(number * gpt.SECTOR)
            return file.read(gpt.SECTOR)

        return mbr.parse_table(sector)


def read_data_partitions(device: str) -> tuple[int, ...]:
    """The numbers of a disk's partitions that get a letter when they are NTFS. Raises OSError."""
    recovery = gpt.TYPES["Recovery"][0]
    if table := read_table(device):
        return tuple(part.number for part in table if part.type != recovery and not part.hidden)
    data = [part for part in read_mbr(device) if part.type in mbr.DATA]
    return tuple(part.number for part in data if not part.active or len(data) == 1)


def recognise(device: str) -> str:
    """The file system of a partition, by its boot sector: NTFS, FAT32 or ""."""
    try:
        with open(device, "rb", buffering=0) as file:
            sector = file.read(512)
    except OSError:
        return ""
    if sector[3:11] == b"NTFS    ":
        return "NTFS"
    return "FAT32" if sector[82:87] == b"FAT32" else ""


def letters(taken: Iterable[str]) -> list[str]:
    """Free drive letters from C: on."""
    used = {letter.upper() for letter in taken} | {"X:"}
    return [f"{chr(code)}:" for code in range(ord("C"), ord("Z") + 1) if f"{chr(code)}:" not in used]


class Volumes:
    """Knows the volumes and mounts them. ``drives`` (letter -> folder) is shared with all who resolve."""

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        drives: dict[str, str],
        *,
        root: str = "",
        sys: str = "/sys",
        dev: str = "/dev",
        mounts: str = "/proc/mounts",
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._root = root
        self._sys = sys
        self._dev = dev
        self._mounts = mounts
        self.drives = drives
        self.volumes: dict[str, Volume] = {}

    def disks(self) -> tuple[Disk, ...]:
        return find_disks(self._sys, self._dev)

    def disk(self, index: int) -> Disk | None:
        return next((disk for disk in self.disks() if disk.index == index), None)

    def scan(self) -> None:
        """Find the volumes, give letters, mount what is not mounted; leave out what cannot be mounted."""
        mounted = self._mounted()
        found = []
        for disk in self.disks():
            for number in self._data_partitions(disk):
                device = disk.partition(number)
                if recognise(device) == "NTFS":
                    found.append((disk, number, mounted.get(device, "")))
        known = {self._root + f"/{letter[0].lower()}": letter for letter in letters(())}
        taken = {known[place] for _, _, place in found if place in known}
        free = iter(letters(taken))
        self.volumes = {volume.letter: volume for volume in self.volumes.values() if volume.device in mounted}
        for disk, number, place in found:
            letter = known.get(place) or next(free)
            # A damaged file system is no volume to Windows either.
            with contextlib.suppress(ToolFailed):
                self.add(Volume(letter, disk, number, "NTFS", self.folder(letter), mounted=place in known))

    @staticmethod
    def _data_partitions(disk: Disk) -> tuple[int, ...]:
        try:
            return read_data_partitions(disk.device)
        except OSError:
            return ()

    def folder(self, letter: str) -> str:
        return f"{self._root}/{letter[0].lower()}"

    def add(self, volume: Volume) -> None:
        self.mount(volume)
        self.volumes[volume.letter] = volume

    def mount(self, volume: Volume) -> None:
        if not volume.mounted:
            os.makedirs(volume.folder, exist_ok=True)
            if volume.file_system == "NTFS":
                must(self._runner, "ntfs-3g", "-o", MOUNT_OPTIONS, volume.device, volume.folder)
            else:
                must(self._runner, "mount", "-t", "vfat", volume.device, volume.folder)
            volume.mounted = True
        self.drives[volume.letter] = volume.folder

    def unmount(self, volume: Volume) -> None:
        """Raises ToolFailed when it is in use."""
        if volume.mounted:
            must(self._runner, "umount", volume.folder)
            volume.mounted = False
        self.drives.pop(volume.letter, None)

    def unmount_disk(self, disk: Disk) -> None:
        for volume in [volume for volume in self.volumes.values() if volume.disk.name == disk.name]:
            self.unmount(volume)
            del self.volumes[volume.letter]

    def wait_for(self, devices: list[str], seconds: float = 20.0) -> None:
        """Wait for device nodes. Raises PhaseTimeout."""
        wait_until(
            lambda: all(os.path.exists(device) for device in devices),
            waited_for=f"the devices {', '.join(devices)}",
            seconds=seconds,
            clock=self._clock,
        )

    def data_path(self) -> str:
        """``C:\\_SMSTaskSequence``: where that folder is, or else where it would be; "" without a volume."""
        ordered = sorted(letter for letter, volume in self.volumes.items() if volume.file_system == "NTFS")
        for letter in ordered:
            if os.path.isdir(f"{self.volumes[letter].folder}/{DATA_FOLDER}"):
                return f"{letter}\\{DATA_FOLDER}"
        return f"{ordered[0]}\\{DATA_FOLDER}" if ordered else ""

    def facts(self) -> dict[str, dict[str, int]]:
        return {
            letter: {"disk": volume.disk.index, "partition": volume.partition}
            for letter, volume in sorted(self.volumes.items())
        }

    def describe_disks(self) -> list[dict[str, Any]]:
        return [
            {"index": disk.index, "sectors": disk.sectors, "sector_size": disk.sector_size}
            for disk in self.disks()
        ]

    def _mounted(self) -> dict[str, str]:
        with open(self._mounts) as file:
            pairs = (line.split()[:2] for line in file)
            return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _number(path: str) -> int:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
