"""The guest's answers to the software effects, on folders in place of a machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault
from lab.guest.doubles import Double, UnansweredScript, UnansweredStep, suggestion
from lab.guest.labpe import LabPe
from lab.guest.runner import Ran
from lab.sequence import effects_software as asked
from tests.unit.test_guest_performer import Recorder, Rig

POLICY = {
    "packages": {"LAB00005": {"name": "Tools"}},
    "shares": {"\\\\Srv\\Share": {"account": "LAB\\me", "password": "pw"}, "\\\\srv\\gone": "missing"},
    "settings": {"updates": [{"name": "KB1", "exit": 3010}]},
}


def guest(tmp_path: Path, *doubles: Double, phase: str = "os", **answers: Ran) -> tuple[LabPe, Rig]:
    rig = Rig(tmp_path, Recorder(**answers))
    # What is mounted: the folder c is drive C:.
    rig.drives["C:"] = str(tmp_path / "c")
    made = LabPe(replace(rig.bench, phase=phase, doubles=doubles, policy=POLICY))
    return made, rig


def test_the_policy_is_read_by_section_and_exact_name(tmp_path: Path) -> None:
    made, _ = guest(tmp_path)
    assert made.perform(asked.ReadPolicy("packages", "LAB00005")).value == {"found": {"name": "Tools"}}
    for section, name in (("packages", "lab00005"), ("packages", "LAB00006"), ("nothing", "x")):
        assert made.perform(asked.ReadPolicy(section, name)).code == 0x80040104


def test_scripts_and_steps_have_doubles_of_their_own(tmp_path: Path) -> None:
    doubles = (
        Double(script="one.ps1", exit=1), Double(script="/Get-Secret/", exit=2),
        Double(step="Vendor_*", exit=3), Double(command="*powershell.exe*", exit=4),
    )  # fmt: skip
    made, _ = guest(tmp_path, *doubles)
    start = "powershell.exe -File x"
    codes = [
        made.perform(asked.RunScript(start, name="ONE.ps1")).code,
        made.perform(asked.RunScript(start, script="Get-Secret -All", name="x.ps1")).code,
        made.perform(asked.RunScript(start, name="other.ps1")).code,
        made.perform(asked.AnswerStep("Flash", "vendor_flash")).code,
    ]
    assert codes == [1, 2, 4, 3]


def test_what_nothing_answers_is_the_labs_fault_with_a_double_to_paste(tmp_path: Path) -> None:
    made, _ = guest(tmp_path, Double(step="Else*"))
    with pytest.raises(UnansweredScript) as script:
        made.perform(asked.RunScript("powershell.exe", name="do [it].ps1"))
    assert script.value.double.answers_script(asked.RunScript("p", name="do [it].ps1"))
    assert "script:" in suggestion([script.value])
    with pytest.raises(UnansweredStep) as share:
        made.perform(asked.ConnectFolder("\\\\nobody\\said"))
    assert share.value.double.answers_step(asked.AnswerStep("Run it", "SMS_x"))
    with pytest.raises(LabFault):
        made.perform(asked.AnswerStep("Flash", "Vendor_X"))


def test_a_share_answers_as_the_scenario_says(tmp_path: Path) -> None:
    made, _ = guest(tmp_path)
    connect = [
        asked.ConnectFolder("\\\\SRV\\share\\below", "Z:", "lab\\ME", "pw"),
        asked.ConnectFolder("\\\\srv\\share", "Z:", "LAB\\me", "wrong"),
        asked.ConnectFolder("\\\\srv\\gone"),
    ]
    assert [made.perform(effect).code for effect in connect] == [0, 0x8007052E, 0x80070035]
    assert made.perform(asked.InstallUpdate("KB1")).code == 3010


def test_a_pause_is_the_clocks(tmp_path: Path) -> None:
    made, rig = guest(tmp_path)
    assert isinstance(rig.clock, VirtualClock)
    before = rig.clock.now()
    made.perform(asked.Pause(30))
    assert rig.clock.now() - before == 30
