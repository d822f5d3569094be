"""What this room needs of a disk: its bytes. The hypervisor's block readers fit, and others alike."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """A disk's raw content, read-only. ``size`` in bytes; a read beyond the end gives fewer bytes."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes: ...
