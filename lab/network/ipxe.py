"""The iPXE script a machine's network card gets by TFTP: fetch the boot file by HTTP; pure."""

from __future__ import annotations

from lab.network.inside import ADDRESS

#: What the script prints when it gives up; the session looks for it on the console.
GAVE_UP = "osdlab: giving up on the boot file"

_TRIES = 4


def boot_script(boot_file: str = "labpe-x64.efi", *, server: str = ADDRESS) -> str:
    """An iPXE script that chains ``http://<server>/boot/<boot_file>``.

    It tries again three times, two seconds apart (a service that is still starting, a lost link), then says
    so plainly and leaves, so that the firmware goes on to its next boot device.
    """
    address = f"http://{server}/boot/{boot_file}"
    lines = ["#!ipxe", f"echo osdlab: fetching {address} for ${{net0/mac}}"]
    for number in range(1, _TRIES + 1):
        lines.append(f"chain --autofree {address} && exit 0 ||")
        lines.append(f"echo osdlab: try {number} of {_TRIES} failed: ${{errno}}")
        if number < _TRIES:
            lines.append("sleep 2")
    lines += [f"echo {GAVE_UP} {address}", "exit 1"]
    return "\n".join(lines) + "\n"
