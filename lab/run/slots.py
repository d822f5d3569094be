"""Room for machines on this host: never more at a time than its cores and memory bear, whoever starts them.

Every run with real machines holds a file in the cache under a lock while they live; the kernel drops the lock
of a process that died. A run that alone is too much for the host is still let in when nothing else runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.clock import Clock, SystemClock, wait_until
from lab.errors import LabFault

#: What QEMU needs besides the machine's own memory, and what is left to the host, MiB.
_OF_QEMU, _OF_HOST = 256, 1024
#: How long a run waits for others to end, seconds: a whole suite may be before it.
PATIENCE = 4 * 3600.0


@dataclass(frozen=True)
class Room:
    """What a host has, or a run's machines need. ``memory`` in MiB."""

    cores: int
    memory: int


def room_of_host() -> Room:
    """The cores this process may use, and the host's memory but for its own share."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return Room(len(os.sched_getaffinity(0)), max(0, memory - _OF_HOST))


def room_for(vcpus: int, memory: int) -> Room:
    """What one machine of that many CPUs and that much memory (MiB) needs."""
    return Room(vcpus, memory + _OF_QEMU)


@contextlib.contextmanager
def machine_room(
    cache: Path,
    need: Room,
    *,
    host: Room | None = None,
    say: Callable[[str], None] = lambda text: None,
    clock: Clock | None = None,
    patience: float = PATIENCE,
) -> Iterator[None]:
    """Hold room for machines, once there is enough of it.

    Raises PhaseTimeout when there was none for ``patience`` seconds; LabFault when the cache cannot be used,
    and when all the room that is missing is this process's own: nothing would end while it waits.
    """
    folder, have = cache / "machines", host or room_of_host()
    told = False

    def ask() -> IO[str] | None:
        nonlocal told
        try:
            held = _enter(folder, need, have)
        except OSError as error:
            raise LabFault(f"'{folder}' cannot be used: {error.strerror}", hint="see OSDLAB_CACHE") from error
        if held is None and not told:
            told = True
            say("other machines fill this host; waiting for one of them to end")
        return held

    held = wait_until(
        ask,
        waited_for="room for a machine on this host",
        seconds=patience,
        clock=clock or SystemClock(),
        last_seen=lambda: f"machines of others: {', '.join(_holders(folder)) or 'none'}",
        every=0.5,
        hint="see 'osdlab doctor' for what it bears",
    )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(held.name)
        held.close()


def _enter(folder: Path, need: Room, host: Room) -> IO[str] | None:
    """Take the room if it is there. Whoever looks holds the folder's own lock meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a", encoding="ascii") as gate:
        if not _lock(gate):
            return None
        taken = _taken(folder)
        cores = sum(room.cores for room in taken) + need.cores
        memory = sum(room.memory for room in taken) + need.memory
        if taken and (cores > host.cores or memory > host.memory):
            _refuse_if_all_are_own(folder)
            return None
        held = (folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.json").open("w", encoding="ascii")
        _lock(held)
        json.dump({"cores": need.cores, "memory": need.memory}, held)
        held.flush()
        return held


def _refuse_if_all_are_own(folder: Path) -> None:
    """Raises LabFault."""
    owners = [path.name.partition("-")[0] for path in folder.glob("*.json")]
    if all(owner == str(os.getpid()) for owner in owners):
        count = len(owners)
        raise LabFault(
            f"this host has no room for a machine beside the {count} that this process already has",
            hint="end one of them first, or take templates with less memory and fewer CPUs; 'osdlab doctor' "
            "says what the host bears",
        )


def _taken(folder: Path) -> list[Room]:
    """The room that living runs hold; what dead ones left behind is removed."""
    taken = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(FileNotFoundError), path.open("r+", encoding="ascii") as file:
            if _lock(file):
                path.unlink(missing_ok=True)
            else:
                taken.append(Room(**json.load(file)))
    return taken


def _holders(folder: Path) -> list[str]:
    return [f"process {path.name.partition('-')[0]}" for path in sorted(folder.glob("*.json"))]


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
