"""LabPE and the reference image, really built: the same bytes each time, and parts that work."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from lab.clock import SystemClock
from lab.errors import LabFault
from lab.pe import windows_shape
from lab.pe.archive import Archive, GoneError, file_sha256
from lab.pe.elf import with_libraries
from lab.pe.images import BootImages, Sources, client_package, ensure_pe, ensure_reference_image
from lab.pe.programs import PackageTree
from lab.pe.recipe import FOLDER, format_lock, parse_lock, read_recipe
from lab.settings import Settings

pytestmark = pytest.mark.vm

MAXIMUM = 60_000_000


@pytest.fixture(scope="module")
def cache() -> Path:
    return Settings.from_environment().cache


@pytest.fixture(scope="module")
def pe(cache: Path) -> BootImages:
    return ensure_pe(cache)


@pytest.fixture(scope="module")
def tree(cache: Path, pe: BootImages) -> PackageTree:
    newest = max((cache / "pe" / "root").iterdir(), key=lambda path: path.stat().st_mtime)
    return PackageTree(newest / "root")


def test_labpe_with_its_kernel_is_small(pe: BootImages) -> None:
    assert pe.efi.stat().st_size == pe.size < MAXIMUM
    assert [path.name for path in pe.package.iterdir()] == ["labpe-x64.efi"]


def test_two_builds_from_one_lock_give_the_same_bytes(cache: Path, pe: BootImages, tmp_path: Path) -> None:
    debs = tmp_path / "pe" / "archive" / "debs"
    debs.mkdir(parents=True)
    for deb in (cache / "pe" / "archive" / "debs").iterdir():
        os.link(deb, debs / deb.name) if deb.stat().st_dev == debs.stat().st_dev else debs.joinpath(
            deb.name
        ).write_bytes(deb.read_bytes())
    for taken in (cache / "pe").glob("packages.taken-*"):
        (tmp_path / "pe" / taken.name).write_text(taken.read_text())
    usual = os.umask(0o077)  # what the user's settings are must not show
    try:
        again = ensure_pe(tmp_path)
        other = ensure_reference_image(tmp_path)
    finally:
        os.umask(usual)
    assert again.version == pe.version
    assert file_sha256(again.efi) == file_sha256(pe.efi)
    wim = ensure_reference_image(cache)
    assert wim != other
    assert file_sha256(wim) == file_sha256(other)
    assert client_package(cache).read_bytes() == client_package(tmp_path).read_bytes()


def test_what_is_built_is_not_built_again(cache: Path, pe: BootImages) -> None:
    said: list[str] = []
    clock = SystemClock()
    start = clock.now()
    assert ensure_pe(cache, said.append) == pe
    assert said == []
    assert clock.now() - start < 1


def test_a_change_of_the_agent_alone_is_packed_at_once(cache: Path, pe: BootImages, tmp_path: Path) -> None:
    package = tmp_path / "lab"
    package.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-r", str(Sources().package), str(package)], check=True)
    stamp = f"# changed {os.urandom(8).hex()}\n"
    with (package / "guest" / "agent.py").open("a") as file:
        file.write(stamp)
    said: list[str] = []
    clock = SystemClock()
    start = clock.now()
    changed = ensure_pe(cache, said.append, replace(Sources(), package=package))
    seconds = clock.now() - start
    assert said == ["putting LabPE together"]
    assert changed.version != pe.version
    assert stamp.encode() in changed.efi.read_bytes()
    assert seconds < 5  # on a busy machine; about 0.8 s on a quiet one


def test_the_client_package_starts_with_the_locked_python(
    cache: Path, tree: PackageTree, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(client_package(cache).read_bytes())) as client:
        assert sorted(client.namelist()) == ["agent.zip", "start"]
        (tmp_path / "agent.zip").write_bytes(client.read("agent.zip"))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import lab.guest.agent, lab.guest.windows_setup;"
        "print(lab.guest.agent.__cached__)"
    )
    said = tree.run(
        tree.python(), "-I", "-S", "-c", code, tmp_path / "agent.zip", what="starting the agent"
    )  # fmt: skip
    assert said.strip().endswith("agent.pyc"), "the compiled module is not the one that is taken"


def test_the_reference_image_is_a_wim_of_the_shape(cache: Path, tree: PackageTree) -> None:
    wim = ensure_reference_image(cache)
    listing = tree.run("usr/bin/wimlib-imagex", "dir", wim, "1", what="listing", called="wimlib-imagex")
    inside = {line.strip("/").replace("/", "\\") for line in listing.splitlines()}
    assert {file.path for file in windows_shape.FILES} <= inside
    assert set(windows_shape.FOLDERS) <= inside
    info = tree.run("usr/bin/wimlib-imagex", "info", wim, "1", what="asking", called="wimlib-imagex")
    assert f"Name:                   {windows_shape.NAME}" in info
    assert "Architecture:           x86_64" in info


def test_a_library_that_no_package_has_is_named(tree: PackageTree, tmp_path: Path) -> None:
    program = tree.root / "usr/bin/ntfs-3g"
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/ntfs-3g").write_bytes(program.read_bytes())
    with pytest.raises(LabFault, match=r"usr/bin/ntfs-3g needs lib.*\.so"):
        with_libraries(tmp_path, [tmp_path / "usr/bin/ntfs-3g"])


def test_a_lock_the_archive_no_longer_has_is_replaced_beside_the_cache(cache: Path, tmp_path: Path) -> None:
    """No build: what is asked is which packages it would be made of."""
    from lab.pe.images import effective_packages
    from lab.pe.store import Store

    locked = parse_lock((FOLDER / "packages.lock").read_text())
    old = tuple(replace(p, version="0.1") if p.name == "gdisk" else p for p in locked)
    lock = tmp_path / "packages.lock"
    lock.write_text(format_lock(old))
    store = Store(tmp_path / "cache" / "pe")
    debs = store.root / "archive" / "debs"
    debs.mkdir(parents=True)
    for deb in (cache / "pe" / "archive" / "debs").iterdir():
        (debs / deb.name).symlink_to(deb)
    (debs / f"{next(p for p in old if p.name == 'gdisk').sha256}.deb").unlink()
    with pytest.raises(GoneError, match=r"gdisk 0\.1"):
        Archive(store.root / "archive", print).fetch(old)
    said: list[str] = []
    taken = effective_packages(store, read_recipe(), said.append, replace(Sources(), lock=lock))
    assert {p.name for p in taken} == {p.name for p in locked}
    assert next(p for p in taken if p.name == "gdisk").version != "0.1"
    assert any("no longer has gdisk 0.1" in line for line in said)
    assert parse_lock(next(store.root.glob("packages.taken-*")).read_text()) == taken
    assert lock.read_text() == format_lock(old)
    # A second time nothing is asked of the archive.
    said.clear()
    assert effective_packages(store, read_recipe(), said.append, replace(Sources(), lock=lock)) == taken
    assert said == []
