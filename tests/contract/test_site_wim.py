"""What we read in a WIM file is what wimlib put into it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.errors import LabFault
from lab.site.wim import read_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "Windows" / "System32").mkdir(parents=True)
    (root / "leer").mkdir()
    (root / "Windows" / "System32" / "große datei.bin").write_bytes(bytes(range(256)) * 9000)
    (root / "Windows" / "same.bin").write_bytes(bytes(range(256)) * 9000)
    (root / "empty.txt").write_bytes(b"")
    (root / "a.txt").write_bytes(b"a")
    return root


def capture(tree: Path, wim: Path, compression: str) -> None:
    if shutil.which("wimlib-imagex") is None:
        pytest.skip("wimlib-imagex is not installed (package wimtools)")
    subprocess.run(
        ["wimlib-imagex", "capture", str(tree), str(wim), "name", f"--compress={compression}", "--no-acls"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_files_sizes_and_hashes(tree: Path, tmp_path: Path) -> None:
    capture(tree, tmp_path / "x.wim", "none")
    found = {file.path: (file.size, file.sha256) for file in read_files(tmp_path / "x.wim")}
    assert found == {
        str(path.relative_to(tree)).replace("/", "\\"): (
            path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in tree.rglob("*")
        if path.is_file()
    }  # fmt: skip


def test_what_cannot_be_read_is_said(tree: Path, tmp_path: Path) -> None:
    capture(tree, tmp_path / "packed.wim", "LZX")
    with pytest.raises(LabFault, match="compressed"):
        read_files(tmp_path / "packed.wim")
    capture(tree, tmp_path / "cut.wim", "none")
    data = (tmp_path / "cut.wim").read_bytes()
    (tmp_path / "cut.wim").write_bytes(data[: len(data) // 2])
    with pytest.raises(LabFault, match=r"cut\.wim"):
        read_files(tmp_path / "cut.wim")
    (tmp_path / "no.wim").write_bytes(b"MZ" + bytes(300))
    with pytest.raises(LabFault, match="signature"):
        read_files(tmp_path / "no.wim")
    with pytest.raises(LabFault, match="cannot be read"):
        read_files(tmp_path / "none.wim")
