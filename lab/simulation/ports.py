"""The loop's store and log, on the modelled machine's disks."""

from __future__ import annotations

import json
import re
from typing import Any

from lab.guest.loop import Savable
from lab.sequence import smsts
from lab.simulation.disks import Blob, Growing
from lab.simulation.machine import Machine, join

#: The state's file in the data folder, ConfigMgr's name; and the log's.
STATE_FILE = "TSEnv.dat"
LOG_FILE = "smsts.log"

_BOM = b"\xef\xbb\xbf"


class ModelStore:
    """The run's state as a file that stands on a modelled volume, or in memory (folder "")."""

    def __init__(self, machine: Machine, folder: str = "") -> None:
        self._machine = machine
        self._folder = folder
        self._saved: Savable | None = None

    def save(self, saved: Savable) -> None:
        self._saved = saved
        place = self._machine.locate(join(self._folder, STATE_FILE)) if self._folder else None
        if place is not None:
            place[0].put(place[1], Blob(0, data=saved))

    def load(self) -> dict[str, Any] | None:
        place = self._machine.locate(join(self._folder, STATE_FILE)) if self._folder else None
        content = place[0].get(place[1]) if place else None
        if not isinstance(content, Blob) or content.data is None:
            return None
        # By way of text, as on a real disk: what is no JSON shows here too.
        loaded: dict[str, Any] = json.loads(json.dumps(content.data.to_json()))
        return loaded

    def relocate(self, data_path: str) -> None:
        if data_path == self._folder:
            return
        self.remove_file()
        self._folder = data_path
        if self._saved is not None:
            self.save(self._saved)

    def remove(self) -> None:
        self._saved = None
        self.remove_file()

    def remove_file(self) -> None:
        place = self._machine.locate(join(self._folder, STATE_FILE)) if self._folder else None
        if place is not None:
            place[0].remove(place[1])


class ModelLog:
    """smsts.log as a file that grows, rolls and moves. ``text`` is all that was written in this boot."""

    def __init__(self, machine: Machine, folder: str = "", *, limit: int = smsts.LIMIT) -> None:
        self._machine = machine
        self._folder = folder
        self._limit = limit
        self._file: Growing | None = None
        self._size = 0
        self._kept: list[bytes] = []
        self.text: list[str] = []

    def write(self, line: str) -> None:
        self.text.append(line)
        self._append([line.encode()])

    def move(self, folder: str) -> None:
        if folder.casefold() == self._folder.casefold():
            return
        lines, self._kept = self._kept, []
        old = self._machine.locate(join(self._folder, LOG_FILE)) if self._folder else None
        if old is not None:
            content = old[0].get(old[1])
            if isinstance(content, Growing):
                lines = content.lines[1:]  # without the byte order mark
            old[0].remove(old[1])
        self._move_rolled(folder)
        self._folder = folder
        self._append(lines)

    def _move_rolled(self, folder: str) -> None:
        old = self._machine.locate(self._folder) if self._folder else None
        new = self._machine.locate(folder) if folder else None
        if old is None or new is None:
            return
        for name, content in old[0].under(old[1]):
            if re.fullmatch(r"smsts-\d+-\d+\.log", name):
                old[0].remove(join(old[1], name))
                new[0].put(join(new[1], name), content)

    def _append(self, lines: list[bytes]) -> None:
        place = self._machine.locate(join(self._folder, LOG_FILE)) if self._folder else None
        if place is None:
            self._kept += lines
            return
        content = place[0].get(place[1])
        more = sum(map(len, lines))
        if isinstance(content, Growing):
            if content is not self._file:
                self._file, self._size = content, sum(map(len, content.lines))
            if more and self._size > max(len(_BOM), self._limit - more):
                full = join(place[1].rpartition("\\")[0], smsts.rolled_name(b"".join(lines)))
                if full not in place[0]:  # two in one second: the file grows on
                    place[0].put(full, content)
                    content = None
        if not isinstance(content, Growing):
            content = self._file = Growing()
            content.lines.append(_BOM)
            self._size = len(_BOM)
            place[0].put(place[1], content)
        content.lines += lines
        self._size += more
