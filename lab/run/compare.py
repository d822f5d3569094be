"""Hold two runs of one scenario against each other: do the fidelities tell the same?

Works on the records alone (``reports/<run>/``), machine by machine: final state, final variables, requests
made, what the engine said, what the site decided, and which status messages it took, in their order.
"""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.disk.fingerprint import NOISE, Difference, Fingerprint, Noise, differences, fingerprint
from lab.errors import LabFault
from lab.judge.evidence import evidence
from lab.run.front import run_scenario
from lab.run.record import read_events, read_final_states
from lab.scenario.loader import LoadedScenario
from lab.scenario.machines import MACHINE_NAME
from lab.settings import Settings
from lab.timeline import Event

#: What the lab asks for a card without iPXE; the machine itself asked by DHCP.
_LABS_OWN = "/pxe"
#: What does not count of a decision: which start it was, and by which connection it was asked for.
_NOT_OF_DECISION = ("start", "client")
#: What counts of a status message: its time does not, and its text may hold a command's output.
_OF_MESSAGE = ("id", "severity", "component", "step", "action", "group", "code")


def run_fingerprint(folder: Path, machine: str = MACHINE_NAME) -> Fingerprint:
    """What a run left behind on a machine. Raises LabFault when the record lacks the final state or the
    variables."""
    finals = read_final_states(folder)
    seen = evidence(read_events(folder), finals).of(machine)
    variables = {} if seen.complete and not seen.finish else seen.variables  # nobody was left to tell them
    if machine not in finals or variables is None:
        raise LabFault(
            f"'{folder}' has no final state of '{machine}', or no variables", hint="did the run end early?"
        )
    requests = [
        {"method": request.method, "path": request.path, "status": request.status}
        for request in seen.requests
        if request.path != _LABS_OWN
    ]
    return fingerprint(finals[machine], variables, requests)


def run_differences(
    left: Path, right: Path, mask: tuple[Noise, ...] = NOISE, machine: str = MACHINE_NAME
) -> list[Difference]:
    """In what two runs differ that they left behind on a machine, noise left out."""
    return differences(run_fingerprint(left, machine), run_fingerprint(right, machine), mask)


def engine_differences(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    """Where the engine went other ways in two runs of a machine: "- " what only the left one has, "+ " what
    only the right one has.

    Each event counts with all that it says but its times, and their order counts.
    """
    return _changes(_told(left), _told(right))


def site_differences(left: Sequence[Event], right: Sequence[Event]) -> list[str]:
    """Where the site decided otherwise about a machine, or got other status messages from it; as above.

    What it was asked and what it answered count, in their order; which start it was is told by the order.
    """
    return _changes([*_decided(left)], [*_decided(right)])


def disagreements(left: Path, right: Path) -> list[str]:
    """All in which two runs differ, a line each: of each machine the engine's way, then the site's, then what
    is left behind. With several machines each line begins with the machine's name.

    Raises LabFault as ``run_fingerprint``.
    """
    events = read_events(left), read_events(right)
    machines = sorted({event.machine for run in events for event in run if event.machine})
    found: list[str] = []
    for machine in machines or [MACHINE_NAME]:
        ours, theirs = ([event for event in run if event.machine == machine] for run in events)
        lines = [
            *engine_differences(ours, theirs),
            *site_differences(ours, theirs),
            *map(str, run_differences(left, right, machine=machine)),
        ]
        found += [f"{machine}: {line}" for line in lines] if len(machines) > 1 else lines
    return found


def against_simulator(folder: Path, loaded: LoadedScenario, settings: Settings) -> list[str]:
    """Simulate the scenario that ``folder`` is a run of: in what the two differ, the run's side first.

    Raises InputError as ``run_scenario``, LabFault when one of the two ended too early to be compared.
    """
    with tempfile.TemporaryDirectory(prefix="osdlab-simulated-") as scratch:
        record = run_scenario(loaded, replace(settings, reports=Path(scratch)), fidelity="sim")
        return disagreements(folder, Path(scratch) / record.run)


def _told(events: Sequence[Event]) -> list[str]:
    return [f"{event.kind} {_plain(event.data)}" for event in events if event.source == "engine"]


def _decided(events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        if event.source != "site":
            continue
        if event.kind == "status":  # how many went together is a matter of time
            for message in event.data.get("messages", ()):
                yield f"status {_plain({key: message.get(key) for key in _OF_MESSAGE})}"
        else:
            told = {key: value for key, value in event.data.items() if key not in _NOT_OF_DECISION}
            yield f"{event.kind} {_plain(told)}"


def _changes(left: Sequence[str], right: Sequence[str]) -> list[str]:
    return [line for line in difflib.ndiff(left, right) if line.startswith(("- ", "+ "))]


def _plain(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True)
