"""A log file's bytes with their encoding: where a byte stands, which line it is, what text it means.

The file is read once. UTF-16 is scanned through a shadow of one byte per code unit, so that one scanner
serves every encoding and offsets stay the file's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError, Problem

#: Larger files are refused: the text of one file is held in memory, once.
LARGEST = 1 << 30

_NOT_ZERO = bytes([0] + [0x1A] * 255)
_IF_ZERO = bytes([0xFF] + [0] * 255)


@dataclass(frozen=True)
class Source:
    """``scanned[i]`` stands at byte ``base + i * unit`` of the file ``path``; ``raw`` is the whole file."""

    path: str
    raw: bytes
    scanned: bytes
    base: int = 0
    unit: int = 1
    encoding: str = "utf-8"

    def offset(self, index: int) -> int:
        """The file's byte offset of an index into ``scanned``."""
        return self.base + index * self.unit

    def text(self, start: int, end: int) -> str:
        """The text of ``scanned[start:end]``. Never raises: what UTF-8 is not is read as Windows-1252."""
        if self.unit == 1:
            return decode(self.scanned[start:end])
        return self.raw[self.offset(start) : self.offset(end)].decode(self.encoding, errors="replace")


def decode(data: bytes) -> str:
    """Bytes of an 8-bit log as text: UTF-8, else the code page that Western Windows writes."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_source(path: Path) -> Source:
    """Read a log file. Raises InputError when it cannot be read or is larger than 1 GiB."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError([Problem(str(path), 0, 0, "the log is larger than 1 GiB", "cut it into pieces")])
        data = path.read_bytes()
    except OSError as error:
        raise InputError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror or error}")]) from None
    except ValueError:
        raise InputError([Problem(str(path), 0, 0, "is no name of a file")]) from None
    return source_of(data, str(path))


def source_of(data: bytes, path: str = "") -> Source:
    """The source of bytes at hand; the encoding is known from the byte order mark, or from the NULs."""
    if data.startswith(b"\xef\xbb\xbf"):
        return Source(path, data, data[3:], base=3)
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return _wide(path, data, 2, encoding)
    head = data[:512]
    if len(head) >= 8:
        if _mostly_zero(head[1::2]) and not _mostly_zero(head[0::2]):
            return _wide(path, data, 0, "utf-16-le")
        if _mostly_zero(head[0::2]) and not _mostly_zero(head[1::2]):
            return _wide(path, data, 0, "utf-16-be")
    return Source(path, data, data)


def _mostly_zero(data: bytes) -> bool:
    return data.count(0) * 10 >= len(data) * 9


def _wide(path: str, data: bytes, base: int, encoding: str) -> Source:
    """A UTF-16 source; code units above 0xFF are 0x1A in the shadow. An odd last byte stays outside."""
    little = encoding == "utf-16-le"
    end = base + (len(data) - base) // 2 * 2
    low = data[base + (not little) : end : 2]
    high = data[base + little : end : 2]
    if high.count(0) != len(high):
        keep = int.from_bytes(low, "big") & int.from_bytes(high.translate(_IF_ZERO), "big")
        shadow = keep | int.from_bytes(high.translate(_NOT_ZERO), "big")
        low = shadow.to_bytes(len(low), "big")
    return Source(path, data, low, base, 2, encoding)
