"""What a machine without iPXE finds in its TFTP folder, by the site's decision; pure.

An x64 UEFI firmware starts what it gets: it cannot ask for F12, so the folder is empty when nobody presses
it. A BIOS gets PXELINUX, which asks. ``abort`` is PXELINUX's own leaving there; else nothing is in the
folder, and the firmware goes on to its next boot device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.network import pxelinux
from lab.network.dnsmasq import BIOS_FILES, BOOT_FILE, PXELINUX_CONFIGURATION, PXELINUX_FILES

_UEFI_X64 = (7, 9)


@dataclass(frozen=True)
class Folder:
    """``links``: name in the folder -> name of a boot file; ``texts``: name -> text."""

    links: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def folder(
    decision: Mapping[str, Any],
    client_system: int,
    boot_images: Mapping[str, Mapping[str, Any]],
    command_line: str,
    *,
    pressed: bool,
) -> Folder:
    """The folder that follows a decision (``PxeDecision`` as JSON). ``client_system``: DHCP option 93;
    ``pressed``: somebody would press F12 where the firmware cannot ask.

    ``boot_images``: package -> ``ipxe.BootFiles``. One that the lab has no files of gives an empty folder.
    """
    files = {package.casefold(): item for package, item in boot_images.items()}
    image = files.get(str(decision["boot_image"]).casefold()) if decision["action"] == "boot" else None
    if client_system in _UEFI_X64:
        starts = image is not None and (decision["mandatory"] or pressed)
        return Folder({BOOT_FILE: image["uefi"]}) if image is not None and starts else Folder()
    if client_system != 0:
        return Folder()
    links = {name: name for name in PXELINUX_FILES}
    if image is not None:
        links |= dict(zip(BIOS_FILES, image["bios"], strict=True))
        text = pxelinux.start(command_line, ask=not decision["mandatory"])
    elif decision["action"] == "abort":
        text = pxelinux.leave("abort", "; ".join(decision["reasons"]))
    else:
        return Folder()
    return Folder(links, {PXELINUX_CONFIGURATION: text})
