"""File systems inside a disk image, read with The Sleuth Kit: kind, label, file listing, file content.

The home of pytsk3. Whatever its C layer raises on damage becomes ``Damaged``; a block reader that fails is a
LabFault, because then the lab broke and not the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytsk3

from lab.disk.source import Source
from lab.disk.table import SECTOR
from lab.errors import LabFault

#: Deeper than any path Windows itself can make (32,767 characters would allow more; damage does too).
MAX_DEPTH = 128

_CHUNK = 1 << 20
_NTFS_VOLUME_INODE = 3
_NTFS_ATTRIBUTE_VOLUME_NAME = 0x60
_NTFS_FIRST_USER_INODE = 24
_FAT_LABEL_SUFFIX = " (Volume Label Entry)"
_LEFT_OUT = {"system volume information", "$orphanfiles"}


class Damaged(Exception):
    """A file system, folder or file could not be read. The message is a clause: "cannot be listed: ..."."""


class Image(pytsk3.Img_Info):  # type: ignore[misc]
    """A block reader as The Sleuth Kit's image. ``failure`` keeps what the reader raised inside C code."""

    def __init__(self, reader: Source) -> None:
        self._reader = reader
        self.failure: Exception | None = None
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, size: int) -> bytes:
        if self.failure is not None or offset < 0 or offset >= self._reader.size:
            return b""
        try:
            return self._reader.read(offset, min(size, self._reader.size - offset))
        except Exception as error:  # kept: it cannot travel through the C layer as what it is
            self.failure = error
            return b""

    def get_size(self) -> int:
        return self._reader.size

    def check(self, what: str) -> None:
        """Raises LabFault when the reader itself failed while ``what`` was done."""
        if self.failure is not None:
            raise LabFault(
                f"the disk could not be read while {what}: {self.failure}",
                hint="the machine must be off and its disk image reachable",
                causes=[self.failure],
            ) from self.failure


@dataclass(frozen=True)
class Entry:
    """A file or folder of a listing. ``path`` below the volume's root, with backslashes, no leading one."""

    path: str
    inode: int
    folder: bool
    size: int


def recognise(boot_sector: bytes) -> str:
    """The file system's name by its boot sector: NTFS, FAT32, FAT16, FAT12, exFAT or ""."""
    if boot_sector[3:11] == b"NTFS    ":
        return "NTFS"
    if boot_sector[3:11] == b"EXFAT   ":
        return "exFAT"
    if boot_sector[82:90] == b"FAT32   ":
        return "FAT32"
    if boot_sector[54:59] in (b"FAT16", b"FAT12"):
        return boot_sector[54:59].decode("ascii")
    return ""


class Volume:
    """One opened file system. Raises Damaged when it cannot be opened."""

    def __init__(self, image: Image, start: int, file_system: str) -> None:
        self._image = image
        self.file_system = file_system
        kind = pytsk3.TSK_FS_TYPE_NTFS if file_system == "NTFS" else pytsk3.TSK_FS_TYPE_DETECT
        try:
            self._fs = pytsk3.FS_Info(image, offset=start * SECTOR, type=kind)
        except Exception as error:
            image.check("a file system was opened")
            raise Damaged(f"cannot be opened: {_said(error)}") from error

    def label(self) -> str:
        """The volume's name, "" when it has none. Raises Damaged."""
        try:
            return self._ntfs_label() if self.file_system == "NTFS" else self._fat_label()
        except Exception as error:
            self._image.check("a volume's label was read")
            raise Damaged(f"has an unreadable label: {_said(error)}") from error

    def _ntfs_label(self) -> str:
        for attribute in (file := self._fs.open_meta(inode=_NTFS_VOLUME_INODE)):
            info = attribute.info
            if int(info.type) == _NTFS_ATTRIBUTE_VOLUME_NAME and 0 < info.size <= 512:
                raw: bytes = file.read_random(0, info.size, info.type, info.id)
                return raw.decode("utf-16-le", "replace")
        return ""

    def _fat_label(self) -> str:
        for item in self._fs.open_dir(path="/"):
            name = _name(item)
            if name.endswith(_FAT_LABEL_SUFFIX):
                return name[: -len(_FAT_LABEL_SUFFIX)].rstrip()
        return ""

    def walk(self, notes: list[str], limit: int) -> Iterator[Entry]:
        """All files and folders, at most ``limit``; what cannot be listed is said in ``notes``."""
        count = 0
        seen = {int(self._fs.info.root_inum)}
        folders: list[tuple[str, int, int]] = [("", int(self._fs.info.root_inum), 0)]
        while folders:
            prefix, inode, depth = folders.pop()
            try:
                for entry in self._list(prefix, inode):
                    if count >= limit:
                        notes.append(f"has more than {limit} files and folders; the rest is left out")
                        return
                    count += 1
                    yield entry
                    if not entry.folder:
                        continue
                    if entry.inode in seen:
                        notes.append(f"has a folder that contains itself: {entry.path}")
                    elif depth >= MAX_DEPTH:
                        notes.append(f"has folders nested deeper than {MAX_DEPTH}: {entry.path}")
                    else:
                        seen.add(entry.inode)
                        folders.append((entry.path + "\\", entry.inode, depth + 1))
            except Damaged as damage:
                notes.append(f"folder '\\{prefix}' {damage}")

    def _list(self, prefix: str, inode: int) -> list[Entry]:
        entries: dict[str, Entry] = {}
        try:
            for item in self._fs.open_dir(inode=inode):
                entry = self._entry(prefix, item)
                if entry is not None:
                    entries.setdefault(entry.path, entry)
        except Exception as error:
            self._image.check("a folder was listed")
            raise Damaged(f"cannot be listed: {_said(error)}") from error
        self._image.check("a folder was listed")
        return list(entries.values())

    def _entry(self, prefix: str, item: Any) -> Entry | None:
        name = _name(item)
        info = item.info
        if name in ("", ".", "..") or info.name.flags == pytsk3.TSK_FS_NAME_FLAG_UNALLOC:
            return None
        inode = int(info.name.meta_addr)
        if self.file_system == "NTFS":
            if inode < _NTFS_FIRST_USER_INODE or ":" in name:
                return None
        elif name.endswith(_FAT_LABEL_SUFFIX) or (name.startswith("$") and info.meta is None):
            return None
        if not prefix and (name.casefold() in _LEFT_OUT or info.name.type == pytsk3.TSK_FS_NAME_TYPE_VIRT):
            return None
        if info.meta is None:
            return Entry(prefix + name, inode, False, 0)
        folder = info.meta.type == pytsk3.TSK_FS_META_TYPE_DIR
        if info.meta.type in (pytsk3.TSK_FS_META_TYPE_VIRT, pytsk3.TSK_FS_META_TYPE_VIRT_DIR):
            return None
        return Entry(prefix + name, inode, folder, 0 if folder else int(info.meta.size))

    def read(self, entry: Entry) -> bytes:
        """A file's whole content; the caller has looked at the size. Raises Damaged."""
        return b"".join(self._chunks(entry))

    def sha256(self, entry: Entry) -> str:
        """The SHA-256 of a file's content as hex. Raises Damaged."""
        digest = hashlib.sha256()
        for chunk in self._chunks(entry):
            digest.update(chunk)
        return digest.hexdigest()

    def _chunks(self, entry: Entry) -> Iterator[bytes]:
        offset = 0
        try:
            file = self._fs.open_meta(inode=entry.inode)
            while offset < entry.size:
                chunk: bytes = file.read_random(offset, min(_CHUNK, entry.size - offset))
                if not chunk:
                    break
                offset += len(chunk)
                yield chunk
        except Exception as error:
            self._image.check(f"the file {entry.path} was read")
            raise Damaged(f"cannot be read: {_said(error)}") from error
        self._image.check(f"the file {entry.path} was read")
        if offset < entry.size:
            raise Damaged(f"ends after {offset} of {entry.size} bytes")


def _name(item: Any) -> str:
    raw: bytes = item.info.name.name or b""
    return raw.decode("utf-8", "replace")


def _said(error: Exception) -> str:
    """The first line of what The Sleuth Kit said; its messages run over several lines."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
