"""What the model's performer works with on one start of the machine; every handler of an effect gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.clock import VirtualClock
from lab.guest.doubles import Double
from lab.guest.place import Place
from lab.simulation.machine import Machine
from lab.simulation.site import ModelSite

PATH_NOT_FOUND = 0x80070003
INVALID_NAME = 0x8007007B

_ILLEGAL = frozenset('<>:"|?*')


@dataclass
class Bench:
    """``name`` gives the machine's own name, ``wall`` UTC seconds since 1970; ``phase`` is told the phases of
    a machine's life; ``policy`` is what the site told the machine."""

    machine: Machine
    site: ModelSite
    clock: VirtualClock
    name: Callable[[], str]
    phase: Callable[[str], None]
    wall: Callable[[], float] = lambda: 0.0
    doubles: Sequence[Double] = ()
    place: Place = field(default_factory=Place)
    policy: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: str, text: str) -> tuple[int, str]:
        """Write a text file; code and message."""
        if _ILLEGAL & set(path[2:]):
            return INVALID_NAME, f"'{path}' is not a legal file name"
        place = self.machine.locate(path)
        if place is None or not place[1]:
            return PATH_NOT_FOUND, f"there is no drive {path[:2]}"
        place[0].put(place[1], text.encode())
        return 0, ""
