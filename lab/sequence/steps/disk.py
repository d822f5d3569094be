"""Format and Partition Disk: osddiskpart.exe."""

from __future__ import annotations

import re
from typing import Any

from lab.sequence import codes, layout
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import PartitionDisk

_BANNER = "==============================[ OSDDiskPart.exe ]=============================="
_ARRAY = re.compile(r"osdpartitions(\d{1,3})[a-z]")
#: Where smsts.log is while there is no disk for it (observed).
RAM_LOG_PATH = r"X:\Windows\temp\smstslog"
#: Entries that are looked at; a disk holds fewer.
_MOST = 129


def partition_disk(context: StepContext) -> Behaviour:
    """Compute the layout, wipe the disk and lay it down; then the data path is on it."""
    context.record(_BANNER, file="main.cpp:500")
    text = context.value("OSDDiskIndex", "0").strip()
    disk = next((disk for disk in context.facts.get("disks") or () if str(disk["index"]) == text), None)
    if disk is None:
        return context.fail(f"There is no disk {text}", codes.ELEMENT_NOT_FOUND)
    style = context.value("OSDPartitionStyle") or ("GPT" if context.facts.get("uefi") else "MBR")
    wanted = _wanted(context)
    size = int(disk["sectors"]) * int(disk.get("sector_size") or layout.SECTOR)
    others = _volumes_elsewhere(context, int(disk["index"]))
    planned = (
        wanted if isinstance(wanted, layout.Impossible) else layout.plan(wanted, style, size, taken=others)
    )
    if isinstance(planned, layout.Impossible):
        return context.fail(f"Disk {text} cannot be partitioned: {planned.message}", planned.code)
    context.record(f"Wiping disk {text} and creating {len(planned.partitions)} {planned.style} partitions")
    for part in planned.partitions:
        kind = f"{part.type} {part.file_system}".strip()
        text_of = f"Partition {part.number}: {kind}, {part.sectors // layout.ALIGNMENT} MB, {part.letter}"
        context.record(text_of.rstrip(", "), file="diskvolume.cpp:100")
    outcome = yield PartitionDisk(int(disk["index"]), planned.style, planned.partitions)
    # Whatever came of it, what was on the disk is gone.
    gone = tuple(target for target in context.memory.targets if target in others)
    context.remember(hook=False, targets=gone)
    lettered = {
        part.letter: {"disk": int(disk["index"]), "partition": part.number}
        for part in planned.partitions
        if part.letter
    }
    if not outcome.ok:
        _data_on(context, others, others, "")
        return context.fail(f"Disk {text} could not be partitioned: {outcome.message}", outcome.code)
    volumes = dict(outcome.value.get("volumes") or {**others, **lettered})
    ntfs = [part for part in planned.partitions if part.letter in volumes and part.file_system == "NTFS"]
    # Documented: SMSTSLocalDataDrive, else the volume with most room; that may be another than Windows'.
    asked = context.local_data_drive(volumes)
    largest = max(ntfs, key=lambda part: (part.sectors, -part.number), default=None)
    _data_on(context, volumes, others, asked or (largest.letter if largest else ""))
    for name, letter in planned.letter_variables:
        code = context.set_for_user(name, letter)
        if code:
            return code
    return 0


def _wanted(context: StepContext) -> tuple[layout.Wanted, ...] | layout.Impossible:
    """The OSDPartitions array: one that variables give replaces the step's as a whole."""
    given = {int(found.group(1)) for name in context.variables if (found := _ARRAY.match(name.casefold()))}
    if given:
        count = next(index for index in range(_MOST + 1) if index not in given or index == _MOST)
        return layout.wanted_partitions(lambda name: context.expand(context.variables.value(name)), count)
    text = context.argument("OSDPartitions").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        return layout.Impossible(codes.INVALID_PARAMETER, f"the number of partitions is '{text}'")
    return layout.wanted_partitions(context.value, min(int(text), _MOST))


def _volumes_elsewhere(context: StepContext, disk: int) -> dict[str, Any]:
    volumes: dict[str, Any] = context.facts.get("volumes") or {}
    return {letter: place for letter, place in volumes.items() if place.get("disk") != disk}


def _data_on(context: StepContext, volumes: dict[str, Any], others: dict[str, Any], drive: str) -> None:
    """The volumes are these now. The data path stays where it is on another disk, else it is on ``drive``."""
    before = str(context.facts.get("data_path") or "")
    data_path = before if before[:2] in others else f"{drive}\\_SMSTaskSequence" if drive else ""
    facts: dict[str, Any] = {"volumes": volumes, "data_path": data_path, "bootable": bool(data_path)}
    if before[:2] not in others:
        facts["log_path"] = f"{data_path}\\Logs\\smstslog" if data_path else RAM_LOG_PATH
    context.learn(facts)
