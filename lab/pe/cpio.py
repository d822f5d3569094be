"""Write initramfs archives (cpio "newc") that come out the same every time, device nodes without root."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field


@dataclass
class Cpio:
    """An archive in memory. Everything belongs to root and is dated 1970."""

    _entries: dict[str, tuple[int, bytes, tuple[int, int]]] = field(default_factory=dict)

    def folder(self, path: str) -> None:
        """A folder with its parents."""
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            self._entries.setdefault("/".join(parts[:depth]), (stat.S_IFDIR | 0o755, b"", (0, 0)))

    def file(self, path: str, data: bytes, *, executable: bool = False) -> None:
        self._add(path, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def link(self, path: str, target: str) -> None:
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path: str, major: int, minor: int, *, mode: int = 0o600) -> None:
        """A character device."""
        self._add(path, stat.S_IFCHR | mode, b"", (major, minor))

    def _add(self, path: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        path = path.strip("/")
        if "/" in path:
            self.folder(path.rsplit("/", 1)[0])
        self._entries[path] = (mode, data, device)

    def pack(self) -> bytes:
        """The archive. Ends on a multiple of 512 bytes, so that another one can follow it."""
        out = bytearray()
        for number, (path, (mode, data, device)) in enumerate(sorted(self._entries.items()), 1):
            _append(out, path, number, mode, data, device)
        _append(out, "TRAILER!!!", 0, 0, b"", (0, 0))
        out += bytes(-len(out) % 512)
        return bytes(out)


def _append(out: bytearray, path: str, number: int, mode: int, data: bytes, device: tuple[int, int]) -> None:
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
    out += b"070701" + b"".join(b"%08X" % value for value in fields) + name
    out += bytes(-len(out) % 4)
    out += data
    out += bytes(-len(out) % 4)
