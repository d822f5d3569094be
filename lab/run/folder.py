"""A run's folder: made once, under a name of its own."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from lab.errors import LabFault


def run_name(title: str, when: datetime, fidelity: str) -> str:
    """A folder's name: local time, the title made plain, the fidelity when it is no machine."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:50].rstrip("-") or "run"
    return f"{when:%Y%m%d-%H%M%S}-{plain}" + ("" if fidelity == "vm" else f"-{fidelity}")


def make_folder(reports: Path, name: str) -> Path:
    """Make ``reports/<name>``, or with a number behind it when that is taken.

    Raises LabFault when the folder cannot be made.
    """
    try:
        reports.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = reports / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder.resolve()
    except OSError as error:
        raise LabFault(
            f"cannot make a folder for the run in '{reports}': {error.strerror}",
            hint="set OSDLAB_REPORTS to a folder that can be written",
            causes=(error,),
        ) from error
    raise LabFault(f"'{reports}' holds a thousand runs named '{name}'")
