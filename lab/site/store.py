"""The site's memory in SQLite: offers, PXE decisions, status messages; durable against kills and power cuts.

One process writes: the service. What it keeps is in memory, too, so that answers never wait for a disk;
one thread writes what is new, all that has gathered in one commit (WAL, synchronous=FULL), and whoever must
not answer before it is kept awaits ``committed``. Others read the file with ``lab.site.kept``.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.site.managementpoint import MemoryStore

Json = dict[str, Any]

#: Version of the tables, in the database's user_version.
FORMAT = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS site (objects TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS offers (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, deployment TEXT NOT NULL, start TEXT NOT NULL,
    wall TEXT NOT NULL, cleared INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY, mac TEXT NOT NULL, start TEXT NOT NULL, decision TEXT NOT NULL,
    wall TEXT NOT NULL, UNIQUE (mac, start));
CREATE TABLE IF NOT EXISTS statuses (
    number INTEGER PRIMARY KEY, mac TEXT NOT NULL, start TEXT NOT NULL, n INTEGER NOT NULL,
    message TEXT NOT NULL, wall TEXT NOT NULL, UNIQUE (mac, start, n));
"""

#: A statement, its values, and the device's or the computer's name under which the row will be asked for.
_Row = tuple[str, tuple[Any, ...], str]
_Future = asyncio.Future[None]

#: Bytes of decisions and status messages that are kept: a machine that makes up addresses, starts or messages
#: must fill neither the host's memory nor its disk. A guess; some 300 000 messages as machines send them.
LIMIT = 64 << 20
#: Bytes beyond it that are the site's own machines': what others make up leaves them room.
RESERVED = 8 << 20


class NotKept(Exception):
    """The database could not be written; what was to be kept is tried again with the next commit."""


class Full(Exception):
    """So much is kept that nothing is taken any more."""


class SqliteStore(MemoryStore):
    """The management point's store with a file below it. Call its methods from one thread: the loop's.

    Raises sqlite3.Error where the file is none of this service's.
    """

    def __init__(
        self, path: Path, site: Json | None = None, limit: int = LIMIT, own: Collection[str] = ()
    ) -> None:
        """``site``: the objects, without secrets, for whoever reads the file later. ``limit``: bytes of
        decisions and status messages from which on none is taken, save of the computers with ``own`` MACs."""
        super().__init__()
        self._limit, self._size = limit, 0
        self._own = frozenset(mac.casefold() for mac in own)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._open(site)
        except BaseException:
            self._database.close()
            raise
        #: Rows of the request under way: no commit has some of them without the others.
        self._new: list[_Row] = []
        self._pending: list[_Row] = []
        self._waiting: list[_Future] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unkept: Counter[str] = Counter()
        self._rests = False
        self._wake = threading.Condition()
        self._closing = False
        self._writer = threading.Thread(target=self._write, name="site store", daemon=True)
        self._writer.start()

    def _open(self, site: Json | None) -> None:
        run = self._database.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        version = run("PRAGMA user_version").fetchone()[0]
        if version not in (0, FORMAT):
            raise sqlite3.DatabaseError(f"format {version}, this service knows {FORMAT}")
        self._database.executescript(_TABLES)
        run(f"PRAGMA user_version={FORMAT}")
        if site is not None:
            run("BEGIN")
            run("DELETE FROM site")
            run("INSERT INTO site VALUES (?)", (json.dumps(site),))
            run("COMMIT")
        for key, deployment, start in run("SELECT key, deployment, start FROM offers WHERE NOT cleared"):
            super().offer(key, deployment, start)
        for mac, start, decision in run("SELECT mac, start, decision FROM decisions ORDER BY number"):
            super().decided(mac, start, json.loads(decision))
            self._size += len(decision)
        for mac, start, message in run("SELECT mac, start, message FROM statuses ORDER BY number"):
            super().add_status(mac, start, [json.loads(message)])
            self._size += len(message)

    def offered(self, key: str) -> tuple[str, ...]:
        self._read(key)
        return super().offered(key)

    def offer_of_start(self, mac: str, start: str) -> Json | None:
        self._read(mac)
        return super().offer_of_start(mac, start)

    def last_decision(self, mac: str) -> Json | None:
        self._read(mac)
        return super().last_decision(mac)

    def statuses(self, mac: str) -> list[Json]:
        self._read(mac)
        return super().statuses(mac)

    def offer(self, key: str, deployment: str, start: str) -> None:
        super().offer(key, deployment, start)
        self._keep(
            "INSERT INTO offers (key, deployment, start, wall) VALUES (?, ?, ?, ?)",
            (key, deployment, start, _now()),
            key,
        )

    def clear(self, key: str) -> None:
        super().clear(key)
        self._keep("UPDATE offers SET cleared = 1 WHERE key = ?", (key,), key)

    def decided(self, mac: str, start: str, decision: Json) -> None:
        """Raises Full."""
        self._room(mac)
        super().decided(mac, start, decision)
        self._keep(
            "INSERT OR IGNORE INTO decisions (mac, start, decision, wall) VALUES (?, ?, ?, ?)",
            (mac, start, self._counted(decision), _now()),
            mac,
        )

    def add_status(self, mac: str, start: str, messages: Sequence[Json]) -> list[Json]:
        """Raises Full, with none of the messages kept."""
        self._room(mac)
        self._read(mac)  # what is posted again may not be kept yet
        new = super().add_status(mac, start, messages)
        wall = _now()
        for message in new:
            self._keep(
                "INSERT OR IGNORE INTO statuses (mac, start, n, message, wall) VALUES (?, ?, ?, ?, ?)",
                (mac, start, message["n"], self._counted(message), wall),
                mac,
            )
        return new

    def _read(self, name: str) -> None:
        if name in self._unkept:
            self._rests = True

    def _room(self, mac: str) -> None:
        limit = self._limit + (RESERVED if mac.casefold() in self._own else 0)
        if self._size >= limit:
            raise Full(f"the site keeps {limit} bytes of decisions and status messages, and no more")

    def _counted(self, value: Json) -> str:
        text = json.dumps(value)
        self._size += len(text)
        return text

    def _keep(self, statement: str, values: tuple[Any, ...], name: str) -> None:
        self._rests = True
        self._unkept[name] += 1
        self._new.append((statement, values, name))

    async def committed(self) -> bool:
        """All that was handed in, or read, since the last call is on the disk; who did neither of anything
        new does not wait, and gets False. Raises NotKept."""
        rests, self._rests = self._rests, False
        if not rests:
            return False
        with self._wake:
            self._loop = asyncio.get_running_loop()
            future: _Future = self._loop.create_future()
            self._pending += self._new
            self._waiting.append(future)
            self._wake.notify()
        self._new = []
        await future
        return True

    def close(self) -> None:
        """Write what is left and close."""
        with self._wake:
            self._pending += self._new
            self._closing = True
            self._wake.notify()
        self._writer.join()
        self._database.close()

    def _write(self) -> None:
        """The writer's thread. A request's rows are in the batch of its own wait, or in an earlier one."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closing or self._waiting)
                rows, self._pending = self._pending, []
                waiting = self._waiting[:]
                closing = self._closing
            error = self._commit(rows)
            with self._wake:
                if error is not None:
                    self._pending = rows + self._pending
                del self._waiting[: len(waiting)]
            if waiting and self._loop is not None:
                # RuntimeError: the loop has ended, nobody waits any more
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._settle, rows, waiting, error)
            if closing:
                return

    def _settle(self, rows: Sequence[_Row], waiting: Sequence[_Future], error: Exception | None) -> None:
        """In the loop's thread: whoever waited for a commit goes on."""
        if error is None:
            self._unkept.subtract(name for _, _, name in rows)
            for name in {name for _, _, name in rows}:
                if not self._unkept[name]:
                    del self._unkept[name]
        for future in waiting:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(NotKept(str(error)))

    def _commit(self, rows: Sequence[_Row]) -> Exception | None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for statement, values, _ in rows:
                self._database.execute(statement, values)
            self._database.execute("COMMIT")
        except Exception as error:  # were this thread to end, everybody would wait for ever
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            return error
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
