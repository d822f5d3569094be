"""InstallBootFiles and StageBootImage for BIOS: the active partition gets a boot sector and what it loads.

What Windows does with bootmgr and \\Boot\\BCD is done with SYSLINUX: its boot sector and ldlinux.sys on the
active partition read \\Boot\\extlinux.conf there, which names a kernel. The image brings kernel, initrd and
that configuration below \\Windows\\Boot\\PCAT, where a Windows has its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from lab.guest import paths, pefile
from lab.guest.boot import NO_FILE, NO_VOLUME
from lab.guest.runner import Runner, must
from lab.guest.volumes import Volumes, read_mbr, recognise
from lab.sequence.effects import InstallBootFiles, Outcome, StageBootImage

#: The image's file -> its place on the active partition.
SOURCE = "Windows\\Boot\\PCAT"
BOOT_FILES = {
    "bootmgr": "\\bootmgr",
    "bootmgr.img": "\\Boot\\bootmgr.img",
    "extlinux.conf": "\\Boot\\extlinux.conf",
}
FOLDER = "\\Boot"
CONFIGURATION = "\\Boot\\extlinux.conf"

#: A staged boot image: the entry's name, its configuration, and section of the UEFI executable -> place.
STAGED_LABEL = "labpe"
STAGED_CONFIGURATION = "\\Boot\\labpe.conf"
STAGED_FILES = {".linux": "\\Boot\\labpe.krn", ".initrd": "\\Boot\\labpe.img"}

#: Without a deployed system there is only the staged entry; after it the BIOS tries its next device.
_NOTHING_YET = f"""\
SERIAL 0 115200
DEFAULT next
PROMPT 0
LABEL next
  LOCALBOOT -1
INCLUDE {STAGED_LABEL}.conf
"""


def staged_configuration(command_line: str) -> str:
    """The configuration that adds the staged boot image's entry."""
    kernel, initrd = (place.replace("\\", "/") for place in STAGED_FILES.values())
    return f"LABEL {STAGED_LABEL}\n  KERNEL {kernel}\n  INITRD {initrd}\n  APPEND {command_line}\n"


class NoActivePartition(Exception):
    """The disk has no active partition, or none that the boot loader can stand on."""


@contextmanager
def active_partition(volumes: Volumes, letter: str, runner: Runner) -> Iterator[dict[str, str]]:
    """The active partition beside a volume, mounted, as drive ``S:`` of the mapping it gives.

    Raises NoActivePartition, ToolFailed.
    """
    volume = volumes.volumes.get(letter.upper())
    partitions = read_mbr(volume.disk.device) if volume is not None else ()
    active = next((item for item in partitions if item.active), None)
    if volume is None or active is None:
        raise NoActivePartition(f"there is no active partition on the disk of {letter}")
    device = volume.disk.partition(active.number)
    mounted = next(
        (item for item in volumes.volumes.values() if item.device == device and item.mounted), None
    )
    if mounted is not None:
        yield {"S:": mounted.folder}
        return
    file_system = recognise(device)
    if not file_system:
        raise NoActivePartition(f"the active partition on the disk of {letter} is not formatted")
    folder = volumes.folder("S:")
    os.makedirs(folder, exist_ok=True)
    mount = ("ntfs-3g",) if file_system == "NTFS" else ("mount", "-t", "vfat")
    must(runner, *mount, device, folder)
    try:
        yield {"S:": folder}
    finally:
        must(runner, "umount", folder)


def install_boot_files(effect: InstallBootFiles, runner: Runner, volumes: Volumes) -> Outcome:
    """Carry the effect out. Raises ToolFailed and OSError."""
    sources = {}
    for name, place in BOOT_FILES.items():
        source = paths.join(effect.volume, f"{SOURCE}\\{name}")
        sources[place] = paths.to_linux(source, volumes.drives)
        if not os.path.isfile(sources[place]):
            return Outcome(NO_FILE, message=f"there is no {source}")
    try:
        with active_partition(volumes, effect.volume, runner) as drives:
            for place, source in sources.items():
                target = paths.to_linux("S:" + place, drives)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(source, target)
            _install_loader(drives, runner)
    except NoActivePartition as error:
        return Outcome(NO_VOLUME, message=str(error))
    return Outcome()


def stage_boot_image(effect: StageBootImage, runner: Runner, volumes: Volumes) -> Outcome:
    """Carry the effect out: kernel and initrd are taken out of the boot image's UEFI executable.

    Raises ToolFailed and OSError.
    """
    folder = paths.to_linux(effect.folder, volumes.drives)
    image = pefile.first_executable(folder)
    if not image:
        message = f"boot image {effect.package} has no EFI executable in {effect.folder}"
        return Outcome(NO_FILE, message=message)
    try:
        sections = pefile.sections(image)
        missing = [name for name in (*STAGED_FILES, ".cmdline") if name not in sections]
    except ValueError as error:
        return Outcome(NO_FILE, message=f"boot image {effect.package}: {error}")
    if missing:
        return Outcome(NO_FILE, message=f"boot image {effect.package} has no section {missing[0]}")
    command_line = pefile.read(image, sections[".cmdline"]).decode("ascii", "replace").strip("\0 \n")
    try:
        with active_partition(volumes, effect.folder[:2], runner) as drives:
            os.makedirs(paths.to_linux("S:" + FOLDER, drives), exist_ok=True)
            for name, place in STAGED_FILES.items():
                pefile.extract(image, sections[name], paths.to_linux("S:" + place, drives))
            _write(paths.to_linux("S:" + STAGED_CONFIGURATION, drives), staged_configuration(command_line))
            own = paths.to_linux("S:" + CONFIGURATION, drives)
            if not os.path.exists(own):
                _write(own, _NOTHING_YET)
            target = _install_loader(drives, runner)
            # Kept in ldlinux.sys; the loader itself takes it away when it starts the entry.
            must(runner, "extlinux", f"--once={STAGED_LABEL}", target)
    except NoActivePartition as error:
        return Outcome(NO_VOLUME, message=str(error))
    return Outcome()


def _install_loader(drives: dict[str, str], runner: Runner) -> str:
    """ldlinux.sys and the boot sector; gives the folder they were installed from."""
    folder = paths.to_linux("S:" + FOLDER, drives)
    must(runner, "extlinux", "--install", folder)
    return folder


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
