"""iPXE's scripts: one asks the site what to do, the others are what the site answers with; all pure.

A machine's network card gets the first script by TFTP, by its client architecture (DHCP option 93). The rest
comes from the site's service: its decision is the text it answers with (``Scripts``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from lab.network.inside import ADDRESS

#: What a script prints when it gives up; the session looks for it on the console.
GAVE_UP = "osdlab: giving up on the boot file"
#: What begins a line that says what the site decided, when it did not let the machine start.
DECIDED = "osdlab: PXE: "
#: What is shown while F12 is waited for (the product's words), and what is said when it was not pressed.
F12_PROMPT = "Press F12 for network service boot"
F12_LEFT = f"{DECIDED}left: F12 was not pressed"
#: Stands for the decision's reason in the scripts of ``abort`` and ``ignore``.
REASON = "{reason}"

#: Seconds that F12 is waited for (guess: the product's loader does not say how long it waits).
F12_SECONDS = 15
_F12 = "0x197e"  # iPXE's number for what a terminal sends: ESC [ 24 ~
_TRIES = 4


class BootFiles(TypedDict):
    """A boot image's files below ``/boot/``: the UEFI executable, and [kernel, initrd] for BIOS."""

    uefi: str
    bios: Sequence[str]


class BootScripts(TypedDict):
    uefi: str
    bios: str


class Scripts(TypedDict):
    """What the site answers a card with. ``boot``: package of the boot image -> by firmware.

    An offer that must be confirmed is ``prompt`` followed by the text of ``boot``: a script may be followed
    by another, since its first line is a comment there. ``abort`` and ``ignore`` have ``REASON`` in them.
    """

    boot: dict[str, BootScripts]
    prompt: str
    abort: str
    ignore: str


def first_script(client_system: int, *, server: str = ADDRESS) -> str:
    """The script for cards of one client architecture: ask the site, do what it says, else leave.

    Only a BIOS does not know its own processor: there iPXE looks whether it has the long mode (documented:
    CPUID leaf 0x80000001, EDX bit 29), as the product's loader does.
    """
    question = f"mac=${{net0/mac}}&uuid=${{uuid}}&client_system={client_system}&cpu=${{cpu}}"
    lines = ["#!ipxe", "set cpu x64"]
    if client_system == 0:
        lines.append("cpuid --ext 29 || set cpu x86")
    lines.append("echo osdlab: asking the site for ${net0/mac}, ${uuid}, " + f"{client_system}, ${{cpu}}")
    address = f"http://{server}/pxe/ipxe?{question}"
    lines += _tries(address, f"imgfetch --name decision {address} && goto decided ||")
    # A script that ends badly has left on purpose: it is not asked again.
    return "\n".join([*lines, ":decided", "imgexec decision ||", "exit 1", ""])


def boot_uefi(boot_file: str, *, server: str = ADDRESS) -> str:
    """Start a UEFI executable that is below ``http://<server>/boot/``."""
    address = f"http://{server}/boot/{boot_file}"
    return _boot(address, f"chain --autofree {address} && exit 0 ||")


def boot_bios(kernel: str, initrd: str, command_line: str, *, server: str = ADDRESS) -> str:
    """Start a kernel with its initrd, both below ``http://<server>/boot/``."""
    address, more = (f"http://{server}/boot/{name}" for name in (kernel, initrd))
    start = f"kernel {address} {command_line}".rstrip()
    return _boot(address, f"{start} && initrd {more} && boot ||", "imgfree")


def prompt() -> str:
    """Wait for F12; what follows this text is done when it was pressed, else the script leaves."""
    return "\n".join(
        [
            "#!ipxe",
            f"prompt --key {_F12} --timeout {F12_SECONDS * 1000} {F12_PROMPT}... && goto pressed ||",
            "echo",
            f"echo {F12_LEFT}",
            "exit 1",
            ":pressed",
            "echo osdlab: F12 was pressed",
            "",
        ]
    )


def leave(action: str) -> str:
    """Say what the site decided, ``REASON`` standing for why, and go on to the next boot device."""
    return f"#!ipxe\necho {DECIDED}{action}: {REASON}\nexit 1\n"


def scripts(boot_images: Mapping[str, BootFiles], command_line: str, *, server: str = ADDRESS) -> Scripts:
    """All that the site's service answers cards with. ``boot_images``: package id -> its files;
    ``command_line``: of the kernel, on BIOS."""
    boot: dict[str, BootScripts] = {}
    for package, files in boot_images.items():
        kernel, initrd = files["bios"]
        boot[package] = {
            "uefi": boot_uefi(files["uefi"], server=server),
            "bios": boot_bios(kernel, initrd, early(command_line), server=server),
        }
    return {"boot": boot, "prompt": prompt(), "abort": leave("abort"), "ignore": leave("ignore")}


def early(command_line: str) -> str:
    """The command line of a kernel that a BIOS starts: what it says before it has a console, such as that
    the processor is none for it, goes to the serial line too."""
    return f"{command_line} earlyprintk=serial,ttyS0,115200".lstrip()


def _boot(address: str, start: str, *after: str) -> str:
    # All tries failed: an answer that was promised is not there. That is the lab's trouble, and said so.
    lines = ["#!ipxe", f"echo osdlab: fetching {address} for ${{net0/mac}}"]
    return "\n".join([*lines, *_tries(address, start, *after), ""])


def _tries(address: str, start: str, *after: str) -> list[str]:
    """Try again three times, two seconds apart (a service that is still starting, a lost link), then say so
    plainly and leave, so that the firmware goes on to its next boot device."""
    lines = []
    for number in range(1, _TRIES + 1):
        lines += [start, f"echo osdlab: try {number} of {_TRIES} failed: ${{errno}}", *after]
        if number < _TRIES:
            lines.append("sleep 2")
    return [*lines, f"echo {GAVE_UP} {address}", "exit 1"]
