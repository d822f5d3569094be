"""The modelled machine answers as its template says, in PE and in the deployed system."""

from __future__ import annotations

from lab.clock import VirtualClock
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec, SmbiosSpec
from lab.sequence.effects import FileFacts, Partition, QueryWmi, ReadRegistry
from lab.simulation.disks import Blob
from lab.simulation.facts import ModelFacts
from lab.simulation.machine import Machine
from lab.simulation.site import SimSite

GIB = 2 << 20
LAYOUT = (
    Partition(1, "EFI", 2048, 204800, "FAT32", "System"),
    Partition(2, "Primary", 206848, 8 * GIB, "NTFS", "Windows", letter="C:"),
)


def machine() -> tuple[Machine, ModelFacts]:
    spec = MachineSpec(
        "PC-1", "a0000000-0000-0000-0000-0000000000b1", "uefi", 768, (DiskSpec(10 << 30),),
        (NicSpec("52:54:00:AA:00:01"), NicSpec("52:54:00:AA:00:02", model="e1000e")), serial_number="S1",
        vcpus=2, smbios=SmbiosSpec(manufacturer="Dell Inc.", product="Latitude"),
    )  # fmt: skip
    made = Machine.blank(spec)
    return made, ModelFacts(made, SimSite(), lambda: "MININT-1", lambda: VirtualClock(1.7e9).now())


def test_windows_pe_has_the_templates_hardware_and_its_own_registry() -> None:
    made, facts = machine()

    def rows(name: str, namespace: str = "root\\cimv2") -> list[dict[str, object]]:
        return list(facts.query(QueryWmi(namespace, name)).value["instances"])

    assert [rows("Win32_ComputerSystem")[0][name] for name in ("Manufacturer", "Model", "Name")] == [
        "Dell Inc.", "Latitude", "MININT-1",
    ]  # fmt: skip
    assert len(rows("Win32_Processor")) == 2 and rows("Win32_BIOS")[0]["SerialNumber"] == "S1"
    assert [row["IPEnabled"] for row in rows("Win32_NetworkAdapterConfiguration")] == [True, False]
    assert [row["DeviceID"] for row in rows("Win32_LogicalDisk")] == ["X:"]
    assert rows("MSFT_Disk", "root\\Microsoft\\Windows\\Storage")[0]["PartitionStyle"] == 0
    made.repartition(made.disks[0], "GPT", LAYOUT)
    made.letters["C:"].files.put("big", Blob(1 << 30))
    (drive,) = (row for row in rows("Win32_LogicalDisk") if row["DeviceID"] == "C:")
    assert (drive["Size"], drive["FreeSpace"], drive["VolumeName"]) == (8 << 30, 7 << 30, "Windows")
    assert facts.query(QueryWmi("root\\x", "y")).code == 0x8004100E
    assert facts.read_registry(ReadRegistry("HKLM\\SYSTEM\\CurrentControlSet\\Control\\MiniNT")).ok
    # An offline Windows is not what PE's registry shows.
    made.letters["C:"].set_values("HKLM\\SOFTWARE\\Lab", {"A": ["REG_SZ", "b"]})
    assert facts.read_registry(ReadRegistry("HKLM\\SOFTWARE\\Lab")).code == 0x80070002
    looked = facts.look_at(FileFacts("c:/BIG")).value
    assert looked == {"kind": "file", "version": "", "modified": "20231114221320"}
    kinds = [
        facts.look_at(FileFacts(path)).value["kind"] for path in ("X:\\Windows", "X:\\y", "C:\\", "D:\\x")
    ]
    assert kinds == ["folder", "", "folder", ""]


def test_the_deployed_system_has_its_hives() -> None:
    made, facts = machine()
    made.repartition(made.disks[0], "GPT", LAYOUT)
    made.in_winpe = False
    volume = made.letters["C:"]
    volume.set_values("HKLM\\SOFTWARE\\Lab", {"Bits": ["REG_DWORD", 64]})
    volume.set_values("HKLM\\SYSTEM\\CurrentControlSet\\Control", {"CurrentUser": ["REG_SZ", "u"]})

    def values(key: str, view: int = 64) -> object:
        effect = ReadRegistry(key, 32 if view == 32 else 64)
        return facts.read_registry(effect).value.get("values")

    # Without a WOW6432Node there is no WOW64, and one view.
    assert values("HKLM\\SOFTWARE\\Lab", 32) == {"Bits": ["REG_DWORD", 64]}
    volume.set_values("HKLM\\SOFTWARE\\WOW6432Node\\Lab", {"Bits": ["REG_DWORD", 32]})
    assert values("HKLM\\SOFTWARE\\Lab", 32) == {"Bits": ["REG_DWORD", 32]}
    control = values("HKLM\\SYSTEM\\CurrentControlSet\\Control")
    assert control == {"CurrentUser": ["REG_SZ", "u"], "PEFirmwareType": ["REG_DWORD", 2]}
    assert values("HKLM\\SYSTEM\\CurrentControlSet\\Control\\MiniNT") is None
    assert values("HKLM\\SOFTWARE") == {}
    assert facts.look_at(FileFacts("X:\\Windows")).value["kind"] == ""
    volume.files.put("Windows\\System32\\a.dll", b"")
    volume.files.make_folder("Windows\\SysWOW64")
    kinds = [
        facts.look_at(FileFacts("C:\\Windows\\System32\\a.dll", view)).value["kind"] for view in (64, 32)
    ]
    assert kinds == ["file", ""]
