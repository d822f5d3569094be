"""What a run's site has kept (``site.sqlite``), for whoever looks, while it is written, too: read only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.site.managementpoint import ManagementPoint, MemoryStore
from lab.site.model import SiteObjects
from lab.site.store import FORMAT

Json = dict[str, Any]


@dataclass(frozen=True)
class Offer:
    """A required deployment offered by PXE. ``key``: ``pxe.offer_key``."""

    key: str
    deployment: str
    cleared: bool


@dataclass(frozen=True)
class Kept:
    """``objects``: the site, without secrets. ``decisions`` and ``statuses``: (MAC, JSON, wall), in order,
    each with its ``start``. ``history``: MAC -> entries of ``ManagementPoint.history``."""

    objects: SiteObjects
    offers: tuple[Offer, ...]
    decisions: tuple[tuple[str, Json, str], ...]
    statuses: tuple[tuple[str, Json, str], ...]
    history: dict[str, list[Json]]


def read_kept(path: Path) -> Kept:
    """Raises ValueError, with why, for a file that is no site's database."""
    try:
        # Not immutable: what is still in the log beside it counts.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return _read(database)
    except (sqlite3.Error, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _read(database: sqlite3.Connection) -> Kept:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT:
        raise ValueError(f"its format is {version}, not {FORMAT}")
    row = database.execute("SELECT objects FROM site").fetchone()
    objects = SiteObjects.from_json(json.loads(row[0])) if row else SiteObjects("")
    offers = tuple(
        Offer(key, deployment, bool(cleared))
        for key, deployment, cleared in database.execute(
            "SELECT key, deployment, cleared FROM offers ORDER BY number"
        )
    )
    decisions = tuple(_rows(database, "SELECT mac, start, decision, wall FROM decisions ORDER BY number"))
    statuses = tuple(_rows(database, "SELECT mac, start, message, wall FROM statuses ORDER BY number"))
    store = MemoryStore()
    for mac, message, _ in statuses:
        store.add_status(mac, message["start"], [message])
    point = ManagementPoint(
        objects, policies={}, machines={}, contents={}, address="", store=store, tell=lambda kind, data: None
    )
    history = {mac: point.history(mac) for mac in dict.fromkeys(mac for mac, _, _ in statuses)}
    return Kept(objects, offers, decisions, statuses, history)


def _rows(database: sqlite3.Connection, query: str) -> Iterator[tuple[str, Json, str]]:
    for mac, start, text, wall in database.execute(query):
        yield mac, {**json.loads(text), "start": start}, wall
