"""The door for a live test: keys only, in files nobody else reads, and only when it can be opened."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.errors import LabFault
from lab.guest.remote import open_door
from lab.guest.runner import NOT_FOUND, Ran

SAID = "Generating 256 bit ed25519 key\nPublic key portion is:\nssh-ed25519 AAAAhost root@labpe\n"


class Tools:
    """What runs, and what it says."""

    def __init__(self, **answers: Ran) -> None:
        self.answers, self.ran = answers, list[Sequence[str]]()

    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran:
        self.ran.append(command)
        return self.answers[command[0]]


def test_the_runs_key_may_come_in_and_no_password(tmp_path: Path) -> None:
    tools = Tools(dropbearkey=Ran(0, SAID), dropbear=Ran(0))
    assert (
        open_door({"authorized_key": "ssh-ed25519 AAAAuser"}, tools, home=str(tmp_path))
        == "ssh-ed25519 AAAAhost"
    )
    keys = tmp_path / ".ssh" / "authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAAuser\n"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert "-s" in tools.ran[1], "no login by password"


def test_an_image_without_dropbear_is_a_fault_of_the_lab(tmp_path: Path) -> None:
    tools = Tools(dropbearkey=Ran(0, SAID), dropbear=Ran(NOT_FOUND, "dropbear: No such file or directory"))
    with pytest.raises(LabFault, match="cannot be reached live: dropbear ended with 127"):
        open_door({"authorized_key": "x"}, tools, home=str(tmp_path))
