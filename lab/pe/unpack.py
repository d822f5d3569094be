"""Unpack Debian packages into a tree, without root and without running what is in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabFault
from lab.pe.elf import merged


def unpack(package: Path, tree: Path, *, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Put a package's files below ``tree`` (merged usr), those whose path ``wanted`` says yes to.

    Modes are kept but for set-id bits; owners and devices are not. Raises LabFault when it is broken.
    """
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as dpkg:
        assert dpkg.stdout is not None
        try:
            with tarfile.open(fileobj=dpkg.stdout, mode="r|") as archive:
                for member in archive:
                    _place(archive, member, tree, wanted)
        except (tarfile.TarError, OSError) as error:
            dpkg.kill()
            raise LabFault(f"package {package.name} cannot be unpacked: {error}", causes=[error]) from error
        dpkg.stdout.read()
    if dpkg.returncode != 0:
        raise LabFault(f"package {package.name} cannot be unpacked: dpkg-deb ended with {dpkg.returncode}")


def _name(name: str) -> str:
    clean = os.path.normpath(name.lstrip("/"))
    if clean.startswith(".."):
        raise LabFault(f"a package wants to write outside its tree: {name}")
    return merged(clean)


def _place(
    archive: tarfile.TarFile, member: tarfile.TarInfo, tree: Path, wanted: Callable[[str], bool]
) -> None:
    name = _name(member.name)
    if member.isdir() or not wanted(name):
        return
    place = tree / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.exists():
        place.unlink()
    if member.issym():
        place.symlink_to(member.linkname)
    elif member.islnk():
        source = tree / _name(member.linkname)
        if source.is_file():
            shutil.copy2(source, place)
    elif member.isfile():
        content = archive.extractfile(member)
        assert content is not None
        with place.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        place.chmod(0o755 if member.mode & 0o111 else 0o644)
