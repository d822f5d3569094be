"""What LabPE looks up for conditions: SMBIOS, /sys, hives, files, the version of a program."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.clock import VirtualClock
from lab.guest import gpt, smbios
from lab.guest.facts import Facts
from lab.guest.runner import Ran
from lab.guest.versioninfo import file_version
from lab.guest.volumes import Volumes
from lab.hypervisor.protocol import SmbiosSpec
from lab.sequence import wmi
from lab.sequence.effects import FileFacts, QueryWmi, ReadRegistry

IDENTITY = {"machine_name": "PC-1", "uefi": True, "architecture": "x64"}


def entry(kind: int, data: bytes, *texts: str) -> bytes:
    """An SMBIOS structure; ``data`` follows the header."""
    strings = b"".join(text.encode() + b"\0" for text in texts) or b"\0"
    return struct.pack("<BBH", kind, 4 + len(data), kind) + data + strings + b"\0"


UUID = bytes.fromhex("33221100554477668899aabbccddeeff")
TABLE = b"".join(
    (
        entry(0, bytes([1, 2, 0, 0, 3]) + bytes(13), "Dell Inc.", "1.20.3", "08/20/2018"),
        entry(1, bytes([1, 2, 0, 3]) + UUID + bytes([6, 4, 5]), "Dell Inc.", "Latitude", "S1", "06DC", "Lat"),
        entry(2, bytes([1, 2, 0, 0]), "Dell", "0T6HHJ"),
        entry(3, bytes([1, 0x80 | 10, 0, 2, 3]), "Dell", "S1", "A7"),
        entry(4, bytes(16) + struct.pack("<HH", 2000, 2000) + bytes([0x41]) + bytes(7), "CPU 0"),
        entry(17, bytes(8) + struct.pack("<H", 768) + bytes(20)),
        entry(17, bytes(8) + struct.pack("<H", 0x7FFF) + bytes(14) + struct.pack("<I", 32768)),
        entry(127, b""),
    )
)


def test_smbios_is_read_and_damage_ends_it() -> None:
    read = smbios.read(TABLE)
    wanted = SmbiosSpec(
        "Dell Inc.",
        "Latitude",
        "",
        "06DC",
        "Lat",
        "Dell Inc.",
        "1.20.3",
        "08/20/2018",
        "Dell",
        "0T6HHJ",
        "A7",
    ).of("S1", "00112233-4455-6677-8899-AABBCCDDEEFF")
    for name in ("manufacturer", "product", "serial", "uuid", "sku", "family", "bios_version", "bios_date",
                 "board_product", "asset_tag"):  # fmt: skip
        assert getattr(read.smbios, name) == getattr(wanted, name), name
    assert read.smbios.chassis_type == 10
    assert (read.memory, read.sockets, read.clock) == ((768 << 20, 32 << 30), 1, 2000)
    for end in range(0, len(TABLE), 3):
        smbios.read(TABLE[:end])
    assert smbios.read(b"\1\2\3\4\5") == smbios.Hardware(smbios.Smbios(chassis_type=0))


def test_the_version_of_a_program() -> None:
    fixed = struct.pack("<IIII", 0xFEEF04BD, 0x10000, 10 << 16, 19041 << 16 | 7)
    name = "VS_VERSION_INFO".encode("utf-16-le") + b"\0\0"
    program = b"MZ" + bytes(100) + name + b"\0\0" + fixed + bytes(40)
    assert file_version(program) == "10.0.19041.7"
    assert file_version(program[2:]) == "" and file_version(b"MZ" + name) == "" and file_version(b"") == ""
    assert file_version(b"MZ" + name * 3 + b"\0\0" + fixed[:12]) == ""


class Hives:
    """hivexsh over keys in memory: ``cd`` to what is not there fails."""

    def __init__(self, **hives: dict[str, str]) -> None:
        self.hives = hives
        self.asked: list[str] = []

    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran:
        if command[0] != "hivexsh":
            return Ran(0)
        keys = self.hives[command[1].rsplit("/", 1)[1]]
        wanted = input.split("\n")[0][4:].strip().casefold()
        self.asked.append(wanted)
        found = {name.casefold(): values for name, values in keys.items()}
        if wanted in found:
            return Ran(0, found[wanted])
        if any(name.startswith(wanted + "\\") for name in found) or not wanted:
            return Ran(0, "")
        return Ran(1, f"hivexsh: cd: {wanted}: not found\n")


def facts(root: Path, phase: str, **hives: dict[str, str]) -> Facts:
    for folder in ("sys/firmware/dmi/tables", "sys/block", "sys/class/net/eth0/device", "proc", "x",
                   "c/Windows", "sys/bus/pci/devices/0000:00:01.0"):  # fmt: skip
        (root / folder).mkdir(parents=True)
    texts = {
        "proc/cpuinfo": "model name\t: A CPU: 1\nvendor_id\t: GenuineIntel\n\nmodel name\t: B\n",
        "sys/class/net/eth0/address": "52:54:00:AA:00:01\n",
        "sys/class/net/eth0/device/class": "0x020000\n", "sys/class/net/eth0/device/vendor": "0x1af4\n",
        "sys/class/net/eth0/device/device": "0x1000\n",
        "sys/bus/pci/devices/0000:00:01.0/class": "0x030000\n",
        "sys/bus/pci/devices/0000:00:01.0/vendor": "0x1234\n",
        "sys/bus/pci/devices/0000:00:01.0/device": "0x1111\n", "mounts": "", "c/Windows/win.ini": "x",
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).write_text(text)
    (root / "sys/firmware/dmi/tables/DMI").write_bytes(TABLE)
    config = root / "c/Windows/System32/config"
    config.mkdir(parents=True)
    for name in hives:
        (config / name).touch()
    drives = {"X:": str(root / "x"), "C:": str(root / "c")}
    runner = Hives(**hives)
    volumes = Volumes(
        runner, VirtualClock(), drives, root=str(root), sys=str(root / "sys"), mounts=str(root / "mounts"),
        dev=str(root / "dev"),
    )  # fmt: skip
    return Facts(
        phase,
        IDENTITY,
        runner,
        volumes,
        sys=str(root / "sys"),
        proc=str(root / "proc"),
        lease=str(root / "no"),
    )


def only(facts: Facts, name: str) -> dict[str, Any]:
    (row,) = facts.query(QueryWmi("root\\cimv2", name)).value["instances"]
    return dict(row)


def test_windows_pe_says_what_it_is(tmp_path: Path) -> None:
    asked = facts(tmp_path, "pe")
    assert only(asked, "Win32_ComputerSystem")["Model"] == "Latitude"
    assert only(asked, "Win32_Processor")["Name"] == "A CPU: 1"
    assert only(asked, "Win32_NetworkAdapter")["Name"] == "Red Hat VirtIO Ethernet Adapter"
    assert only(asked, "Win32_VideoController")["PNPDeviceID"] == "PCI\\VEN_1234&DEV_1111"
    assert only(asked, "Win32_OperatingSystem")["CSName"] == "PC-1"
    assert asked.query(QueryWmi("root\\ccm", "x")).code == 0x8004100E
    key = "HKLM\\SYSTEM\\CurrentControlSet\\Control"
    assert asked.read_registry(ReadRegistry(key)).value["values"]["PEFirmwareType"] == ["REG_DWORD", 2]
    assert asked.read_registry(ReadRegistry(f"{key}\\MiniNT")).ok
    assert asked.read_registry(ReadRegistry("HKLM\\SOFTWARE\\Contoso")).code == 0x80070002
    kinds = [
        asked.look_at(FileFacts(path)).value["kind"]
        for path in (
            "X:\\Windows\\System32\\CMD.exe",
            "X:\\Windows",
            "c:\\windows\\WIN.ini",
            "C:\\..\\x",
            "Q:\\",
        )
    ]
    assert kinds == ["file", "folder", "file", "", ""]


def test_the_deployed_system_reads_its_hives(tmp_path: Path) -> None:
    version = (
        '"EditionID"="Professional"\n"CurrentBuild"="19045"\n"CurrentMajorVersionNumber"=dword:0000000a\n'
    )
    asked = facts(
        tmp_path, "os",
        SOFTWARE={
            "Microsoft\\Windows NT\\CurrentVersion": version,
            "WOW6432Node\\Lab": '"Bits"=dword:00000020\n', "Lab": '"Bits"=dword:00000040\n',
        },
        SYSTEM={"ControlSet001\\Control": '"CurrentUser"="USERNAME"\n'},
        DEFAULT={"Environment": '"Path"=hex(7):61,00,00,00,62,00,00,00,00,00\n"Raw"=hex(3):01,ff\n'},
    )  # fmt: skip
    system = only(asked, "Win32_OperatingSystem")
    assert (system["Version"], system["OperatingSystemSKU"], system["SystemDrive"]) == (
        "10.0.19045",
        48,
        "C:",
    )
    control = asked.read_registry(ReadRegistry("HKLM\\SYSTEM\\CurrentControlSet\\Control")).value["values"]
    assert control == {"CurrentUser": ["REG_SZ", "USERNAME"], "PEFirmwareType": ["REG_DWORD", 2]}

    def bits(view: Any) -> Any:
        return asked.read_registry(ReadRegistry("HKLM\\Software\\Lab", view)).value["values"]["Bits"][1]

    assert (bits(64), bits(32)) == (64, 32)
    values = asked.read_registry(ReadRegistry("HKCU\\Environment")).value["values"]
    assert values == {"Path": ["REG_MULTI_SZ", ["a", "b"]], "Raw": ["REG_BINARY", "01ff"]}
    assert asked.read_registry(ReadRegistry("HKLM\\SYSTEM\\CurrentControlSet\\Control\\MiniNT")).code
    assert asked.read_registry(ReadRegistry("HKLM\\SOFTWARE\\Lab\nlsval")).code
    assert asked.look_at(FileFacts("X:\\Windows")).value["kind"] == ""
    system32, wow64 = tmp_path / "c/Windows/System32", tmp_path / "c/Windows/SysWOW64"
    (system32 / "a.dll").touch()
    there = [asked.look_at(FileFacts("C:\\Windows\\System32\\a.dll", 32)).value["kind"]]
    wow64.mkdir()
    there.append(asked.look_at(FileFacts("C:\\Windows\\System32\\a.dll", 32)).value["kind"])
    assert there == ["file", ""]


def with_disk(root: Path, start: bytes) -> Facts:
    asked = facts(root, "pe")
    (root / "sys/block/sda").mkdir()
    (root / "sys/block/sda/size").write_text("65536\n")
    (root / "dev").mkdir()
    (root / "dev/sda").write_bytes(start.ljust(65536 * 512, b"\0"))
    return asked


def test_logical_and_extended_partitions_are_no_primary_ones(tmp_path: Path) -> None:
    def record(*entries: tuple[int, int, int, int]) -> bytes:
        rows = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
        return bytes(446) + rows.ljust(64, b"\0") + b"\x55\xaa"

    first = record((0x80, 7, 2048, 2048), (0, 0x17, 4096, 2048), (0, 0x0F, 8192, 8192))
    chain = record((0, 7, 2048, 4096))
    machine = with_disk(tmp_path, first.ljust(8192 * 512, b"\0") + chain).machine()
    kinds = [(part.number, part.type) for part in machine.disks[0].partitions]
    assert kinds == [(1, "Primary"), (2, "Primary"), (3, "Extended"), (5, "Logical")]
    rows = wmi.instances(machine, "root\\cimv2", "Win32_DiskPartition")
    assert [row["PrimaryPartition"] for row in rows] == [True, True, False, False]


def test_a_data_partition_of_a_gpt_is_a_primary_one(tmp_path: Path) -> None:
    header = (b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 2, 128)).ljust(512, b"\0")
    entries = b"".join(
        gpt.guid_bytes(gpt.TYPES[kind][0]) + bytes(15) + b"\1" + struct.pack("<QQQ", start, start + 99, 0)
        + bytes(72)
        for kind, start in (("EFI", 2048), ("Primary", 4096))
    )  # fmt: skip
    machine = with_disk(tmp_path, bytes(512) + header + entries).machine()
    assert [part.type for part in machine.disks[0].partitions] == ["EFI", "Primary"]
