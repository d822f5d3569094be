"""Modelled disks: partitions, volumes with files and registry hives, and the final state they amount to.

Everything is in memory. A file's content is bytes, or a ``Blob`` when only size and hash are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.disk.state import DiskState, FileState, FinalState, PartitionState
from lab.sequence.effects import Partition

#: Registry root -> its hive file on the Windows volume.
HIVES = {
    f"hklm\\{name.casefold()}": f"Windows\\System32\\config\\{name}"
    for name in ("SYSTEM", "SOFTWARE", "SAM", "SECURITY")
}
HIVES["hku\\.default"] = "Windows\\System32\\config\\DEFAULT"

#: A FAT label has eleven characters, in capitals (documented).
_FAT_LABEL = 11

Registry = dict[str, dict[str, list[Any]]]


@dataclass(frozen=True)
class Blob:
    """Content of which size and SHA-256 (hex, "" unknown) are enough. ``data`` is anything kept with it."""

    size: int
    sha256: str = ""
    data: Any = None


class Growing:
    """Content that is added to: a log. ``lines`` are bytes with their line ends."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def whole(self) -> bytes:
        return b"".join(self.lines)


Content = bytes | Blob | Growing


class Files:
    """A tree of files and folders. Paths are relative, with backslashes; case is kept and does not count."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[str, Content | None]] = {}

    def __contains__(self, path: str) -> bool:
        return path.casefold() in self._nodes

    def is_folder(self, path: str) -> bool:
        return self._nodes.get(path.casefold(), ("", b""))[1] is None

    def get(self, path: str) -> Content | None:
        """A file's content; None when it is not there or is a folder."""
        node = self._nodes.get(path.casefold())
        return node[1] if node else None

    def put(self, path: str, content: Content) -> None:
        parent = path.rpartition("\\")[0]
        if parent:
            self.make_folder(parent)
        known = self._nodes.get(path.casefold())
        self._nodes[path.casefold()] = (known[0] if known else self._spelled(path), content)

    def make_folder(self, path: str) -> None:
        if path.casefold() in self._nodes:
            return
        parent = path.rpartition("\\")[0]
        if parent:
            self.make_folder(parent)
        self._nodes[path.casefold()] = (self._spelled(path), None)

    def _spelled(self, path: str) -> str:
        """The path with the parent's own spelling, which is the one that was there first."""
        parent, _, name = path.rpartition("\\")
        return f"{self._nodes[parent.casefold()][0]}\\{name}" if parent else name

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder; no error when it is not there."""
        key = path.casefold()
        for below in [name for name in self._nodes if name == key or name.startswith(key + "\\")]:
            del self._nodes[below]

    def keep_only(self, roots: Iterable[str]) -> None:
        """Remove everything but these folders at the root."""
        kept = {root.casefold() for root in roots}
        self._nodes = {key: node for key, node in self._nodes.items() if key.split("\\")[0] in kept}

    def under(self, folder: str) -> list[tuple[str, Content]]:
        """The files below a folder: (path relative to it, content)."""
        prefix = folder.casefold() + "\\"
        return [
            (path[len(prefix) :], content)
            for key, (path, content) in self._nodes.items()
            if key.startswith(prefix) and content is not None
        ]

    def items(self) -> Iterator[tuple[str, Content | None]]:
        return iter(self._nodes.values())


@dataclass
class Volume:
    """A formatted partition. ``registry``: key in lower case -> (key as written, values); ``active``: the
    flag of an MBR."""

    disk: int
    partition: int
    type: str
    file_system: str
    label: str
    active: bool = False
    files: Files = field(default_factory=Files)
    registry: dict[str, tuple[str, dict[str, list[Any]]]] = field(default_factory=dict)

    @property
    def holds_windows(self) -> bool:
        return self.file_system == "NTFS" and self.files.is_folder("Windows\\System32")

    def has_hive(self, key: str) -> bool:
        """Whether the hive that would hold ``key`` (control set resolved) is on the volume."""
        root = "\\".join(key.casefold().split("\\")[:2])
        return root in HIVES and HIVES[root] in self.files

    def set_values(self, key: str, values: Mapping[str, list[Any]]) -> None:
        """Set values of a key, which is made with its parents if it is not there; names ignore case."""
        parts = resolve(key).split("\\")
        name = ""
        for depth in range(2, len(parts) + 1):
            name = "\\".join(parts[:depth])
            self.registry.setdefault(name.casefold(), (name, {}))
        known = self.registry[name.casefold()][1]
        spelled = {old.casefold(): old for old in known}
        for value, (kind, data) in values.items():
            known[spelled.get(value.casefold(), value)] = [kind, data]

    def get_values(self, key: str) -> dict[str, list[Any]]:
        return self.registry.get(resolve(key).casefold(), ("", {}))[1]


@dataclass
class Disk:
    """A disk of ``size`` bytes. ``style`` "" is blank."""

    index: int
    size: int
    style: str = ""
    partitions: tuple[Partition, ...] = ()
    volumes: list[Volume] = field(default_factory=list)

    def write_table(self, style: str, partitions: tuple[Partition, ...]) -> None:
        """Wipe the disk, partition and format it."""
        self.style = style
        self.partitions = partitions
        self.volumes = [
            Volume(
                self.index,
                item.number,
                item.type,
                item.file_system,
                item.label.upper()[:_FAT_LABEL] if item.file_system == "FAT32" else item.label,
                item.bootable,
            )
            for item in partitions
            if item.file_system
        ]

    def state(self) -> DiskState:
        labels = {volume.partition: volume.label for volume in self.volumes}
        return DiskState(
            self.index,
            self.size,
            self.style,
            tuple(
                PartitionState(
                    item.number,
                    item.type,
                    item.start,
                    item.sectors,
                    item.file_system,
                    labels.get(item.number, ""),
                    item.bootable,
                )
                for item in self.partitions
            ),
        )


def resolve(key: str) -> str:
    """A key with ``CurrentControlSet`` replaced: in a Windows that was just installed it is the first set."""
    parts = key.strip("\\").split("\\")
    parts[0] = {"HKEY_LOCAL_MACHINE": "HKLM", "HKEY_USERS": "HKU"}.get(parts[0].upper(), parts[0].upper())
    if len(parts) > 2 and parts[1].upper() == "SYSTEM" and parts[2].casefold() == "currentcontrolset":
        parts[2] = "ControlSet001"
    return "\\".join(parts)


def final_state(disks: Iterable[Disk], text_limit: int = 4 << 20) -> FinalState:
    """What stands on the disks, as reading an image gives it; with the texts of all text files."""
    disks = list(disks)
    volumes = [volume for disk in disks for volume in disk.volumes]
    ntfs = [volume for volume in volumes if volume.file_system == "NTFS"]
    windows = next((volume for volume in ntfs if volume.holds_windows), None)
    if windows is None and ntfs:
        windows = sorted(ntfs, key=lambda volume: volume.active)[0]
    system = next((volume for volume in volumes if volume.type == "EFI"), None)
    active = next((volume for volume in volumes if volume.active and volume is not windows), None)
    names: dict[str, str] = {}
    files: dict[str, FileState] = {}
    for volume in volumes:
        place = f"{volume.disk},{volume.partition}"
        name = f"{place}:"
        for known, own in (("C:", windows), ("EFI:", system), ("SYSTEM:", active)):
            if volume is own:
                name = known
                break
        names[name] = place
        for path, content in volume.files.items():
            if content is None:
                files[f"{name}\\{path}\\"] = FileState(0)
            else:
                files[f"{name}\\{path}"] = _file_state(content, text_limit)
    registry = {name: dict(values) for name, values in windows.registry.values()} if windows else {}
    return FinalState(
        disks=tuple(disk.state() for disk in disks),
        volumes=names,
        files=files,
        registry=dict(sorted(registry.items())),
    )


def _file_state(content: Content, text_limit: int) -> FileState:
    if isinstance(content, Blob):
        return FileState(content.size, content.sha256)
    if isinstance(content, Growing):
        content = content.whole()
    text: str | None = None
    if len(content) <= text_limit:
        try:
            text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        except UnicodeDecodeError:
            text = None
        if text is not None and "\0" in text:
            text = None
    return FileState(len(content), hashlib.sha256(content).hexdigest(), text)
