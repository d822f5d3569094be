"""LabPE's side of capture, copies and registry: what the tools are asked for, and what their answers mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest import imaging
from lab.guest.catalogue import pci_devices
from lab.guest.runner import Ran
from lab.sequence import effects
from lab.sequence import effects_imaging as fx
from tests.unit.test_guest_performer import Recorder, Rig

LISTING = """WIM Information:
----------------
Image Count:    2
Architecture:   nonsense

Available Images:
-----------------
Index:                  1
Name:                   Data

Index:                  2
Name:                   Windows
Architecture:           x86_64
Edition ID:             Professional
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "SCRATCH", str(tmp_path))


def test_what_a_wim_holds_is_read_from_the_tools_listing() -> None:
    assert imaging.listed_images(LISTING) == [
        {"index": 1, "name": "Data", "edition": "", "architecture": ""},
        {"index": 2, "name": "Windows", "edition": "Professional", "architecture": "x64"},
    ]


def test_a_capture_reads_the_unmounted_volume_and_leaves_the_sequences_data_out(tmp_path: Path) -> None:
    class Wimlib(Recorder):
        def run(self, command, *, timeout, input=""):  # type: ignore[no-untyped-def]
            if command[0] == "wimlib-imagex":
                Path(command[3]).write_bytes(b"MSWIM")
                self.config = (tmp_path / "capture.ini").read_text()
            return super().run(command, timeout=timeout, input=input)

    runner = Wimlib()
    machine = Rig(tmp_path, runner)
    folder = machine.mount_c()
    (folder / "Windows" / "System32").mkdir(parents=True)
    effect = fx.CaptureImage("C:\\out\\ref.wim", ("C:",), ("Volume C",), "text", {"CREATOR": "me"})
    outcome = machine.pe.perform(effect)
    assert (outcome.code, outcome.value) == (0, {"images": 1, "size": 5})
    (folder / "out" / "ref.wim").read_bytes()
    assert runner.programs == ["umount", "wimlib-imagex", "ntfs-3g"]
    command = runner.commands[1]
    assert command[1:3] == ["capture", str(tmp_path / "dev/sda3")] and command[4:6] == ["Volume C", "text"]
    assert {"--image-property=CREATOR=me", "--image-property=WINDOWS/ARCH=9"} <= set(command)
    assert "\\_SMSTaskSequence\n" in runner.config
    failed = Rig(tmp_path / "other", Recorder(wimlib_imagex=Ran(9, "disk error")))
    failed.mount_c()
    outcome = failed.pe.perform(effect)
    assert outcome.code == 0x80004005 and failed.volumes.volumes["C:"].mounted, "mounted again in any case"


def test_a_capture_that_does_not_fit_into_memory_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Rig(tmp_path, Recorder())
    (machine.mount_c() / "big").write_bytes(bytes(4096))
    (tmp_path / "meminfo").write_text("MemAvailable: 1 kB\n")
    monkeypatch.setattr(imaging, "MEMINFO", str(tmp_path / "meminfo"))
    effect = fx.CaptureImage("\\\\s\\x\\a.wim", ("C:",), ("c",))
    assert machine.pe.perform(effect).code == 0x80070008


def test_a_tree_is_copied_without_what_is_skipped(tmp_path: Path) -> None:
    machine = Rig(tmp_path, Recorder())
    folder = machine.mount_c()
    for name in ("Users/ann/a.txt", "Users/Default/b.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    outcome = machine.pe.perform(fx.CopyTree("C:\\Users", "C:\\Store\\U", ("default",)))
    assert outcome.value == {"files": 1, "size": 15}
    assert [path.name for path in (folder / "Store").rglob("*.txt")] == ["a.txt"]
    assert machine.pe.perform(fx.CopyTree("C:\\None", "C:\\x")).code == 0x80070003
    assert machine.pe.perform(fx.RemoveFiles(("C:\\store\\u\\ANN\\a.txt", "C:\\never"))).ok
    assert not list((folder / "Store").rglob("*.txt"))
    assert machine.pe.perform(fx.RemoveFiles(("C:\\store",))).ok
    assert not (folder / "Store").exists(), "a folder goes with all that is in it, as in the simulator"


def test_a_tree_is_copied_into_a_folder_below_itself_once(tmp_path: Path) -> None:
    machine = Rig(tmp_path, Recorder())
    folder = machine.mount_c()
    for name in ("a.txt", "zz/b.txt"):
        (folder / "Users" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "Users" / name).write_text("x")
    outcome = machine.pe.perform(fx.CopyTree("C:\\Users", "C:\\Users\\zz\\store"))
    assert outcome.value == {"files": 2, "size": 2}
    copies = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("store/**/*.txt"))
    assert copies == ["Users/zz/store/a.txt", "Users/zz/store/zz/b.txt"]


@pytest.mark.parametrize(
    "answer",
    [
        Ran(0, '"Odd"=hex(1):4\n'),
        Ran(0, "what nobody understands"),
        Ran(1, "hivex_open: bad magic number\n"),
    ],
)
def test_a_hive_that_nobody_understands_fails_the_effect_and_is_no_bug_of_ours(
    tmp_path: Path, answer: Ran
) -> None:
    machine = Rig(tmp_path, Recorder(hivexsh=answer))
    hives = machine.mount_c() / "Windows" / "System32" / "config"
    hives.mkdir(parents=True)
    (hives / "SYSTEM").touch()
    for effect in (
        fx.ReadHive("C:", "HKLM\\SYSTEM\\Setup"),
        effects.SetRegistry("C:", "HKLM\\SYSTEM\\Setup", {"A": ["REG_SZ", "b"]}),
    ):
        outcome = machine.pe.perform(effect)
        assert not outcome.ok and outcome.message.startswith("hivexsh ended with")


def test_registry_values_and_intents(tmp_path: Path) -> None:
    machine = Rig(tmp_path, Recorder(hivexsh=Ran(0, '"Domain"="lab.example"\n"Count"=dword:00000007\n')))
    assert machine.pe.perform(fx.ReadHive("C:", "HKLM\\SYSTEM\\Setup")).code == 0x80070003
    hives = machine.mount_c() / "Windows" / "System32" / "config"
    hives.mkdir(parents=True)
    assert machine.pe.perform(fx.ReadHive("C:", "HKLM\\SYSTEM\\Setup")).code == 0x80070002
    (hives / "SYSTEM").touch()
    read = machine.pe.perform(fx.ReadHive("C:", "HKLM\\SYSTEM\\Setup"))
    assert read.value["values"] == {"Domain": ["REG_SZ", "lab.example"], "Count": ["REG_DWORD", 7]}
    intent = machine.pe.perform(fx.Intent("enable-bitlocker", {"drive": "C:"}))
    assert intent.ok and intent.how == "modelled", "no machine claims that it did this"


def test_a_command_that_may_go_unanswered_is_modelled(tmp_path: Path) -> None:
    outcome = Rig(tmp_path, Recorder()).pe.perform(effects.RunCommand("cscript ZTIGather.wsf", optional=True))
    assert outcome.ok and outcome.how == "modelled"


def test_pci_devices_have_windows_names(tmp_path: Path) -> None:
    folder = tmp_path / "bus/pci/devices/0000:00:03.0"
    folder.mkdir(parents=True)
    for name, value in (
        ("vendor", "0x8086"), ("device", "0x100e"), ("subsystem_vendor", "0x1af4"),
        ("subsystem_device", "0x1100"), ("revision", "0x03"),
    ):  # fmt: skip
        (folder / name).write_text(value + "\n")
    assert pci_devices(str(tmp_path)) == ["PCI\\VEN_8086&DEV_100E&SUBSYS_11001AF4&REV_03"]
