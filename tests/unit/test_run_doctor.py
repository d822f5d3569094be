"""The doctor's rows that look for files, and for a cache."""

from __future__ import annotations

from pathlib import Path

from lab.run.doctor import _accelerator, _file
from lab.settings import Settings


def test_a_file_that_is_missing_is_named_with_its_package() -> None:
    row = _file("network boot ROM", ("no/such/efi-virtio.rom",), "ipxe-qemu")
    assert (row.ok, row.found) == (False, "no efi-virtio.rom")
    assert row.remedy == "as root: apt-get install ipxe-qemu"


def test_the_first_place_that_has_it_is_shown() -> None:
    row = _file("the programs", ("no/such", "bin"), "none")
    assert (row.ok, row.found, row.remedy) == (True, "/usr/bin", "")


def test_a_cache_that_cannot_be_is_a_row_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    row = _accelerator(Settings.from_environment({"OSDLAB_CACHE": str(tmp_path / "file" / "x"), "HOME": "/"}))
    assert not row.ok and "OSDLAB_CACHE" in row.remedy
