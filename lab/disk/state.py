"""The final state of a machine as a value: what stands on its disks when it is off.

Read from a powered-off image (``lab.disk.reader``) or told by the simulator; both give the same shape,
so the judge and the fingerprints need not know which. Everything is JSON-able.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class PartitionState:
    """A partition. Sectors of 512 bytes. ``type``: EFI, MSR, Primary, Recovery, Extended, Logical, Hidden or
    the raw id. ``file_system``: NTFS, FAT32, or "" when none is recognised. ``label`` of the file system."""

    number: int
    type: str
    start: int
    sectors: int
    file_system: str = ""
    label: str = ""
    bootable: bool = False


@dataclass(frozen=True)
class FileState:
    """A file. ``sha256`` hex of the content ("" when too large to read); ``text`` only for small text files
    that an expectation asks for."""

    size: int
    sha256: str = ""
    text: str | None = None


@dataclass(frozen=True)
class DiskState:
    """A disk. ``style``: GPT, MBR or "" (no partition table: unformatted). ``size`` in bytes."""

    index: int
    size: int
    style: str
    partitions: tuple[PartitionState, ...] = ()


@dataclass(frozen=True)
class FinalState:
    """``volumes``: name -> "disk,partition", for instance {"C:": "0,3", "EFI:": "0,1"}. C: is the volume that
    holds Windows (or, when none does, the first NTFS volume); EFI: the EFI system partition;
    SYSTEM: the active partition of an MBR disk, where it is not C: itself.

    ``files``: Windows path (``C:\\Windows\\...``, ``EFI:\\EFI\\...``) -> FileState; folders end with a
    backslash. Case as found; lookups ignore case. NTFS metadata and ``System Volume Information`` are left
    out.
    ``registry``: key (``HKLM\\SYSTEM\\Setup``; ControlSet001, never CurrentControlSet) -> value name ->
    [type, data]. ``notes``: what could not be read or was left out, one sentence each.
    """

    disks: tuple[DiskState, ...] = ()
    volumes: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    registry: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> FinalState:
        return FinalState(
            disks=tuple(
                DiskState(
                    **{**disk, "partitions": tuple(PartitionState(**part) for part in disk["partitions"])}
                )
                for disk in data["disks"]
            ),
            volumes=data["volumes"],
            files={path: FileState(**state) for path, state in data["files"].items()},
            registry=data["registry"],
            notes=tuple(data.get("notes", ())),
        )
