"""PXELINUX's configuration: a BIOS machine without iPXE follows the site's decision by it; pure.

Its file is the machine's own, written when the decision is made. What it says stands on the serial line, too,
and so on the console of the run.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.network.dnsmasq import BIOS_FILES
from lab.network.ipxe import DECIDED, F12_SECONDS, early

#: Shown while Enter is waited for: PXELINUX's prompt takes no F12.
ENTER_PROMPT = "Press Enter for network service boot"

_HEAD = ["SERIAL 0 115200"]
#: Characters of a reason: PXELINUX takes what is beyond a line's 511 for a line of its own.
_LONGEST = 400
#: On to the next boot device of the firmware.
_LEAVE = ["LABEL leave", "  LOCALBOOT -1"]


def start(command_line: str, *, ask: bool = False, files: Sequence[str] = BIOS_FILES) -> str:
    """Start the boot image ``files`` (kernel, initrd): at once, or with ``ask`` after Enter was pressed."""
    kernel, initrd = files
    label = ["LABEL labpe", f"  KERNEL {kernel}", f"  INITRD {initrd}", f"  APPEND {early(command_line)}"]
    if not ask:
        return _text([*_HEAD, "DEFAULT labpe", "PROMPT 0", *label])
    # In tenths of a second.
    wait = ["PROMPT 1", f"TIMEOUT {F12_SECONDS * 10}", "ONTIMEOUT leave"]
    return _text([*_HEAD, f"SAY {ENTER_PROMPT}...", "DEFAULT labpe", *wait, *label, *_LEAVE])


def leave(action: str, reason: str) -> str:
    """Say what the site decided and go on to the next boot device."""
    said = f"SAY {DECIDED}{action}: {' '.join(reason.split())[:_LONGEST]}"
    return _text([*_HEAD, said, "DEFAULT leave", "PROMPT 0", *_LEAVE])


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
