"""The command line: what `plan` shows, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lab.cli
from lab.errors import LabFault
from lab.run.siteplan import site_objects

SAMPLE = "bare-metal.xml"
SITE = """
site:
  site: LAB
  devices: {PC-1: }
  os_images: {LAB00001: }
  boot_images: {LAB00002: }
  packages: {LAB00003: {content: client}}
  sequences: {LAB00010: {sequence: bare-metal.xml, boot_image: LAB00002}}
  deployments: {LAB20000: {sequence: LAB00010, collection: All Unknown Computers}}
"""


def scenario(folder: Path, more: str) -> Path:
    path = folder / "a.yaml"
    path.write_text(
        f"scenario: A\nmachine: uefi-x64\nsequence: {SAMPLE}\nexpect: {{result: success}}\n{more}"
    )
    return path


def planned(path: Path, monkeypatch: pytest.MonkeyPatch, form: str = "text") -> str:
    def make_plan(loaded: Any, settings: Any, folder: Any, sequences: Any, say: Any) -> Any:
        (only,) = loaded.machines
        machine = {
            "spec": {
                "name": "PC-1",
                "uuid": only.uuid,
                "firmware": "uefi",
                "memory": 768,
                "vcpus": 1,
                "disks": [],
                "nics": [{"mac": only.mac}],
            },
        }
        site = site_objects(loaded, sequences).to_json()
        return SimpleNamespace(to_json=lambda: {"machines": [machine], "content": {}, "site": site})

    monkeypatch.setattr(lab.cli, "make_plan", make_plan)
    with lab.cli.OUT.capture() as shown:
        lab.cli.osdlab.main(["plan", str(path), "--format", form], standalone_mode=False)
    return shown.get()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_plan_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    path = scenario(tmp_path, "variables: {OSDJoinPassword: Pa55word!, OSDJoinAccount: joiner}\n")
    text = planned(path, monkeypatch, form)
    assert "joiner" in text and "***" in text and "Pa55word!" not in text


def test_a_plan_that_could_not_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = scenario(tmp_path, "content: {LAB00001: nothing.wim}\n")
    with pytest.raises(LabFault, match=r"nothing\.wim"):
        planned(path, monkeypatch)


def test_what_a_site_hardly_means_is_said_once_beside_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(tmp_path, SITE)
    path.write_text(path.read_text().replace(f"sequence: {SAMPLE}\n", ""))
    text = planned(path, monkeypatch, "json")
    assert json.loads(text)["machines"]
    assert capsys.readouterr().err.count("device 'PC-1' has neither MAC address nor GUID") == 1
