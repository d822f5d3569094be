"""What is kept of a machine in the run's folder: screens, smsts.log, console, what its disks hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.disk.state import FinalState
from lab.errors import LabError
from lab.files import write_whole
from lab.hypervisor.protocol import BlockReader, Machine
from lab.sequence import smsts


class Kept:
    """``folder`` is the machine's own; ``event`` puts (source, kind, data) on the timeline."""

    def __init__(
        self, folder: Path, machine: Machine, event: Callable[[str, str, Mapping[str, Any]], object]
    ) -> None:
        self._folder, self._machine, self._event = folder, machine, event
        self._screens, self._picture = 0, b""

    def screen(self, reason: str) -> str:
        """Keep a screenshot; the file's name, or "" when there was none to take.

        A picture like the last one is not kept twice: the event names the file that has it.
        """
        try:
            picture = self._machine.screenshot()
        except LabError as error:
            self._event("lab", "no-screenshot", {"reason": str(error)})
            return ""
        name = f"screen-{self._screens:04}.png"
        if picture != self._picture:
            self._screens += 1
            name = f"screen-{self._screens:04}.png"
            (self._folder / name).write_bytes(picture)
            self._picture = picture
        self._event("screen", "screenshot", {"file": f"{self._folder.name}/{name}", "reason": reason})
        return name

    def record(self, data: Mapping[str, Any]) -> None:
        """One record of smsts.log."""
        path = self._folder / "smsts.log"
        line = smsts.format_record(
            str(data.get("message", "")),
            component=str(data.get("component", "")),
            time=str(data.get("time", "")),
            date=str(data.get("date", "")),
            type=int(data.get("type", 1)),
            thread=int(data.get("thread", 0)),
            file=str(data.get("file", "")),
        )
        with path.open("ab") as file:
            if file.tell() == 0:
                file.write(smsts.BOM)
            file.write(line.encode("utf-8"))

    def console(self) -> None:
        path = self._folder / "console.log"
        if not path.exists():  # a hypervisor of this host may have written it there in the first place
            path.write_bytes(self._machine.console(0))

    def disks(self, count: int, read: Callable[[Sequence[BlockReader]], FinalState]) -> None:
        """The final state of the machine, which is off. Raises LabFault."""
        readers: list[BlockReader] = []
        try:
            for index in range(count):
                readers.append(self._machine.disk(index))
            state = read(readers)
        finally:
            for reader in readers:
                reader.close()
        # In ASCII: what stands on a disk may be no text at all.
        write_whole(self._folder / "final-state.json", json.dumps(state.to_json()))
        file = f"{self._folder.name}/final-state.json"
        self._event("lab", "collected", {"file": file, "notes": list(state.notes)})
