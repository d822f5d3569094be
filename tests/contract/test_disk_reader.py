"""The disk reader against images that real tools made: sgdisk, mkfs.fat, mtools, mkntfs, wimlib, hivexsh.

As an ordinary user, without mounting anything.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.disk.isolated import read_in_child
from lab.disk.reader import Questions, read_final_state
from lab.disk.state import FinalState
from lab.errors import LabFault

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
TOOLS = ("sgdisk", "mkfs.fat", "mmd", "mcopy", "mkntfs", "wimlib-imagex", "hivexsh", "truncate")
MISSING = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")

MIB = 1 << 20
ESP = (2048, 40 * MIB // 512)
MSR = (ESP[0] + ESP[1], 16 * MIB // 512)
WINDOWS = (MSR[0] + MSR[1], 64 * MIB // 512)
SIZE = (WINDOWS[0] + WINDOWS[1]) * 512 + 2 * MIB

UNATTEND = "<?xml version='1.0'?>\r\n<unattend>K\u00f6ln</unattend>\r\n"
LARGE = random.Random(1).randbytes(9 * MIB)


class FileReader:
    """A raw image file as a block reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._file = path.open("rb")

    def read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


class NoisyReader(FileReader):
    """The image with some bytes replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.noise: list[tuple[int, bytes]] = []

    def read(self, offset: int, size: int) -> bytes:
        data = bytearray(super().read(offset, size))
        for start, noise in self.noise:
            if start >= offset + len(data) or start + len(noise) <= offset:
                continue
            for index, value in enumerate(noise, start - offset):
                if 0 <= index < len(data):
                    data[index] = value
        return bytes(data)


class BrokenReader(FileReader):
    """A reader that fails once ``after`` reads were done."""

    after = 3

    def read(self, offset: int, size: int) -> bytes:
        self.after -= 1
        if self.after < 0:
            raise OSError("the image's host is gone")
        return super().read(offset, size)


def run(*command: str | Path, text: str | None = None) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        input=text,
        text=True,
        capture_output=True,
        env={**os.environ, "PATH": PATH, "MTOOLS_SKIP_CHECK": "1"},
        timeout=600,
    )


def _cell(data: bytes, size: int) -> bytes:
    return (struct.pack("<i", -size) + data).ljust(size, b"\0")


def empty_hive() -> bytes:
    """A registry hive that holds its root key only, the least that hivexsh opens (layout: regf 1.3)."""
    name = b"$$$PROTO.HIV"
    root, security = 0x20, 0x80
    none = 0xFFFFFFFF
    key = struct.pack("<2sHQ15IHH", b"nk", 0x2C, 0, 0, none, 0, 0, none, none, 0, none, security, none,
                      0, 0, 0, 0, 0, len(name), 0) + name  # fmt: skip
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    guard = struct.pack("<2sHIIII", b"sk", 0, security, security, 1, len(descriptor)) + descriptor
    cells = _cell(key, security - root) + _cell(guard, 48)
    rest = 4096 - root - len(cells)
    block = struct.pack("<4sIIIIQI", b"hbin", 0, 4096, 0, 0, 0, 0) + cells + struct.pack("<i", rest)
    block += b"\0" * (4096 - len(block))
    header = bytearray(4096)
    struct.pack_into("<4sIIQIIIIIII", header, 0, b"regf", 1, 1, 0, 1, 3, 0, 1, 0x20, 4096, 1)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", bytes(header[:508])):
        checksum ^= word
    struct.pack_into("<I", header, 508, checksum)
    return bytes(header) + block


def make_hive(path: Path, *commands: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(empty_hive())
    run("hivexsh", "-w", path, text="\n".join((*commands, "commit", "")))


def make_tree(tree: Path) -> None:
    config = tree / "Windows" / "System32" / "config"
    make_hive(
        config / "SYSTEM",
        "add Select", "cd Select", "setval 1", "Current", "dword:2", "cd \\",
        "add Setup", "cd Setup", "setval 2", "CmdLine", "string:oobe", "SetupType", "dword:1", "cd \\",
        "add ControlSet001", "add ControlSet002", "cd ControlSet002", "add Control", "cd Control",
        "add ComputerName", "cd ComputerName", "add ComputerName", "cd ComputerName",
        "setval 1", "ComputerName", "string:PC-1",
    )  # fmt: skip
    make_hive(config / "SOFTWARE", "add Microsoft", "cd Microsoft", "add CCM", "cd CCM",
              "setval 3", "", "string:client", "Blob", "hex:3:01,02,ff",
              "List", "hex:7:61,00,00,00,62,00,00,00,00,00")  # fmt: skip
    (config / "SAM").write_bytes(b"regf" + b"\xff" * 8188)
    (tree / "Windows" / "Panther").mkdir()
    (tree / "Windows" / "Panther" / "unattend.xml").write_bytes(UNATTEND.encode("utf-8-sig"))
    (tree / "Windows" / "utf16.txt").write_bytes("Gr\u00fc\u00dfe".encode("utf-16"))
    (tree / "Windows" / "large.bin").write_bytes(LARGE)
    (tree / "Windows" / "empty.txt").write_bytes(b"")
    (tree / "System Volume Information").mkdir()


def make_image(folder: Path) -> Path:
    disk, esp, ntfs, tree, wim = (folder / name for name in ("disk", "esp", "ntfs", "tree", "w.wim"))
    run("truncate", "-s", str(SIZE), disk)
    command: list[str | Path] = ["sgdisk", "-a", "1"]
    for number, ((start, sectors), kind) in enumerate(zip((ESP, MSR, WINDOWS), ("EF00", "0C01", "0700"),
                                                          strict=True), start=1):  # fmt: skip
        command += ["-n", f"{number}:{start}:{start + sectors - 1}", "-t", f"{number}:{kind}"]
    run(*command, disk)
    run("truncate", "-s", str(ESP[1] * 512), esp)
    run("mkfs.fat", "-F", "32", "-n", "SYSTEM", esp)
    run("mmd", "-i", esp, "::/EFI", "::/EFI/Boot")
    (folder / "bootx64.efi").write_bytes(b"MZ loader")
    run("mcopy", "-i", esp, folder / "bootx64.efi", "::/EFI/Boot/bootx64.efi")
    run("truncate", "-s", str(WINDOWS[1] * 512), ntfs)
    run("mkntfs", "-F", "-Q", "-q", "-L", "Windows", "-p", str(WINDOWS[0]), "-H", "255", "-S", "63", ntfs)
    tree.mkdir()
    make_tree(tree)
    run("wimlib-imagex", "capture", tree, wim, "--compress=none")
    run("wimlib-imagex", "apply", wim, "1", ntfs)
    with disk.open("r+b") as file:
        for part, (start, _) in ((esp, ESP), (ntfs, WINDOWS)):
            file.seek(start * 512)
            file.write(part.read_bytes())
    return disk


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def state(image: Path) -> FinalState:
    questions = Questions(
        files=("C:\\windows\\panther\\UNATTEND.xml", "C:\\Windows\\utf16.txt", "C:\\Windows\\large.bin"),
        registry=(
            "HKEY_LOCAL_MACHINE\\system\\currentcontrolset\\Control",
            "HKLM\\SOFTWARE\\None",
            "HKCU\\x\\y",
        ),
    )
    return read([image], questions)


def read(images: Sequence[Path], questions: Questions | None = None) -> FinalState:
    readers = [FileReader(path) for path in images]
    try:
        return read_final_state(readers, questions)
    finally:
        for reader in readers:
            reader.close()


def test_partitions_file_systems_and_labels(state: FinalState) -> None:
    (disk,) = state.disks
    assert (disk.style, disk.size) == ("GPT", SIZE)
    assert [(p.number, p.type, p.start, p.sectors, p.file_system, p.label) for p in disk.partitions] == [
        (1, "EFI", *ESP, "FAT32", "SYSTEM"),
        (2, "MSR", *MSR, "", ""),
        (3, "Primary", *WINDOWS, "NTFS", "Windows"),
    ]
    assert state.volumes == {"EFI:": "0,1", "C:": "0,3"}


def test_the_active_partition_of_an_mbr_disk_has_a_name_of_its_own(tmp_path: Path) -> None:
    disk, ntfs = tmp_path / "disk", tmp_path / "ntfs"
    start, sectors = 2048, 8192
    run("truncate", "-s", str(sectors * 512), ntfs)
    run("mkntfs", "-F", "-Q", "-q", "-L", "System Reserved", "-p", "2048", "-H", "255", "-S", "63", ntfs)
    for count, volumes in ((2, {"SYSTEM:": "0,1", "C:": "0,2"}), (1, {"C:": "0,1"})):
        rows = [(0 if number else 0x80, 7, start + number * sectors, sectors) for number in range(count)]
        table = b"".join(struct.pack("<B3xB3xII", *row) for row in rows).ljust(64, b"\0")
        content = bytes(446) + table + b"\x55\xaa" + bytes((start - 1) * 512) + ntfs.read_bytes() * count
        disk.write_bytes(content)
        state = read([disk])
        assert state.volumes == volumes
        (found,) = state.disks
        assert [(p.type, p.file_system, p.bootable) for p in found.partitions] == [
            ("Primary", "NTFS", number == 0) for number in range(count)
        ]
        assert found.style == "MBR" and found.partitions[0].label == "System Reserved"


def test_files_their_hashes_and_text(state: FinalState) -> None:
    unattend = state.files["C:\\Windows\\Panther\\unattend.xml"]
    assert unattend.text == UNATTEND
    assert unattend.sha256 == hashlib.sha256(UNATTEND.encode("utf-8-sig")).hexdigest()
    assert state.files["C:\\Windows\\utf16.txt"].text == "Gr\u00fc\u00dfe"
    large = state.files["C:\\Windows\\large.bin"]
    assert (large.size, large.sha256, large.text) == (len(LARGE), hashlib.sha256(LARGE).hexdigest(), None)
    loader = state.files["EFI:\\EFI\\Boot\\bootx64.efi"]
    assert loader.sha256 == hashlib.sha256(b"MZ loader").hexdigest()
    assert state.files["C:\\Windows\\empty.txt"].size == 0
    assert "C:\\Windows\\System32\\" in state.files
    assert not [path for path in state.files if "$" in path or "System Volume" in path]


def test_a_large_file_is_not_hashed_unasked(image: Path) -> None:
    assert read([image]).files["C:\\Windows\\large.bin"].sha256 == ""


def test_registry_of_the_offline_hives(state: FinalState) -> None:
    key = "HKLM\\SYSTEM\\ControlSet002\\Control\\ComputerName\\ComputerName"
    assert state.registry[key] == {"ComputerName": ["REG_SZ", "PC-1"]}
    assert state.registry["HKLM\\SYSTEM\\Setup"] == {
        "CmdLine": ["REG_SZ", "oobe"],
        "SetupType": ["REG_DWORD", 1],
    }
    assert state.registry["HKLM\\SOFTWARE\\Microsoft\\CCM"] == {
        "": ["REG_SZ", "client"],
        "Blob": ["REG_BINARY", "0102ff"],
        "List": ["REG_MULTI_SZ", ["a", "b"]],
    }
    assert "HKLM\\SYSTEM\\ControlSet002\\Control" in state.registry
    assert not [name for name in state.registry if "CurrentControlSet" in name]


def test_what_could_not_be_read_is_said(state: FinalState) -> None:
    assert [note for note in state.notes if note.startswith("hive SAM")]
    assert "registry key 'HKCU\\x\\y' is in no hive of the image" in state.notes
    assert len(state.notes) == 2


def test_state_travels_as_json(state: FinalState) -> None:
    assert FinalState.from_json(state.to_json()) == state


def test_a_damaged_primary_table_is_read_from_the_backup(image: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copyfile(image, copy)
    with copy.open("r+b") as file:
        file.seek(512 + 20)
        file.write(b"\xff" * 8)
    state = read([copy])
    assert len(state.disks[0].partitions) == 3
    assert "disk 0 has a damaged primary GPT; read the backup" in state.notes


def test_a_cut_disk_is_said_and_the_rest_is_read(image: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copyfile(image, copy)
    os.truncate(copy, (WINDOWS[0] + WINDOWS[1] // 4) * 512)
    state = read([copy])
    assert "disk 0 partition 3 reaches beyond the end of the disk" in state.notes
    assert "EFI:\\EFI\\Boot\\bootx64.efi" in state.files


def test_a_reader_that_fails_is_the_labs_fault(image: Path) -> None:
    reader = BrokenReader(image)
    with pytest.raises(LabFault, match="could not be read"):
        read_final_state([reader])
    reader.close()


def test_a_child_process_reads_the_same(image: Path) -> None:
    reader = FileReader(image)
    questions = Questions(files=("C:\\Windows\\utf16.txt",))
    assert read_in_child([reader], questions) == read_final_state([reader], questions)
    reader.close()


def test_a_child_that_is_too_slow_is_ended_and_said(image: Path) -> None:
    reader = FileReader(image)
    with pytest.raises(LabFault, match="took more than 0 s"):
        read_in_child([reader], seconds=0.05)
    reader.close()


def test_a_child_that_dies_is_said(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    reader = FileReader(image)
    with pytest.raises(LabFault, match="its reader ended with 1"):
        read_in_child([reader])
    reader.close()


@pytest.mark.parametrize("word", ['{"x": 1}', "[]", '{"state": {}}'])
def test_a_child_that_talks_nonsense_is_said(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    program = tmp_path / "child"
    program.write_text(f"#!/bin/sh\nread job\necho '{word}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    reader = FileReader(image)
    with pytest.raises(LabFault, match="its reader ended with 0"):
        read_in_child([reader])
    reader.close()


def test_a_failing_reader_is_a_fault_from_the_child_too(image: Path) -> None:
    reader = BrokenReader(image)
    with pytest.raises(LabFault, match="is gone"):
        read_in_child([reader])
    reader.close()


@pytest.mark.parametrize("seed", range(30))
def test_noise_in_the_metadata_never_breaks_the_reader(image: Path, seed: int) -> None:
    chance = random.Random(seed)
    places = (range(0, 34 * 512), range(ESP[0] * 512, ESP[0] * 512 + MIB),
              range(WINDOWS[0] * 512, WINDOWS[0] * 512 + 12 * MIB))  # fmt: skip
    reader = NoisyReader(image)
    for _ in range(chance.choice((1, 20, 400))):
        offset = chance.choice(chance.choices(places, (1, 2, 9))[0])
        reader.noise.append((offset, chance.randbytes(chance.choice((1, 4, 64)))))
    state = read_final_state([reader])
    reader.close()
    assert len(state.disks) == 1
