"""``osdlab site``: what a site is, and what one has kept of a run."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import cast, get_args

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lab.errors import EXIT_OK, UsageError
from lab.scenario.sitefile import read_site
from lab.settings import Settings
from lab.site.kept import Kept, read_kept
from lab.site.model import (
    ALL_SYSTEMS,
    ALL_UNKNOWN,
    Architecture,
    Collection,
    Device,
    SiteObjects,
    SitePackage,
)
from lab.site.policy import is_member
from lab.site.pxe import PxeRequest, decide

OUT = Console(highlight=False, soft_wrap=True)

#: Architecture -> what its UEFI firmware says in DHCP option 93.
_CLIENT_SYSTEM = {"x86": 6, "x64": 7, "arm64": 11}
_DATABASE = "site.sqlite"
#: Columns that are not broken into lines.
_WHOLE = ("name", "MAC", "SMBIOS GUID", "id", "time", "device", "purpose")


@click.group()
def site() -> None:
    """Sites: their objects, and what they decided."""


@site.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--architecture", type=click.Choice(get_args(Architecture)), default="x64", show_default=True,
              help="Of the devices that start by PXE.")  # fmt: skip
@click.option("--bios", is_flag=True, help="They start with a BIOS, not with UEFI.")
def show(path: Path, architecture: str, bios: bool) -> int:
    """Show a site file: what is in it, and which device gets what by PXE."""
    loaded = read_site(path)
    for warning in loaded.warnings:
        OUT.print(Text(f"warning  {warning}", style="yellow"))
    _print_site(loaded.objects)
    _print_answers(loaded.objects, cast(Architecture, architecture), bios)
    return EXIT_OK


@site.command()
@click.argument("run", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--all", "whole", is_flag=True, help="Every status message, not the newest twenty.")
@click.pass_obj
def status(settings: Settings, run: Path | None, whole: bool) -> int:
    """Show what the site of a run has kept: decisions, history, status messages.

    RUN is a run's folder, or a site.sqlite.  [default: reports/latest]
    """
    place = run if run is not None else settings.reports / "latest"
    database = place / _DATABASE if place.is_dir() or not place.exists() else place
    if not database.is_file():
        hint = "runs in the simulator keep nothing; give the folder of a run on a virtual machine"
        raise UsageError(f"there is no {database}", hint=hint)
    try:
        kept = read_kept(database)
    except ValueError as error:
        raise UsageError(f"{database} is no site's database: {error}") from error
    _print_site(kept.objects)
    _print_kept(kept, whole)
    return EXIT_OK


def _print_site(site: SiteObjects) -> None:
    OUT.print(Text(f"Site {site.code}", style="bold"))
    _table(
        "Devices", ("name", "MAC", "SMBIOS GUID", "variables"),
        ((one.name, one.mac or "-", one.uuid or "-", _variables(site, one)) for one in site.devices),
    )  # fmt: skip
    _table(
        "Collections", ("name", "members", "variables"),
        (
            (one.name, ("users: " if one.users else "") + _listed(one.members), _variables(site, one))
            for one in site.collections
        ),
    )  # fmt: skip
    _table(
        "Deployments", ("id", "sequence", "to", "purpose", "available to"),
        (
            (one.id, _sequence(site, one.sequence), one.collection, one.purpose, one.available_to)
            for one in site.deployments
        ),
    )  # fmt: skip
    _table(
        "Content", ("id", "what", "version", "distribution points"),
        ((one.id, one.name or one.kind, str(one.version), _distributed(one)) for one in site.packages),
    )  # fmt: skip


def _print_answers(site: SiteObjects, architecture: Architecture, bios: bool) -> None:
    system = 0 if bios else _CLIENT_SYSTEM[architecture]
    unknown = Device("(unknown computer)")
    rows = []
    for device in (*site.devices, unknown):
        request = PxeRequest(device.mac, device.uuid, system, architecture)
        decision = decide(site, request)
        if decision.action == "boot":
            how = "at once" if decision.mandatory else "after F12"
            answer = f"{decision.deployment} {how}, boot image {decision.boot_image}"
        else:
            answer = f"{decision.action}: {decision.reasons[-1]}"
        found = site.device(device.name)
        known = f"as {decision.device}: " if decision.device and decision.device != device.name else ""
        rows.append((device.name, _listed(_collections(site, found)), known + answer))
    firmware = "BIOS" if bios else "UEFI"
    _table(f"By PXE, {architecture} with {firmware}", ("device", "in", "gets"), rows)


def _print_kept(kept: Kept, whole: bool) -> None:
    names = {device.mac: device.name for device in kept.objects.devices if device.mac}
    rows: list[tuple[str, ...]] = []
    for mac, decision, wall in kept.decisions:
        what = decision["action"]
        if what == "boot":
            what = f"{decision['deployment']} {'required' if decision['mandatory'] else 'available'}"
        rows.append((_clock(wall), names.get(mac, mac), what, decision["reasons"][-1]))
    _table("PXE decisions", ("time", "device", "decision", "why"), rows)
    _table(
        "Required deployments that were offered", ("device", "deployment", ""),
        ((one.key, one.deployment, "cleared" if one.cleared else "not again") for one in kept.offers),
    )  # fmt: skip
    _table(
        "History", ("device", "start", "result"),
        (
            (names.get(mac, mac), entry["start"], entry["result"] or "no end was heard of")
            for mac, entries in kept.history.items() for entry in entries
        ),
    )  # fmt: skip
    shown = kept.statuses if whole else kept.statuses[-20:]
    left = len(kept.statuses) - len(shown)
    newest = f" (the newest {len(shown)} of {len(kept.statuses)}; --all)" if left else ""
    _table(
        f"Status messages{newest}",
        ("time", "device", "id", "severity", "step", "message"),
        (
            (_clock(wall), names.get(mac, mac), str(message["id"]), str(message.get("severity", "")),
             str(message.get("action") or message.get("group") or ""), str(message.get("text", "")))
            for mac, message, wall in shown
        ),
    )  # fmt: skip


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A titled table; one line where there is nothing in it."""
    found = list(rows)
    OUT.print()
    if not found:
        OUT.print(Text.assemble((title, "bold"), ": none"))
        return
    OUT.print(Text(title, style="bold"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    for row in found:
        table.add_row(*(escape(_plain(cell)) for cell in row))
    OUT.print(table, soft_wrap=False)


def _plain(text: str) -> str:
    """What a machine sent, without what would move a terminal's cursor or colours."""
    return "".join(" " if unicodedata.category(one) in ("Cc", "Cf", "Cs") else one for one in text)


def _clock(wall: str) -> str:
    return wall[11:19]


def _listed(names: Iterable[str], most: int = 6) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(found[:most]) + more) or "-"


def _variables(site: SiteObjects, holder: Device | Collection) -> str:
    """Names and values; those of secret ones are not shown, unset ones the wizard asks for."""
    values = (
        f"{name}={'***' if site.is_secret(name) else value or '(asked for)'}"
        for name, value in holder.variables.items()
    )
    return _listed(values)


def _sequence(site: SiteObjects, package: str) -> str:
    found = site.sequence(package)
    if found is None:
        return f"{package} (deleted)"
    return f"{found.package} {found.name}{' (disabled)' if found.disabled else ''}"


def _distributed(package: SitePackage) -> str:
    places = (
        name if state == "there" else f"{name} ({state})" for name, state in package.distributed.items()
    )
    return _listed(places) if package.distributed else "none"


def _collections(site: SiteObjects, device: Device | None) -> list[str]:
    """The collections that a device is in; of no device those of unknown computers."""
    names = [one.name for one in site.collections if is_member(site, one.name, device)]
    built_in = [one for one in (ALL_SYSTEMS, ALL_UNKNOWN) if is_member(site, one, device)]
    return [*(one for one in built_in if one not in names), *names]
