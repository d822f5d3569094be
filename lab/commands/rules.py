"""``osdlab rules``: which rule is shown by what, and what is still due."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.errors import EXIT_OK, UsageError
from lab.rules.catalogue import Catalogue, load_catalogue
from lab.rules.shown import Shown, gaps, marks, shown
from lab.scenario.loader import load_scenarios
from lab.settings import Settings

OUT = Console(highlight=False, soft_wrap=True)


@click.command()
@click.option("--root", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("."),
              help="The checkout whose tests/ and scenarios/ are looked through.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Rows with the ids of all tests, for programs.")
@click.option("--markdown", is_flag=True, help="The rules themselves, as docs/rules.md has them.")
@click.pass_obj
def rules(settings: Settings, root: Path, as_json: bool, markdown: bool) -> int:
    """Show the rules of task sequences, the tests that show each, and what is due and missing.

    Counted is what is written down: marks of tests, and the rules of scenarios, which run in the simulator
    and on a VM alike. Whether they ran, and held, their runs say.
    """
    catalogue = load_catalogue()
    if markdown:
        click.echo(as_markdown(catalogue), nl=False)
        return EXIT_OK
    for folder in ("tests", "scenarios"):
        if not (root / folder).is_dir():
            raise UsageError(f"{root} has no folder {folder}", hint="run this in a checkout, or give --root")
    loaded = load_scenarios([root / "scenarios"], templates=settings.vm_templates)
    found = shown(catalogue, marks(root / "tests", root), loaded, root)
    missing = gaps(catalogue, found)
    if as_json:
        OUT.print_json(json.dumps(_rows(catalogue, found)))
    else:
        _print(catalogue, found)
        for gap in missing:
            OUT.print(f"[red]due[/red]  {gap}")
    return EXIT_OK


def _rows(catalogue: Catalogue, found: dict[str, Shown]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number, row in found.items():
        rule = catalogue.rules[number]
        sim_due, vm_due = catalogue.due(number)
        rows.append(
            {
                "rule": number,
                "holds": rule.holds,
                "due": {"sim": sim_due, "vm": vm_due},
                "with": {"sim": rule.sim, "vm": rule.vm or None},
                "tests": row.tests,
                "sim": row.sim,
                "vm": row.vm,
            }
        )
    return rows


def _print(catalogue: Catalogue, found: dict[str, Shown]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("what holds", ratio=1, no_wrap=True, overflow="ellipsis")
    for column in ("tests", "sim", "vm"):
        table.add_column(column, justify="right", min_width=4, no_wrap=True)
    table.add_column("due with", no_wrap=True, min_width=12)
    for number, row in found.items():
        rule = catalogue.rules[number]
        sim_due, vm_due = catalogue.due(number)
        table.add_row(
            number,
            escape(rule.holds),
            _count(row.tests, sim_due or vm_due),
            _count(row.sim, sim_due),
            _count(row.vm, vm_due) if rule.vm or row.vm else "",
            ", ".join(dict.fromkeys(part for part in (rule.sim, rule.vm) if part)),
        )
    OUT.print(table)


def _count(ids: list[str], due: bool) -> str:
    if ids:
        return f"[green]{len(ids)}[/green]"
    return "[red]none[/red]" if due else "[dim]-[/dim]"


def as_markdown(catalogue: Catalogue) -> str:
    """The rules as a page: number, what holds, where it is to be shown, and with which part of the work."""
    lines = [
        "# The rules of a task sequence and its site",
        "",
        "Made from `lab/rules/catalogue.yaml` by `osdlab rules --markdown`. `osdlab rules` shows the tests",
        "and scenarios that are written for each; a test of ours fails when a rule is due and there is none.",
        "",
        "| rule | what holds | simulator | virtual machine |",
        "|---|---|---|---|",
    ]
    for number, rule in catalogue.rules.items():
        titles = [catalogue.parts[part].title if part else "" for part in (rule.sim, rule.vm)]
        lines.append(f"| {number} | {' '.join(rule.holds.split())} | {titles[0]} | {titles[1]} |")
    return "\n".join([*lines, ""])
