"""The iPXE script a machine's network card gets by TFTP: fetch the boot files by HTTP; pure."""

from __future__ import annotations

from lab.network.dnsmasq import BIOS_FILES, BOOT_FILE
from lab.network.inside import ADDRESS

#: What the script prints when it gives up; the session looks for it on the console.
GAVE_UP = "osdlab: giving up on the boot file"

_TRIES = 4


def boot_script(
    boot_file: str = BOOT_FILE,
    *,
    bios_files: tuple[str, str] = BIOS_FILES,
    command_line: str = "",
    server: str = ADDRESS,
) -> str:
    """An iPXE script that starts what is below ``http://<server>/boot/``, by the firmware it runs on.

    UEFI chains ``boot_file``; BIOS starts the kernel of ``bios_files`` with their initrd and
    ``command_line``. It tries again three times, two seconds apart (a service that is still starting, a lost
    link), then says so plainly and leaves, so that the firmware goes on to its next boot device.
    """
    folder = f"http://{server}/boot"
    address, kernel, initrd = (f"{folder}/{name}" for name in (boot_file, *bios_files))
    bios = f"kernel {kernel} {command_line}".rstrip() + f" && initrd {initrd} && boot ||"
    return "\n".join(
        [
            "#!ipxe",
            "iseq ${platform} efi || goto bios",
            *_tries(address, [f"chain --autofree {address} && exit 0 ||"]),
            ":bios",
            *_tries(kernel, [bios, "imgfree"]),
            "",
        ]
    )


def _tries(address: str, commands: list[str]) -> list[str]:
    lines = [f"echo osdlab: fetching {address} for ${{net0/mac}}"]
    for number in range(1, _TRIES + 1):
        lines += commands[:1]
        lines.append(f"echo osdlab: try {number} of {_TRIES} failed: ${{errno}}")
        lines += commands[1:]
        if number < _TRIES:
            lines.append("sleep 2")
    return [*lines, f"echo {GAVE_UP} {address}", "exit 1"]
