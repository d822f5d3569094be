"""Format and Partition Disk's arithmetic: OSDPartitions variables and a disk's size to partitions.

Engine room: pure. Documented: one disk per step; Percent is of the space still free; no Size means the
rest; type Primary, Extended, Logical, Hidden, EFI, MSR, Recovery; letters are the next free ones; a volume's
name has 32 characters at most (NTFS).
The lab's own choices: 1 MiB alignment; MB and GB are binary; EFI, MSR, Recovery and Hidden get a letter
only when it is asked for; what is free for a logical partition is free in the extended one. Guess: each
logical partition has 1 MiB in front of it that holds its boot record, as diskpart lays it out. Partitions
have the numbers of the table: logical ones count from 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from lab.sequence.codes import DISK_FULL, INVALID_PARAMETER
from lab.sequence.effects import Partition

SECTOR = 512
#: 1 MiB in sectors
ALIGNMENT = 2048
#: sectors at the end that a GPT's backup takes: 32 of entries and the header
GPT_BACKUP = 33
MBR_LIMIT = 2**32
FIRST_LOGICAL = 5
#: libfdisk, which writes the table in LabPE, knows 60 partitions: four and these
MOST_LOGICAL = 56

TYPES = {
    "primary": "Primary",
    "extended": "Extended",
    "logical": "Logical",
    "hidden": "Hidden",
    "efi": "EFI",
    "msr": "MSR",
    "recovery": "Recovery",
}
FILE_SYSTEMS = {"ntfs": "NTFS", "fat32": "FAT32", "": ""}
UNITS = {"": 1, "mb": 1, "gb": 1024}
PERCENT = ("percent", "%")
LABEL_LIMIT = 32

_WHOLE = re.compile(r"\d{1,12}")


@dataclass(frozen=True)
class Wanted:
    """One entry of the OSDPartitions array. ``size`` is MiB, or percent if ``percent``; None: the rest."""

    type: str
    size: int | None
    percent: bool
    file_system: str
    label: str
    quick_format: bool
    bootable: bool
    letter: bool
    letter_variable: str


@dataclass(frozen=True)
class Layout:
    """A layout that fits. ``letter_variables``: variable name -> letter, for instance OSDisk -> C:."""

    style: Literal["GPT", "MBR"]
    partitions: tuple[Partition, ...]
    letter_variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Impossible:
    """Why there is no layout: the step's exit code and one sentence."""

    code: int
    message: str


def wanted_partitions(value: Callable[[str], str], count: int) -> tuple[Wanted, ...] | Impossible:
    """Read ``count`` entries ``OSDPartitionsN...`` by ``value(name)`` ("": not set; case does not count)."""
    entries = []
    for index in range(count):
        entry = _wanted(lambda name, index=index: value(f"OSDPartitions{index}{name}").strip(), index)  # type: ignore[misc]
        if isinstance(entry, Impossible):
            return entry
        entries.append(entry)
    return tuple(entries)


def _wanted(value: Callable[[str], str], index: int) -> Wanted | Impossible:
    kind = TYPES.get(value("Type").casefold())
    if kind is None:
        return Impossible(INVALID_PARAMETER, f"partition {index} has the unknown type '{value('Type')}'")
    file_system = FILE_SYSTEMS.get(value("FileSystem").casefold())
    if file_system is None:
        return Impossible(
            INVALID_PARAMETER, f"partition {index} has the unknown file system '{value('FileSystem')}'"
        )
    units = value("SizeUnits").casefold()
    percent = units in PERCENT
    if not percent and units not in UNITS:
        return Impossible(INVALID_PARAMETER, f"partition {index} has the unknown unit '{value('SizeUnits')}'")
    size: int | None = None
    if value("Size"):
        if not _WHOLE.fullmatch(value("Size")):
            return Impossible(INVALID_PARAMETER, f"partition {index} has the size '{value('Size')}'")
        size = int(value("Size")) * (1 if percent else UNITS[units])
        if size == 0 or (percent and size > 100):
            return Impossible(INVALID_PARAMETER, f"partition {index} has the size '{value('Size')}'")
    asked = value("AssignVolumeLetter").casefold()
    variable = value("VolumeLetterVariable")
    if len(value("VolumeName")) > LABEL_LIMIT:
        return Impossible(INVALID_PARAMETER, f"partition {index} has a name of over {LABEL_LIMIT} characters")
    lettered = kind in ("Primary", "Logical") or bool(variable)
    letter = asked == "true" or (not asked and lettered)
    return Wanted(
        type=kind,
        size=size,
        percent=percent,
        file_system="" if kind in ("MSR", "Extended") else file_system,
        label=value("VolumeName"),
        quick_format=value("QuickFormat").casefold() != "false",
        bootable=value("Bootable").casefold() == "true",
        letter=letter,
        letter_variable=variable,
    )


def plan(
    wanted: tuple[Wanted, ...],
    style: str,
    size: int,
    *,
    taken: Collection[str] = (),
) -> Layout | Impossible:
    """Place the partitions on a disk of ``size`` bytes. ``taken``: letters that other volumes have ("C:")."""
    kind: Literal["GPT", "MBR"] = "GPT" if style.casefold() == "gpt" else "MBR"
    if style.casefold() not in ("gpt", "mbr"):
        return Impossible(INVALID_PARAMETER, f"the partition style '{style}' is unknown")
    if not wanted:
        return Impossible(INVALID_PARAMETER, "no partitions are given")
    refused = _refused(wanted, kind)
    if refused:
        return refused
    sectors = size // SECTOR
    end = sectors - GPT_BACKUP if kind == "GPT" else min(sectors, MBR_LIMIT - 1)
    disk = _Room(ALIGNMENT, end - end % ALIGNMENT)
    extended = _Room(0, 0)
    placed: list[tuple[int, int]] = []
    for index, entry in enumerate(wanted):
        room, before = (extended, ALIGNMENT) if entry.type == "Logical" else (disk, 0)
        free = room.end - room.start - before
        length = _length(entry, free)
        if length < ALIGNMENT or length > free:
            left = max(free, 0) // ALIGNMENT
            return Impossible(DISK_FULL, f"partition {index} does not fit: {left} MB are free")
        start = room.start + before
        room.start = start + length
        placed.append((start, length))
        if entry.type == "Extended":
            extended = _Room(start, start + length)
    letters = _letters(wanted, taken)
    partitions = [
        Partition(
            number=number,
            type=entry.type,
            start=at,
            sectors=length,
            file_system=entry.file_system,
            label=entry.label if entry.file_system else "",
            quick_format=entry.quick_format,
            bootable=entry.bootable and kind == "MBR",
            letter=letters.get(index, ""),
        )
        for index, (entry, number, (at, length)) in enumerate(
            zip(wanted, _numbers(wanted), placed, strict=True)
        )
    ]
    partitions.sort(key=lambda item: item.number)
    variables = tuple(
        (entry.letter_variable, letters[index])
        for index, entry in enumerate(wanted)
        if entry.letter_variable and index in letters
    )
    return Layout(kind, tuple(partitions), variables)


def _refused(wanted: tuple[Wanted, ...], style: str) -> Impossible | None:
    kinds = [entry.type for entry in wanted]
    if style == "MBR":
        logical = kinds.count("Logical")
        if len(wanted) - logical > 4:
            return Impossible(INVALID_PARAMETER, "an MBR disk holds four primary partitions at most")
        if kinds.count("Extended") > 1:
            return Impossible(INVALID_PARAMETER, "an MBR disk holds one extended partition at most")
        if logical > MOST_LOGICAL:
            return Impossible(INVALID_PARAMETER, f"more than {MOST_LOGICAL} logical partitions are asked for")
        if logical and "Extended" not in kinds[: kinds.index("Logical")]:
            return Impossible(INVALID_PARAMETER, "a logical partition needs an extended one before it")
        if any(entry.bootable and entry.type in ("Extended", "Logical") for entry in wanted):
            return Impossible(INVALID_PARAMETER, "only a primary partition can be active")
        if any(entry.type in ("EFI", "MSR") for entry in wanted):
            return Impossible(INVALID_PARAMETER, "EFI and MSR partitions need a GPT disk")
        if sum(entry.bootable for entry in wanted) > 1:
            return Impossible(INVALID_PARAMETER, "more than one partition is to be active")
    elif "Extended" in kinds or "Logical" in kinds:
        return Impossible(INVALID_PARAMETER, "extended and logical partitions need an MBR disk")
    elif len(wanted) > 128:
        return Impossible(INVALID_PARAMETER, "a GPT disk holds 128 partitions at most")
    return None


@dataclass
class _Room:
    """What is free from ``start`` to before ``end``, in sectors."""

    start: int
    end: int


def _numbers(wanted: tuple[Wanted, ...]) -> list[int]:
    numbers, primary, logical = [], 0, FIRST_LOGICAL - 1
    for entry in wanted:
        if entry.type == "Logical":
            logical += 1
        else:
            primary += 1
        numbers.append(logical if entry.type == "Logical" else primary)
    return numbers


def _length(entry: Wanted, free: int) -> int:
    """Sectors, a multiple of the alignment."""
    if entry.size is None:
        return free
    if entry.percent:
        length = free * entry.size // 100
        return length - length % ALIGNMENT
    return entry.size * ALIGNMENT


def _letters(wanted: tuple[Wanted, ...], taken: Collection[str]) -> dict[int, str]:
    """Letters by index: from C:, primaries first so that an EFI partition does not take Windows' letter."""
    busy = {letter.upper()[:1] for letter in taken} | {"X"}
    free = [letter for letter in "CDEFGHIJKLMNOPQRSTUVWYZ" if letter not in busy]
    order = sorted(
        (index for index, entry in enumerate(wanted) if entry.letter and entry.file_system),
        key=lambda index: (wanted[index].type != "Primary", index),
    )
    return {index: f"{letter}:" for index, letter in zip(order, free, strict=False)}
