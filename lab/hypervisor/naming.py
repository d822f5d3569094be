"""What every hypervisor checks of a specification, and how the embedded one names a machine's files."""

from __future__ import annotations

import re
from pathlib import Path

from lab.hypervisor.errors import machine_error
from lab.hypervisor.protocol import MachineSpec

#: A machine's name becomes a folder, a log file and a libvirt domain.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECTOR = 512

#: The firmware's variables, in the machine's folder.
NVRAM = "nvram.fd"


def check_name(spec: MachineSpec) -> None:
    """Raises HypervisorError unless the name is usable everywhere and disks have whole sectors."""
    if not _NAME.fullmatch(spec.name):
        raise machine_error(
            spec.name, "create", "a machine's name has 1 to 63 letters, digits, dots, dashes, underscores"
        )
    for disk in spec.disks:
        if disk.size <= 0 or disk.size % _SECTOR:
            raise machine_error(
                spec.name, "create", f"a disk of {disk.size} bytes; whole sectors of 512 only"
            )


def disk_name(index: int) -> str:
    """The file of a disk, in the machine's folder."""
    return f"disk{index}.qcow2"


def discard_disks(folder: Path) -> None:
    """Remove what only a look into the machine would need: its disks and its firmware's variables.

    ``folder``: the machine's, which an embedded hypervisor that is closed has left behind.
    """
    for path in (*folder.glob("disk*.qcow2"), folder / NVRAM):
        path.unlink(missing_ok=True)
