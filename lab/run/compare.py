"""Hold two runs of one scenario against each other: do the fidelities tell the same?

Works on the records alone (``reports/<run>/``): final state, final variables, requests made, and what the
engine said, in its order.
"""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.disk.fingerprint import NOISE, Difference, Fingerprint, Noise, differences, fingerprint
from lab.errors import LabFault
from lab.judge.evidence import evidence
from lab.run.front import run_scenario
from lab.run.record import read_events, read_final_states
from lab.scenario.loader import LoadedScenario
from lab.settings import Settings
from lab.timeline import Event


def run_fingerprint(folder: Path, machine: str = "PC-1") -> Fingerprint:
    """What a run left behind. Raises LabFault when the record lacks the final state or the variables."""
    finals = read_final_states(folder)
    seen = evidence(read_events(folder), finals)
    variables = {} if seen.unfinished and not seen.finish else seen.variables  # nobody was left to tell them
    if machine not in finals or variables is None:
        raise LabFault(
            f"'{folder}' has no final state of '{machine}', or no variables", hint="did the run end early?"
        )
    requests = [
        {"method": request.method, "path": request.path, "status": request.status}
        for request in seen.requests
    ]
    return fingerprint(finals[machine], variables, requests)


def run_differences(left: Path, right: Path, mask: tuple[Noise, ...] = NOISE) -> list[Difference]:
    """In what two runs differ, noise left out."""
    return differences(run_fingerprint(left), run_fingerprint(right), mask)


def engine_differences(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    """Where the engine went other ways in two runs: "- " what only the left one has, "+ " only the right one.

    Each event counts with all that it says but its times, and their order counts.
    """
    changes = difflib.ndiff(_told(left), _told(right))
    return [line for line in changes if line.startswith(("- ", "+ "))]


def disagreements(left: Path, right: Path) -> list[str]:
    """All in which two runs differ, a line each: the engine's way first, then what is left behind.

    Raises LabFault as ``run_fingerprint``.
    """
    engine = engine_differences(read_events(left), read_events(right))
    return [*engine, *map(str, run_differences(left, right))]


def against_simulator(folder: Path, loaded: LoadedScenario, settings: Settings) -> list[str]:
    """Simulate the scenario that ``folder`` is a run of: in what the two differ, the run's side first.

    Raises InputError as ``run_scenario``, LabFault when one of the two ended too early to be compared.
    """
    with tempfile.TemporaryDirectory(prefix="osdlab-simulated-") as scratch:
        record = run_scenario(loaded, replace(settings, reports=Path(scratch)), fidelity="sim")
        return disagreements(folder, Path(scratch) / record.run)


def _told(events: Sequence[Event]) -> list[str]:
    return [f"{event.kind} {_plain(event.data)}" for event in events if event.source == "engine"]


def _plain(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True)
