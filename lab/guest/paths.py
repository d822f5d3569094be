"""Windows paths on a Linux machine: ``C:\\Windows\\Temp`` is ``/c/Windows/Temp``, in whatever case.

Nothing that a sequence or a distribution point names may leave its drive or its folder: ``..``, drive letters
inside a path, and the characters that Windows refuses are errors (``PathError``), as are links that lead out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Documented: "Naming Files, Paths, and Namespaces".
ILLEGAL = frozenset('<>:"|?*') | {chr(number) for number in range(32)}

#: Where the drives of a machine are, when nothing else is said.
DRIVES: Mapping[str, str] = {"C:": "/c", "X:": "/x"}


class PathError(ValueError):
    """A path that Windows would refuse, or one that leaves where it belongs."""


class NoDrive(PathError):
    """A path on a drive that is not there."""


def parts_of(relative: str) -> tuple[str, ...]:
    """The names of a relative path, ``\\`` or ``/`` between them. Raises PathError for an illegal name."""
    names = tuple(name for name in relative.replace("/", "\\").split("\\") if name and name != ".")
    for name in names:
        if name == "..":
            raise PathError(f"'{relative}' may not contain '..'")
        if ILLEGAL & set(name) or name.rstrip(". ") != name:
            raise PathError(f"'{name}' in '{relative}' is not a legal file name")
    return names


def share_of(path: str) -> str:
    """The share of a UNC path, as it stands among the drives; "" for a path that is none."""
    names = path.replace("/", "\\")[2:].split("\\") if path[:2] in ("\\\\", "//") else []
    return f"\\\\{names[0]}\\{names[1]}".upper() if len(names) > 1 and all(names[:2]) else ""


def split(path: str) -> tuple[str, tuple[str, ...]]:
    """A full Windows path as its drive (``C:``) or share, and its names. Raises PathError."""
    if share := share_of(path):
        return share, parts_of(path[len(share) :])
    drive, rest = path[:2], path[2:]
    if len(drive) != 2 or drive[1] != ":" or not drive[0].isascii() or not drive[0].isalpha():
        raise PathError(f"'{path}' has no drive letter")
    if rest and rest[0] not in "\\/":
        raise PathError(f"'{path}' is not a full path")
    return drive.upper(), parts_of(rest)


def below(base: str, names: tuple[str, ...]) -> str:
    """The Linux path of ``names`` below ``base``; an existing name is found whatever its case.

    Names that do not exist yet are taken as they are. Raises PathError when a link leads out of ``base``.
    """
    here = base
    for name in names:
        here = os.path.join(here, _as_found(here, name))
    if here != base and os.path.lexists(here):
        root, real = os.path.realpath(base), os.path.realpath(here)
        if real != root and not real.startswith(root.rstrip("/") + "/"):
            raise PathError(f"'{'/'.join(names)}' leads out of '{base}'")
    return here


def to_linux(path: str, drives: Mapping[str, str] = DRIVES) -> str:
    """The Linux path of a full Windows path. Raises PathError; a drive that is not there is one too."""
    drive, names = split(path)
    if drive not in drives:
        raise NoDrive(f"there is no drive {drive}")
    return below(drives[drive], names)


def _as_found(folder: str, name: str) -> str:
    if os.path.lexists(os.path.join(folder, name)):
        return name
    wanted = name.casefold()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.casefold() == wanted:
                    return entry.name
    except (FileNotFoundError, NotADirectoryError):
        pass
    return name


def join(folder: str, *names: str) -> str:
    """A Windows path from a folder and names below it."""
    return "\\".join((folder.rstrip("\\"), *names))
