"""A modelled Windows' first start: Setup takes unattend.xml into the hives, SetupComplete.cmd names a client.

What an answer file means for the registry is the guest's own pure function; everything else is modelled.
"""

from __future__ import annotations

import re

from lab.errors import LabFault
from lab.guest import windows_setup
from lab.simulation.disks import Content, Volume

#: What the loader needs of the system's volume.
SYSTEM_ROOT = "Windows\\System32\\osdlab\\root.squashfs"

#: What Windows Setup runs once, and where the client's hook is.
SCRIPT = "Windows\\Setup\\Scripts\\SetupComplete.cmd"
_HOOK = re.compile(r'/client:"?([^" \r\n]+)', re.IGNORECASE)


def first_start(volume: Volume, generated: str) -> bool:
    """Windows Setup on the first start of the system on ``volume``; later starts change nothing.

    Whether this is the first start.

    ``generated``: the name of a machine that its answer file does not name. Raises LabFault where the
    deployed system would give up: an answer file that is none, a hive that is missing.
    """
    files = volume.files
    marker = windows_setup.MARKER[3:]
    if marker in files:
        return False
    answer = next((text for path in windows_setup.ANSWER_FILES if (text := _text(files.get(path[3:])))), "")
    try:
        changes = windows_setup.registry_changes(answer, generated)
    except ValueError as error:
        raise LabFault(f"Windows Setup could not go on: {error}") from error
    for key, values in changes:
        if not volume.has_hive(key):
            raise LabFault(f"Windows Setup could not go on: there is no hive for {key}")
        volume.set_values(key, values)
    files.put(marker, windows_setup.setup_log(changes).encode())
    return True


def client_hook(volume: Volume) -> str | None:
    """The client's folder (below C:) that SetupComplete.cmd names with ``/client:``; None without a hook."""
    found = _HOOK.search(_text(volume.files.get(SCRIPT)))
    if found is None:
        return None
    folder = re.sub(r"^[A-Za-z]:", "", found[1].replace("/", "\\"))
    return folder.strip("\\")


def _text(content: Content | None) -> str:
    return content.decode("utf-8-sig", "replace") if isinstance(content, bytes) else ""
