"""Hold two runs of one scenario against each other: do the fidelities tell the same?

Works on the records alone (``reports/<run>/``): final state, final variables, requests made.
"""

from __future__ import annotations

from pathlib import Path

from lab.disk.fingerprint import NOISE, Difference, Fingerprint, Noise, differences, fingerprint
from lab.errors import LabFault
from lab.judge.evidence import evidence
from lab.run.record import read_events, read_final_states


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
