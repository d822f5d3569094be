"""A powered-off machine's qcow2 file as a BlockReader, through libqcow: no mount, no root, no writing."""

from __future__ import annotations

from pathlib import Path

import pyqcow

from lab.hypervisor.errors import HypervisorError


class QcowReader:
    """The raw content of a qcow2 file. Like a file, a read past the end gives fewer bytes.

    Raises HypervisorError when the file cannot be opened or read. Usable as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pyqcow.file()
        try:
            self._file.open(str(path))
            self._size = int(self._file.get_media_size())
        except OSError as error:
            raise HypervisorError(f"disk '{path.name}' cannot be opened: {error}") from error

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0:
            raise ValueError(f"cannot read {size} bytes at {offset}")
        size = min(size, max(0, self._size - offset))
        if self._file is None:
            raise HypervisorError(f"disk '{self._path.name}' is closed")
        if size == 0:
            return b""
        try:
            return bytes(self._file.read_buffer_at_offset(size, offset))
        except OSError as error:
            raise HypervisorError(f"disk '{self._path.name}' cannot be read at {offset}: {error}") from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> QcowReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
