"""The run's state and smsts.log as files, in folders that move: from the RAM disk to the formatted volume.

No file stays open, so a volume can be unmounted between two writes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from lab.guest import paths
from lab.guest.loop import Savable
from lab.guest.saved import read_saved
from lab.sequence.smsts import BOM, LIMIT, rolled_name

#: The state's file in the data folder; ConfigMgr's name for the environment that survives a restart.
STATE_FILE = "TSEnv.dat"
#: The RAM disk: a state file there would survive nothing.
VOLATILE = "X:"
LOG_FILE = "smsts.log"


class FileStore:
    """The state as one JSON file, replaced as a whole: a power cut leaves the old one or the new one."""

    def __init__(self, drives: Mapping[str, str] = paths.DRIVES, folder: str = "") -> None:
        self._drives = drives
        self._folder = folder
        self._saved: Savable | None = None
        self._texts: dict[str, tuple[object, str]] = {}

    def save(self, saved: Savable) -> None:
        """Raises OSError. On a drive that is not there (any more) it is kept in memory."""
        self._saved = saved
        if not (path := self._file()):
            return
        parts = (f"{json.dumps(key)}:{self._text(key, value)}" for key, value in saved.to_json().items())
        write_whole(path, ("{" + ",".join(parts) + "}").encode())

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None. Raises Unusable when the file is damaged."""
        if not (path := self._file()):
            return self._saved.to_json() if self._saved else None
        try:
            with open(path, "rb") as file:
                return read_saved(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def relocate(self, data_path: str) -> None:
        if data_path.upper().startswith(VOLATILE):
            data_path = ""
        if data_path == self._folder:
            return
        old = self._file()
        self._folder = data_path
        if self._saved is not None:
            self.save(self._saved)
        if old:
            _remove(old)

    def remove(self) -> None:
        self._saved = None
        if path := self._file():
            _remove(path)

    def _file(self) -> str:
        return _place(self._folder, STATE_FILE, self._drives)

    def _text(self, key: str, value: object) -> str:
        """Sequence and policy stay the same over the whole run: they are written as JSON once."""
        known = self._texts.get(key)
        if known is None or known[0] is not value:
            known = (value, json.dumps(value, ensure_ascii=False, separators=(",", ":")))
            self._texts[key] = known
        return known[1]


class FileLog:
    """smsts.log: UTF-8 with BOM. Before the first ``move`` lines are kept in memory.

    A file that would grow beyond ``limit`` bytes is renamed, ``smsts-YYYYMMDD-HHMMSS.log``; those move along.
    """

    def __init__(
        self, drives: Mapping[str, str] = paths.DRIVES, folder: str = "", *, limit: int = LIMIT
    ) -> None:
        self._drives = drives
        self._folder = folder
        self._limit = limit
        self._kept = b""

    def write(self, lines: str) -> None:
        self._append(lines.encode())

    def move(self, folder: str) -> None:
        if folder.casefold() == self._folder.casefold():
            return
        content, self._kept = self._kept, b""
        if old := self._file():
            try:
                with open(old, "rb") as file:
                    content = file.read().removeprefix(BOM) + content
            except FileNotFoundError:
                old = ""
        rolled = self._rolled(os.path.dirname(old)) if old else []
        self._folder = folder
        target = os.path.dirname(self._file())
        for path in rolled if target else ():
            with open(path, "rb") as file:
                write_whole(os.path.join(target, os.path.basename(path)), file.read())
            _remove(path)
        self._append(content)
        if old:
            _remove(old)
            with contextlib.suppress(OSError):  # others may keep files there
                os.rmdir(os.path.dirname(old))

    @staticmethod
    def _rolled(folder: str) -> list[str]:
        names = os.listdir(folder) if os.path.isdir(folder) else ()
        return [
            os.path.join(folder, name) for name in sorted(names) if re.fullmatch(r"smsts-\d+-\d+\.log", name)
        ]

    def _file(self) -> str:
        return _place(self._folder, LOG_FILE, self._drives)

    def _append(self, content: bytes) -> None:
        path = self._file()
        if not path:
            self._kept += content
            return
        if not content:
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > max(len(BOM), self._limit - len(content)):
            full = os.path.join(os.path.dirname(path), rolled_name(content))
            if not os.path.exists(full):  # two in one second: the file grows on
                os.rename(path, full)
        with open(path, "ab") as file:
            file.write((b"" if file.tell() else BOM) + content)


def write_whole(path: str, content: bytes) -> None:
    """Write a file so that a power cut leaves the old content or the new one. Makes its folder."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = path + ".new"
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Not every file system syncs folders; one that cannot says so.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _place(folder: str, name: str, drives: Mapping[str, str]) -> str:
    """The Linux path of a file; "" when it is kept in memory: no folder, or its drive is not there."""
    try:
        return paths.to_linux(paths.join(folder, name), drives) if folder else ""
    except paths.NoDrive:
        return ""


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
