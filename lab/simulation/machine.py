"""The modelled machine: its memory and disks, its drive letters, and what its firmware starts.

UEFI's rules (documented, and observed with OVMF): a boot entry for the next start only, then the entries
that were put first, then the boot order. A disk starts when its EFI system partition holds a loader.
BIOS' rules: the boot order. A disk starts when its active partition has the boot loader, which takes a staged
boot image once, then the deployed system, and hands back to the BIOS when there is neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lab.guest.paths import share_of
from lab.hypervisor.protocol import MachineSpec
from lab.sequence.effects import Partition
from lab.simulation.disks import Disk, Files, Volume

DATA_FOLDER = "_SMSTaskSequence"

#: bcdboot's source and its two places on the EFI system partition (documented).
LOADER_SOURCE = "Windows\\Boot\\EFI\\bootmgfw.efi"
LOADER_PLACES = ("EFI\\Microsoft\\Boot\\bootmgfw.efi", "EFI\\Boot\\bootx64.efi")

#: Where a staged boot image lies on the EFI system partition.
STAGED_PLACE = "EFI\\osdlab\\labpe.efi"

#: The same for BIOS, on the active partition: what the image brings -> its place, the loader, a staged image.
BIOS_SOURCE = "Windows\\Boot\\PCAT"
BIOS_PLACES = {
    "bootmgr": "bootmgr",
    "bootmgr.img": "Boot\\bootmgr.img",
    "extlinux.conf": "Boot\\extlinux.conf",
}
BIOS_LOADER = ("Boot\\ldlinux.sys", "Boot\\ldlinux.c32")
BIOS_STAGED = ("Boot\\labpe.krn", "Boot\\labpe.img", "Boot\\labpe.conf")
#: The boot loader's configuration where only a staged boot image is there.
BIOS_NOTHING_YET = (
    b"SERIAL 0 115200\nDEFAULT next\nPROMPT 0\nLABEL next\n  LOCALBOOT -1\nINCLUDE labpe.conf\n"
)

#: Partitions whose volumes get no letter by themselves, or that hold none.
_NO_DATA = frozenset({"Recovery", "Hidden", "Extended"})

Start = Literal["pxe", "staged", "disk"]


@dataclass(frozen=True)
class Entry:
    """A boot entry: the file on an EFI system partition that the firmware starts."""

    disk: int
    partition: int
    file: str


@dataclass
class Machine:
    """Everything of the modelled machine that effects change. ``memory`` is the RAM disk X:; ``shares`` is
    what file servers hold, a folder for each; ``near``: the package shares that this start reads from."""

    spec: MachineSpec
    disks: list[Disk] = field(default_factory=list)
    memory: Files = field(default_factory=Files)
    shares: Files = field(default_factory=Files)
    letters: dict[str, Volume] = field(default_factory=dict)
    near: set[str] = field(default_factory=set)
    in_winpe: bool = True
    launch_mode: str = "PXE"
    next_start: Entry | None = None
    first: Entry | None = None

    @staticmethod
    def blank(spec: MachineSpec) -> Machine:
        return Machine(spec, [Disk(index, disk.size) for index, disk in enumerate(spec.disks)])

    def power_cycle(self) -> None:
        """The RAM disk and the drive letters are gone."""
        self.memory = Files()
        self.letters = {}
        self.near = set()

    def starts(self) -> Iterator[Start]:
        """What the firmware starts now, and what it goes on to when that sends it on to its next boot device.
        The entry for one start is used up."""
        if self.spec.firmware == "bios":
            yield from self._bios_starts()
            return
        once, self.next_start = self.next_start, None
        if once and self._file(once):
            yield "staged"
            return
        if self.first and self._file(self.first):
            yield "disk"
            return
        for device in self.spec.boot_order:
            if device == "disk" and self._fallback_loader():
                yield "disk"
            if device == "network" and any(nic.pxe for nic in self.spec.nics):
                yield "pxe"

    def _file(self, entry: Entry) -> bool:
        return any(
            volume.partition == entry.partition and entry.file in volume.files
            for disk in self.disks
            if disk.index == entry.disk
            for volume in disk.volumes
        )

    def _bios_starts(self) -> Iterator[Start]:
        for device in self.spec.boot_order:
            if device == "network" and any(nic.pxe for nic in self.spec.nics):
                yield "pxe"
            loads = self._active_with_loader() if device == "disk" else None
            if loads is None:
                continue
            once, self.next_start = self.next_start, None
            if once and self._file(once):
                yield "staged"
            elif all(path in loads.files for path in BIOS_PLACES.values()):
                yield "disk"

    def _active_with_loader(self) -> Volume | None:
        """The active partition of the first disk, which is the one a BIOS starts, if it can be started."""
        volumes = self.disks[0].volumes if self.disks else []
        return next((item for item in volumes if item.active and BIOS_LOADER[0] in item.files), None)

    def _fallback_loader(self) -> bool:
        return any(
            LOADER_PLACES[1] in volume.files
            for disk in self.disks
            for volume in disk.volumes
            if volume.type == "EFI" and volume.file_system == "FAT32"
        )

    def ntfs(self) -> list[Volume]:
        """The NTFS volumes that get letters, in the order of disks and partitions: not the recovery and the
        hidden ones, and not an active one beside others."""
        found = []
        for disk in self.disks:
            data = [item.number for item in disk.partitions if item.type not in _NO_DATA]
            found += [
                volume
                for volume in disk.volumes
                if volume.file_system == "NTFS"
                and volume.partition in data
                and (not volume.active or len(data) == 1)
            ]
        return found

    def windows(self) -> Volume | None:
        """The volume that holds a system which can start."""
        return next((volume for volume in self.ntfs() if volume.holds_windows), None)

    def give_letters(self) -> None:
        """Letters as the booted system gives them: Windows' own volume C: in the full OS, else in order."""
        volumes = self.ntfs()
        windows = self.windows()
        if not self.in_winpe and windows is not None:
            volumes.remove(windows)
            volumes.insert(0, windows)
        letters = [letter for letter in "CDEFGHIJKLMNOPQRSTUVWYZ"]
        self.letters = {f"{letter}:": volume for letter, volume in zip(letters, volumes, strict=False)}

    def repartition(self, disk: Disk, style: str, partitions: tuple[Partition, ...]) -> None:
        self.letters = {
            letter: volume for letter, volume in self.letters.items() if volume.disk != disk.index
        }
        disk.write_table(style, partitions)
        by_number = {volume.partition: volume for volume in disk.volumes}
        for item in partitions:
            if item.letter and item.number in by_number:
                self.letters[item.letter.upper()] = by_number[item.number]

    def files(self, drive: str) -> Files | None:
        """The files of a drive ("C:", or "X:" in PE); None when there is no such drive."""
        if drive.upper() == "X:":
            return self.memory if self.in_winpe else None
        volume = self.letters.get(drive.upper())
        return volume.files if volume else None

    def use_share(self, path: str) -> None:
        """From now on the share of a UNC path is there like a drive: reading it is no request."""
        self.near.add(share_of(path))

    def is_far(self, path: str) -> bool:
        """Whether a path is a file server's that is asked for each file."""
        return path.startswith("\\\\") and share_of(path) not in self.near

    def locate(self, path: str) -> tuple[Files, str] | None:
        """A full or UNC path as the drive's files and the path below; None when there is no such drive."""
        if path.startswith("\\\\"):
            return self.shares, below(path)
        files = self.files(path[:2])
        return None if files is None or path[2:3] not in ("", "\\", "/") else (files, below(path))

    def system_partition(self, letter: str) -> Volume | None:
        """What the firmware starts from on a volume's disk: the EFI system partition, or the active one."""
        volume = self.letters.get(letter.upper())
        if volume is None:
            return None
        volumes = self.disks[volume.disk].volumes
        if self.spec.firmware == "bios":
            return next((item for item in volumes if item.active), None)
        return next((item for item in volumes if item.type == "EFI" and item.file_system == "FAT32"), None)

    def data_path(self) -> str:
        """``C:\\_SMSTaskSequence``: where that folder is, else where it would be; "" without a volume."""
        ordered = sorted(letter for letter, volume in self.letters.items() if volume.file_system == "NTFS")
        there = [letter for letter in ordered if self.letters[letter].files.is_folder(DATA_FOLDER)]
        chosen = next(iter(there or ordered), "")
        return f"{chosen}\\{DATA_FOLDER}" if chosen else ""


def below(path: str) -> str:
    """A full path without its drive, in backslashes."""
    return "\\".join(part for part in path[2:].replace("/", "\\").split("\\") if part)


def join(folder: str, name: str) -> str:
    return folder.rstrip("\\") + "\\" + name.replace("/", "\\")
