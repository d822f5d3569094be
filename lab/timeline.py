"""The timeline: everything that was observed in a run, append-only, one writer, JSON lines.

One ``Event`` per line, flushed as it happens, so that what was seen before a kill is there after it.
The simulator writes the same events. Imports the ground only.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from lab.clock import Clock

#: The phases of a machine's life, in order. ``step`` stands for every step of the sequence.
PHASES = (
    "off", "firmware", "dhcp", "boot-file", "pe-kernel", "pe-hello", "policy", "content",
    "step", "restart", "disk-boot", "os-hello", "finished", "failed",
)  # fmt: skip

#: Who observed an event.
SOURCES = (
    "lab", "hypervisor", "console", "dhcp", "tftp", "http", "site", "agent", "engine", "smsts", "screen",
    "fault",
)  # fmt: skip
_SOURCES = frozenset(SOURCES)


@dataclass(frozen=True)
class Event:
    """One observation.

    seq      counts from 1 without gaps, over the whole run
    time     seconds since the run began, on the host's monotonic clock (virtual in the simulator)
    wall     ISO 8601 UTC time of the host
    machine  the machine's name, or "" for the lab itself
    source   one of SOURCES; kind: what happened, a short fixed word of that source
    phase    one of PHASES, or "" for the lab itself
    source_time  the source's own time in seconds (guest uptime), or None
    data     JSON values only
    """

    seq: int
    time: float
    wall: str
    machine: str
    source: str
    kind: str
    phase: str = ""
    source_time: float | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def from_json(line: str) -> Event:
        return Event(**json.loads(line))


class Timeline:
    """The only writer of a run's timeline. Thread-safe; ``file`` may be None (events in memory only)."""

    def __init__(
        self, clock: Clock, file: TextIO | None = None, *, wall: Callable[[], datetime] | None = None
    ) -> None:
        self._clock = clock
        self._start = clock.now()
        self._file = file
        self._wall = wall
        self._millisecond, self._stamp = -1, ""
        self._lock = threading.Lock()
        self._phases: dict[str, str] = {}
        self._followers: list[Callable[[Event], None]] = []
        self.events: list[Event] = []

    def follow(self, follower: Callable[[Event], None]) -> None:
        """Call ``follower`` with each later event, in order, inside the writer's lock: it must be quick."""
        with self._lock:
            self._followers.append(follower)

    def phase(self, machine: str) -> str:
        return self._phases.get(machine, "")

    def _now(self) -> str:
        """The host's time as text; made once per millisecond, for the simulator has many events in one."""
        if self._wall is not None:
            return self._wall().isoformat(timespec="milliseconds")
        millisecond = time.time_ns() // 1_000_000
        if millisecond != self._millisecond:
            moment = datetime.fromtimestamp(millisecond / 1000, UTC)
            self._millisecond, self._stamp = millisecond, moment.isoformat(timespec="milliseconds")
        return self._stamp

    def append(
        self,
        source: str,
        kind: str,
        *,
        machine: str = "",
        phase: str | None = None,
        source_time: float | None = None,
        details: Mapping[str, Any] | None = None,
        **data: Any,
    ) -> Event:
        """Write one event. A ``phase`` given here is the machine's phase from now on.

        ``details`` is data whose keys may be any, those of this method's parameters too.
        """
        if source not in _SOURCES:
            raise ValueError(f"unknown event source '{source}'")
        with self._lock:
            if phase is not None:
                if phase not in PHASES:
                    raise ValueError(f"unknown phase '{phase}'")
                self._phases[machine] = phase
            # A frozen dataclass' own __init__ takes several times as long, and a sweep makes millions.
            event = Event.__new__(Event)
            event.__dict__.update(
                seq=len(self.events) + 1,
                time=round(self._clock.now() - self._start, 6),
                wall=self._now(),
                machine=machine,
                source=source,
                kind=kind,
                phase=self._phases.get(machine, ""),
                source_time=source_time,
                data={**details, **data} if details and data else data or dict(details or ()),
            )
            self.events.append(event)
            if self._file is not None:
                self._file.write(event.to_json() + "\n")
                self._file.flush()
            for follower in self._followers:
                follower(event)
        return event


def read_timeline(path: Path) -> Iterator[Event]:
    """The events of a timeline file. A last line cut by a kill is left out; nothing else may be cut."""
    lines = path.read_bytes().split(b"\n")  # a cut may go through a character
    last = lines.pop()  # b"" when the file ends with a newline; the cut record otherwise
    for line in lines:
        yield Event.from_json(line.decode("utf-8"))
    if last:
        try:
            yield Event.from_json(last.decode("utf-8"))
        except (ValueError, TypeError):
            return
