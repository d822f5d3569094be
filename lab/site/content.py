"""The content library: packages, the files in each, their sizes and SHA-256.

A package is a folder, or a single file. Hashes are remembered by device, inode, size and modification
time, so that a large image is read once and not at each run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabFault
from lab.files import write_whole

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ContentFile:
    """A file of a package. ``name`` is relative with slashes, ``size`` in bytes, ``sha256`` hex."""

    name: str
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "sha256": self.sha256}


class HashCache:
    """SHA-256 by a file's identity, kept in one JSON file. A cache that cannot be read is an empty one."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, str] = {}
        self._changed = False
        if file is not None and file.exists():
            try:
                known = json.loads(file.read_text(encoding="utf-8"))
                self._known = {str(key): str(value) for key, value in known.items()}
            except (ValueError, OSError, AttributeError):
                self._known = {}

    def sha256(self, path: Path) -> str:
        state = path.stat()
        key = f"{state.st_dev}:{state.st_ino}:{state.st_size}:{state.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = _hash(path)
            self._changed = True
        return self._known[key]

    def save(self) -> None:
        if self._file is None or not self._changed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Of two runs at once the later one wins; both are right.
        write_whole(self._file, json.dumps(self._known, indent=1))


def read_package(package: str, root: Path, cache: HashCache) -> tuple[ContentFile, ...]:
    """The files of a package, sorted by name: those of its folder, or the one file that it is.

    Raises LabFault when it cannot be served (the lab was to provide it): see ``unusable``.
    """
    if wrong := unusable(root):
        raise LabFault(
            f"content of package '{package}' is missing: {wrong}",
            hint="check the scenario's content, or build the images with 'osdlab setup'",
        )
    if root.is_file():
        return (ContentFile(root.name, root.stat().st_size, cache.sha256(root)),)
    return tuple(
        ContentFile(path.relative_to(root).as_posix(), path.stat().st_size, cache.sha256(path))
        for path in _walk(root)
    )


def unusable(root: Path) -> str:
    """Why no package can be made of a file or folder; "" where one can.

    Links may lead to files in the package's own folder only. Nothing is opened: a pipe would wait for ever.
    """
    try:
        if not root.is_file():
            if not root.is_dir():
                return f"{'no file or folder' if root.exists() else 'there is no'} '{root}'"
            paths = list(_walk(root))
            return next(filter(None, (_wrong(path, root) for path in paths)), "") or (
                "" if paths else f"folder '{root}' is empty"
            )
        return "" if os.access(root, os.R_OK) else f"'{root}' may not be read"
    except OSError as error:
        return f"'{root}' cannot be read: {error.strerror}"


def _wrong(path: Path, root: Path) -> str:
    """What is wrong with a file of a package's folder."""
    if not path.exists():
        return f"link '{path}' leads nowhere"
    if not path.resolve().is_relative_to(root.resolve()):
        return f"'{path}' leads out of the package's folder"
    if path.is_dir():
        return f"'{path}' is a link to a folder: only its files themselves can be in a package"
    if not path.is_file():
        return f"'{path}' is no file"
    return "" if os.access(path, os.R_OK) else f"'{path}' may not be read"


def read_library(
    packages: Mapping[str, Path],
    cache: HashCache,
    read: Callable[..., tuple[ContentFile, ...]] = read_package,
) -> dict[str, tuple[ContentFile, ...]]:
    """All packages, and the hash cache saved."""
    library = {package: read(package, root, cache) for package, root in packages.items()}
    cache.save()
    return library


def _walk(root: Path) -> Iterator[Path]:
    """Its files and links. Raises OSError for a folder that cannot be read."""

    def stop(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=stop):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            yield Path(folder) / name


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
