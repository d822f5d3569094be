"""Windows paths on Linux: case, escapes, illegal names."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest import paths


def test_an_existing_name_is_found_whatever_its_case(tmp_path: Path) -> None:
    (tmp_path / "Windows" / "System32").mkdir(parents=True)
    found = paths.to_linux("c:\\WINDOWS\\system32\\Drivers\\etc", {"C:": str(tmp_path)})
    assert found == str(tmp_path / "Windows" / "System32" / "Drivers" / "etc")


@pytest.mark.parametrize(
    "path",
    [
        "C:\\a\\..\\..\\etc",
        "Windows",
        "C:Windows",
        "C:\\a\\C:\\b",
        "C:\\a*b",
        "C:\\dot.\\x",
        "C:\\tab\tname",
        "",
    ],
)
def test_paths_that_windows_refuses_or_that_escape_are_errors(path: str, tmp_path: Path) -> None:
    with pytest.raises(paths.PathError):
        paths.to_linux(path, {"C:": str(tmp_path)})


def test_a_link_that_leads_out_of_its_drive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "c" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(paths.PathError):
        paths.to_linux("C:\\Link", {"C:": str(tmp_path / "c")})


def test_a_missing_drive_is_named(tmp_path: Path) -> None:
    with pytest.raises(paths.NoDrive, match="D:"):
        paths.to_linux("D:\\x", {"C:": str(tmp_path)})
