"""The steps that touch images, drivers, state and settings, in the simulator and by what they ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.clock import VirtualClock
from lab.errors import LabError
from lab.guest.catalogue import match_drivers
from lab.guest.doubles import Double
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.sequence.effects import ApplyImage, Effect, Partition, PartitionDisk
from lab.sequence.effects_imaging import CaptureImage, Intent
from lab.sequence.model import Step, StepVariable, TaskSequence
from lab.sequence.steptypes import STEP_TYPES
from lab.sequence.xmlformat import read_sequence
from lab.simulation.outcome import SimulatedRun
from lab.simulation.reference import reference_image
from lab.simulation.run import simulate
from lab.simulation.site import SimContent, SimFile, SimImage
from lab.timeline import Timeline

SHARED = Path(__file__).parents[2] / ".." / "shared" / "field" / "sequences"
#: Type names that this family answers for.
FAMILY = (
    "Capture", "Restore", "StateStore", "PrepareOS", "PrepareSMS", "DeployTools", "BitLocker", "ConvertDisk",
    "UpgradeOperating", "DriverPackage", "AutoApply", "ApplyData", "ApplyOperating", "ApplyWindows",
    "ApplyNetwork", "VirtualHardDisk", "BDD_",
)  # fmt: skip
DATA = SimImage("Data", files={"readme.txt": b"data"})
CONTENTS = {
    "LAB00001": SimContent((SimFile("reference.wim", 9, images=(reference_image(),)),)),
    "LAB00002": SimContent((SimFile("labpe-x64.efi", 9),)),
    "LAB00003": SimContent((SimFile("client.zip", 9),)),
    "LAB00004": SimContent((SimFile("data.wim", 9, images=(DATA,)),)),
    "LAB00005": SimContent(
        (
            SimFile("net/e1000.inf", 3, data=b"inf"),
            SimFile("net/e1000.cat", 3, data=b"cat"),
            SimFile("net/e1000.sys", 3, data=b"sys"),
            SimFile("odd.inf", 3, data=b"odd"),
        )
    ),
    "LAB00006": SimContent((SimFile("scanstate.exe", 9),)),
    "LAB00007": SimContent((SimFile("sources/boot.wim", 9), SimFile("sources/install.wim", 9,
                            images=(DATA, reference_image())))),
}  # fmt: skip


def step(kind: str, name: str, action: str = "", *, keep_on: bool = False, **fields: str) -> Step:
    if not kind.startswith("BDD_"):
        kind = f"SMS_TaskSequence_{kind}Action"
    variables = tuple(StepVariable(key, key, value) for key, value in fields.items())
    return Step(kind, name, action=action, continue_on_error=keep_on, variables=variables)


def run_line(command: str) -> Step:
    return step("RunCommandLine", command, f"smsswd.exe /run: {command}")


def disk(count: int = 1, name: str = "Disk") -> Step:
    fields: dict[str, str] = {"OSDDiskIndex": "0", "OSDPartitionStyle": "GPT"}
    fields["OSDPartitions"] = str(count + 1)
    fields |= {"OSDPartitions0Type": "EFI", "OSDPartitions0FileSystem": "FAT32", "OSDPartitions0Size": "300"}
    for index in range(1, count + 1):
        fields |= {
            f"OSDPartitions{index}Type": "Primary",
            f"OSDPartitions{index}FileSystem": "NTFS",
            f"OSDPartitions{index}Size": str(100 // (count - index + 1)),
            f"OSDPartitions{index}SizeUnits": "Percent",
        }
    return step("PartitionDisk", name, "osddiskpart.exe", **fields)


OS = step("ApplyOperatingSystem", "OS", "OSDApplyOS.exe /image:LAB00001,1")
SETUP = step("SetupWindowsAndSMS", "Setup", "OSDSetupWindows.exe", _SMSClientPackageID="LAB00003")


def run(
    *steps: Step, doubles: tuple[Double, ...] = (), drivers: Any = (), **variables: str
) -> tuple[SimulatedRun, dict[str, tuple[str, int]], Timeline]:
    """Simulate; the result, step name -> (result, code), and the timeline."""
    spec = MachineSpec(
        "m", "6f1c9f0e-0000-4000-8000-000000000001", "uefi", 1024, (DiskSpec(64 << 30, "virtio"),),
        (NicSpec(mac="52:54:00:00:00:01", model="e1000", pxe=True),),
    )  # fmt: skip
    clock = VirtualClock()
    timeline = Timeline(clock)
    result = simulate(
        TaskSequence("T", children=steps),
        spec,
        variables={"_SMSTSBootImageID": "LAB00002", **variables},
        doubles=doubles,
        contents=CONTENTS,
        policy={"drivers": drivers},
        timeline=timeline,
        clock=clock,
    )
    ended = {
        event.data["name"]: (event.data["result"], event.data["code"])
        for event in timeline.events
        if event.kind == "step-finished"
    }
    return result, ended, timeline


def test_every_type_of_the_family_in_real_exports_is_known() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no real exports in {SHARED}")
    found: set[str] = set()
    for path in SHARED.glob("*.xml"):
        try:
            sequence = read_sequence(path.read_bytes(), path.name)
        except LabError:
            continue  # tests of reading name it
        found |= {item.type for item in sequence.steps()}
    ours = {kind for kind in found if any(word in kind for word in FAMILY)}
    assert len(ours) > 30
    assert ours - STEP_TYPES.keys() == set()


def test_a_row_names_each_variable_once() -> None:
    for kind in STEP_TYPES.values():
        names = [field.name.casefold() for field in kind.variables]
        assert len(names) == len(set(names)), kind.type


def test_effects_survive_json_with_all_that_is_nested_in_them() -> None:
    for effect in (
        PartitionDisk(0, "GPT", (Partition(1, "EFI", 2048, 4096),)),
        ApplyImage("C:\\a.wim", 1, "C:", ("a", "b"), wipe=False),
        CaptureImage("\\\\s\\x\\a.wim", ("C:", "D:"), ("c", "d"), "text", {"CREATOR": "me"}),
        Intent("enable-bitlocker", {"drive": "C:"}),
    ):
        assert Effect.from_json(effect.to_json()) == effect
        assert Effect.from_json(json.loads(json.dumps(effect.to_json()))) == effect


def test_data_images_go_to_the_next_free_volume_and_may_spare_what_is_there() -> None:
    data = step("ApplyDataImage", "Data", "OSDApplyOS.exe /data:LAB00004,%OSDDataImageIndex%",
                OSDDataImageIndex="1")  # fmt: skip
    over = step("ApplyDataImage", "Over", "OSDApplyOS.exe /data:LAB00004,1 /target:C:",
                OSDWipeDestinationPartition="false")  # fmt: skip
    full = step("ApplyDataImage", "Full", "OSDApplyOS.exe /data:LAB00004,1", keep_on=True)
    result, ended, _ = run(disk(2), OS, data, over, full)
    files = result.final_state.files
    assert ended["Data"] == ("success", 0) and ended["Full"] == ("failed", 0x80070003)
    assert "0,3:\\readme.txt" in files
    assert "C:\\readme.txt" in files and "C:\\Windows\\win.ini" in files  # nothing was wiped


@pytest.mark.parametrize(
    ("index", "code"), [("2", 0), ("Professional", 0), ("osdlab reference image", 0), ("Home", 0x80070057)]
)
def test_an_install_package_is_applied_by_number_edition_or_name(index: str, code: int) -> None:
    apply = step("ApplyOperatingSystem", "OS", "OSDApplyOS.exe /install:LAB00007,%OSDInstallEditionIndex%",
                 OSDInstallEditionIndex=index)  # fmt: skip
    result, ended, _ = run(disk(), apply)
    assert ended["OS"][1] == code
    assert ("C:\\Windows\\win.ini" in result.final_state.files) == (code == 0)


def test_a_wipe_spares_the_user_state() -> None:
    save = run_line("save")
    double = Double(command="save", writes={"C:\\UserState\\a.txt": "mine", "C:\\old.txt": "gone"})
    result, _, _ = run(disk(), save, OS, doubles=(double,), _SMSTSUserStatePath="C:\\UserState")
    assert "C:\\UserState\\a.txt" in result.final_state.files
    assert "C:\\old.txt" not in result.final_state.files


def test_drivers_are_in_the_store_and_listed() -> None:
    given = step("ApplyDriverPackage", "Drivers",
                 "osddriverclient.exe /install:LAB00005  /unsigned:false /recurse:True")  # fmt: skip
    flat = step("ApplyDriverPackage", "None", "osddriverclient.exe /install:LAB00003 /recurse:False",
                keep_on=True)  # fmt: skip
    result, ended, _ = run(disk(), OS, given, flat)
    assert ended["Drivers"] == ("success", 0) and ended["None"] == ("failed", 0x80070057)
    store = [path for path in result.final_state.files if "\\e1000.inf_amd64_" in path]
    assert {path.rpartition("\\")[2] for path in store} >= {"e1000.inf", "e1000.sys", "e1000.cat"}
    infs = "HKLM\\SYSTEM\\DriverDatabase\\DriverInfFiles"
    assert result.final_state.registry[f"{infs}\\oem0.inf"]["Active"][1].startswith("e1000.inf_amd64_")
    assert f"{infs}\\oem1.inf" in result.final_state.registry


def test_auto_apply_takes_what_fits_the_machine_and_nothing_is_a_success() -> None:
    auto = step("AutoApply", "Auto", "osddriverclient.exe /auto /bestmatch:%OSDAutoApplyDriverBestMatch%")
    card = {"package": "LAB00005", "name": "e1000", "ids": ["PCI\\VEN_8086&DEV_100E"], "categories": ["net"]}
    other = {"package": "LAB00009", "name": "x", "ids": ["PCI\\VEN_1234"], "categories": []}
    result, ended, _ = run(disk(), OS, auto, drivers=(card, other))
    assert ended["Auto"] == ("success", 0)
    assert any("\\e1000.inf_amd64_" in path for path in result.final_state.files)
    result, ended, _ = run(disk(), OS, auto, drivers=(other,))
    assert ended["Auto"] == ("success", 0) and "No matching drivers" in result.log


def test_the_longest_id_wins_and_an_id_ends_at_a_separator() -> None:
    device = "PCI\\VEN_8086&DEV_100E&SUBSYS_11001AF4&REV_03"
    catalogue = [
        {"package": "A", "name": "plain", "ids": ["PCI\\VEN_8086&DEV_100E"]},
        {"package": "B", "name": "exact", "ids": ["pci\\ven_8086&dev_100e&subsys_11001af4"]},
        {"package": "C", "name": "wrong", "ids": ["PCI\\VEN_8086&DEV_100"]},
    ]
    assert [item["name"] for item in match_drivers(catalogue, [device])] == ["exact"]
    assert [item["name"] for item in match_drivers(catalogue, [device], best=False)] == ["exact", "plain"]
    assert match_drivers(catalogue, [device], ["net"]) == []


def test_build_and_capture_gives_an_image_that_sets_itself_up_again() -> None:
    capture = step("CaptureSystemImage", "Capture", "osdcapturesystemimage.exe",
                   OSDCaptureDestination="\\\\SRV\\Images\\ref.wim", OSDImageDescription="built",
                   OSDImageCreator="lab", OSDImageVersion="1.0")  # fmt: skip
    result, ended, timeline = run(
        disk(), OS, SETUP,
        step("PrepareSMSClient", "Client", "osdpreparesmsclient.exe"),
        step("PrepareOS", "Windows", "osdprepareos.exe"),
        capture,
    )  # fmt: skip
    assert result.finished is not None and result.finished.result == "success", ended
    state = result.final_state.registry["HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State"]
    assert state["ImageState"][1] == "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
    assert "C:\\Windows\\Panther\\setupact.log" not in result.final_state.files
    puts = [event.data for event in timeline.events if event.data.get("method") == "PUT"]
    assert [item["path"] for item in puts] == ["/share/SRV/Images/ref.wim"]
    intents = [event.data["intent"]["action"] for event in timeline.events if "intent" in event.data]
    assert intents == ["prepare-client", "sysprep"]


def test_user_state_survives_a_new_windows_through_the_state_store() -> None:
    double = Double(command="work", writes={"C:\\Users\\ann\\Desktop\\a.txt": "mine"})
    result, ended, timeline = run(
        disk(), OS, SETUP, run_line("work"),
        step("CaptureWindowsSettings", "Settings", "osdwinsettings.exe /capture"),
        step("CaptureNetworkSettings", "Network", "osdnetsettings.exe capture",
             OSDMigrateNetworkMembership="true"),
        step("RequestStateStore", "Request", "osdsmpclient.exe /capture", OSDStateRequestType="capture"),
        step("CaptureUserState", "Capture", "osdmigrateuserstate.exe /collect",
             _OSDMigrateUsmtPackageID="LAB00006"),
        step("ReleaseStateStore", "Release", "osdsmpclient.exe /release"),
        step("Reboot", "To PE", "smsboot.exe /target:WinPE"),
        disk(name="Again"), OS, SETUP,
        step("RequestStateStore", "Request again", "osdsmpclient.exe /restore"),
        step("RestoreUserState", "Restore", "osdmigrateuserstate.exe /apply",
             _OSDMigrateUsmtRestorePackageID="LAB00006"),
        doubles=(double,),
    )  # fmt: skip
    assert result.finished is not None and result.finished.result == "success", ended
    assert result.final_state.files["C:\\Users\\ann\\Desktop\\a.txt"].text == "mine"
    assert result.variables["OSDWorkgroupName"] == "WORKGROUP"
    assert result.variables["OSDTimeZone"] and result.variables["OSDComputerName"]
    methods = [
        event.data["method"] for event in timeline.events if "/SMPSTORE" in str(event.data.get("path"))
    ]
    assert methods == ["PUT", "GET", "GET"]  # the file, later the folder's list and the file


def test_user_state_needs_a_store_and_its_tool() -> None:
    no_store = step("CaptureUserState", "No store", "osdmigrateuserstate.exe /collect", keep_on=True,
                    _OSDMigrateUsmtPackageID="LAB00006")  # fmt: skip
    no_tool = step("CaptureUserState", "No tool", "osdmigrateuserstate.exe /collect", keep_on=True,
                   OSDStateStorePath="C:\\Store")  # fmt: skip
    release = step("ReleaseStateStore", "Release", "osdsmpclient.exe /release", keep_on=True)
    _, ended, _ = run(disk(), OS, no_store, no_tool, release)
    assert ended == ended | {
        "No store": ("failed", 0x80070003),
        "No tool": ("failed", 0x80070057),
        "Release": ("failed", 0x80070490),
    }


def test_encryption_is_an_intent_and_a_machine_without_a_tpm_skips_only_where_it_may() -> None:
    skipped = step("OfflineEnableBitLocker", "Early", "OSDOfflineBitlocker.exe /enable  /ignoretpm:True")
    strict = step("OfflineEnableBitLocker", "Strict", "OSDOfflineBitlocker.exe /enable /ignoretpm:False",
                  keep_on=True)  # fmt: skip
    fails = step("EnableBitLocker", "Enable", "OSDBitLocker.exe /enable  /wait:False /mode:TPM /pwd:AD",
                 keep_on=True)  # fmt: skip
    key = step(
        "EnableBitLocker", "Key", "OSDBitLocker.exe /enable /wait:False /mode:Key /keydrive:D: /pwd:AD"
    )
    result, ended, timeline = run(disk(), skipped, strict, OS, SETUP, fails, key)
    assert ended["Early"] == ("success", 0) and ended["Key"] == ("success", 0)
    assert ended["Strict"] == ended["Enable"] == ("failed", 0x8028400F)
    (event,) = [event for event in timeline.events if "intent" in event.data]
    assert event.data["how"] == "modelled"
    assert event.data["intent"]["parameters"]["key-drive"] == "D:"
    assert "Intent only" in result.log


@pytest.mark.parametrize(("exit_code", "scan", "code"), [
    (0xC1900210, "true", 0), (0xC1900208, "true", 0xC1900208),
    (0, "false", 0), (0xC1900200, "false", 0xC1900200),
])  # fmt: skip
def test_an_upgrade_runs_setup_and_keeps_its_code(exit_code: int, scan: str, code: int) -> None:
    upgrade = step("UpgradeOperatingSystem", "Upgrade", "OSDUpgradeOS.exe ", keep_on=True,
                   OSDUpgradeInstallPackageID="LAB00007", OSDUpgradeScanOnly=scan)  # fmt: skip
    double = Double(command='*setup.exe" /ImageIndex 1 /auto Upgrade*', exit=exit_code)
    result, ended, _ = run(disk(), OS, SETUP, upgrade, doubles=(double,))
    assert ended["Upgrade"][1] == code
    assert result.variables["_SMSTSOSUpgradeActionReturnCode"] == str(exit_code)


def test_the_toolkits_steps_run_scripts_and_two_of_them_know_enough_without() -> None:
    use = step("BDD_UsePackage", "Use", r"smsswd.exe /run:LAB00006 cscript.exe Scripts\ZTISCCM.wsf")
    gather = step(
        "BDD_Gather", "Gather", r'smsswd.exe /run: cscript.exe "%DeployRoot%\Scripts\ZTIGather.wsf"'
    )
    check = step("BDD_Validate", "Check", r'cscript.exe "%SCRIPTROOT%\ZTIValidate.wsf"')
    drives = step("EnableBitLocker", "Disk", r'cscript.exe "%SCRIPTROOT%\ZTIBde.wsf"')
    double = Double(command="*ZTIValidate.wsf*", exit=7)
    result, ended, _ = run(disk(), use, gather, check, drives, doubles=(double,))
    assert result.variables["IsUEFI"] == "True" and result.variables["ScriptRoot"].endswith("\\Scripts")
    assert ended == {**ended, "Gather": ("success", 0), "Check": ("failed", 7)}


def test_a_dynamic_disk_is_intended_and_a_disk_that_is_not_there_fails() -> None:
    there = step("ConvertDisk", "There", "osddiskpart.exe convert 0", OSDConvertDiskIndex="0")
    gone = step("ConvertDisk", "Gone", "osddiskpart.exe convert 4", OSDConvertDiskIndex="4", keep_on=True)
    _, ended, _ = run(disk(), there, gone)
    assert ended["There"] == ("success", 0) and ended["Gone"] == ("failed", 0x80070490)
