"""Log files in the order in which they were written: rolled sets, and folders of logs.

Names: ``smsts-20240207-165352.log`` is older than ``smsts.log``, ``name.lo_`` is older than ``name.log``
(observed), ``name-1.log`` older than ``name.log`` (guess).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.errors import InputError, Problem
from lab.logs.records import OPEN, Damage, Record
from lab.logs.scan import scan
from lab.logs.source import read_source, source_of

_STAMPED = re.compile(r"(.+?)-(\d{8})-?(\d{6})(.*)")
_NUMBERED = re.compile(r"(.+?)[-.](\d{1,3})")
_HEAD = 65_536
_SUFFIXES = (".log", ".lo_")


def log_files(paths: Iterable[Path]) -> list[Path]:
    """The files to read, each set in the order of its writing; a folder stands for the logs in it.

    Sets keep the order in which their first file was named. Raises InputError for what is not there and for
    a folder without logs.
    """
    named: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            found = _below(path) if path.is_dir() else [path]
            if path.is_dir() and not found:
                problems.append(Problem(str(path), 0, 0, "no log in this folder", "logs end in .log or .lo_"))
            elif not path.exists():
                problems.append(Problem(str(path), 0, 0, "there is no such file"))
        except (OSError, ValueError) as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error}"))
            continue
        named += [file for file in found if file not in named]
    if problems:
        raise InputError(problems)
    sets: dict[str, list[Path]] = {}
    for path in named:
        sets.setdefault(_age(path)[0], []).append(path)
    return [path for files in sets.values() for path in sorted(files, key=_age)]


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())


def _age(path: Path) -> tuple[str, int, str]:
    """The set's name, and what sorts its files from the oldest to the newest."""
    stem = path.stem.lower()
    stamped = _STAMPED.fullmatch(stem)
    if stamped:
        return stamped[1], 0, stamped[2] + stamped[3]
    numbered = _NUMBERED.fullmatch(stem)
    if numbered:
        return numbered[1], 1, f"{999 - int(numbered[2]):03}"
    return stem, 2 if path.suffix.lower() == ".lo_" else 3, ""


def read_logs(paths: Iterable[Path]) -> Iterator[Record | Damage]:
    """All records and damage of the files, in the order given, one file in memory at a time.

    Raises InputError for a file that cannot be read; ``check_logs`` says so before anything is read.
    """
    for path in paths:
        yield from scan(read_source(path))


def check_logs(paths: Iterable[Path]) -> None:
    """Raises InputError with every file that cannot be read, or is no log: bytes in which no text stands."""
    problems: list[Problem] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error.strerror or error}"))
            continue
        damage = [found for found in scan(source_of(head)) if isinstance(found, Damage)]
        if sum(found.length for found in damage) * 3 > len(head) and OPEN not in read_source(path).scanned:
            said = f"this is no log: {damage[0].reason}"
            problems.append(
                Problem(str(path), damage[0].line, 1, said, "give a log of ConfigMgr, MDT or Setup")
            )
    if problems:
        raise InputError(problems)
