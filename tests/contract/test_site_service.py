"""The site's service as the process it is: what it serves, what it refuses, what it says of each request."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.site.app import SAME_START
from tests.contract.site_process import (
    BIG,
    LIMIT,
    MAC,
    ONCE,
    SECRET,
    STRANGER,
    WHOLE,
    Service,
    basic,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("site"))
    yield service
    service.close()


def test_assignments_by_mac_in_any_spelling(service: Service) -> None:
    for spelling in (MAC, MAC.upper(), MAC.replace(":", "-"), MAC.replace(":", "%3A")):
        answer = service.json(f"/policy/{spelling}", X_Start="a")
        assert answer["device"] == "PC-1" and [one["deployment"] for one in answer["assignments"]] == [
            "LAB20001"
        ]
        told, line = service.line(), service.line()
        assert (told["site"], told["mac"], told["client"]) == ("assignments", MAC, "127.0.0.1")
        assert (line["path"], line["status"]) == (f"/policy/{spelling}", 200)


def test_the_policy_of_one_deployment(service: Service) -> None:
    policy = service.json(f"/policy/{MAC}/LAB20001")
    assert policy["variables"] | {"Base": "1", "Pin": SECRET, "Place": "desk"} == policy["variables"]
    assert policy["secrets"] == ["Pin"] and policy["at_end"] == "power-off"
    assert policy["naa"]["password"] and policy["machine_name"] == "PC-1"
    line = service.request_line()
    assert SECRET not in json.dumps(line) and line["status"] == 200
    for forged in ("LAB20002", "LAB20003", "LAB29999"):
        assert service.get(f"/policy/{MAC}/{forged}")[0] == 404
        service.request_line()


def test_a_required_deployment_is_offered_by_pxe_at_one_start(service: Service) -> None:
    actions = []
    for start in ("boot-1", "boot-1", "boot-2"):
        decision = service.json(f"/pxe?mac={ONCE}&client_system=7&start={start}")
        actions.append((decision["action"], decision["mandatory"]))
        service.request_line()
    assert actions == [("boot", True), ("boot", True), ("abort", False)]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (f"mac={MAC}&client_system=7&cpu=x64", "#!ipxe\nprompt\n#!ipxe\nchain u\n"),
        (f"mac={MAC.replace(':', '%3A')}&client_system=0&start=s", "#!ipxe\nprompt\n#!ipxe\nkernel b\n"),
        (f"mac={STRANGER}&client_system=11", "#!ipxe\necho abort"),
        (f"mac={STRANGER}&client_system=99", "#!ipxe\necho ignore nobody knows client system 99"),
    ],
)
def test_the_card_gets_the_script_of_the_decision(service: Service, query: str, text: str) -> None:
    status, body, headers = service.get(f"/pxe/ipxe?{query}")
    assert status == 200 and body.decode().startswith(text) and b"{reason}" not in body
    assert headers["content-type"].startswith("text/plain")
    told = service.line()
    assert told["site"] == "pxe" and told["reasons"]
    log = (service.folder / "SMSPXE.log").read_text()
    assert told["mac"].upper() in log
    service.request_line()


def test_a_retry_of_the_card_is_the_same_start(service: Service) -> None:
    for number in range(10):
        query = f"mac=52:54:00:11:22:7{number}&client_system=7"
        starts, begin = [], time.monotonic()
        for _ in range(2):
            service.get(f"/pxe/ipxe?{query}")
            line = service.line()
            starts.append(line.get("start"))
            if "site" in line:
                service.request_line()
        if time.monotonic() - begin < SAME_START:  # later than that it is no retry
            break
    assert starts[0] and starts[1] is None  # nothing was decided a second time


def test_status_messages_are_taken_once_and_kept(service: Service) -> None:
    messages = [{"n": n, "id": 11134, "severity": "info", "text": "done \u00e9 \u0001"} for n in (1, 2)]
    body = json.dumps({"mac": MAC.upper(), "start": "boot-9", "messages": messages}).encode()
    for again in (False, True):
        status, answer, _ = service.get("/status", "POST", body)
        assert (status, json.loads(answer)) == (200, {"accepted": 2})
        if not again:
            told = service.line()
            assert (told["site"], told["mac"], len(told["messages"])) == ("status", MAC, 2)
        assert service.line()["method"] == "POST"


def test_content_wants_the_account_where_the_distribution_point_does(service: Service) -> None:
    for headers, status in (
        ({}, 401),
        ({"Authorization": basic()}, 200),
        ({"Authorization": basic("lab\\NAA")}, 200),
        ({"Authorization": basic(password="wrong")}, 401),
        ({"Authorization": "Bearer abc"}, 401),
    ):
        answer, body, said = service.get("/content/LAB00001/sub/a%20b.txt", **headers)
        assert (answer, body == b"small") == (status, status == 200)
        assert ("www-authenticate" in said) == (status == 401)
        line = service.request_line()
        assert line["status"] == status and "Right-1" not in json.dumps(line)
    for point, status in (("DP1", 401), ("DP2", 404), ("OPEN", 200), ("DP9", 404)):
        path = f"/content/LAB00003/sub/a%20b.txt?dp={point}"
        assert service.get(path, Authorization=basic())[0] == status
        service.request_line()


def test_damaged_bytes_are_as_many_and_the_same_in_every_part(service: Service) -> None:
    path = "/content/LAB00001/big.wim?dp=DP2"
    status, body, headers = service.get(path, Authorization=basic())
    assert status == 200 and headers["x-package-version"] == "3"
    wrong = [index for index in range(BIG) if body[index] != WHOLE[index]]
    assert len(body) == BIG and len(wrong) == 1
    service.request_line()
    part = f"bytes={wrong[0]}-{wrong[0] + 2}"
    assert service.get(path, Authorization=basic(), Range=part)[1] == body[wrong[0] : wrong[0] + 3]
    service.request_line()


def test_a_package_share_is_read_with_the_account(service: Service) -> None:
    share = "/share/dp1/SMSPKGD%24/lab00001"
    assert service.get(share)[0] == 401
    service.request_line()
    listed = service.json(f"{share}/SUB", Authorization=basic())
    assert listed == {"files": [{"name": "a b.txt", "size": 5}]}
    service.request_line()
    assert service.get(f"{share}/Sub/A%20B.txt", Authorization=basic())[1] == b"small"
    service.request_line()
    for path, method, status in (
        (f"{share}/x", "PUT", 405), (f"{share}/none", "GET", 404),
        ("/share/DP1/SMSPKGD%24/LAB00003", "GET", 404),
    ):  # fmt: skip
        assert service.get(path, method, Authorization=basic(), Content_Length="0")[0] == status
        service.request_line()


def test_content_is_served_whole_and_told(service: Service) -> None:
    status, body, headers = service.get("/content/LAB00001/big.wim", Authorization=basic())
    assert status == 200 and headers["content-length"] == str(BIG)
    assert hashlib.sha256(body).digest() == hashlib.sha256(bytes(range(256)) * (BIG // 256)).digest()
    line = service.request_line()
    assert {key: line[key] for key in ("method", "path", "status", "bytes", "total", "client")} == {
        "method": "GET", "path": "/content/LAB00001/big.wim", "status": 200, "bytes": BIG, "total": BIG,
        "client": "127.0.0.1",
    }  # fmt: skip
    assert service.get("/content/LAB00001/sub/a%20b.txt", Authorization=basic())[1] == b"small"
    service.line()
    assert service.get("/boot/labpe-x64.efi")[0] == 200
    service.line()


def test_a_part_of_a_file(service: Service) -> None:
    status, body, headers = service.get(
        "/content/LAB00001/big.wim", Range="bytes=10-19", Authorization=basic()
    )
    assert (status, body, headers["content-range"]) == (206, bytes(range(10, 20)), f"bytes 10-19/{BIG}")
    line = service.line()
    assert (line["status"], line["bytes"], line["range"]) == (206, 10, "bytes=10-19")
    assert service.get("/content/LAB00001/big.wim", Range=f"bytes={BIG}-", Authorization=basic())[0] == 416
    service.line()
    for tag, wanted in ((headers["etag"], 206), ('"another"', 200)):  # a part of what changed is of no use
        asked = {"Range": "bytes=10-19", "If-Range": tag, "Authorization": basic()}
        assert service.get("/content/LAB00001/big.wim", **asked)[0] == wanted
        service.line()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/content/LAB00001/../secret", 400),
        ("/content/LAB00001/..%2fsecret", 400),
        ("/content/LAB00001/%2e%2e/secret", 400),
        ("/content/LAB00001/sub/..%5c..%5csecret", 400),
        ("/content/LAB00001/big.wim%00.txt", 400),
        ("/content/LAB00001//etc/passwd", 404),
        ("/content/LAB00001/%2fetc%2fpasswd", 400),
        ("/content/LAB00002/big.wim", 404),
        ("/content/LAB00001/gone.txt", 404),
        ("/content/LAB00001/secret", 404),
        ("/boot/../site.json", 400),
        ("/", 404),
    ],
)
def test_nothing_else_is_served_and_each_try_is_told(service: Service, path: str, status: int) -> None:
    answer, body, _ = service.get(path, Authorization=basic())
    assert answer == status
    assert b"secret" not in body and b"root:" not in body
    line = service.request_line()
    assert (line["path"], line["status"]) == (path, status)


def test_other_methods_and_a_head(service: Service) -> None:
    assert service.get("/boot/labpe-x64.efi", method="PUT")[0] == 405
    assert service.line()["method"] == "PUT"
    status, body, headers = service.get("/boot/labpe-x64.efi", method="HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(BIG))
    assert (service.line()["method"], status) == ("HEAD", 200)


def test_rubbish_does_not_stop_it(service: Service) -> None:
    assert service.raw(b"\x16\x03\x01 rubbish\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert service.line()["status"] == 400
    assert service.get(f"/policy/{MAC}")[0] == 200
    service.request_line()


def test_a_client_that_goes_away_is_told_with_what_it_got(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(
            f"GET /content/LAB00001/big.wim HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()}\r\n\r\n".encode()
        )
        assert connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line = service.line()
    assert line["path"] == "/content/LAB00001/big.wim"
    assert line["total"] == BIG and line["bytes"] < BIG


def test_it_ends_with_its_input(tmp_path: Path) -> None:
    service = Service(tmp_path)
    assert service.close() == 0


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = {"host": "127.0.0.1", "port": taken.getsockname()[1]}
        (tmp_path / "site.json").write_text(json.dumps(config))
        done = subprocess.run(
            [sys.executable, "-m", "lab.site.service", "--config", str(tmp_path / "site.json")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
    assert done.returncode != 0
    assert "Address already in use" in done.stderr


def test_a_machine_keeps_files_on_a_share_and_finds_them_again(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.guest import http as guest_http
    from lab.guest.shares import Share

    for name in ("get", "put"):
        monkeypatch.setattr(guest_http, name, partial(getattr(guest_http, name), port=service.port))
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4096)
    Share("127.0.0.1", r"\\SRV\Images$\new\a b.wim").put(str(source))
    line = service.line()
    assert (line["method"], line["path"], line["status"]) == (
        "PUT",
        "/share/SRV/Images%24/new/a%20b.wim",
        201,
    )
    kept = service.folder / "shares" / "SRV" / "Images$" / "new" / "a b.wim"
    assert kept.read_bytes() == source.read_bytes()
    Share("127.0.0.1", r"\\srv\images$\NEW\A B.WIM").put(str(source))  # the same file: case does not count
    assert [item.name for item in kept.parent.iterdir()] == ["a b.wim"]
    assert Share("127.0.0.1", r"\\srv\images$").files() == [{"name": "new/a b.wim", "size": 1 << 20}]
    assert Path(
        Share("127.0.0.1", r"\\srv\images$\new\a b.wim").fetch(str(tmp_path / "back"))
    ).read_bytes() == (source.read_bytes())
    with pytest.raises(NotADirectoryError):
        Share("127.0.0.1", r"\\srv\nothing").files()
    with pytest.raises(FileNotFoundError):
        Share("127.0.0.1", r"\\srv\images$\none").fetch(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/share/SRV/only", 400),
        ("/share/SRV", 404),
        ("/share/SRV/S/../../../x", 400),
        ("/content/LAB00001/x", 405),
        ("/share/SRV/S/" + "/".join(["n" * 200] * 30), 400),
        ("/share/SRV/S/" + "n" * 300, 400),
    ],
)
def test_a_write_goes_nowhere_but_to_a_share(service: Service, path: str, status: int) -> None:
    assert service.get(path, "PUT", **{"Content-Length": "0"})[0] == status


def test_a_name_that_no_file_can_have_is_no_trouble_of_the_service(service: Service) -> None:
    assert service.get("/share/SRV/S/" + "n" * 300)[0] == 400
