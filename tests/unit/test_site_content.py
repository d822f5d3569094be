"""Packages as lists of files with hashes, read once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lab.errors import LabFault
from lab.site.content import HashCache, read_library, read_package


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "package"
    (root / "sub").mkdir(parents=True)
    (root / "b.txt").write_bytes(b"bb")
    (root / "sub" / "a.bin").write_bytes(b"a")
    return root


def test_a_folder_and_a_single_file(package: Path) -> None:
    files = read_package("LAB00001", package, HashCache())
    assert [(file.name, file.size, file.sha256) for file in files] == [
        ("b.txt", 2, hashlib.sha256(b"bb").hexdigest()),
        ("sub/a.bin", 1, hashlib.sha256(b"a").hexdigest()),
    ]
    assert [file.name for file in read_package("LAB00001", package / "b.txt", HashCache())] == ["b.txt"]


def test_a_file_is_hashed_again_only_when_it_changed(package: Path, tmp_path: Path) -> None:
    known = tmp_path / "cache" / "hashes.json"
    first = read_library({"LAB00001": package}, HashCache(known))
    text = known.read_text()
    known.write_text(text.replace(first["LAB00001"][0].sha256, "0" * 64))
    again = read_library({"LAB00001": package}, HashCache(known))
    assert again["LAB00001"][0].sha256 == "0" * 64, "taken from the cache"
    (package / "b.txt").write_bytes(b"cc")
    os.utime(package / "b.txt", ns=(1, 1))
    changed = read_library({"LAB00001": package}, HashCache(known))
    assert changed["LAB00001"][0].sha256 == hashlib.sha256(b"cc").hexdigest()


def test_a_damaged_hash_cache_is_an_empty_one(package: Path, tmp_path: Path) -> None:
    known = tmp_path / "hashes.json"
    known.write_text("[1, 2")
    assert read_package("LAB00001", package / "b.txt", HashCache(known))[0].size == 2


def test_content_that_is_not_there_is_the_labs_fault(tmp_path: Path) -> None:
    with pytest.raises(LabFault, match="'LAB00009' is missing"):
        read_package("LAB00009", tmp_path / "none", HashCache())
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabFault, match="is empty"):
        read_package("LAB00009", tmp_path / "empty", HashCache())


@pytest.mark.parametrize(
    ("leads_to", "said"),
    [
        ("../secret", "leads out of the package's folder"),
        ("nowhere", "leads nowhere"),
        ("link", "leads nowhere"),  # to itself
        ("sub", "is a link to a folder"),  # would be left out without a word
        ("pipe", "is no file"),  # would be waited for
    ],
)
def test_a_link_to_what_is_no_file_of_the_package_is_refused(
    package: Path, tmp_path: Path, leads_to: str, said: str
) -> None:
    (tmp_path / "secret").write_text("x")
    if leads_to == "pipe":
        os.mkfifo(package / "pipe")
    (package / "link").symlink_to(leads_to)
    with pytest.raises(LabFault, match=said):
        read_package("LAB00001", package, HashCache())


def test_a_link_inside_the_package_is_its_file(package: Path) -> None:
    (package / "link").symlink_to("b.txt")
    assert [file.size for file in read_package("LAB00001", package, HashCache())] == [2, 2, 1]
