"""The plan as it travels, the machine's identity, the run's folder, errors between the processes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.disk.reader import Questions
from lab.errors import InputError, LabFault, PhaseTimeout
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.run.folder import make_folder, run_name
from lab.run.messages import as_error, error_message
from lab.run.plan import MachinePlan, RunPlan
from lab.run.prepare import check_content, read_checked_sequence
from lab.scenario.loader import load_scenarios
from lab.scenario.machines import identity
from lab.sequence.model import Reference, TaskSequence
from lab.sequence.xmlformat import read_sequence
from lab.settings import Settings
from lab.site.model import SiteObjects


def test_a_plan_is_the_same_after_its_journey() -> None:
    spec = MachineSpec(
        name="PC-1", uuid="u", firmware="uefi", memory=768, disks=(DiskSpec(20 << 30, "sata"),),
        nics=(NicSpec("52:54:00:00:00:01", tap="tap0"),), boot_order=("network", "disk"),
    )  # fmt: skip
    machine = MachinePlan(spec, "10.77.0.10", {"a": [1]}, Questions(("C:\\x",), ("HKLM\\SYSTEM",)),
                          {"f12": True, "choose": None, "variables": {}})  # fmt: skip
    plan = RunPlan(
        name="n", folder=Path("/r"), cache=Path("/c"), project=Path("/p"), machines=(machine,),
        content={"LAB00001": {"a.wim": "/c/a.wim"}}, boot_files={"x.efi": "/c/x.efi"},
        site=json.loads(json.dumps(SiteObjects("LAB").to_json())), policies={"LAB00100": {"doubles": []}},
        contents={"LAB00001": [{"name": "a.wim", "size": 1, "sha256": "0"}]},
        boot_images={"LAB00002": {"uefi": "x.efi", "bios": ["k", "i"]}}, scripts={"prompt": "#!ipxe"},
        limits={"dhcp": 3.0}, patience=2.0,
    )  # fmt: skip
    line = plan.to_line()
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert RunPlan.from_json(json.loads(line)) == plan
    assert plan.machines[0].mac == "52:54:00:00:00:01"


def test_a_machines_identity_is_its_scenarios() -> None:
    assert identity("a.yaml") == identity("a.yaml")
    macs = {identity("a.yaml")[0], identity("b.yaml")[0], identity("a.yaml", 1)[0]}
    assert len(macs) == 3 and all(mac.startswith("52:54:00:") for mac in macs)


def test_which_sequence_of_several_is_asked_where_the_scenario_stands(tmp_path: Path) -> None:
    one = '<sequence version="3.10" name="{}"><group name="G"/></sequence>'
    (tmp_path / "two.xml").write_text(f"<all>{one.format('First')}{one.format('Second')}</all>")
    text = "scenario: x\nmachine: uefi-x64\nsequence: two.xml\n{}expect: {{result: success}}\n"
    path = tmp_path / "s.yaml"
    for line, place in (("", "3:11"), ("sequence_name: Third\n", "4:16")):
        path.write_text(text.format(line))
        [loaded] = load_scenarios([path])
        with pytest.raises(InputError) as raised:
            read_checked_sequence(loaded)
        assert f"{path}:{place}: " in str(raised.value)
        assert "say which by sequence_name, with its name or package id: 'First', 'Second'" in str(
            raised.value
        )
    path.write_text(text.format("sequence_name: Second\n"))
    [loaded] = load_scenarios([path])
    assert read_checked_sequence(loaded).name == "Second"


def test_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    name = run_name("Bare Metal!", when, "sim")
    assert name == "20260102-030405-bare-metal-sim"
    assert run_name("", when, "vm") == "20260102-030405-run"
    folders = [make_folder(tmp_path / "reports", name) for _ in range(3)]
    assert [folder.name for folder in folders] == [name, f"{name}-2", f"{name}-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(LabFault, match="cannot make a folder"):
        make_folder(tmp_path / "file", name)


def test_errors_travel_with_all_they_say() -> None:
    stall = PhaseTimeout("DHCP", seconds=9.0, last_seen="offer", hint="look")
    back = as_error(json.loads(json.dumps(error_message(stall))))
    assert isinstance(back, PhaseTimeout) and str(back) == str(stall) and back.last_seen == "offer"
    fault = as_error(error_message(LabFault("no", hint="do")))
    assert (fault.message, fault.hint) == ("no", "do")
    assert "ZeroDivisionError" in error_message(ZeroDivisionError("x"))["traceback"]


def test_settings_come_from_the_environment() -> None:
    env = {"HOME": "/h", "OSDLAB_REPORTS": "/r", "OSDLAB_KEEP_DISKS": "yes", "OSDLAB_TIME_LIMIT": "60"}
    settings = Settings.from_environment(env)
    assert (settings.cache, settings.reports) == (Path("/h/.cache/osdlab"), Path("/r"))
    assert settings.keep_disks and settings.time_limit == 60.0
    assert Settings.from_environment({"XDG_CACHE_HOME": "/x"}).cache == Path("/x/osdlab")


@pytest.mark.parametrize(
    ("name", "value"),
    [("OSDLAB_ACCELERATOR", "xen"), ("OSDLAB_KEEP_DISKS", "perhaps"), ("OSDLAB_TIME_LIMIT", "-1")],
)
def test_a_setting_that_means_nothing_is_a_usage_error(name: str, value: str) -> None:
    from lab.errors import UsageError

    with pytest.raises(UsageError, match=f"{name} is '{value}'"):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{LAB00001: nowhere.wim}", "package LAB00001 has no content"),
        ("{}", "the sequence refers to ABC00042"),
    ],
)
def test_forgotten_content_is_an_error_of_the_lab_and_says_what_to_paste(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "s.xml").write_text('<sequence version="3.10"/>')
    scenario = tmp_path / "a.yaml"
    scenario.write_text(
        f"scenario: A\nmachine: uefi-x64\nsequence: s.xml\ncontent: {content}\nexpect: {{result: success}}\n"
    )
    (loaded,) = load_scenarios([scenario])
    sequence = TaskSequence("s", references=(Reference(package="LAB00001"), Reference(package="ABC00042")))
    with pytest.raises(LabFault, match=said) as caught:
        check_content(loaded, sequence)
    assert "a.yaml:4" in caught.value.hint or "ABC00042: path/of/its/content" in caught.value.hint


def test_forgotten_content_is_told_with_the_steps_that_need_it(tmp_path: Path) -> None:
    (tmp_path / "s.xml").write_text(
        '<sequence version="3.10"><group name="Tools">\n<step name="Fetch"><action>smsswd.exe /run:ABC00042 x'
        '</action></step></group>\n<referenceList><reference package="ABC00042"/></referenceList></sequence>'
    )
    text = f"scenario: A\nmachine: uefi-x64\nsequence: {tmp_path / 's.xml'}\nexpect: {{result: success}}\n"
    (tmp_path / "a.yaml").write_text(text)
    (loaded,) = load_scenarios([tmp_path / "a.yaml"])
    with pytest.raises(LabFault, match="refers to ABC00042") as caught:
        check_content(loaded, read_sequence((tmp_path / "s.xml").read_bytes(), "s.xml"))
    assert "ABC00042 is named by step 'Tools / Fetch' (s.xml:2:1)\n" in caught.value.hint


def test_content_that_is_missing_on_purpose_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "s.xml").write_text('<sequence version="3.10"/>')
    scenario = tmp_path / "a.yaml"
    scenario.write_text(
        "scenario: A\nmachine: uefi-x64\nsequence: s.xml\ncontent: {abc00042: missing}\n"
        "expect: {result: failed}\n"
    )
    (loaded,) = load_scenarios([scenario])
    check_content(loaded, TaskSequence("s", references=(Reference(package="ABC00042"),)))
