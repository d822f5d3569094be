"""What the performer works with on one start of the machine; every handler of an effect gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.clock import Clock
from lab.guest import paths
from lab.guest.doubles import Double
from lab.guest.place import Place
from lab.guest.runner import Runner
from lab.guest.volumes import Volumes


@dataclass
class Bench:
    """``phase`` "pe" or "os"; ``identity`` has mac, uuid, machine_name, uefi, architecture, launch_mode;
    ``policy`` is what the site told the machine; ``site`` gives the site's address when it is needed;
    ``locate`` asks it where a package is (``GET /locations``; raises OSError, LabFault);
    ``announce`` is told the phases of a machine's life."""

    phase: str
    identity: Mapping[str, Any]
    runner: Runner
    volumes: Volumes
    clock: Clock
    policy: Mapping[str, Any] = field(default_factory=dict)
    doubles: Sequence[Double] = ()
    place: Place = field(default_factory=Place)
    site: Callable[[], str] = lambda: ""
    locate: Callable[[str], Mapping[str, Any]] = lambda package: {}
    announce: Callable[[str], None] = lambda phase: None

    @property
    def uefi(self) -> bool:
        return bool(self.identity["uefi"])

    def local(self, path: str) -> str:
        """Where a Windows path is. Raises PathError."""
        return paths.to_linux(path, self.volumes.drives)

    def write(self, path: str, text: str) -> None:
        """Write a text file by its Windows path. Raises PathError and OSError."""
        from lab.guest.storage import write_whole

        write_whole(self.local(path), text.encode())
