"""``osdlab replay``: a recorded run held against the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lab.commands.log import printable, trace_lines
from lab.errors import EXIT_OK
from lab.logs.files import check_logs, log_files, read_logs
from lab.logs.replay import Replay, replay
from lab.logs.skeleton import skeleton, tree
from lab.logs.trace import trace
from lab.sequence.model import TaskSequence
from lab.site.exports import read_file


@click.command("replay")
@click.argument("paths", nargs=-1, required=True, metavar="LOG…", type=click.Path(path_type=Path))
@click.option("--sequence", type=click.Path(path_type=Path), help="The exported sequence of that run.")
@click.option("--name", default="", help="Which sequence of the export: its name or package id.")
@click.option("--json", "as_json", is_flag=True, help="Trace, comparison and skeleton as one JSON object.")
def replay_(paths: tuple[Path, ...], sequence: Path | None, name: str, as_json: bool) -> int:
    """Rebuild a run from its logs and hold it against the engine.

    With the sequence: the first place where the engine would have gone another way, with both reasons.
    Without: the sequence's skeleton, rebuilt from the log, and whether the log agrees with the engine's rules
    in itself.
    """
    files = log_files(paths)
    check_logs(files)
    given = read_file(sequence).choose(name)[1].sequence if sequence is not None else None
    found = trace(read_logs(files))
    last = max((item.run for item in found.items), default=1)
    items = [item for item in found.items if item.run == last and item.kind != "script"]
    against = given if given is not None else skeleton(items, files[0].stem)
    result = replay(against, found)
    if as_json:
        data: dict[str, Any] = {
            "logs": [str(path) for path in files],
            "sequence": str(sequence) if sequence is not None else None,
            **result.to_json(),
            "trace": found.to_json(),
        }
        if given is None:
            data["skeleton"] = tree(against)
        click.echo(json.dumps(data, indent=1))
        return EXIT_OK
    for line in trace_lines(found):
        click.echo(line)
    for line in _lines(result, against, given is not None):
        click.echo(line)
    return EXIT_OK


def _lines(result: Replay, against: TaskSequence, given: bool) -> Iterator[str]:
    if not given:
        count = sum(1 for _ in against.walk())
        yield f"skeleton: {count} groups and steps rebuilt from the log; --json has it"
    for note in result.notes:
        yield f"note: {printable(note)}"
    compared = ", ".join(f"{count} {name}" for name, count in result.compared.items())
    if result.divergence is not None:
        parted = result.divergence
        yield click.style(f"the engine would have gone another way at '{printable(parted.name)}'", fg="red")
        yield f"  the log     {printable(parted.log)}  ({parted.log_place})"
        yield f"  the engine  {printable(parted.engine)}" + (f"  ({parted.position})" if given else "")
        yield f"  until there they agree: {compared}"
    elif result.agrees:
        yield click.style(f"log and engine agree: {compared}", fg="green")
    yield f"{result.recorded} effects recorded"
