"""Which shared libraries an ELF file asks for: enough of the format to gather a program with them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.errors import LabFault

_PT_LOAD, _PT_DYNAMIC = 1, 2
_READ_ONLY = 4
_DT_NEEDED, _DT_STRTAB = 1, 5


def _segments(data: bytes) -> list[tuple[int, ...]]:
    """(kind, flags, offset, address, physical address, size) of each segment of an ELF file."""
    (table,) = struct.unpack_from("<Q", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 54)
    return [struct.unpack_from("<IIQQQQ", data, table + number * entry_size) for number in range(count)]


def constant_segments(data: bytes) -> list[tuple[int, int]]:
    """(offset, size) of the loaded segments that are neither writable nor code and don't hold the headers."""
    return [
        (start, size)
        for kind, flags, start, _, _, size in _segments(data)
        if kind == _PT_LOAD and flags == _READ_ONLY and start > 0
    ]


def needed_libraries(data: bytes) -> tuple[str, ...]:
    """The names under DT_NEEDED of a 64-bit little-endian ELF file; () for anything else."""
    if data[:6] != b"\x7fELF\x02\x01":
        return ()
    segments = _segments(data)

    def offset(address: int) -> int:
        for kind, _, start, virtual, _, size in segments:
            if kind == _PT_LOAD and virtual <= address < virtual + size:
                return int(start + address - virtual)
        raise LabFault("an ELF file points outside itself")

    names: list[int] = []
    strings = 0
    for kind, _, start, _, _, size in segments:
        if kind == _PT_DYNAMIC:
            for tag, value in struct.iter_unpack("<qQ", data[start : start + size]):
                if tag == _DT_NEEDED:
                    names.append(value)
                elif tag == _DT_STRTAB:
                    strings = offset(value)
    return tuple(data[strings + name : data.index(b"\0", strings + name)].decode() for name in names)


def with_libraries(tree: Path, programs: Iterable[Path]) -> set[Path]:
    """The programs (paths below ``tree``) and every library they need, links and their targets alike.

    Raises LabFault naming the program and the library when one is not in the tree: a package is missing
    from the recipe, or is wrongly listed as not needed.
    """
    folders = [tree / "usr/lib/x86_64-linux-gnu", tree / "usr/lib64", tree / "usr/lib"]
    found: set[Path] = set()
    open_paths = list(programs)
    while open_paths:
        path = open_paths.pop()
        if path in found:
            continue
        found.add(path)
        if path.is_symlink():
            open_paths.append(link_target(tree, path))
            continue
        for name in needed_libraries(path.read_bytes()):
            places = (folder / name for folder in folders)
            place = next((path for path in places if path.is_symlink() or path.exists()), None)
            if place is None:
                raise LabFault(
                    f"{path.relative_to(tree)} needs {name}, which no package of LabPE has",
                    hint="see 'without' in vm-templates/labpe/recipe.toml",
                )
            open_paths.append(place)
    return found


def link_target(tree: Path, link: Path) -> Path:
    """What a symbolic link inside a tree points to, one step, the tree taken as the root."""
    target = str(link.readlink())
    base = tree if target.startswith("/") else link.parent
    parts: list[str] = list(base.relative_to(tree).parts)
    for part in target.strip("/").split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return tree / merged("/".join(parts))


def merged(name: str) -> str:
    """A path as it is with a merged /usr: ``lib/x`` is ``usr/lib/x``."""
    first = name.split("/", 1)[0]
    return f"usr/{name}" if first in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") else name


def walk_files(tree: Path) -> Iterator[Path]:
    """All files and links below a tree, sorted by path."""
    yield from sorted(path for path in tree.rglob("*") if path.is_symlink() or path.is_file())
