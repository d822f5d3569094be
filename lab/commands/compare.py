"""``osdlab compare``: whether two runs of a scenario tell the same; of one, whether the simulator does."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from lab.errors import EXIT_EXPECTATION, EXIT_OK, UsageError
from lab.judge.record import read_record
from lab.run.compare import against_simulator, disagreements
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.settings import Settings

OUT = Console(highlight=False, soft_wrap=True)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("run", type=_FOLDER)
@click.argument("other", type=_FOLDER, required=False)
@click.pass_obj
def compare(settings: Settings, run: Path, other: Path | None) -> int:
    """Hold the run in folder RUN against OTHER, or against the simulator's run of the same scenario.

    Compared are the engine's way, the final variables, the disks and the requests; what is never the same in
    two runs (times, the bytes of hives and logs) is left out. Exit code 1 when they differ.
    """
    found = disagreements(run, other) if other else against_simulator(run, _scenario(run, settings), settings)
    for line in found:
        OUT.print(Text(line))
    OUT.print(f"{len(found)} differences" if found else "no difference")
    return EXIT_EXPECTATION if found else EXIT_OK


def _scenario(folder: Path, settings: Settings) -> LoadedScenario:
    record = read_record(folder)
    if record.arguments:
        raise UsageError(
            f"'{folder}' is no run of a scenario file",
            hint=f"osdlab run {record.arguments} --fidelity sim, then give its folder, too",
        )
    for loaded in load_scenarios([Path(record.path)], templates=settings.vm_templates):
        if loaded.variant == record.variant:
            return loaded
    raise UsageError(f"{record.path} has no variant '{record.variant}' any more")
