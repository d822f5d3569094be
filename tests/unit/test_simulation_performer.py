"""The modelled machine: effects change it as their contract says; its firmware starts what stands there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault
from lab.guest import imaging as guest_imaging
from lab.guest import software as guest_software
from lab.guest.doubles import Double
from lab.guest.place import Place
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.sequence import effects_imaging, effects_software
from lab.sequence.effects import (
    KINDS,
    ApplyImage,
    CleanUp,
    DownloadContent,
    Effect,
    GatherFacts,
    InstallBootFiles,
    Outcome,
    Partition,
    PartitionDisk,
    ReadFile,
    RunCommand,
    SetRegistry,
    StageBootImage,
    WriteFile,
)
from lab.sequence.model import TaskSequence
from lab.simulation import imaging, software
from lab.simulation.bench import Bench
from lab.simulation.disks import Blob, final_state
from lab.simulation.machine import Machine
from lab.simulation.offered import offered
from lab.simulation.performer import ModelPerformer
from lab.simulation.site import ModelSite, SimContent, SimFile, SimImage, SimSite
from lab.timeline import Timeline

MIB = 2048
LAYOUT = (
    Partition(1, "EFI", MIB, 100 * MIB, "FAT32", "System"),
    Partition(2, "MSR", 101 * MIB, 16 * MIB),
    Partition(3, "Primary", 117 * MIB, 800 * MIB, "NTFS", "Windows", letter="C:"),
)
HIVES = {f"Windows\\System32\\config\\{name}": Blob(8192) for name in ("SYSTEM", "SOFTWARE")}
IMAGE = SimImage(
    "Reference",
    files={**HIVES, "Windows\\Boot\\EFI\\bootmgfw.efi": Blob(7, "aa")},
    folders=("Users",),
    registry={"HKLM\\SYSTEM\\Setup": {"CmdLine": ["REG_SZ", "oobe"]}},
)
WIM = SimFile("ref.wim", 1000, "cc", images=(IMAGE,))
CONTENTS = {
    "LAB00001": SimContent((WIM,)),
    "LAB00002": SimContent((SimFile("labpe-x64.efi", 9, "dd"),)),
    "LAB00004": SimContent((SimFile("a b.txt", 3, hashlib.sha256(b"abc").hexdigest(), b"abc"),)),
    "LAB00005": SimContent((SimFile("x", 1, "ee"),), "missing"),
    "LAB00006": SimContent((SimFile("x", 1, "ee"),), "damaged"),
    "LAB00007": SimContent((SimFile("x", 1, "ee"),), "denied"),
}


class World:
    """A machine with its performer."""

    def __init__(self, *doubles: Double) -> None:
        spec = MachineSpec(
            "PC-1", "A0000000-0000-0000-0000-0000000000B1", "uefi", 768, (DiskSpec(1 << 30),),
            (NicSpec("52:54:00:AA:00:01"),),
        )  # fmt: skip
        self.clock = VirtualClock()
        self.timeline = Timeline(self.clock)
        self.machine = Machine.blank(spec)
        point = offered(
            TaskSequence("T"), spec, variables={}, secrets=(), contents=CONTENTS, policy={},
            purpose="available", timeline=self.timeline, address="10.77.0.1",
        )  # fmt: skip
        self.site = ModelSite(
            SimSite(), CONTENTS, point=point, machine="PC-1", mac=spec.nics[0].mac, uuid=spec.uuid,
            timeline=self.timeline, clock=self.clock,
        )  # fmt: skip
        bench = Bench(
            self.machine, self.site, self.clock, lambda: "PC-1", lambda name: None,
            doubles=doubles, place=Place(3, "A step"),
            policy={"naa": {"user": "LAB\\naa", "password": "alone"}},
        )  # fmt: skip
        self.performer = ModelPerformer(bench)

    def do(self, effect: Effect) -> Outcome:
        outcome = self.performer.perform(effect)
        assert outcome.how in ("modelled", "doubled")
        return outcome

    def with_windows(self) -> World:
        for effect in (
            PartitionDisk(0, "GPT", LAYOUT),
            DownloadContent("LAB00001", "C:\\_SMSTaskSequence\\Packages\\LAB00001"),
            ApplyImage("C:\\_SMSTaskSequence\\Packages\\LAB00001\\ref.wim", 1, "C:"),
            InstallBootFiles("C:"),
        ):
            assert self.do(effect).ok
        return self

    def facts(self) -> dict[str, Any]:
        return self.do(GatherFacts()).value


def test_facts_of_a_blank_machine_and_after_formatting() -> None:
    world = World()
    facts = world.facts()
    assert (facts["data_path"], facts["bootable"], facts["log_path"]) == (
        "", False, "X:\\Windows\\temp\\smstslog",
    )  # fmt: skip
    assert facts["mac"] == "52:54:00:aa:00:01" and facts["disks"][0]["sectors"] == 1 << 21
    assert world.do(PartitionDisk(0, "GPT", LAYOUT)).value == {"volumes": {"C:": {"disk": 0, "partition": 3}}}
    facts = world.facts()
    assert facts["data_path"] == "C:\\_SMSTaskSequence" and facts["bootable"]
    assert facts["log_path"] == "C:\\_SMSTaskSequence\\Logs\\smstslog"


def test_partitions_labels_and_files_reach_the_final_state() -> None:
    final = final_state(World().with_windows().machine.disks)
    assert final.disks[0].style == "GPT"
    assert [(p.type, p.file_system, p.label) for p in final.disks[0].partitions] == [
        ("EFI", "FAT32", "SYSTEM"), ("MSR", "", ""), ("Primary", "NTFS", "Windows"),
    ]  # fmt: skip
    assert final.volumes == {"EFI:": "0,1", "C:": "0,3"}
    assert final.files["EFI:\\EFI\\Boot\\bootx64.efi"].sha256 == "aa"
    assert "C:\\Users\\" in final.files and "C:\\Windows\\System32\\config\\" in final.files


def test_an_image_empties_the_volume_but_for_what_is_kept() -> None:
    world = World().with_windows()
    world.do(WriteFile("C:\\old.txt", "old"))
    world.do(SetRegistry("C:", "HKLM\\SOFTWARE\\Old", {"a": ["REG_SZ", "b"]}))
    assert world.do(ApplyImage("C:\\_SMSTaskSequence\\Packages\\LAB00001\\ref.wim", 1, "C:")).ok
    final = final_state(world.machine.disks)
    assert "C:\\old.txt" not in final.files
    assert "HKLM\\SOFTWARE\\Old" not in final.registry
    assert "C:\\_SMSTaskSequence\\Packages\\LAB00001\\ref.wim" in final.files


@pytest.mark.parametrize(
    ("package", "code", "status"),
    [
        ("LAB00004", 0, 200),
        ("LAB00005", 0x80070002, 404),
        ("LAB00006", 0x80091007, 200),
        ("LAB00007", 0x80070005, 401),
        ("NONE", 0x80040102, 0),
    ],
)
def test_content_that_is_there_missing_damaged_or_unknown(package: str, code: int, status: int) -> None:
    world = World()
    outcome = world.do(DownloadContent(package, f"X:\\{package}"))
    assert (outcome.code, outcome.value["status"]) == (code, status)
    asked = [request["path"].split("/")[1] for request in world.site.requests]
    assert asked == ["locations"] + ["content"] * (package != "NONE")


def test_a_request_looks_like_one_of_the_real_service_and_is_not_repeated() -> None:
    world = World()
    world.do(DownloadContent("LAB00004", "X:\\p"))
    assert world.do(DownloadContent("LAB00004", "X:\\p")).ok
    first, event, again = [event for event in world.timeline.events if event.source == "http"]
    assert {first.data["path"], again.data["path"]} == {"/locations/LAB00004"}
    data = event.data
    assert (data["method"], data["path"], data["status"], data["bytes"]) == (
        "GET", "/content/LAB00004/a%20b.txt", 200, 3,
    )  # fmt: skip


def test_files_are_found_whatever_their_case_and_what_is_not_there_has_a_code() -> None:
    world = World().with_windows()
    world.do(WriteFile("C:\\WINDOWS\\panther\\Unattend.xml", "<x/>"))
    assert world.do(ReadFile("c:\\windows\\Panther\\unattend.XML")).value == {"text": "<x/>"}
    assert "C:\\Windows\\panther\\Unattend.xml" in final_state(world.machine.disks).files
    assert world.do(ReadFile("C:\\none")).code == 0x80070002
    assert world.do(WriteFile("Q:\\none", "")).code == 0x80070003
    assert world.do(WriteFile("C:\\a?b", "")).code == 0x8007007B


def test_registry_needs_its_hive_and_names_ignore_case() -> None:
    world = World().with_windows()
    key = "HKLM\\SYSTEM\\CurrentControlSet\\Control"
    assert world.do(SetRegistry("C:", key, {"A": ["REG_DWORD", 1]})).ok
    assert world.do(SetRegistry("C:", key.upper(), {"a": ["REG_DWORD", 2]})).ok
    assert world.do(SetRegistry("C:", "HKLM\\SAM\\x", {})).code == 0x80070002
    assert world.do(SetRegistry("C:", "HKCU\\x", {})).code == 0x80070057
    registry = final_state(world.machine.disks).registry
    assert registry["HKLM\\SYSTEM\\ControlSet001\\Control"] == {"A": ["REG_DWORD", 2]}


def test_a_double_answers_sets_writes_and_takes_its_time() -> None:
    world = World(
        Double("*set-bios*", exit=3010, sets={"A": "1"}, writes={"X:\\o.txt": "o"}, takes=20, output="k")
    )
    outcome = world.do(RunCommand("powershell Set-Bios.ps1"))
    assert (outcome.how, outcome.code, outcome.value) == (
        "doubled",
        3010,
        {"output": "k", "sets": {"A": "1"}},
    )
    assert world.clock.now() == 20
    assert world.do(ReadFile("X:\\o.txt")).ok
    assert world.do(RunCommand("set-bios", timeout=5)).code == 0x800705B4
    assert world.clock.now() == 25


def test_a_command_without_a_double_is_the_labs_fault_and_shows_no_secret() -> None:
    with pytest.raises(LabFault) as caught:
        World().do(RunCommand("net use secret", shown="net use ***"))
    assert "'A step'" in caught.value.message and "net use" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_the_firmware_starts_the_disk_only_when_a_loader_is_there() -> None:
    world = World()
    assert next(world.machine.starts()) == "pxe"
    world.do(PartitionDisk(0, "GPT", LAYOUT))
    assert next(world.machine.starts()) == "pxe"
    world.with_windows()
    assert next(world.machine.starts()) == "disk"
    world.do(PartitionDisk(0, "GPT", LAYOUT))
    assert next(world.machine.starts()) == "pxe"


def test_a_staged_boot_image_is_started_once() -> None:
    world = World().with_windows()
    folder = "C:\\_SMSTaskSequence\\WinPE"
    assert world.do(StageBootImage("LAB00002", folder)).code == 0x80070002
    assert world.do(DownloadContent("LAB00002", folder)).ok
    assert world.do(StageBootImage("LAB00002", folder)).ok
    assert [next(world.machine.starts()) for _ in range(2)] == ["staged", "disk"]


def test_what_the_simulator_cannot_know_is_the_labs_fault_and_no_result() -> None:
    world = World()
    world.do(PartitionDisk(0, "GPT", LAYOUT))
    world.do(DownloadContent("LAB00002", "C:\\p"))
    for effect in (ApplyImage("C:\\p\\labpe-x64.efi", 1, "C:"), ReadFile("C:\\p\\labpe-x64.efi")):
        with pytest.raises(LabFault, match="does not know"):
            world.do(effect)


def test_boot_files_need_a_loader_and_a_system_partition() -> None:
    world = World()
    world.do(PartitionDisk(0, "GPT", LAYOUT))
    assert world.do(InstallBootFiles("C:")).code == 0x80070002
    world.do(PartitionDisk(0, "GPT", LAYOUT[2:]))
    world.do(WriteFile("C:\\Windows\\Boot\\EFI\\bootmgfw.efi", "MZ"))
    assert world.do(InstallBootFiles("C:")).code == 0x80070003


def test_cleaning_up_moves_logs_and_removes_the_data_folder() -> None:
    world = World().with_windows()
    world.do(WriteFile("C:\\_SMSTaskSequence\\Logs\\sub\\other.log", "x"))
    assert world.do(CleanUp("C:\\Windows\\CCM\\Logs", "C:\\_SMSTaskSequence")).ok
    files = final_state(world.machine.disks).files
    assert "C:\\Windows\\CCM\\Logs\\other.log" in files
    assert not [path for path in files if "_SMSTaskSequence" in path]


def test_a_bios_machine_starts_what_stands_on_its_active_partition() -> None:
    world = World()
    world.machine.spec = replace(world.machine.spec, firmware="bios")
    active = Partition(1, "Primary", MIB, 100 * MIB, "NTFS", "System Reserved", bootable=True)
    layout = (active, Partition(2, "Primary", 101 * MIB, 800 * MIB, "NTFS", "Windows", letter="C:"))
    world.do(PartitionDisk(0, "MBR", layout))
    assert world.do(GatherFacts()).value["uefi"] is False
    assert next(world.machine.starts()) == "pxe"
    assert world.do(InstallBootFiles("C:")).code == 0x80070002
    assert world.do(DownloadContent("LAB00002", "C:\\_SMSTaskSequence\\WinPE")).ok
    assert world.do(StageBootImage("LAB00002", "C:\\_SMSTaskSequence\\WinPE")).ok
    starts = [next(world.machine.starts()) for _ in range(2)]
    assert starts == ["staged", "pxe"], "once, and nothing is deployed"
    for name in ("bootmgr", "bootmgr.img", "extlinux.conf"):
        world.do(WriteFile(f"C:\\Windows\\Boot\\PCAT\\{name}", name))
    assert world.do(InstallBootFiles("C:")).ok
    assert world.do(StageBootImage("LAB00002", "C:\\_SMSTaskSequence\\WinPE")).ok
    assert [next(world.machine.starts()) for _ in range(3)] == ["staged", "disk", "disk"]
    world.machine.power_cycle()
    world.machine.give_letters()
    assert [volume.partition for volume in world.machine.letters.values()] == [2]
    final = final_state(world.machine.disks)
    assert final.volumes == {"SYSTEM:": "0,1", "C:": "0,2"}
    assert final.files["SYSTEM:\\bootmgr"].text == "bootmgr"
    world.do(PartitionDisk(0, "MBR", (replace(active, bootable=False), layout[1])))
    assert world.do(StageBootImage("LAB00002", "C:\\p")).code == 0x80070002
    world.do(DownloadContent("LAB00002", "C:\\p"))
    assert world.do(StageBootImage("LAB00002", "C:\\p")).code == 0x80070003


def test_both_performers_know_every_effect_of_every_family() -> None:
    for family in (effects_software, effects_imaging):
        kinds = {kind for kind in KINDS.values() if kind.__module__ == family.__name__}
        assert len(kinds) > 5
        guests = guest_software.HANDLERS.keys() | guest_imaging.HANDLERS.keys()
        models = software.HANDLERS.keys() | imaging.HANDLERS.keys()
        assert kinds <= guests and kinds <= models
