"""``osdlab log show``: the records and the damage of real logs, for eyes or as JSON, one by one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from lab.errors import EXIT_OK
from lab.logs.files import check_logs, log_files, read_logs
from lab.logs.history import Restart, Trace
from lab.logs.records import Damage, Record
from lab.logs.trace import trace
from lab.sequence.codes import describe

_COLOURS = {"error": "red", "warning": "yellow", "verbose": "bright_black"}
#: What a log must not do to a terminal: everything that is no text, but line ends and tabs.
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
#: So many records are written at once.
_BATCH = 500


@click.group()
def log() -> None:
    """Read real logs: ConfigMgr, MDT, Windows Setup."""


@log.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help='{"records": […], "damage": […]}')
@click.option("--component", multiple=True, metavar="NAME", help="Only records of this component.")
@click.option("--errors", is_flag=True, help="Only errors.")
@click.option("--warnings", is_flag=True, help="Only warnings and errors.")
@click.option("--contains", metavar="TEXT", help="Only records whose message has this text.")
def show(
    paths: tuple[Path, ...],
    as_json: bool,
    component: tuple[str, ...],
    errors: bool,
    warnings: bool,
    contains: str | None,
) -> int:
    """Show the records of logs, and what in them is damaged.

    Rolled sets (smsts-20240207-165352.log, smsts.log) are read from the oldest on; a folder stands for the
    logs in it.
    """
    files = log_files(paths)
    check_logs(files)
    wanted = {name.casefold() for name in component}
    least = 3 if errors else 2 if warnings else None
    text = contains.casefold() if contains else ""

    def chosen(record: Record) -> bool:
        if wanted and (record.component or "").casefold() not in wanted:
            return False
        if least is not None and (record.type or 0) < least:
            return False
        return not text or text in record.message.casefold()

    found = (item for item in read_logs(files) if isinstance(item, Damage) or chosen(item))
    _write(_json(found) if as_json else _text(found))
    return EXIT_OK


def _write(lines: Iterable[str]) -> None:
    batch: list[str] = []
    try:
        for line in lines:
            batch.append(line)
            if len(batch) >= _BATCH:
                click.echo("\n".join(batch))
                batch = []
        if batch:
            click.echo("\n".join(batch))
    except BrokenPipeError:
        # The reader of a pipe has seen enough (``| head``): nothing more is written, at the end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _json(found: Iterable[Record | Damage]) -> Iterator[str]:
    damage: list[str] = []
    before = ""
    yield '{"records": ['
    for item in found:
        if isinstance(item, Damage):
            damage.append(json.dumps(asdict(item)))
        else:
            yield before + json.dumps(item.to_json())
            before = ","
    yield '], "damage": ['
    yield ",\n".join(damage)
    yield "]}"


def _text(found: Iterable[Record | Damage]) -> Iterator[str]:
    damaged = 0
    file = None
    for item in found:
        if item.path != file:
            file = item.path
            yield click.style(printable(file), bold=True)
        if isinstance(item, Damage):
            damaged += 1
            said = f"{item.line}: damage at byte {item.offset}, {item.length} bytes: {item.reason}"
            yield click.style(said, fg="magenta") + (f": {printable(item.text[:60])}" if item.text else "")
            continue
        severity = item.severity
        moment = (item.time or "").replace("T", " ")
        message = printable(item.message.strip("\r\n")).replace("\r\n", "\n").replace("\n", "\n      ")
        if severity in _COLOURS:
            message = click.style(message, fg=_COLOURS[severity])
        parts = (f"{item.line}:", moment, printable(item.component or ""), message)
        yield " ".join(part for part in parts if part)
    if damaged:
        yield click.style(f"{damaged} damaged piece{'s' if damaged > 1 else ''}", fg="magenta")


@log.command("trace")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The whole trace as one JSON object.")
def trace_(paths: tuple[Path, ...], as_json: bool) -> int:
    """Rebuild what a task sequence did: groups, steps, conditions, codes, restarts, the result.

    What the logs do not say is left open. With several files: the whole set of one machine's run.
    """
    files = log_files(paths)
    check_logs(files)
    found = trace(read_logs(files))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        _write(trace_lines(found))
    return EXIT_OK


_SIGNS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("·", None),
    "disabled": ("○", None),
}


def trace_lines(found: Trace) -> Iterator[str]:
    """A trace for eyes, with the line of the log before each item."""
    many = len({item.path for item in found.items}) > 1
    restarts = list(found.restarts)
    for item in found.items:
        while restarts and not many and restarts[0].line < item.line:
            yield _restart(restarts.pop(0))
        sign, colour = _SIGNS.get(item.status or "", ("?", "yellow"))
        notes = [describe(item.code)] if item.code else []
        if item.status == "skipped" and item.condition is False:
            notes.append("condition false")
        elif item.status in ("skipped", "disabled"):
            notes.append(item.status)
        if item.status is None:
            notes.append("end not in the log")
        if item.continued:
            notes.append("continued")
        if item.reboot is not None:
            notes.append(f"asks for a restart{f' to {item.reboot}' if item.reboot else ''}")
        place = f"{Path(item.path).name if many else ''}:{item.line}".lstrip(":").rjust(6)
        text = f"{'  ' * item.depth}{click.style(sign, fg=colour)} {printable(item.name)}"
        yield f"{place} {text}" + (f"  ({', '.join(notes)})" if notes else "")
    yield from map(_restart, restarts)
    if not found.items:
        yield "no instruction of a task sequence is in it; osdlab log show --errors lists what went wrong"
    said = f"result: {found.result}"
    if found.failed_step is not None:
        code = f" with {describe(found.code)}" if found.code is not None else ""
        said += f", failed step: {printable(found.failed_step)}{code}"
    yield said
    if found.damage:
        yield f"{len(found.damage)} damaged pieces; osdlab log show lists them"


def _restart(restart: Restart) -> str:
    return f"{str(restart.line).rjust(6)} restart to {restart.target or '?'} after {restart.after or '?'}"


def printable(text: str) -> str:
    """Text that comes from a file, so that it cannot command the terminal."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)
