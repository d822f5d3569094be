"""LabPE's performer over a runner that only records: orders, codes, what happens when a tool says no."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault
from lab.guest import gpt, images
from lab.guest.bench import Bench
from lab.guest.doubles import Double
from lab.guest.labpe import LabPe
from lab.guest.place import Place
from lab.guest.runner import Ran
from lab.guest.volumes import Volume, Volumes
from lab.sequence import effects
from lab.sequence.effects import Partition
from lab.sequence.effects_imaging import ReadHive

IDENTITY = {
    "machine_name": "PC-1", "launch_mode": "PXE", "mac": "52:54:00:00:00:01", "uuid": "u", "uefi": True,
    "architecture": "x64",
}  # fmt: skip
DISK = 8 << 20


class Recorder:
    """A runner that answers by the program's name and remembers what it was asked."""

    def __init__(self, **answers: Ran) -> None:
        self.answers = answers
        self.commands: list[list[str]] = []
        self.inputs: list[str] = []

    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran:
        assert timeout > 0
        self.commands.append(list(command))
        self.inputs.append(input)
        return self.answers.get(command[0].replace("-", "_"), Ran(0))

    @property
    def programs(self) -> list[str]:
        return [command[0] for command in self.commands]


class Rig:
    """A machine of folders: one disk ``sda``, no real device."""

    def __init__(self, root: Path, runner: Recorder, doubles: Sequence[Double] = ()) -> None:
        self.root = root
        self.runner = runner
        self.clock = VirtualClock()
        for folder in ("sys/block/sda/queue", "sys/block/loop0", "sys/block/sr0", "dev", "x", "c"):
            (root / folder).mkdir(parents=True)
        for name in ("sda", "loop0", "sr0"):
            (root / f"sys/block/{name}/size").write_text(f"{DISK // 512}\n")
        (root / "dev/sda").write_bytes(b"\xff" * DISK)
        (root / "mounts").touch()
        self.drives = {"X:": str(root / "x")}
        self.volumes = Volumes(
            runner, self.clock, self.drives, root=str(root), sys=str(root / "sys"), dev=str(root / "dev"),
            mounts=str(root / "mounts"),
        )  # fmt: skip
        self.bench = Bench(
            "pe", IDENTITY, runner, self.volumes, self.clock, doubles=doubles, place=Place(3, "Run it")
        )
        self.pe = LabPe(self.bench)

    def mount_c(self) -> Path:
        [disk] = self.volumes.disks()
        self.volumes.volumes["C:"] = Volume("C:", disk, 3, "NTFS", str(self.root / "c"), mounted=True)
        self.drives["C:"] = str(self.root / "c")
        return self.root / "c"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    monkeypatch.setattr(images, "SCRATCH", str(tmp_path))
    return lambda *doubles, **answers: Rig(tmp_path, Recorder(**answers), doubles)


def table(*partitions: tuple[str, int, int]) -> bytes:
    """The first sectors of a disk with a GPT."""
    header = (b"EFI PART" + bytes(64) + struct.pack("<QII", 2, len(partitions), 128)).ljust(512, b"\0")
    entries = b"".join(
        gpt.guid_bytes(gpt.TYPES[kind][0])
        + bytes(15)
        + b"\1"
        + struct.pack("<QQQ", start, last, 0)
        + bytes(72)
        for kind, start, last in partitions
    )
    return bytes(512) + header + entries


def test_a_blank_machine_has_disks_and_no_data_path(rig: Callable[..., Rig]) -> None:
    facts = rig().pe.perform(effects.GatherFacts()).value
    assert facts["disks"] == [{"index": 0, "sectors": DISK // 512, "sector_size": 512}]
    assert (facts["volumes"], facts["data_path"], facts["bootable"]) == ({}, "", False)
    assert facts["log_path"] == "X:\\Windows\\temp\\smstslog"


def test_volumes_get_letters_in_order_and_recovery_gets_none(rig: Callable[..., Rig]) -> None:
    machine = rig()
    device = machine.root / "dev/sda"
    device.write_bytes(
        table(
            ("EFI", 34, 40),
            ("Recovery", 41, 50),
            ("Primary", 51, 60),
            ("Primary", 61, 70),
            ("Primary", 71, 80),
        )
    )
    for number, sector in ((1, b"FAT32"), (2, b"NTFS    "), (3, b"raw"), (4, b"NTFS    "), (5, b"NTFS    ")):
        (machine.root / f"dev/sda{number}").write_bytes(b"\xeb\x52\x90" + sector + bytes(509))
    (machine.root / "d/_SMSTaskSequence").mkdir(parents=True)
    facts = machine.pe.perform(effects.GatherFacts()).value
    assert facts["volumes"] == {"C:": {"disk": 0, "partition": 4}, "D:": {"disk": 0, "partition": 5}}
    assert facts["data_path"] == "D:\\_SMSTaskSequence", "where the folder is"
    assert facts["log_path"] == "D:\\_SMSTaskSequence\\Logs\\smstslog"
    assert machine.runner.programs == ["ntfs-3g", "ntfs-3g"]


def test_a_volume_that_cannot_be_mounted_is_left_out(rig: Callable[..., Rig]) -> None:
    machine = rig(ntfs_3g=Ran(12, "$MFTMirr does not match $MFT"))
    (machine.root / "dev/sda").write_bytes(table(("Primary", 34, 40)))
    (machine.root / "dev/sda1").write_bytes(b"\xeb\x52\x90NTFS    " + bytes(501))
    outcome = machine.pe.perform(effects.GatherFacts())
    assert outcome.ok and outcome.value["volumes"] == {} and not outcome.value["bootable"]


def test_a_disk_is_wiped_partitioned_formatted_and_mounted(rig: Callable[..., Rig]) -> None:
    machine = rig()
    for number in (1, 2):
        (machine.root / f"dev/sda{number}").write_bytes(b"NTFS" * 200_000)
    layout = (
        Partition(1, "EFI", 2048, 4096),
        Partition(2, "Primary", 6144, 8192, "NTFS", "Windows", letter="C:"),
    )
    outcome = machine.pe.perform(effects.PartitionDisk(0, "GPT", layout))
    assert outcome.value == {"volumes": {"C:": {"disk": 0, "partition": 2}}}
    assert machine.runner.programs == ["sgdisk", "mkntfs", "ntfs-3g"]
    assert machine.runner.commands[1][-3:] == ["-L", "Windows", str(machine.root / "dev/sda2")]
    disk = (machine.root / "dev/sda").read_bytes()
    assert not any(disk[: 1 << 20]) and not any(disk[-(1 << 20) :]) and all(disk[1 << 20 : -(1 << 20)])
    assert not any((machine.root / "dev/sda1").read_bytes()[: 1 << 16]), "an old file system would be found"


def test_a_layout_that_cannot_be_changes_nothing(rig: Callable[..., Rig]) -> None:
    machine = rig()
    for bad in (
        Partition(1, "Logical", 2048, 8),
        Partition(1, "Primary", 2048, DISK),
        Partition(1, "EFI", 40, 8, "EXT4"),
    ):
        assert machine.pe.perform(effects.PartitionDisk(0, "GPT", (bad,))).code == 0x80070057
    assert machine.pe.perform(effects.PartitionDisk(1, "GPT", ())).code == 0x80070002
    assert machine.runner.commands == [] and set((machine.root / "dev/sda").read_bytes()) == {0xFF}


def test_a_tool_that_fails_gives_its_last_line(rig: Callable[..., Rig]) -> None:
    machine = rig(sgdisk=Ran(4, "Creating\nCould not create partition 1\n\n"))
    outcome = machine.pe.perform(effects.PartitionDisk(0, "GPT", (Partition(1, "EFI", 2048, 8),)))
    assert outcome.code == 0x80004005
    assert outcome.message == "sgdisk ended with 4: Could not create partition 1"


def image_on_c(machine: Rig) -> effects.ApplyImage:
    folder = machine.mount_c()
    (folder / "_SMSTaskSequence/Packages").mkdir(parents=True)
    (folder / "_SMSTaskSequence/Packages/Install.wim").write_bytes(b"WIM")
    (folder / "Windows").mkdir()
    (folder / "pagefile.sys").touch()
    return effects.ApplyImage("C:\\_SMSTaskSequence\\Packages\\install.wim", 1, "C:")


def test_an_image_is_applied_to_the_unmounted_volume(rig: Callable[..., Rig]) -> None:
    machine = rig(wimlib_imagex=Ran(0, "Name:                   Reference\nArchitecture:           x86_64\n"))
    outcome = machine.pe.perform(image_on_c(machine))
    assert outcome.value == {"image_name": "Reference", "architecture": "x64"}
    assert machine.runner.programs == ["wimlib-imagex", "umount", "wimlib-imagex", "ntfs-3g"]
    assert machine.runner.commands[2][1:] == [
        "apply",
        str(machine.root / "image.wim"),
        "1",
        str(machine.root / "dev/sda3"),
    ]
    assert [entry.name for entry in (machine.root / "c").iterdir()] == ["_SMSTaskSequence"]


def test_a_failed_apply_leaves_the_volume_mounted(rig: Callable[..., Rig]) -> None:
    machine = rig()
    effect = image_on_c(machine)
    machine.runner.answers["wimlib_imagex"] = Ran(0)
    run = machine.runner.run
    machine.runner.run = (
        lambda command, **more: (  # type: ignore[method-assign]
            Ran(2, "[ERROR] damaged")
            if command[1:2] == ["apply"] or "apply" in command
            else run(command, **more)
        )
    )
    outcome = machine.pe.perform(effect)
    assert (outcome.code, "damaged" in outcome.message) == (0x80004005, True)
    assert machine.volumes.volumes["C:"].mounted and "C:" in machine.drives


def test_an_image_that_does_not_fit_into_memory_is_an_outcome(
    rig: Callable[..., Rig], tmp_path: Path
) -> None:
    machine = rig()
    effect = image_on_c(machine)
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:      1024 kB\n")
    outcome = images.apply_image(effect, machine.runner, machine.volumes, meminfo=str(tmp_path / "meminfo"))
    assert outcome.code == 0x80070008
    assert (machine.root / "c/Windows").exists(), "nothing is emptied for an image that cannot be applied"


def test_missing_image_index_and_volume_have_their_codes(rig: Callable[..., Rig]) -> None:
    machine = rig(wimlib_imagex=Ran(18, "does not exist"))
    effect = image_on_c(machine)
    assert machine.pe.perform(effect).code == 0x80070057
    assert machine.pe.perform(effects.ApplyImage("C:\\no.wim", 1, "C:")).code == 0x80070002
    assert machine.pe.perform(effects.ApplyImage(effect.image, 1, "D:")).code == 0x80070003


def test_a_double_sets_writes_takes_and_is_marked(rig: Callable[..., Rig]) -> None:
    double = Double("*bios*", 3010, {"A": "b"}, {"C:\\Temp\\done.txt": "x"}, 20.0, "ok")
    machine = rig(double)
    folder = machine.mount_c()
    outcome = machine.pe.perform(effects.RunCommand("bios.exe"))
    assert (outcome.code, outcome.how, outcome.value) == (
        3010,
        "doubled",
        {"output": "ok", "sets": {"A": "b"}},
    )
    assert (folder / "Temp/done.txt").read_text() == "x" and machine.clock.now() == 20.0
    late = machine.pe.perform(effects.RunCommand("bios.exe", timeout=5))
    assert late.code == 0x800705B4 and machine.clock.now() == 25.0


def test_an_unanswered_command_is_the_labs_fault_and_offers_a_double(rig: Callable[..., Rig]) -> None:
    with pytest.raises(LabFault, match="Run it") as caught:
        rig().pe.perform(effects.RunCommand("join.exe /p:hunter2", shown="join.exe /p:***"))
    assert 'command: "join.exe /p:*"' in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_registry_values_are_merged_into_the_hive(rig: Callable[..., Rig]) -> None:
    machine = rig(hivexsh=Ran(0, '"Old"=dword:00000001\n'))
    hive = machine.mount_c() / "windows/system32/CONFIG/system"
    hive.parent.mkdir(parents=True)
    hive.touch()
    effect = effects.SetRegistry("C:", "HKLM\\SYSTEM\\Setup", {"CmdLine": ["REG_SZ", "x"]})
    assert machine.pe.perform(effect).ok
    assert machine.runner.commands[-1] == ["hivexsh", "-w", str(hive)]
    assert machine.runner.inputs[-1] == (
        "cd \\Setup\nsetval 2\nOld\nhex:4:01000000\nCmdLine\nhex:1:78000000\ncommit\n"
    )
    missing = effects.SetRegistry("C:", "HKLM\\SOFTWARE\\X", {})
    assert machine.pe.perform(missing).code == 0x80070002
    assert machine.pe.perform(effects.SetRegistry("C:", "HKU\\S-1-5-21\\X", {})).code == 0x80070057
    # Each line of hivexsh's input is a command: a name must not become one.
    ran = len(machine.runner.programs)
    for odd in (
        effects.SetRegistry("C:", "HKLM\\SYSTEM\\Setup\ndel", {"CmdLine": ["REG_SZ", "x"]}),
        effects.SetRegistry("C:", "HKLM\\SYSTEM\\Setup", {"CmdLine\nunload": ["REG_SZ", "x"]}),
    ):
        assert machine.pe.perform(odd).code == 0x80070057
    assert machine.pe.perform(ReadHive("C:", "HKLM\\SYSTEM\\Setup\nlsval")).code
    assert len(machine.runner.programs) == ran


def test_cleaning_up_keeps_logs_and_removes_the_data_folder(rig: Callable[..., Rig]) -> None:
    machine = rig()
    folder = machine.mount_c()
    (folder / "_SMSTaskSequence/Logs").mkdir(parents=True)
    (folder / "_SMSTaskSequence/Logs/other.log").write_text("x")
    (folder / "_SMSTaskSequence/TSEnv.dat").write_text("x")
    assert machine.pe.perform(effects.CleanUp("C:\\SMSTSLog", "C:\\_SMSTaskSequence")).ok
    assert not (folder / "_SMSTaskSequence").exists()
    assert (folder / "SMSTSLog/other.log").read_text() == "x"


def test_a_restart_unmounts_first(rig: Callable[..., Rig]) -> None:
    machine = rig()
    machine.mount_c()
    assert machine.pe.perform(effects.Restart("HD", delay=3)).ok
    assert machine.runner.programs == ["umount", "reboot"] and machine.clock.now() == 3.0
