"""What the service acknowledged is there after a kill: status messages and PXE decisions."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import pytest

from lab.clock import SystemClock, wait_until
from lab.site.store import NotKept, SqliteStore
from tests.contract.site_process import LIMIT, MAC, ONCE, SECRET, Service


def body(round_: int, number: int) -> bytes:
    messages = [{"n": number, "id": 11134, "text": f"round {round_}"}]
    return json.dumps({"mac": MAC, "start": f"round-{round_}", "messages": messages}).encode()


def kept(folder: Path) -> set[tuple[str, int]]:
    database = sqlite3.connect(folder / "site.sqlite")
    try:
        return set(database.execute("SELECT start, n FROM statuses"))
    finally:
        database.close()


def test_no_status_message_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    acknowledged: set[tuple[str, int]] = set()
    for round_ in range(6):
        service = Service(tmp_path)
        enough = threading.Semaphore(0)

        def post(
            first: int, service: Service = service, round_: int = round_, enough: threading.Semaphore = enough
        ) -> None:
            for number in count(first, 4):  # until the kill, whenever that comes
                try:
                    status, _, _ = service.get("/status", "POST", body(round_, number))
                except OSError:
                    return
                except Exception as error:  # the answer was cut off: not acknowledged
                    assert "http.client" in type(error).__module__, error
                    return
                assert status == 200
                acknowledged.add((f"round-{round_}", number))
                enough.release()

        threads = [threading.Thread(target=post, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10 * (round_ + 1)):
            assert enough.acquire(timeout=LIMIT)
        service.kill()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()
        assert len({one for one in acknowledged if one[0] == f"round-{round_}"}) >= 10 * (round_ + 1)
        assert acknowledged <= kept(tmp_path)


def test_a_required_deployment_that_was_offered_before_the_kill_is_not_offered_again(tmp_path: Path) -> None:
    asked = f"/pxe?mac={ONCE}&client_system=7&start="
    service = Service(tmp_path)
    assert service.json(asked + "a")["mandatory"] is True
    service.kill()
    service = Service(tmp_path)
    assert service.json(asked + "a")["action"] == "boot"  # the same start: the same answer
    assert service.json(asked + "b")["action"] == "abort"
    service.close()


def test_the_database_has_no_secret(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.json(f"/policy/{MAC}/LAB20001")
    service.close()
    held = b"".join(path.read_bytes() for path in tmp_path.glob("site.sqlite*"))
    assert b"PC-1" in held and b"Right-1" not in held and SECRET.encode() not in held


def test_what_cannot_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    service = Service(tmp_path)
    blocker = sqlite3.connect(tmp_path / "site.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    assert service.get("/status", "POST", body(0, 1))[0] == 503
    assert kept(tmp_path) == set()
    blocker.execute("ROLLBACK")
    blocker.close()
    told: list[str] = []
    for _ in range(2):
        assert service.get("/status", "POST", body(0, 1))[0] == 200
        while (line := service.line()).get("path") != "/status" or line["status"] != 200:
            told += [line["site"]] if "site" in line else []
    assert kept(tmp_path) == {("round-0", 1)}
    assert told == ["status"]  # once, as soon as it was kept, however often it was posted
    service.close()


def test_a_card_that_was_refused_for_the_databases_sake_is_not_told_that_it_had_its_offer(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path)
    blocker = sqlite3.connect(tmp_path / "site.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    asked = f"/pxe/ipxe?mac={ONCE}&client_system=7&cpu=x64"
    begin = time.monotonic()
    assert service.get(asked)[0] == 503 and time.monotonic() - begin > 4
    blocker.execute("ROLLBACK")
    blocker.close()
    wait_until(
        lambda: time.monotonic() - begin > 5.2,
        waited_for="a start's seconds to pass since it was asked for first",
        seconds=6.0,
        clock=SystemClock(),
    )
    assert b"chain u" in service.get(asked)[1]
    service.close()


def pxe(service: Service, **more: str) -> str:
    """What a card gets."""
    query = urlencode({"mac": ONCE, "client_system": "7", "cpu": "x64", **more})
    script = service.get(f"/pxe/ipxe?{query}")[1].decode()
    service.request_line()
    return script.removeprefix("#!ipxe\n").split()[0]


def test_required_deployments_that_were_cleared_are_offered_again_at_once_and_after_a_power_cut(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path)
    assert pxe(service) == "chain"
    service.order(order=1, clear_required={"mac": ONCE, "uuid": ""})
    said = [service.line(), service.line()]
    assert said[0] == {"site": "cleared", "mac": ONCE, "device": "PC-2", "client": ""}
    assert said[1] == {"answer": 1, "error": ""}
    assert pxe(service) == "chain", "its next start, though it asks soon after the last one"
    assert pxe(service, start="later") == "echo", "and that was the one"
    service.order(order=2, clear_required={"mac": ONCE.upper(), "uuid": ""})
    assert [service.line(), service.line()][1] == {"answer": 2, "error": ""}
    service.kill()
    again = Service(tmp_path)
    assert pxe(again, start="latest") == "chain"
    again.close()


def test_what_could_not_be_cleared_is_said(tmp_path: Path) -> None:
    service = Service(tmp_path)
    assert pxe(service) == "chain"
    blocker = sqlite3.connect(tmp_path / "site.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    service.order(order=1, clear_required={"mac": ONCE, "uuid": ""})
    assert service.line()["error"].startswith("the site's database cannot be written")
    blocker.execute("ROLLBACK")
    blocker.close()
    service.close()


def test_an_order_that_nobody_understands_ends_the_service(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.order(order=1, clear_everything={})
    assert service.process.wait(LIMIT) == 0
    assert "KeyError: 'clear_required'" in service.said_wrong()
    service.close()


def test_a_row_that_the_database_cannot_hold_lets_nobody_wait(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "site.sqlite")
    store.add_status(MAC, "s", [{"n": 1 << 70, "id": 1}])
    with pytest.raises(NotKept):
        asyncio.run(asyncio.wait_for(store.committed(), LIMIT))
    store.close()


def test_a_database_that_is_none_of_ours_is_said(tmp_path: Path) -> None:
    database = tmp_path / "site.sqlite"
    database.write_bytes(b"no database at all, but long enough to look at" * 100)
    (tmp_path / "site.json").write_text(json.dumps({"port": 0, "database": str(database)}))
    done = subprocess.run(
        [sys.executable, "-m", "lab.site.service", "--config", str(tmp_path / "site.json")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    assert "cannot be used: file is not a database" in done.stderr and "Traceback" not in done.stderr
