"""What is in an uncompressed WIM file: paths, sizes and SHA-256 of the files of an image, without any tool.

The reference image is stored uncompressed, and the simulator wants the very bytes' hashes. Layout documented
("Windows Imaging File Format (WIM)"): a header of 208 bytes, a lookup table of 50-byte entries (size and
flags, offset, original size, part, references, SHA-1), and a metadata resource per image: security data, then
directory entries, each on an 8-byte boundary, a folder's children at its own offset.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lab.errors import LabFault

_MAGIC = b"MSWIM\0\0\0"
_METADATA, _COMPRESSED = 0x02, 0x04
_FOLDER = 0x10
_BLOCK = 1 << 20
_DEPTH = 64


@dataclass(frozen=True)
class WimFile:
    """A file of an image. ``path`` below the volume's root with backslashes, ``size`` in bytes."""

    path: str
    size: int
    sha256: str


def read_files(wim: Path, index: int = 1) -> tuple[WimFile, ...]:
    """The files of image ``index`` (from 1). Raises LabFault for a file that is no uncompressed WIM."""
    try:
        with wim.open("rb") as file:
            return _Wim(file).files(index)
    except (OSError, struct.error, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise LabFault(f"'{wim}' cannot be read as a WIM file: {error}", causes=(error,)) from error
    except ValueError as error:
        raise LabFault(f"'{wim}' cannot be read as a WIM file: {error}") from error


class _Wim:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = file.read(208)
        if header[:8] != _MAGIC:
            raise ValueError("it has another signature")
        self._blobs: dict[bytes, tuple[int, int]] = {}
        self._images: list[tuple[int, int]] = []
        size, offset, _ = self._resource(header, 48)
        table = self._read(offset, size)
        for at in range(0, len(table) - 49, 50):
            size, offset, flags = self._resource(table, at)
            if flags & _METADATA:
                self._images.append((offset, size))
            else:
                self._blobs[table[at + 30 : at + 50]] = (offset, size)

    def files(self, index: int) -> tuple[WimFile, ...]:
        data = self._read(*self._images[index - 1])
        (security,) = struct.unpack_from("<I", data)
        root = -(-max(security, 8) // 8) * 8
        (children,) = struct.unpack_from("<Q", data, root + 16)
        return tuple(self._below(data, children, "", 0))

    def _below(self, data: bytes, at: int, folder: str, depth: int) -> Iterator[WimFile]:
        if depth > _DEPTH:
            raise ValueError("its folders go too deep")
        while at and (length := struct.unpack_from("<Q", data, at)[0]) > 8:
            attributes, _, children = struct.unpack_from("<IiQ", data, at + 8)
            streams, _, name_length = struct.unpack_from("<HHH", data, at + 96)
            path = folder + data[at + 102 : at + 102 + name_length].decode("utf-16-le")
            if attributes & _FOLDER:
                yield from self._below(data, children, path + "\\", depth + 1)
            else:
                yield self._file_of(path, data[at + 64 : at + 84])
            at += -(-length // 8) * 8
            for _ in range(streams):
                at += -(-struct.unpack_from("<Q", data, at)[0] // 8) * 8

    def _file_of(self, path: str, sha1: bytes) -> WimFile:
        digest = hashlib.sha256()
        if not any(sha1):
            return WimFile(path, 0, digest.hexdigest())
        offset, size = self._blobs[sha1]
        self._file.seek(offset)
        left = size
        while left:
            block = self._file.read(min(_BLOCK, left))
            if not block:
                raise ValueError("it is cut short")
            digest.update(block)
            left -= len(block)
        return WimFile(path, size, digest.hexdigest())

    @staticmethod
    def _resource(data: bytes, at: int) -> tuple[int, int, int]:
        packed, offset, original = struct.unpack_from("<QQQ", data, at)
        flags = packed >> 56
        if flags & _COMPRESSED:
            raise ValueError("it is compressed")
        return original, offset, flags

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise ValueError("it is cut short")
        return data
