"""The service's store, and what a machine can do to it that makes up addresses, starts and messages."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lab.site import app as site_app
from lab.site import store as site_store
from lab.site.app import SiteApp
from lab.site.config import SiteConfig
from lab.site.managementpoint import ManagementPoint
from lab.site.pxe import PxeRequest
from lab.site.store import LIMIT, Full, SqliteStore
from tests.contract.site_process import MAC, ONCE, SITE, STRANGER, Service

ANSWER = {"action": "boot", "reasons": ["x" * 100], "deployment": "", "unknown": ""}


def point(store: SqliteStore) -> ManagementPoint:
    return ManagementPoint(
        SITE, policies={}, machines={}, contents={}, address="", store=store, tell=lambda kind, data: None
    )


def asks(app: SiteApp, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """What the application answers to a request."""
    raw, _, query = path.encode().partition(b"?")
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "raw_path": raw, "query_string": query,
        "path": raw.decode(), "client": ("10.77.0.9", 1), "extensions": {},
        "headers": [(b"host", b"site"), (b"content-length", b"%d" % len(body))],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def report(mac: str, start: str, numbers: range) -> bytes:
    messages = [{"n": number, "id": 11134, "text": "y" * 100} for number in numbers]
    return json.dumps({"mac": mac, "start": start, "messages": messages}).encode()


def test_a_store_that_is_full_takes_nothing_and_still_answers_what_it_has(tmp_path: Path) -> None:
    request = PxeRequest(MAC, "", 7)
    with closing(SqliteStore(tmp_path / "site.sqlite", limit=1)) as store:
        first = point(store).pxe(request, "a")
        with pytest.raises(Full, match="1 bytes"):
            point(store).pxe(PxeRequest(ONCE, "", 7), "a")
        assert (
            store.offer_of_start(ONCE, "a") is None and store.offered("PC-2") == ()
        )  # refused: what is required comes when there is room again
        with pytest.raises(Full):
            store.add_status(MAC, "a", [{"n": 1, "id": 11140}])
        assert store.statuses(MAC) == []
        assert point(store).pxe(request, "a") == first
    with closing(SqliteStore(tmp_path / "site.sqlite", limit=1)) as again, pytest.raises(Full):
        again.decided(MAC, "b", ANSWER)
    with closing(SqliteStore(tmp_path / "site.sqlite")) as more:
        assert point(more).pxe(PxeRequest(ONCE, "", 7), "a").mandatory


def test_who_wants_to_be_kept_in_a_full_store_is_refused_with_the_reason_and_nobody_else(
    tmp_path: Path,
) -> None:
    lines: list[dict[str, Any]] = []
    config = SiteConfig(site=SITE.to_json(), policies={"LAB00010": {"variables": {}}})
    with closing(SqliteStore(tmp_path / "site.sqlite", limit=10_000)) as store:
        app = SiteApp(config, store, lines.append)
        answers = [
            asks(app, "POST", "/status", report(f"52:54:00:99:00:{n:02x}", "s", range(n, n + 3)))[0]
            for n in range(40)
        ]
        assert 200 in answers and answers == sorted(answers) and answers[-1] == 507
        status, text = asks(app, "GET", f"/pxe?mac={STRANGER}&client_system=7")
        assert status == 507 and b"10000 bytes" in text
        assert lines[-1]["status"] == 507 and "10000 bytes" in lines[-1]["reason"]
        assert asks(app, "GET", f"/policy/{MAC}")[0] == 200
        assert asks(app, "GET", f"/policy/{MAC}/LAB20001")[0] == 200


def test_a_flood_of_made_up_addresses_leaves_room_for_the_sites_own_machines_but_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_store, "RESERVED", 5_000)
    for own in ((), (MAC.upper(),)):
        with closing(SqliteStore(tmp_path / f"{len(own)}.sqlite", limit=10_000, own=own)) as store:
            app = SiteApp(SiteConfig(site=SITE.to_json()), store, lambda line: None)

            def flood(mac: str, start: str, app: SiteApp = app) -> list[int]:
                return [
                    asks(app, "POST", "/status", report(mac, f"{start}{n}", range(9)))[0] for n in range(20)
                ]

            assert flood(STRANGER, "s")[-1] == 507
            asked = asks(app, "GET", f"/pxe?mac={MAC}&client_system=7")[0]
            assert asked == (200 if own else 507)
            told = flood(MAC, "t")
            assert told[0] == asked and told[-1] == 507
            assert asks(app, "GET", f"/pxe?mac={MAC}&client_system=7&start=later")[0] == 507


def test_a_service_that_starts_again_knows_how_full_it_is_and_whose_the_rest_is(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "site.sqlite")) as store:
        store.add_status(STRANGER, "s", [{"n": 1, "id": 11134, "text": "x" * LIMIT}])
    service = Service(tmp_path)
    status, text, _ = service.get(f"/pxe?mac={STRANGER}&client_system=7")
    assert status == 507 and b"%d bytes" % LIMIT in text
    assert service.get(f"/pxe?mac={MAC}&client_system=7")[0] == 200
    service.close()


def test_a_report_without_messages_leaves_nothing(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "site.sqlite")) as store:
        app = SiteApp(SiteConfig(site=SITE.to_json()), store, lambda line: None)
        for n in range(20):
            assert asks(app, "POST", "/status", report(f"52:54:00:99:00:{n:02x}", "s", range(0)))[0] == 200
        assert store._statuses == {}


def test_what_is_cleared_of_one_computer_ends_no_others_start(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "site.sqlite")) as store:
        app = SiteApp(SiteConfig(site=SITE.to_json()), store, lambda line: None)
        asked = f"/pxe?mac={ONCE}&client_system=7"
        first = asks(app, "GET", asked)
        assert json.loads(first[1])["mandatory"] and asyncio.run(app.clear_required(MAC, "")) == ""
        assert asks(app, "GET", asked) == first, "its card asks again, and has not had its offer yet"


def test_a_card_is_remembered_no_longer_than_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteStore(tmp_path / "site.sqlite")) as store:
        app = SiteApp(SiteConfig(site=SITE.to_json()), store, lambda line: None)
        for n in range(20):
            asks(app, "GET", f"/pxe?mac=52:54:00:99:00:{n:02x}&client_system=7")
        assert len(app._starts) == 20
        monkeypatch.setattr(site_app, "SAME_START", 1e-9)
        asks(app, "GET", f"/pxe?mac={STRANGER}&client_system=7")
        assert len(app._starts) == 1
