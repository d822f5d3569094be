"""Windows Setup of the deployed system: on its first start it takes unattend.xml into the registry.

``registry_changes`` is pure, and the simulator's too. ``main`` runs from a bundle in the image, before the
hook that continues the task sequence, and does its work once: \\Windows\\Panther\\setupact.log marks it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from lab.guest import machine, paths
from lab.guest.registry import changed, set_registry
from lab.guest.runner import Runner, SystemRunner, ToolFailed
from lab.sequence.effects import SetRegistry

#: Where Windows Setup looks for its answers, in this order (documented: implicit answer file search).
ANSWER_FILES = ("C:\\Windows\\Panther\\Unattend\\Unattend.xml", "C:\\Windows\\Panther\\Unattend.xml")
MARKER = "C:\\Windows\\Panther\\setupact.log"

CONTROL = "HKLM\\SYSTEM\\ControlSet001\\Control"
TCPIP = "HKLM\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters"
CURRENT_VERSION = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"

#: A key, and its values as SetRegistry takes them.
Change = tuple[str, dict[str, list[Any]]]

#: The passes that an image which is being deployed goes through; a later one wins.
_PASSES = ("specialize", "oobeSystem")
_SHELL = "Microsoft-Windows-Shell-Setup"
_UNATTEND = "{urn:schemas-microsoft-com:unattend}"


def answers(unattend_text: str) -> dict[str, str]:
    """The settings of Shell-Setup that the registry gets. Raises ValueError when it is no answer file."""
    try:
        root = ElementTree.fromstring(unattend_text.encode())
    except ElementTree.ParseError as error:
        raise ValueError(f"the answer file is not valid XML: {error}") from error
    if root.tag.removeprefix(_UNATTEND) != "unattend":
        raise ValueError(f"the answer file begins with <{root.tag}>, not with <unattend>")
    found: dict[str, str] = {}
    for wanted in _PASSES:
        for settings in root.findall(f"{_UNATTEND}settings"):
            if settings.get("pass") != wanted:
                continue
            for component in settings.findall(f"{_UNATTEND}component"):
                if component.get("name") == _SHELL:
                    for item in component:
                        if not len(item):
                            found[item.tag.removeprefix(_UNATTEND)] = (item.text or "").strip()
    return found


def registry_changes(unattend_text: str, generated: str = "") -> list[Change]:
    """What an answer file ("": none) does to the registry; ``generated`` is a name when it gives none.

    Raises ValueError when the text is no answer file: Windows Setup ends there too.
    """
    found = answers(unattend_text) if unattend_text.strip() else {}
    changes: list[Change] = []
    name = found.get("ComputerName", "")
    name = generated if name in ("", "*") else name
    if name:
        for key in ("ComputerName", "ActiveComputerName"):
            changes.append((f"{CONTROL}\\ComputerName\\{key}", changed({"ComputerName": name})))
        changes.append((TCPIP, changed({"Hostname": name, "NV Hostname": name})))
    registered = {key: found[key] for key in ("RegisteredOwner", "RegisteredOrganization") if found.get(key)}
    if registered:
        changes.append((CURRENT_VERSION, changed(registered)))
    if zone := found.get("TimeZone"):
        changes.append((f"{CONTROL}\\TimeZoneInformation", changed({"TimeZoneKeyName": zone})))
    # Setup is over: Windows starts as itself from now on.
    done = {"SystemSetupInProgress": 0, "SetupType": 0, "OOBEInProgress": 0, "CmdLine": ""}
    changes.append(("HKLM\\SYSTEM\\Setup", changed(done)))
    return changes


def generated_name(serial: str, uuid: str) -> str:
    """The name of a machine that nobody named: the same one for the same machine."""
    source = serial or uuid
    letters = "".join(letter for letter in source.upper() if letter.isascii() and letter.isalnum())
    return f"DESKTOP-{letters[-7:].rjust(7, '0')}"


def setup_log(changes: Sequence[Change]) -> str:
    """The text of setupact.log."""
    lines = ["Info  Windows Setup"]
    for key, values in changes:
        lines += [f"Info  {key}: {name} = {data}" for name, (_, data) in values.items()]
    return "".join(f"{line}\r\n" for line in [*lines, "Info  Windows Setup is done"])


def set_up(runner: Runner, drives: Mapping[str, str], generated: str) -> str:
    """Do the work, once; give what went wrong, or "". Raises OSError."""
    marker = paths.to_linux(MARKER, drives)
    if os.path.exists(marker):
        return ""
    text = ""
    for place in ANSWER_FILES:
        path = paths.to_linux(place, drives)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                text = file.read().decode("utf-8-sig", "replace")
            break
    try:
        changes = registry_changes(text, generated)
        for key, values in changes:
            outcome = set_registry(SetRegistry("C:", key, values), runner, drives)
            if not outcome.ok:
                return outcome.message
    except (ValueError, ToolFailed) as error:
        return f"Windows Setup could not go on: {error}"
    os.makedirs(os.path.dirname(marker), exist_ok=True)
    with open(marker, "wb") as log:
        log.write(setup_log(changes).encode())
    return ""


def main() -> int:
    """Set the deployed system up. Ends with 1, and a line on the console, when that cannot be done."""
    generated = generated_name(machine.serial_number(), machine.system_uuid())
    problem = set_up(SystemRunner(), paths.DRIVES, generated)
    if problem:
        print(f"Windows Setup: {problem}", file=sys.stderr, flush=True)
        return 1
    return 0
