"""Format and Partition Disk's arithmetic: OSDPartitions variables and a disk's size to partitions.

Engine room: pure. Documented: one disk per step; Percent is of the space still free; no Size means the
rest; type Primary, Extended, Logical, Hidden, EFI, MSR, Recovery; letters are the next free ones.
The lab's own choices: 1 MiB alignment; MB and GB are binary; EFI, MSR, Recovery and Hidden get a letter
only when it is asked for; extended and logical partitions are not made yet (0x80070032).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from lab.sequence.codes import DISK_FULL, INVALID_PARAMETER, NOT_SUPPORTED
from lab.sequence.effects import Partition

SECTOR = 512
#: 1 MiB in sectors
ALIGNMENT = 2048
#: sectors at the end that a GPT's backup takes: 32 of entries and the header
GPT_BACKUP = 33
MBR_LIMIT = 2**32

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
    letter = asked == "true" or (not asked and (kind == "Primary" or bool(variable)))
    return Wanted(
        type=kind,
        size=size,
        percent=percent,
        file_system="" if kind == "MSR" else file_system,
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
    start = ALIGNMENT
    sectors = size // SECTOR
    end = sectors - GPT_BACKUP if kind == "GPT" else min(sectors, MBR_LIMIT - 1)
    end -= end % ALIGNMENT
    placed: list[tuple[int, int]] = []
    for number, entry in enumerate(wanted, 1):
        free = end - start
        length = _length(entry, free)
        if length < ALIGNMENT or length > free:
            left = max(free, 0) // ALIGNMENT
            return Impossible(DISK_FULL, f"partition {number - 1} does not fit: {left} MB are free")
        placed.append((start, length))
        start += length
    letters = _letters(wanted, taken)
    partitions = tuple(
        Partition(
            number=number,
            type=entry.type,
            start=at,
            sectors=length,
            file_system=entry.file_system,
            label=entry.label if entry.file_system else "",
            quick_format=entry.quick_format,
            bootable=entry.bootable and kind == "MBR",
            letter=letters.get(number - 1, ""),
        )
        for number, (entry, (at, length)) in enumerate(zip(wanted, placed, strict=True), 1)
    )
    variables = tuple(
        (entry.letter_variable, letters[index])
        for index, entry in enumerate(wanted)
        if entry.letter_variable and index in letters
    )
    return Layout(kind, partitions, variables)


def _refused(wanted: tuple[Wanted, ...], style: str) -> Impossible | None:
    if any(entry.type in ("Extended", "Logical") for entry in wanted):
        return Impossible(NOT_SUPPORTED, "extended and logical partitions are not supported")
    if style == "MBR":
        if len(wanted) > 4:
            return Impossible(INVALID_PARAMETER, "an MBR disk holds four primary partitions at most")
        if any(entry.type in ("EFI", "MSR") for entry in wanted):
            return Impossible(INVALID_PARAMETER, "EFI and MSR partitions need a GPT disk")
        if sum(entry.bootable for entry in wanted) > 1:
            return Impossible(INVALID_PARAMETER, "more than one partition is to be active")
    elif len(wanted) > 128:
        return Impossible(INVALID_PARAMETER, "a GPT disk holds 128 partitions at most")
    return None


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
