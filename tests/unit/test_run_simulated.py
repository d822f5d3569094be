"""A scenario in the simulator, from its file to its folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from lab.errors import LabFault, PhaseTimeout
from lab.pe.boot import bios_configuration
from lab.pe.recipe import read_recipe
from lab.run.live_simulated import SimulatedRun
from lab.run.prepare import read_checked_sequences
from lab.run.simulated import _artifacts, rehearse, simulate_into
from lab.scenario.loader import load_scenarios
from lab.settings import Settings


def fault_of(tmp_path: Path, more: str) -> object:
    path = tmp_path / "a.yaml"
    text = "scenario: A\nmachine: uefi-x64\nsequence: bare-metal.xml\nexpect: {result: success}\n"
    path.write_text(f"{text}doubles: [{{command: '*', takes: 1m}}]\n{more}")
    (loaded,) = load_scenarios([path])
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    return simulate_into(tmp_path, loaded, read_checked_sequences(loaded), settings, lambda event: None)


def test_the_limit_of_a_run_holds_in_the_simulator_too(tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    fault = fault_of(tmp_path / "short", "limits: {time: 3m}\n")
    assert isinstance(fault, PhaseTimeout) and "waited 180 s for the run to end" in fault.message
    assert '"kind":"lab-error"' in (tmp_path / "short" / "timeline.jsonl").read_text()
    assert fault_of(tmp_path, "limits: {time: 10m}\n") is None


def rehearsed(tmp_path: Path, doubles: str) -> LabFault | None:
    path = tmp_path / "a.yaml"
    text = "scenario: A\nmachine: uefi-x64\nsequence: bare-metal.xml\nexpect: {result: success}\n"
    path.write_text(text + doubles)
    (loaded,) = load_scenarios([path])
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    return rehearse(loaded, read_checked_sequences(loaded), settings)


def test_a_rehearsal_offers_all_missing_doubles_at_once_and_they_can_be_pasted(tmp_path: Path) -> None:
    fault = rehearsed(tmp_path, "")
    assert fault is not None and "4 commands" in fault.message
    pasted = "doubles:" + fault.hint.partition("doubles:")[2].partition("doubles:")[2]
    assert len(yaml.safe_load(pasted)["doubles"]) == 4
    assert rehearsed(tmp_path, pasted) is None
    one = rehearsed(tmp_path, pasted[: pasted.rindex("  - command")])
    assert one is not None and one.message.startswith("step 'Note the end'")


def test_a_rehearsal_tells_every_machine_that_would_stand_at_a_page(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("""scenario: A
machines: {PC-1: {machine: uefi-x64}, PC-2: {machine: uefi-x64}}
site:
  site: LAB
  devices: {PC-1: {mac: 52:54:00:00:00:01}, PC-2: {mac: 52:54:00:00:00:02}}
  collections: {Both: {members: [PC-1, PC-2], variables: {Room: , Pin: {secret: true}}}}
  boot_images: {LAB00002: }
  sequences: {LAB00010: {sequence: who-is-it.xml, boot_image: LAB00002}}
  deployments: {LAB20000: {sequence: LAB00010, collection: Both}}
expect: {result: success}
""")
    (loaded,) = load_scenarios([path])
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    fault = rehearse(loaded, read_checked_sequences(loaded), settings)
    assert fault is not None and fault.message == "; ".join(
        f"the wizard of machine '{name}' asks for variables Room, Pin, and the scenario gives no value"
        for name in ("PC-1", "PC-2")
    )
    assert fault.hint.count("wizard:") == 1  # the lines to paste are the same


@pytest.mark.rule("R63", shown="sim")
@pytest.mark.parametrize("share", [True, False])
def test_an_image_that_its_step_accesses_directly_is_applied_from_its_share_or_fails(
    tmp_path: Path, share: bool
) -> None:
    sample = Path(__file__).parents[2] / "scenarios" / "sequences" / "bare-metal.xml"
    field = 'property="RunFromNet" hidden="true">'
    text = sample.read_text().replace(f"{field}false", f"{field}true")
    (tmp_path / "direct.xml").write_text(text)
    path = tmp_path / "a.yaml"
    path.write_text(f"""scenario: A
machine: uefi-x64
mac: 52:54:00:00:00:01
doubles: [{{command: '*'}}]
site:
  site: LAB
  network_access_account: {{user: LAB\\naa, password: Direct-7}}
  devices: {{PC-1: {{mac: 52:54:00:00:00:01}}}}
  packages: {{LAB00003: {{content: client}}}}
  os_images: {{LAB00001: {{package_share: {str(share).lower()}}}}}
  boot_images: {{LAB00002: }}
  sequences: {{LAB00010: {{sequence: direct.xml, boot_image: LAB00002}}}}
  deployments: {{LAB20000: {{sequence: LAB00010, collection: All Systems}}}}
expect: {{result: success}}
""")
    (loaded,) = load_scenarios([path])
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    simulate_into(tmp_path, loaded, read_checked_sequences(loaded), settings, lambda event: None)
    log = (tmp_path / "PC-1" / "smsts.log").read_text(encoding="utf-8-sig")
    assert "The content of LAB00001 is accessed directly from the distribution point" in log
    assert "download content locally for Package LAB00001" not in log
    assert ("Failed to resolve the source for SMS PKGID=LAB00001, hr=0x80070043" in log) == (not share)
    assert ("Apply Windows Settings" in log) == share


def test_an_image_of_an_older_build_lacks_nothing_and_the_boot_configuration_is_known(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    remembered = {"Windows\\Boot\\EFI\\bootmgfw.efi": [7, "aa"]}
    (tmp_path / "cache" / "wim-0123456789abcdef.json").write_text(json.dumps(remembered))
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    found = _artifacts(tmp_path / "old.wim", "0123456789abcdef", settings)
    assert found["loader"].size == 7 and found["bios-kernel"].sha256
    config = bios_configuration(read_recipe())
    assert found["bios-config"].sha256 == hashlib.sha256(config).hexdigest()


def test_a_live_run_that_broke_is_broken_at_each_further_start(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("scenario: A\nmachine: uefi-x64\nsequence: bare-metal.xml\nexpect: {result: success}\n")
    (loaded,) = load_scenarios([path])
    with SimulatedRun(loaded, Settings(tmp_path, tmp_path / "cache", tmp_path / "reports")) as live:
        faults = []
        for _ in range(2):
            with pytest.raises(LabFault, match="only Windows can run") as raised:
                live.power_on()
            faults.append(raised.value)
    assert faults[0] is faults[1]
    assert [event.kind for event in live.events].count("lab-error") == 1
