"""InstallBootFiles and StageBootImage: loaders on the EFI system partition, the firmware's boot entries.

For BIOS see lab/guest/bios.py.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from lab.guest import efi, gpt, paths, pefile
from lab.guest.runner import Runner, must
from lab.guest.volumes import Volumes, read_table
from lab.sequence.effects import InstallBootFiles, Outcome, StageBootImage

#: ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND.
NO_FILE = 0x80070002
NO_VOLUME = 0x80070003

#: Where bcdboot takes the loader from, and the two places it puts it (documented).
LOADER = "Windows\\Boot\\EFI\\bootmgfw.efi"
WINDOWS_PLACE = "\\EFI\\Microsoft\\Boot\\bootmgfw.efi"
FALLBACK_PLACE = "\\EFI\\Boot\\bootx64.efi"
#: Where a staged boot image lies.
STAGED_PLACE = "\\EFI\\osdlab\\labpe.efi"

WINDOWS_ENTRY = "Windows Boot Manager"
STAGED_ENTRY = "osdlab LabPE"

_ENTRY = re.compile(f"Boot([0-9A-F]{{4}})-{efi.GLOBAL}")
_GETFLAGS, _SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


class NoSystemPartition(Exception):
    """The disk has no EFI system partition."""


class Firmware:
    """The firmware's boot variables, through efivarfs."""

    def __init__(self, runner: Runner, folder: str = "/sys/firmware/efi/efivars") -> None:
        self._runner = runner
        self._folder = folder

    def add(self, description: str, partition: gpt.GptPartition, file: str) -> int:
        """Make or replace the boot entry with this description, and give its number. Raises OSError."""
        number = efi.boot_number(self.options(), description)
        self.write(f"Boot{number:04X}", efi.load_option(description, partition, file))
        return number

    def put_first(self, number: int) -> None:
        self.write("BootOrder", efi.boot_order_with(self.read("BootOrder"), number))

    def start_once(self, number: int) -> None:
        self.write("BootNext", efi.boot_next(number))

    def options(self) -> dict[int, bytes]:
        """The boot entries by number."""
        self._ensure_mounted()
        found = {}
        for name in os.listdir(self._folder):
            if match := _ENTRY.fullmatch(name):
                found[int(match[1], 16)] = self.read(name[:8])
        return found

    def read(self, name: str) -> bytes:
        """A variable's data; empty when it does not exist."""
        self._ensure_mounted()
        try:
            with open(self._path(name), "rb") as file:
                return file.read()[4:]
        except FileNotFoundError:
            return b""

    def write(self, name: str, data: bytes) -> None:
        self._ensure_mounted()
        path = self._path(name)
        _clear_immutable(path)
        # efivarfs wants attributes and data in one write.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.write(handle, efi.ATTRIBUTES + data)
        finally:
            os.close(handle)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}-{efi.GLOBAL}"

    def _ensure_mounted(self) -> None:
        if not os.path.isdir(self._folder) or not os.listdir(self._folder):
            must(self._runner, "mount", "-t", "efivarfs", "efivarfs", self._folder)


def _clear_immutable(path: str) -> None:
    """The kernel protects firmware variables from an accidental ``rm``."""
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        flags = int.from_bytes(fcntl.ioctl(handle, _GETFLAGS, bytes(8))[:4], "little")
        if flags & _IMMUTABLE:
            fcntl.ioctl(handle, _SETFLAGS, (flags & ~_IMMUTABLE).to_bytes(8, "little"))
    finally:
        os.close(handle)


@contextmanager
def system_partition(
    device: str, part: gpt.GptPartition, runner: Runner, folder: str = "/mnt/esp"
) -> Iterator[dict[str, str]]:
    """The EFI system partition, mounted, as drive ``S:`` of the mapping it gives. Raises ToolFailed."""
    os.makedirs(folder, exist_ok=True)
    must(runner, "mount", "-t", "vfat", device, folder)
    try:
        yield {"S:": folder}
    finally:
        must(runner, "umount", folder)


def find_system_partition(volumes: Volumes, letter: str) -> tuple[str, gpt.GptPartition]:
    """Device and table entry of the EFI system partition beside a volume. Raises NoSystemPartition."""
    volume = volumes.volumes.get(letter.upper())
    if volume is not None:
        for part in read_table(volume.disk.device):
            if part.type == gpt.TYPES["EFI"][0]:
                return volume.disk.partition(part.number), part
    raise NoSystemPartition(f"there is no EFI system partition on the disk of {letter}")


def install_boot_files(
    effect: InstallBootFiles, runner: Runner, volumes: Volumes, firmware: Firmware, *, uefi: bool
) -> Outcome:
    """Carry the effect out. Raises ToolFailed and OSError."""
    if not uefi:
        from lab.guest import bios

        return bios.install_boot_files(effect, runner, volumes)
    loader = paths.to_linux(paths.join(effect.volume, LOADER), volumes.drives)
    if not os.path.isfile(loader):
        return Outcome(NO_FILE, message=f"there is no {paths.join(effect.volume, LOADER)}")
    try:
        device, part = find_system_partition(volumes, effect.volume)
    except NoSystemPartition as error:
        return Outcome(NO_VOLUME, message=str(error))
    with system_partition(device, part, runner) as drives:
        for place in (WINDOWS_PLACE, FALLBACK_PLACE):
            _put(loader, paths.to_linux("S:" + place, drives))
    firmware.put_first(firmware.add(WINDOWS_ENTRY, part, WINDOWS_PLACE))
    return Outcome()


def stage_boot_image(
    effect: StageBootImage, runner: Runner, volumes: Volumes, firmware: Firmware, *, uefi: bool
) -> Outcome:
    """Carry the effect out. Raises ToolFailed and OSError."""
    if not uefi:
        from lab.guest import bios

        return bios.stage_boot_image(effect, runner, volumes)
    folder = paths.to_linux(effect.folder, volumes.drives)
    image = pefile.first_executable(folder)
    if not image:
        message = f"boot image {effect.package} has no EFI executable in {effect.folder}"
        return Outcome(NO_FILE, message=message)
    try:
        device, part = find_system_partition(volumes, effect.folder[:2])
    except NoSystemPartition as error:
        return Outcome(NO_VOLUME, message=str(error))
    with system_partition(device, part, runner) as drives:
        _put(image, paths.to_linux("S:" + STAGED_PLACE, drives))
    firmware.start_once(firmware.add(STAGED_ENTRY, part, STAGED_PLACE))
    return Outcome()


def _put(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
