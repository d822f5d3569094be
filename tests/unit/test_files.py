"""Files that are there whole or not at all, and the folders that must be writable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab.errors import LabFault
from lab.files import write_whole
from lab.hypervisor.naming import NVRAM, discard_disks, disk_name
from lab.settings import Settings


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    place = tmp_path / "hashes.json"
    write_whole(place, "old")
    write_whole(place, "neü")
    assert place.read_text(encoding="utf-8") == "neü"
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["hashes.json"]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_aside(tmp_path: Path) -> None:
    place = tmp_path / "hashes.json"
    write_whole(place, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(place, "\ud800")
    assert place.read_text() == "old"
    assert os.listdir(tmp_path) == ["hashes.json"]


def test_discarding_leaves_the_evidence(tmp_path: Path) -> None:
    for name in (disk_name(0), disk_name(11), NVRAM, "console.log", "final-state.json"):
        (tmp_path / name).touch()
    discard_disks(tmp_path)
    discard_disks(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["console.log", "final-state.json"]


def test_a_cache_that_cannot_be_is_said_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings.from_environment({"OSDLAB_CACHE": str(tmp_path / "file" / "cache"), "HOME": "/"})
    with pytest.raises(LabFault, match="cannot be used: Not a directory") as raised:
        settings.make_cache()
    assert "OSDLAB_CACHE" in raised.value.hint
