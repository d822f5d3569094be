"""The door for a live test: dropbear, opened only when the policy asks for it. Keys only, no password."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lab.errors import LabFault
from lab.guest.runner import Runner, ToolFailed, must

PORT = 22
HOST_KEY = "/run/osdlab/ssh-host-key"
_TYPE = "ssh-ed25519 "


def open_door(asked: Mapping[str, str], runner: Runner, *, home: str = "/root") -> str:
    """Let the holder of ``asked["authorized_key"]`` in as root; gives the machine's public host key.

    The host key is made here, at each start of the machine, and lives in RAM. Raises LabFault.
    """
    try:
        os.makedirs(f"{home}/.ssh", mode=0o700, exist_ok=True)
        handle = os.open(f"{home}/.ssh/authorized_keys", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(asked["authorized_key"] + "\n")
        said = must(runner, "dropbearkey", "-t", "ed25519", "-f", HOST_KEY)
        # -s no password, -j -k no forwarding
        options = ["-s", "-j", "-k", "-r", HOST_KEY, "-p", str(PORT), "-P", "/run/osdlab/ssh.pid"]
        must(runner, "dropbear", *options)
    except (ToolFailed, OSError) as error:
        raise LabFault(f"the machine cannot be reached live: {error}", hint="see console.log") from error
    for line in said.splitlines():
        if line.startswith(_TYPE):
            return " ".join(line.split()[:2])
    raise LabFault("the machine cannot be reached live: dropbearkey told no public key")
