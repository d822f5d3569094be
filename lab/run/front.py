"""A scenario from its file to its record: folder, plan, run at the wanted fidelity, judgement."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from lab.clock import SystemClock
from lab.errors import InputError, LabError, LabFault
from lab.hypervisor.naming import discard_disks
from lab.run.conversation import OnEvent, nothing, run_plan
from lab.run.folder import make_folder, run_name
from lab.run.messages import as_error, as_fault
from lab.run.plan import RunPlan
from lab.run.prepare import check_content, make_plan, read_checked_sequences
from lab.run.record import RunRecord, make_record, update_latest
from lab.run.simulated import rehearse, simulate_into
from lab.run.slots import Room, machine_room, room_for
from lab.scenario.loader import LoadedScenario
from lab.settings import Settings

Fidelity = Literal["vm", "sim"]


def run_scenario(
    loaded: LoadedScenario,
    settings: Settings,
    on_event: OnEvent = nothing,
    *,
    fidelity: Fidelity = "vm",
    say: Callable[[str], None] = nothing,
) -> RunRecord:
    """Run a scenario and judge it; everything known is in the run's folder when this returns.

    ``on_event`` gets each event as it happens, ``say`` lines about what is being built. Call it from the
    main thread. Raises InputError before anything is started when the sequence cannot be used. A lab that
    broke is no exception but a record with outcome ERROR. KeyboardInterrupt is passed on after a clean end,
    with the record written; so is a bug of ours, one of the lab process as RuntimeError, with its traceback
    in crash.txt.
    """
    clock = SystemClock()
    begin = clock.now()
    sequences = read_checked_sequences(loaded)
    folder = make_folder(
        settings.reports,
        run_name(f"{loaded.path.stem} {loaded.variant}", datetime.now().astimezone(), fidelity),
    )
    update_latest(settings.reports, folder.name)
    fault: LabError | None = None
    interrupted = False
    bug: Exception | None = None
    try:
        for sequence in sequences.values():
            check_content(loaded, sequence)
        if fidelity == "sim":
            fault = simulate_into(folder, loaded, sequences, settings, on_event)
        else:
            settings.make_cache()
            if missing := rehearse(loaded, sequences, settings):
                raise missing
            plan = make_plan(loaded, settings, folder, sequences, say)
            asked = clock.now()
            with machine_room(settings.cache, room_needed(plan), say=say):
                begin += clock.now() - asked  # waiting for others is no part of the run
                told = run_plan(plan, on_event)
            if told and "traceback" in told:
                raise RuntimeError(f"in the lab process:\n{told['traceback']}")
            fault = as_error(told) if told else None
    except InputError:
        raise
    except LabError as error:
        fault = error
    except KeyboardInterrupt:
        fault, interrupted = LabFault("the run was interrupted"), True
    except Exception as error:
        fault = as_fault(error, folder, settings.cache)
        bug = error if fault is None else None
    if bug is not None:
        _keep_bug(bug, folder, loaded, fidelity=fidelity, seconds=clock.now() - begin)
        raise bug
    try:
        record = make_record(folder, loaded, fidelity=fidelity, fault=fault, seconds=clock.now() - begin)
    except LabFault as error:  # a full disk takes no record either: what broke first is told
        raise fault or error from error
    if record.exit_code == 0 and not settings.keep_disks:
        for machine in record.machines:
            discard_disks(folder / machine)
    if interrupted:
        raise KeyboardInterrupt
    return record


def _keep_bug(bug: Exception, folder: Path, loaded: LoadedScenario, *, fidelity: str, seconds: float) -> None:
    """What a bug leaves in the run's folder: its traceback, and a record if that can be made at all."""
    text = "".join(traceback.format_exception(bug))
    with contextlib.suppress(OSError):
        (folder / "crash.txt").write_text(text, encoding="utf-8")
    # Judging may be where the bug is: the one that came first is told.
    with contextlib.suppress(Exception):
        last = text.strip().splitlines()[-1]
        make_record(folder, loaded, fidelity=fidelity, fault=None, seconds=seconds, bug=last)


def room_needed(plan: RunPlan) -> Room:
    """What a plan's machines take of the host."""
    rooms = [room_for(machine.spec.vcpus, machine.spec.memory) for machine in plan.machines]
    return Room(sum(room.cores for room in rooms), sum(room.memory for room in rooms))
