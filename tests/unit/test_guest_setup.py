"""Windows Setup of the deployed system: from the answer file to the registry, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.guest.runner import Ran
from lab.guest.windows_setup import TCPIP, generated_name, registry_changes, set_up

ANSWERS = """<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="oobeSystem">
    <component name="Microsoft-Windows-Shell-Setup"><TimeZone>W. Europe Standard Time</TimeZone></component>
  </settings>
  <settings pass="specialize">
    <component name="Microsoft-Windows-Shell-Setup">
      <ComputerName>{name}</ComputerName><RegisteredOwner>Köln</RegisteredOwner><TimeZone>UTC</TimeZone>
      <AutoLogon><Password><Value>secret</Value></Password></AutoLogon>
    </component>
    <component name="Microsoft-Windows-UnattendedJoin"><ComputerName>other</ComputerName></component>
  </settings>
</unattend>"""


def test_the_answer_file_goes_to_the_registry() -> None:
    changes = dict(registry_changes(ANSWERS.format(name="PC-7")))
    assert changes[TCPIP] == {"Hostname": ["REG_SZ", "PC-7"], "NV Hostname": ["REG_SZ", "PC-7"]}
    control = "HKLM\\SYSTEM\\ControlSet001\\Control"
    assert changes[f"{control}\\ComputerName\\ComputerName"] == {"ComputerName": ["REG_SZ", "PC-7"]}
    assert changes[f"{control}\\TimeZoneInformation"] == {
        "TimeZoneKeyName": ["REG_SZ", "W. Europe Standard Time"]
    }, "oobeSystem comes after specialize"
    version = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
    assert changes[version] == {"RegisteredOwner": ["REG_SZ", "Köln"]}
    assert changes["HKLM\\SYSTEM\\Setup"]["SystemSetupInProgress"] == ["REG_DWORD", 0]
    assert "secret" not in str(changes)


@pytest.mark.parametrize("text", [ANSWERS.format(name="*"), ANSWERS.format(name=""), ""])
def test_a_machine_without_a_name_gets_a_stable_one(text: str) -> None:
    name = generated_name("", "0c5f1f3e-0000-4000-8000-00000000beef")
    assert name == "DESKTOP-000BEEF" and len(name) <= 15
    assert dict(registry_changes(text, name))[TCPIP]["Hostname"] == ["REG_SZ", name]


@pytest.mark.parametrize("text", ["<unattend", "<other/>"])
def test_what_is_no_answer_file_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="answer file"):
        registry_changes(text)


class Hives:
    def __init__(self) -> None:
        self.scripts: list[str] = []

    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran:
        self.scripts.append(input)
        return Ran(0)


def test_setup_runs_once(tmp_path: Path) -> None:
    config = tmp_path / "Windows/System32/config"
    config.mkdir(parents=True)
    for hive in ("SYSTEM", "SOFTWARE"):
        (config / hive).touch()
    answers = tmp_path / "Windows/panther/unattend/unattend.xml"
    answers.parent.mkdir(parents=True)
    answers.write_text(ANSWERS.format(name="PC-7"), encoding="utf-8")
    hives = Hives()
    assert set_up(hives, {"C:": str(tmp_path)}, "X") == ""
    assert any("PC-7".encode("utf-16-le").hex() in script for script in hives.scripts)
    assert "PC-7" in (tmp_path / "Windows/panther/setupact.log").read_text()
    done = len(hives.scripts)
    assert set_up(hives, {"C:": str(tmp_path)}, "X") == "" and len(hives.scripts) == done


def test_a_broken_answer_file_is_said(tmp_path: Path) -> None:
    answers = tmp_path / "Windows/Panther/Unattend.xml"
    answers.parent.mkdir(parents=True)
    answers.write_text("<unattend")
    assert "not valid XML" in set_up(Hives(), {"C:": str(tmp_path)}, "X")
