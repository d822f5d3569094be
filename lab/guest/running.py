"""The loop of one start, put together: performer, store, log, and what the host and the site are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from lab.clock import Clock
from lab.guest import machine
from lab.guest.bench import Bench
from lab.guest.doubles import Double
from lab.guest.labpe import LabPe
from lab.guest.loop import Loop
from lab.guest.management import ManagementPoint
from lab.guest.place import LOG_BEFORE_DISK, Place
from lab.guest.reporting import Announced, Reporting
from lab.guest.runner import Runner
from lab.guest.storage import FileLog, FileStore
from lab.guest.volumes import Volumes
from lab.sequence import codec

Emit = Callable[[str, dict[str, Any]], None]


def assemble(
    policy: dict[str, Any],
    saved: Mapping[str, Any] | None,
    *,
    phase: str,
    runner: Runner,
    volumes: Volumes,
    clock: Clock,
    site: Callable[[], str],
    management: ManagementPoint,
    announce: Callable[[str], None],
    emit: Emit,
) -> tuple[Loop, Reporting]:
    """The loop of a run that begins (``saved`` None) or goes on, and what reports it to the site: its
    ``deliver`` is due once more at the end. Raises Unusable."""
    place = Place()
    bench = Bench(
        phase,
        machine.identity(policy.get("machine_name") or "", "PXE"),
        runner,
        volumes,
        clock,
        policy=policy,
        doubles=[Double.from_json(double) for double in policy.get("doubles", ())],
        place=place,
        site=site,
        locate=management.locate,
        announce=announce,
    )
    sequence = codec.from_json(saved["sequence"] if saved else policy["sequence"])
    reporting = Reporting(sequence, management.status, lambda: loop.keeps_quiet, time.time)

    def tell(kind: str, data: dict[str, Any]) -> None:
        emit(kind, data)
        reporting.take(kind, data)

    ports: tuple[Any, ...] = (
        Announced(LabPe(bench), reporting.deliver),
        FileStore(volumes.drives, volumes.data_path() if saved else ""),
        tell,
        clock,
        machine.boot_mark(),
    )
    common: dict[str, Any] = {
        "log": FileLog(volumes.drives, LOG_BEFORE_DISK if phase == "pe" else ""),
        "wall": time.time,
        "place": place,
        "policy": {key: value for key, value in policy.items() if key != "sequence"},
    }
    loop = Loop.of_saved(saved, *ports, **common) if saved else Loop(sequence, *ports, **common)
    return loop, reporting
