"""The final state of a machine, read from its powered-off disks.

Disks are reached through the hypervisor's block readers only. What stands on them is never trusted: damage
is said in ``FinalState.notes``, everything has a limit, and only a reader that fails is a LabFault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.disk.hives import HIVE_FILES, SMALL_HIVE, STANDARD_KEYS, DamagedHive, Hive, normalise
from lab.disk.source import Source
from lab.disk.state import DiskState, FileState, FinalState, PartitionState
from lab.disk.table import SECTOR, parse_table
from lab.disk.volumes import Damaged, Entry, Image, Volume, recognise
from lab.errors import LabFault

__all__ = ["SMALL_HIVE", "STANDARD_KEYS", "Questions", "read_final_state"]

#: Files and folders of one volume that are listed.
MAX_FILES = 250_000

#: A file up to this size (bytes) has its SHA-256 taken without being asked for.
HASH_LIMIT = 8 << 20

#: What is hashed without being asked for, in bytes over all volumes: a real Windows would take minutes.
HASH_BUDGET = 1 << 30

#: An asked file up to this size (bytes) has its text read.
TEXT_LIMIT = 4 << 20

#: A hive beyond this size (bytes) is not opened.
HIVE_LIMIT = 256 << 20

_CONFIG = "windows\\system32\\config\\"


@dataclass(frozen=True)
class Questions:
    """What an expectation wants beyond the listing: Windows paths whose text and hash are read whatever their
    size (text up to TEXT_LIMIT), and registry keys (``HKLM\\...``; CurrentControlSet is resolved)."""

    files: tuple[str, ...] = ()
    registry: tuple[str, ...] = ()


@dataclass
class _Found:
    """An opened volume on its way into the final state."""

    disk: int
    partition: PartitionState
    volume: Volume
    entries: list[Entry]
    name: str = ""
    paths: dict[str, Entry] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.disk},{self.partition.number}"

    @property
    def holds_windows(self) -> bool:
        return self.volume.file_system == "NTFS" and "windows\\system32" in self.paths


def read_final_state(disks: Sequence[Source], questions: Questions | None = None) -> FinalState:
    """What stands on ``disks``, in their order. The caller opens and closes the readers.

    Raises LabFault when a reader fails. Damage on a disk never raises: it is said in ``notes``.
    """
    asked = questions or Questions()
    notes: list[str] = []
    states: list[DiskState] = []
    found: list[_Found] = []
    for index, reader in enumerate(disks):
        state, volumes = _read_disk(index, reader, notes)
        states.append(state)
        found += volumes
    _name_volumes(found)
    return FinalState(
        disks=tuple(states),
        volumes={item.name: item.place for item in found},
        files=_files(found, asked, notes),
        registry=_registry(found, asked, notes),
        notes=tuple(notes),
    )


def _read_disk(index: int, reader: Source, notes: list[str]) -> tuple[DiskState, list[_Found]]:
    def read(offset: int, size: int) -> bytes:
        if offset < 0 or offset >= reader.size:
            return b""
        try:
            return reader.read(offset, min(size, reader.size - offset))
        except Exception as error:
            raise LabFault(
                f"disk {index} could not be read at byte {offset}: {error}",
                hint="the machine must be off and its disk image reachable",
                causes=[error],
            ) from error

    table = parse_table(read, reader.size)
    notes += [f"disk {index} {note}" for note in table.notes]
    partitions: list[PartitionState] = []
    found: list[_Found] = []
    image: Image | None = None
    for partition in table.partitions:
        boot = read(partition.start * SECTOR, SECTOR)
        file_system = "" if partition.type == "Extended" or len(boot) < SECTOR else recognise(boot)
        if not file_system:
            partitions.append(partition)
            continue
        image = image or Image(reader)
        partition = replace(partition, file_system=file_system)
        volume_notes: list[str] = []
        try:
            volume = Volume(image, partition.start, file_system)
            partition = replace(partition, label=volume.label())
            entries = list(volume.walk(volume_notes, MAX_FILES))
            item = _Found(index, partition, volume, entries)
            item.paths = {entry.path.casefold(): entry for entry in entries}
            found.append(item)
        except Damaged as damage:
            volume_notes.append(str(damage))
        notes += [f"volume {index},{partition.number} {note}" for note in volume_notes]
        partitions.append(partition)
    return DiskState(index, reader.size, table.style, tuple(partitions)), found


def _name_volumes(found: list[_Found]) -> None:
    """C: is the volume that holds Windows, else the first NTFS one that is not active, else the first NTFS
    one; EFI: the first EFI system partition; SYSTEM: the first active partition that is not C:."""
    for item in found:
        item.name = f"{item.place}:"
    system = next((item for item in found if item.partition.type == "EFI"), None)
    if system is not None:
        system.name = "EFI:"
    ntfs = [item for item in found if item.volume.file_system == "NTFS"]
    windows = next((item for item in ntfs if item.holds_windows), None)
    windows = windows or next((item for item in ntfs if not item.partition.bootable), None)
    windows = windows or next(iter(ntfs), None)
    if windows is not None:
        windows.name = "C:"
    active = next((item for item in found if item.partition.bootable and item is not windows), None)
    if active is not None and active is not system:
        active.name = "SYSTEM:"


def _files(found: list[_Found], asked: Questions, notes: list[str]) -> dict[str, FileState]:
    wanted = {_plain_path(path) for path in asked.files}
    files: dict[str, FileState] = {}
    budget = HASH_BUDGET
    skipped = 0
    for item in found:
        for entry in item.entries:
            path = f"{item.name}\\{entry.path}"
            if entry.folder:
                files[path + "\\"] = FileState(0)
                continue
            is_asked = _plain_path(path) in wanted
            if is_asked and entry.size > item.partition.sectors * SECTOR:
                # Sparse or damaged: reading it would take as long as its size claims.
                notes.append(f"file {path} claims more bytes ({entry.size}) than its volume has")
                is_asked = False
            if not is_asked and (entry.size > HASH_LIMIT or entry.size > budget):
                skipped += entry.size <= HASH_LIMIT
                files[path] = FileState(entry.size)
                continue
            budget -= 0 if is_asked else entry.size
            files[path] = _file(item.volume, entry, path, is_asked, notes)
    if skipped:
        notes.append(f"{skipped} files were not hashed: the limit of {HASH_BUDGET >> 20} MiB was reached")
    return files


def _file(volume: Volume, entry: Entry, path: str, is_asked: bool, notes: list[str]) -> FileState:
    try:
        if is_asked and entry.size <= TEXT_LIMIT:
            data = volume.read(entry)
            return FileState(entry.size, hashlib.sha256(data).hexdigest(), decode_text(data))
        return FileState(entry.size, volume.sha256(entry))
    except Damaged as damage:
        notes.append(f"file {path} {damage}")
        return FileState(entry.size)


def decode_text(data: bytes) -> str | None:
    """The text of a file: UTF-16 or UTF-8 by its byte order mark, else UTF-8; None when it is no text."""
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _registry(found: list[_Found], asked: Questions, notes: list[str]) -> dict[str, dict[str, list[Any]]]:
    windows = next((item for item in found if item.name == "C:"), None)
    if windows is None:
        return {}
    hives = _open_hives(windows, notes)
    registry: dict[str, dict[str, list[Any]]] = {}
    for root, hive in hives.items():
        keys = [parsed for key in (*STANDARD_KEYS, *asked.registry) if (parsed := normalise(key))]
        try:
            if hive.small:
                registry.update(hive.all())
            for key_root, path in keys:
                if key_root == root and (answer := hive.get(path)) is not None:
                    registry[answer[0]] = answer[1]
        except DamagedHive as damage:
            notes.append(f"hive {HIVE_FILES[root]} {damage}")
    for key in asked.registry:
        if normalise(key) is None:
            notes.append(f"registry key '{key}' is in no hive of the image")
    return dict(sorted(registry.items()))


def _open_hives(windows: _Found, notes: list[str]) -> dict[str, Hive]:
    hives: dict[str, Hive] = {}
    for root, name in HIVE_FILES.items():
        entry = windows.paths.get(_CONFIG + name.casefold())
        if entry is None or entry.folder:
            continue
        if entry.size > HIVE_LIMIT:
            notes.append(f"hive {name} has {entry.size} bytes and is left out")
            continue
        try:
            hives[root] = Hive(root, windows.volume.read(entry))
        except (Damaged, DamagedHive) as damage:
            notes.append(f"hive {name} {damage}")
    return hives


def _plain_path(path: str) -> str:
    return path.replace("/", "\\").rstrip("\\").casefold()
