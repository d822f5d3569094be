"""What the agent knows of the machine it runs on: marks, addresses, firmware. Reads /sys and /proc only."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as typing's own, whose import takes too long before the hello
if TYPE_CHECKING:
    from typing import Any

#: Written by /osdlab/start from the DHCP lease, one ``name=value`` per line.
LEASE = "/run/osdlab/lease"


def boot_mark(proc: str = "/proc") -> str:
    """A text that is another one after each start of the machine."""
    return _text(f"{proc}/sys/kernel/random/boot_id")


def mac_address(sys: str = "/sys") -> str:
    """The address of the first network card, in lower case with colons; "" without one."""
    folder = f"{sys}/class/net"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if os.path.exists(f"{folder}/{name}/device"):
            return _text(f"{folder}/{name}/address").lower()
    return ""


def system_uuid(sys: str = "/sys") -> str:
    return _text(f"{sys}/class/dmi/id/product_uuid").lower()


def serial_number(sys: str = "/sys") -> str:
    return _text(f"{sys}/class/dmi/id/product_serial")


def is_uefi(sys: str = "/sys") -> bool:
    return os.path.isdir(f"{sys}/firmware/efi")


def architecture() -> str:
    return {"x86_64": "x64", "aarch64": "arm64", "i686": "x86"}.get(os.uname().machine, "x64")


def memory_mib(proc: str = "/proc") -> int:
    """The machine's memory as Linux sees it, in MiB."""
    for line in _text(f"{proc}/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def lease(path: str = LEASE) -> dict[str, str] | None:
    """The DHCP lease, or None when there is none yet."""
    text = _text(path)
    if not text.endswith("end=1"):
        return None
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def temporary_name(uuid: str) -> str:
    """The name of a machine that has none yet, as Windows PE makes one: MININT- and seven characters."""
    return f"MININT-{uuid.replace('-', '')[-7:].upper() or '0000000'}"


def identity(machine_name: str, launch_mode: str, sys: str = "/sys") -> dict[str, Any]:
    """What GatherFacts says that does not change while the machine is up."""
    uuid = system_uuid(sys)
    return {
        "machine_name": machine_name or temporary_name(uuid),
        "launch_mode": launch_mode,
        "mac": mac_address(sys),
        "uuid": uuid,
        "uefi": is_uefi(sys),
        "architecture": architecture(),
    }


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
