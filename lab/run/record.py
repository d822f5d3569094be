"""The record of a run: judged from what its folder holds, and kept there as run.json.

The module of this room that knows how a run is judged. Both fidelities come through here.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

from lab.disk.state import FinalState
from lab.errors import InputError, LabError, LabFault
from lab.judge.record import RunRecord, build_record, update_latest, write_record
from lab.judge.run_checks import PXE_LOG
from lab.judge.seen import RecordSeen
from lab.logs.files import read_logs
from lab.logs.records import Record
from lab.run.hidden import hide, secret_values
from lab.scenario.loader import LoadedScenario
from lab.sequence.variables import mask
from lab.timeline import Event, read_timeline

__all__ = ["RunRecord", "make_record", "read_events", "read_final_states", "update_latest"]


def make_record(
    folder: Path,
    loaded: LoadedScenario,
    *,
    fidelity: str,
    fault: LabError | None,
    seconds: float | None,
    bug: str = "",
) -> RunRecord:
    """Judge what the folder holds (timeline, final states) and write run.json.

    ``seconds``: what the run took on the wall clock, set-up included; ``bug``: the last line of a bug's
    traceback. Raises LabFault when it cannot be
    written.
    """
    record = build_record(
        loaded,
        read_events(folder),
        read_final_states(folder),
        run=folder.name,
        folder=shown(folder),
        fidelity=fidelity,
        fault=fault,
        seconds=seconds,
        bug=bug,
        pxe_records=read_pxe_log(folder / PXE_LOG),
    )
    secrets = secret_values(loaded)
    verdicts = tuple(
        replace(one, expected=mask(one.expected, secrets), seen=mask(one.seen, secrets))
        for one in record.verdicts
    )
    record = replace(record, verdicts=verdicts)
    write_record(folder, record)
    with contextlib.suppress(OSError):
        hide(folder, secrets)
    return record


def read_pxe_log(path: Path) -> tuple[RecordSeen, ...] | None:
    """The records of the site's SMSPXE.log; None when the run has none. Raises LabFault for damage."""
    if not path.exists():
        return None
    try:
        records = [record for record in read_logs([path]) if isinstance(record, Record)]
    except InputError as error:
        raise _damaged(path, error) from error
    return tuple(
        RecordSeen(0, "", record.component or "", record.message, record.severity or "info", record.line)
        for record in records
    )


def shown(folder: Path) -> str:
    """The folder as the user would write it: relative to where they are, if it is below."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def read_events(folder: Path) -> list[Event]:
    """The run's timeline; empty when the run broke before it had one. Raises LabFault when it is damaged."""
    path = folder / "timeline.jsonl"
    try:
        return list(read_timeline(path)) if path.exists() else []
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def read_final_states(folder: Path) -> dict[str, FinalState]:
    """Machine -> what stood on its disks, for each machine that got so far. Raises LabFault for damage."""
    found = {}
    for path in sorted(folder.glob("*/final-state.json")):
        try:
            found[path.parent.name] = FinalState.from_json(json.loads(path.read_text(encoding="utf-8")))
        except _DAMAGED as error:
            raise _damaged(path, error) from error
    return found


_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError)


def _damaged(path: Path, error: Exception) -> LabFault:
    """A disk that was full, or a host that went down, may leave half a file."""
    return LabFault(f"'{path}' is damaged: {error}", hint="do the run again; this one cannot be judged")
