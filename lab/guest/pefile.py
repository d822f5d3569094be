"""The sections of a UEFI executable: a unified kernel image carries kernel, command line and initrd in them.

Source: the PE format's section table, documented.
"""

from __future__ import annotations

import os
import struct

_CHUNK = 1 << 20
#: More sections than any executable has; a damaged header may claim anything.
_MOST = 96


def first_executable(folder: str) -> str:
    """The first ``*.efi`` in a folder by name; "" when there is none, or no folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.lower().endswith(".efi"))
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return f"{folder}/{names[0]}" if names else ""


def sections(path: str) -> dict[str, tuple[int, int]]:
    """Name -> (offset in the file, bytes). Raises ValueError when it is no executable, and OSError."""
    with open(path, "rb") as file:
        try:
            (header,) = struct.unpack_from("<I", file.read(64), 0x3C)
            file.seek(header)
            begin = file.read(24)
            count, optional = struct.unpack_from("<H", begin, 6)[0], struct.unpack_from("<H", begin, 20)[0]
            if begin[:4] != b"PE\0\0" or count > _MOST:
                raise ValueError("no UEFI executable")
            file.seek(header + 24 + optional)
            rows = [struct.unpack("<8sIIII", file.read(40)[:24]) for _ in range(count)]
        except struct.error as error:
            raise ValueError("no UEFI executable") from error
    return {
        name.rstrip(b"\0").decode("ascii", "replace"): (offset, min(size, raw_size))
        for name, size, _, raw_size, offset in rows
    }


def read(path: str, section: tuple[int, int]) -> bytes:
    """A section's content. Raises OSError."""
    with open(path, "rb") as file:
        file.seek(section[0])
        return file.read(section[1])


def extract(path: str, section: tuple[int, int], target: str) -> None:
    """Copy a section into a file of its own. Raises OSError, also when it is cut short."""
    offset, left = section
    with open(path, "rb") as source, open(target, "wb") as out:
        source.seek(offset)
        while left:
            chunk = source.read(min(_CHUNK, left))
            if not chunk:
                raise OSError(f"{path} is cut short")
            out.write(chunk)
            left -= len(chunk)
