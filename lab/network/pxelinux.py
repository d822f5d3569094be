"""PXELINUX's configuration: a BIOS machine without iPXE fetches kernel and initrd with it; pure."""

from __future__ import annotations

from lab.network.dnsmasq import BIOS_FILES


def configuration(command_line: str) -> str:
    """Start LabPE at once; what happens stands on the serial line, and so on the console of the run."""
    kernel, initrd = BIOS_FILES
    return (
        "SERIAL 0 115200\nDEFAULT labpe\nPROMPT 0\n"
        f"LABEL labpe\n  KERNEL {kernel}\n  INITRD {initrd}\n  APPEND {command_line}\n"
    )
