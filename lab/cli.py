"""The command ``osdlab``: turns errors into text and exit codes, and nothing else does."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lab.clock import SystemClock
from lab.commands.code import code
from lab.commands.compare import compare
from lab.commands.log import log
from lab.commands.replay import replay_
from lab.commands.rules import rules
from lab.commands.sequence import sequence as sequence_group
from lab.commands.site import site
from lab.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_LAB,
    EXIT_OK,
    InputError,
    LabError,
    Problem,
    UsageError,
)
from lab.judge.verdict import exit_code
from lab.pe.images import client_package, ensure_pe, ensure_reference_image
from lab.report.make import make_report
from lab.report.planned import plan_lines, without_secrets
from lab.report.progress import Progress
from lab.report.summary import render_rich, render_total
from lab.run.budget import USUAL, Candidate, choose
from lab.run.doctor import examine
from lab.run.front import run_scenario
from lab.run.hidden import secret_values
from lab.run.prepare import check_content, make_plan, read_checked_sequence, read_checked_sequences
from lab.run.turn import host_factor, turn
from lab.scenario.commandline import command_line_scenario
from lab.scenario.fields import duration
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.scenario.matrix import file_schema
from lab.scenario.schema import Template
from lab.scenario.siteschema import SiteFile
from lab.sequence.validate import warnings
from lab.settings import Settings
from lab.yamlio import Model, json_schema

#: Where results go; what is being done goes to standard error, so that results can be piped.
OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("osdlab"), prog_name="osdlab")
@click.pass_context
def osdlab(context: click.Context) -> None:
    """The lab for Configuration Manager task sequences.

    Settings come from the environment: OSDLAB_CACHE, OSDLAB_REPORTS, OSDLAB_ACCELERATOR (auto, kvm, tcg),
    OSDLAB_KEEP_DISKS, OSDLAB_TIME_LIMIT (seconds).

    Exit codes: 0 as expected, 1 an expectation failed, 2 usage, 3 bad input, 4 the lab broke, 70 our bug.
    """
    context.obj = Settings.from_environment()


@osdlab.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--sequence", type=click.Path(path_type=Path, exists=True),
              help="Instead of scenarios: an export (XML, zip, its folder) that is to succeed.")  # fmt: skip
@click.option("--name", metavar="NAME", help="With --sequence: which one, where the export holds several.")
@click.option("--machine", metavar="TEMPLATE", help="With --sequence: a template of vm-templates/.")
@click.option("--content", multiple=True, metavar="PACKAGE=WHAT",
              help="With --sequence: reference-image, boot-image, client, missing, or a path.")  # fmt: skip
@click.option("--variable", multiple=True, metavar="NAME=VALUE",
              help="With --sequence: a variable of the device, before the first step.")  # fmt: skip
@click.option("--doubles", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="With --sequence: YAML with 'doubles:' as in a scenario.")  # fmt: skip
@click.option("--variant", metavar="TEXT", default="",
              help="Of scenarios with a matrix, only the runs whose name has this in it.")  # fmt: skip
@click.option("--fidelity", type=click.Choice(["vm", "sim"]), default="vm", show_default=True,
              help="vm: a real virtual machine; sim: the simulator.")  # fmt: skip
@click.option("--keep", type=click.Choice(["on-failure", "always"]), default="on-failure", show_default=True,
              help="When to keep the machines' disks.  [env: OSDLAB_KEEP_DISKS]")  # fmt: skip
@click.option("--vm-budget", metavar="DURATION",
              help="As many as fit into this time ('25m'); the others are named.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show every expectation, not only those that failed.")
@click.pass_obj
def run(
    settings: Settings,
    paths: tuple[Path, ...],
    sequence: Path | None,
    name: str | None,
    machine: str | None,
    content: tuple[str, ...],
    variable: tuple[str, ...],
    doubles: Path | None,
    variant: str,
    fidelity: Literal["vm", "sim"],
    keep: str,
    vm_budget: str | None,
    verbose: bool,
) -> int:
    """Run scenarios (files, or folders of them), or a task sequence alone, and judge them."""
    if keep == "always":
        settings = replace(settings, keep_disks=True)
    if sequence is None:
        if machine or content or variable or name or doubles:
            raise click.UsageError("--name, --machine, --content, --variable, --doubles go with --sequence.")
        if not paths:
            raise click.UsageError("Say what to run: scenarios, or --sequence FILE --machine TEMPLATE.")
        scenarios = _chosen(load_scenarios(paths, templates=settings.vm_templates), variant)
    else:
        if paths or not machine:
            raise click.UsageError("--sequence goes with --machine, and without scenarios.")
        scenarios = [
            command_line_scenario(
                sequence, machine, content=_pairs("--content", content),
                variables=_pairs("--variable", variable), doubles=doubles, name=name or "",
                templates=settings.vm_templates,
            )
        ]  # fmt: skip
    _check_all(scenarios)
    _warn(scenarios)
    records = []
    for loaded in _within(vm_budget, scenarios, settings, fidelity):
        with Progress(ERR, loaded.title, template=loaded.hardware) as progress:
            record = run_scenario(loaded, settings, progress.on_event, fidelity=fidelity, say=_say)
        OUT.print(render_rich(record, width=_width(), verbose=verbose))
        records.append(record)
    if len(records) > 1:
        OUT.print(render_total(records))
    return exit_code(record.outcome for record in records)


@osdlab.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def plan(settings: Settings, path: Path, form: str) -> int:
    """Show everything a run would use, resolved; start nothing."""
    scenarios = load_scenarios([path], templates=settings.vm_templates)
    _check_all(scenarios)
    _warn(scenarios)
    for loaded in scenarios:
        sequences = read_checked_sequences(loaded)
        for sequence in sequences.values():
            check_content(loaded, sequence)
        resolved = make_plan(loaded, settings, settings.reports / "(planned)", sequences, _say).to_json()
        resolved = without_secrets(resolved, secret_values(loaded))
        if form == "json":
            OUT.print_json(json.dumps(resolved))
        else:
            title, *lines = plan_lines(loaded, resolved)
            OUT.print(Text(title, style="bold"))
            OUT.print(Text("\n".join(lines)))
    return EXIT_OK


@osdlab.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Where index.html goes.  [default: reports/html]")  # fmt: skip
@click.pass_obj
def report(settings: Settings, runs: tuple[Path, ...], output: Path | None) -> int:
    """Build one HTML file from runs, with Allure.

    RUNS are runs' folders, folders of such (the newest run of each scenario counts), or a folder that
    'pytest --alluredir' wrote. Without any: the newest run of each scenario in reports/.
    """
    page = make_report(runs, settings, output=output, say=_say)
    OUT.print(Text(str(page)))
    return EXIT_OK


@osdlab.command()
@click.pass_obj
def doctor(settings: Settings) -> int:
    """Show what this host has, what was measured, and what to do about what is missing."""
    table = Table(box=None, pad_edge=False, show_header=False)
    well = True
    for row in examine(settings):
        well = well and row.ok
        found = escape(row.found) + (f"\n[yellow]→ {escape(row.remedy)}[/yellow]" if row.remedy else "")
        table.add_row("[green]ok[/green]" if row.ok else "[red]missing[/red]", escape(row.name), found)
    OUT.print(table)
    OUT.print("The lab can run here." if well else "The lab cannot run here yet; the arrows say what to do.")
    return EXIT_OK if well else EXIT_LAB


@osdlab.command()
@click.pass_obj
def setup(settings: Settings) -> int:
    """Build the boot image, the reference image and the client package, unless the cache has them."""
    settings.make_cache()
    ensure_pe(settings.cache, _say)
    ensure_reference_image(settings.cache, _say)
    client_package(settings.cache)
    ERR.print("boot image, reference image and client package: ready")
    return EXIT_OK


@osdlab.command()
@click.argument("what", type=click.Choice(["scenario", "site", "template"]))
def schema(what: str) -> int:
    """Print the JSON Schema of a file, for editors."""
    models: dict[str, type[Model]] = {"site": SiteFile, "template": Template}
    OUT.print_json(json.dumps(file_schema() if what == "scenario" else json_schema(models[what])))
    return EXIT_OK


def _within(
    text: str | None, scenarios: list[LoadedScenario], settings: Settings, fidelity: str
) -> Iterator[LoadedScenario]:
    """Those of the scenarios that the budget has room for, one after the other; it says which and why."""
    if text is None:
        yield from scenarios
        return
    if fidelity != "vm":
        raise click.UsageError("--vm-budget goes with --fidelity vm: the simulator takes no time.")
    try:
        budget = duration(text)
    except ValueError as error:
        raise click.UsageError(f"--vm-budget: {error}") from error
    known = {}
    for loaded in scenarios:
        own = loaded.scenario
        name = f"{loaded.path} [{loaded.variant}]" if loaded.variant else str(loaded.path)
        known[Candidate(name, own.takes or USUAL, own.core)] = loaded
    clock = SystemClock()
    begin = clock.now()
    count, note = turn(settings.project)
    choice = choose(known, budget=budget, lanes=1, factor=host_factor(settings), turn=count, note=note)
    for line in choice.lines():
        _say(line)
    for item in choice.taken:
        if not item.core and clock.now() - begin + choice.estimate(item) > budget:
            _say(f"NOT RUN  {item.name}: the VM budget has no room for it any more")
            continue
        yield known[item]


for group in (sequence_group, site, log, replay_, code, rules, compare):
    osdlab.add_command(group)


def _pairs(option: str, values: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in values:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise click.UsageError(f"{option} wants NAME=VALUE, not '{text}'.")
        if name in pairs:
            raise click.UsageError(f"{option} names '{name}' twice.")
        pairs[name] = value
    return pairs


def _chosen(scenarios: list[LoadedScenario], variant: str) -> list[LoadedScenario]:
    chosen = [loaded for loaded in scenarios if variant in loaded.variant]
    if not chosen:
        names = "; ".join(dict.fromkeys(loaded.variant for loaded in scenarios if loaded.variant))
        raise UsageError(f"no run is called '{variant}'", hint=f"there are: {names}" if names else "")
    return chosen


def _check_all(scenarios: Iterable[LoadedScenario]) -> None:
    """Read every scenario's sequence before the first machine starts. Raises one InputError for all."""
    problems: list[Problem] = []
    for loaded in scenarios:
        try:
            read_checked_sequences(loaded)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(sorted(set(problems)))


def _warn(scenarios: Iterable[LoadedScenario]) -> None:
    """Say once what the scenarios' sites may say and hardly mean; of an export that is run alone, which has
    no site file, what its sequence does."""
    told: list[Problem] = []
    for loaded in scenarios:
        if loaded.site is not None:
            told += loaded.site.warnings
        elif loaded.arguments:
            told += warnings(read_checked_sequence(loaded))
    for warning in dict.fromkeys(told):
        ERR.print(Text(f"warning  {warning}", style="yellow"))


def _say(text: str) -> None:
    ERR.print(Text(text))


def _width() -> int:
    return OUT.width if OUT.is_terminal else 100


def _tell(error: LabError) -> int:
    if isinstance(error, InputError):
        for problem in error.problems:
            ERR.print(Text(str(problem)))
        count = len(error.problems)
        ERR.print(f"{count} problem{'' if count == 1 else 's'}, nothing was started.")
    else:
        label = "usage" if isinstance(error, UsageError) else "ERROR"
        ERR.print(Text.assemble((label, "bold red"), f"  {error.message}"))
        if error.hint:
            ERR.print(Text(f"       {error.hint}"))
        for cause in error.causes:
            ERR.print(Text(f"       because: {cause}"))
    return error.exit_code


def _crash() -> int:
    """Our bug: the traceback goes to a file, one line to the user."""
    text = traceback.format_exc()
    name = f"osdlab-crash-{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
    try:
        folder = Settings.from_environment().reports
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        ERR.print(Text(f"This is a bug of osdlab, not of your sequence. The traceback is in {folder / name}"))
    except (OSError, LabError):
        ERR.print(Text(text))
    return EXIT_BUG


def guarded(command: Callable[[], object]) -> int:
    """Run a command and turn what it raises into text and an exit code."""
    try:
        result = command()
        return result if isinstance(result, int) else EXIT_OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LabError as error:
        return _tell(error)
    except (KeyboardInterrupt, click.Abort):
        ERR.print("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_OK
    except Exception:
        return _crash()


def main() -> None:
    """Entry point of the command."""
    sys.exit(guarded(lambda: osdlab.main(standalone_mode=False)))
