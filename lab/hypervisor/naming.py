"""What every hypervisor checks of a specification before it makes a machine."""

from __future__ import annotations

import re

from lab.hypervisor.errors import machine_error
from lab.hypervisor.protocol import MachineSpec

#: A machine's name becomes a folder, a log file and a libvirt domain.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECTOR = 512


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
