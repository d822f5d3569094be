"""Capture and apply with the real tools, on an NTFS file system in a file; mounting alone is left out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.guest import images, imaging
from lab.guest.bench import Bench
from lab.guest.runner import Ran, SystemRunner
from lab.guest.volumes import Disk, Volume, Volumes
from lab.sequence.effects import ApplyImage
from lab.sequence.effects_imaging import CaptureImage, ListImages


class NoMounts(SystemRunner):
    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran:
        if command[0] in ("ntfs-3g", "umount"):
            return Ran(0)
        return super().run(command, timeout=timeout, input=input)


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    """C: is NTFS in a file, with nothing mounted; D: and E: are folders."""
    missing = [tool for tool in ("mkntfs", "ntfscp", "wimlib-imagex") if not shutil.which(tool)]
    assert not missing, f"install {', '.join(missing)}"
    for module in (images, imaging):
        monkeypatch.setattr(module, "SCRATCH", str(tmp_path))
    device = tmp_path / "sda3"
    with device.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkntfs", "-F", "-q", str(device)], check=True, capture_output=True)
    (tmp_path / "note").write_text("kept")
    subprocess.run(
        ["ntfscp", "-f", str(device), str(tmp_path / "note"), "note.txt"], check=True, capture_output=True
    )
    disk = Disk(0, "sda", str(tmp_path / "sda"), 65536, 512)
    made = Volumes(NoMounts(), VirtualClock(), {}, root=str(tmp_path))
    for letter, number, kind in (("C:", 3, "NTFS"), ("D:", 4, "FAT32"), ("E:", 5, "NTFS")):
        folder = tmp_path / letter[0].lower()
        folder.mkdir()
        made.volumes[letter] = Volume(letter, disk, number, kind, str(folder), mounted=True)
        made.drives[letter] = str(folder)
    (tmp_path / "d/_SMSTaskSequence").mkdir()
    (tmp_path / "d/_SMSTaskSequence/left-out").write_text("x")
    (tmp_path / "d/data.txt").write_text("data")
    return made


def test_two_volumes_become_two_images_that_can_be_applied(volumes: Volumes, tmp_path: Path) -> None:
    bench = Bench("pe", {}, volumes._runner, volumes, VirtualClock())
    effect = CaptureImage("E:\\out\\ref.wim", ("C:", "D:"), ("c", "d"), "a text", {"CREATOR": "lab"})
    captured = imaging.capture_image(effect, bench)
    assert captured.ok and captured.value["images"] == 2, captured
    listed = imaging.list_images(ListImages("E:\\out\\ref.wim"), bench)
    assert [image["name"] for image in listed.value["images"]] == ["c", "d"]
    xml = subprocess.run(
        ["wimlib-imagex", "info", str(tmp_path / "e/out/ref.wim"), "--xml"], check=True, capture_output=True
    ).stdout.decode("utf-16")
    assert xml.count("<CREATOR>lab</CREATOR>") == 2 and "<DESCRIPTION>a text</DESCRIPTION>" in xml
    files = subprocess.run(
        ["wimlib-imagex", "dir", str(tmp_path / "e/out/ref.wim"), "2"], check=True, capture_output=True
    ).stdout
    assert b"data.txt" in files and b"left-out" not in files
    # Onto a volume that is not wiped: what was there stays.
    (tmp_path / "e/old.txt").write_text("old")
    applied = images.apply_image(
        ApplyImage("E:\\out\\ref.wim", 1, "E:", wipe=False), volumes._runner, volumes
    )
    assert applied.ok, applied
    assert (tmp_path / "e/note.txt").read_text() == "kept" and (tmp_path / "e/old.txt").exists()
