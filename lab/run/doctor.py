"""What this host has, what was measured, and what to do about what is missing (``osdlab doctor``).

Looks and measures, changes nothing but the cache. Every row is a Prerequisite: a name, well or not, what was
found, the remedy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.hypervisor.accelerator import probe
from lab.hypervisor.firmware import find_firmware
from lab.network.prerequisites import Prerequisite, check
from lab.pe.programs import missing_tools
from lab.run.prepare import known_images
from lab.settings import Settings

#: Memory of one machine with QEMU's own need, MiB, and room for a run's disks and screens, MiB.
MEMORY_OF_A_MACHINE = 1024
ROOM_FOR_A_RUN = 2048

#: Where Debian 12 and Ubuntu 24.04 have what no program on PATH stands for, below /usr.
NETWORK_ROM = ("lib/ipxe/qemu/efi-virtio.rom", "share/qemu/efi-virtio.rom")
QEMU_DRIVER = ("lib/*/libvirt/connection-driver/libvirt_driver_qemu.so",)


def examine(settings: Settings) -> Iterator[Prerequisite]:
    """All prerequisites, the slow measurement last."""
    yield from check()
    yield _tools()
    yield _firmware()
    yield _file("network boot ROM", NETWORK_ROM, "ipxe-qemu")
    yield _file("libvirt's QEMU driver", QEMU_DRIVER, "libvirt-daemon-driver-qemu")
    yield _memory()
    yield _room("cache", settings.cache)
    yield _room("reports", settings.reports)
    yield _accelerator(settings)


def lacking(settings: Settings, *firmwares: str) -> list[Prerequisite]:
    """What this host lacks to run machines with these firmwares ("uefi", "bios"); measures nothing slow."""
    rows = [*check(), _memory(), *([_firmware()] if "uefi" in firmwares else [])]
    if "boot-file" not in known_images(settings.cache):
        rows.append(_tools())
    return [row for row in rows if not row.ok]


def _tools() -> Prerequisite:
    missing = missing_tools()
    return Prerequisite(
        "tools to build the boot image",
        not missing,
        "all there" if not missing else f"missing: {', '.join(missing)}",
        "" if not missing else "as root: make system",
    )


def _firmware() -> Prerequisite:
    try:
        return Prerequisite("UEFI firmware", True, str(find_firmware(secure_boot=False).code))
    except LabError as error:
        return Prerequisite("UEFI firmware", False, error.message, "as root: apt-get install ovmf")


def _file(name: str, patterns: Sequence[str], package: str) -> Prerequisite:
    """A file that QEMU or libvirt loads by itself, at one of its places below /usr."""
    found = [path for pattern in patterns for path in sorted(Path("/usr").glob(pattern))]
    if found:
        return Prerequisite(name, True, str(found[0]))
    return Prerequisite(name, False, f"no {Path(patterns[0]).name}", f"as root: apt-get install {package}")


def _memory() -> Prerequisite:
    available = 0
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) // 1024
    machines = available // MEMORY_OF_A_MACHINE
    return Prerequisite(
        "memory",
        machines >= 1,
        f"{available} MiB available: {machines} machine(s) at once, {os.cpu_count()} core(s)",
        "" if machines else f"a machine needs {MEMORY_OF_A_MACHINE} MiB",
    )


def _room(name: str, folder: Path) -> Prerequisite:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free // 2**20
    writable = os.access(existing, os.W_OK)
    well = writable and free >= ROOM_FOR_A_RUN
    remedy = "" if well else f"make room, or set OSDLAB_{name.upper()} to another folder"
    found = f"{folder}: {free} MiB free" + ("" if writable else ", not writable")
    return Prerequisite(name, well, found, remedy)


def _accelerator(settings: Settings) -> Prerequisite:
    try:
        settings.make_cache()
        chosen = probe(settings.cache)
    except LabError as error:
        return Prerequisite("accelerator", False, error.message, error.hint)
    found = f"{chosen.choice}: {chosen.reason}; phase limits times {chosen.factor:.1f}"
    return Prerequisite("accelerator", True, found)
