"""Requests that no honest client makes: each refused and told, none served, no trouble of the service's."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from lab.site.connection import HEAD_SECONDS
from tests.contract.site_process import ACCOUNT, LIMIT, MAC, SECRET, Service, basic

KNOWN = f"/policy/{MAC}"
BIG_FILE = "/content/LAB00001/big.wim"
REPORT = {"mac": MAC, "start": "boot-1", "messages": [{"n": 1, "id": 11134}]}


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request's bytes; ``line``: method and target."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers, *length])
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def get(path: str, *headers: str) -> bytes:
    return request(f"GET {path}", f"Authorization: {basic()}", *headers)


def post(body: bytes | dict[str, object], *headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST /status", *headers, body=raw)


def message(**changes: object) -> bytes:
    return post({**REPORT, "messages": [{"n": 1, "id": 11134, **changes}]})


BAD: dict[str, bytes] = {
    # out of the content's folder
    "dots": get("/content/LAB00001/../secret"),
    "dots to the root": get("/content/LAB00001/../../../../../../etc/passwd"),
    "encoded dots": get("/content/LAB00001/%2e%2e/secret"),
    "half encoded dots": get("/content/LAB00001/.%2E/secret"),
    "encoded slash": get("/content/LAB00001/..%2fsecret"),
    "encoded backslash": get("/content/LAB00001/..%5c..%5csecret"),
    "backslash": get("/content/LAB00001/..\\..\\secret"),
    "twice encoded": get("/content/LAB00001/%252e%252e%252fsecret"),
    "overlong UTF-8": get("/content/LAB00001/%c0%ae%c0%ae/secret"),
    "not UTF-8": get("/content/LAB00001/%ff%fe"),
    "absolute path": get("/content/LAB00001//etc/passwd"),
    "encoded absolute path": get("/content/LAB00001/%2fetc%2fpasswd"),
    "NUL": get("/content/LAB00001/big.wim%00.txt"),
    "line break": get("/content/LAB00001/big.wim%0d%0aX:%20y"),
    "a file of the folder that is not listed": get("/content/LAB00001/secret"),
    "a folder": get("/content/LAB00001/sub"),
    "a long name": get("/content/LAB00001/" + "a" * 9000),
    "a Unicode twin of dots": get("/content/LAB00001/%e2%80%a5/secret"),
    "a fullwidth solidus": get("/content/LAB00001/..%ef%bc%8fsecret"),
    "boot dots": get("/boot/../site.json"),
    "boot encoded dots": get("/boot/%2e%2e%2fsite.json"),
    "share dots": get("/share/SRV/S/../../../secret"),
    "share encoded dots": get("/share/SRV/S/%2e%2e/%2e%2e/%2e%2e/secret"),
    "package share dots": get("/share/DP1/SMSPKGD%24/LAB00001/../../secret"),
    "the database": get("/site.sqlite"),
    "the configuration": get("/content/../site.json"),
    "the root": get("/"),
    "a whole address": get("http://elsewhere/boot/labpe-x64.efi"),
    # forged ids
    "another's deployment": get(f"{KNOWN}/LAB20002"),
    "a deployment of SQL": get(f"{KNOWN}/LAB20001'%20OR%20'1'='1"),
    "a deployment of HTML": get(f"{KNOWN}/%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
    "a deployment with NUL": get(f"{KNOWN}/LAB20001%00"),
    "a deployment beyond": get(f"{KNOWN}/LAB20001/../LAB20002"),
    "a long deployment": get(f"{KNOWN}/" + "A" * 500),
    "a Cyrillic deployment": get(f"{KNOWN}/%D0%9B%D0%90%D0%9120001"),
    "a short MAC": get("/policy/52:54:00:11:22"),
    "a MAC of SQL": get("/policy/52:54:00:11:22:33';--"),
    "a MAC of wide digits": get("/policy/%EF%BC%95%EF%BC%92:54:00:11:22:33"),
    "no package": get("/content/LAB99999/big.wim"),
    "a package of SQL": get("/locations/LAB00001'%3BDROP%20TABLE%20statuses"),
    "a package of HTML": get("/locations/%3Cb%3E"),
    "a distribution point of dots": get(f"{BIG_FILE}?dp=../DP1"),
    "a distribution point nobody has": get(f"{BIG_FILE}?dp=DP77"),
    # queries
    "PXE without a MAC": get("/pxe?client_system=7"),
    "PXE without a client system": get(f"/pxe?mac={MAC}"),
    "PXE with a negative client system": get(f"/pxe?mac={MAC}&client_system=-1"),
    "PXE with a large client system": get(f"/pxe?mac={MAC}&client_system=65536"),
    "PXE with digits of another script": get(f"/pxe?mac={MAC}&client_system=%D9%A7"),
    "PXE with an endless client system": get(f"/pxe?mac={MAC}&client_system=" + "9" * 5000),
    "PXE with another CPU": get(f"/pxe?mac={MAC}&client_system=7&cpu=m68k"),
    "PXE with a forged GUID": get(f"/pxe?mac={MAC}&client_system=7&uuid=1%20OR%201=1"),
    "PXE with a MAC twice": get(f"/pxe?mac={MAC}&mac={MAC}&client_system=7"),
    "PXE with NUL in the start": get(f"/pxe?mac={MAC}&client_system=7&start=a%00b"),
    "PXE with an unknown parameter": get(f"/pxe?mac={MAC}&client_system=7&admin=1"),
    "a script with a script in it": get(f"/pxe/ipxe?mac={MAC}&client_system=7&start=%24%7Bshell%7D"),
    "a query that is none": get(f"{KNOWN}?%ff=%ff"),
    "a hundred parameters": get(f"{KNOWN}?" + "&".join(f"a{n}=1" for n in range(100))),
    "a start with a blank": get(KNOWN, "X-Start: a b"),
    "a start with HTML": get(KNOWN, "X-Start: <b>"),
    # credentials
    "no account": request(f"GET {BIG_FILE}"),
    "a wrong password": request(f"GET {BIG_FILE}", f"Authorization: {basic(password='Wrong')}"),
    "a wrong user": request(f"GET {BIG_FILE}", f"Authorization: {basic('LAB-administrator')}"),
    "an empty password": request(f"GET {BIG_FILE}", f"Authorization: {basic(password='')}"),
    "a password that begins well": request(f"GET {BIG_FILE}", f"Authorization: {basic(password='Right')}"),
    "an account of SQL": request(f"GET {BIG_FILE}", f"Authorization: {basic(chr(39) + ' OR 1=1--')}"),
    "an account of NUL": request(f"GET {BIG_FILE}", f"Authorization: {basic(ACCOUNT[0] + chr(0))}"),
    "another scheme": request(f"GET {BIG_FILE}", "Authorization: Negotiate abcd"),
    "credentials that are no base64": request(f"GET {BIG_FILE}", "Authorization: Basic %%%"),
    "credentials without a colon": request(f"GET {BIG_FILE}", "Authorization: Basic YWJj"),
    "credentials that are no text": request(f"GET {BIG_FILE}", "Authorization: Basic //79/A=="),
    "a package share without an account": request("GET /share/DP1/SMSPKGD%24/LAB00001/big.wim"),
    "a list of a package share without an account": request("GET /share/DP1/SMSPKGD%24/LAB00001"),
    # ranges
    "a range beyond the end": get(BIG_FILE, "Range: bytes=99999999-"),
    "a range backwards": get(BIG_FILE, "Range: bytes=9-1"),
    "a range of nothing": get(BIG_FILE, "Range: bytes=-"),
    "an empty end": get(BIG_FILE, "Range: bytes=-0"),
    "a range of words": get(BIG_FILE, "Range: bytes=a-b"),
    "a range of another unit": get(BIG_FILE, "Range: lines=1-2"),
    "many ranges": get(BIG_FILE, "Range: bytes=" + ",".join(f"{n}-{n}" for n in range(1000))),
    "an endless range": get(BIG_FILE, "Range: bytes=" + "9" * 400 + "-"),
    # methods
    "DELETE": request(f"DELETE {BIG_FILE}"),
    "PUT of content": request(f"PUT {BIG_FILE}", body=b"x"),
    "POST of a policy": request(f"POST {KNOWN}", body=b"{}"),
    "GET of the status": get("/status"),
    "HEAD of a decision": request(f"HEAD /pxe?mac={MAC}&client_system=7"),
    "TRACE": request("TRACE /boot/labpe-x64.efi"),
    "CONNECT": request("CONNECT elsewhere:443"),
    "a method nobody knows": request("BREW /boot/labpe-x64.efi"),
    "PUT to a package share": request("PUT /share/DP1/SMSPKGD%24/LAB00001/x", body=b"x"),
    "a GET with a body": get(KNOWN, "Content-Length: 5") + b"abcde",
    # bodies
    "an empty body": request("POST /status", "Content-Length: 0"),
    "no JSON": post(b"{"),
    "a list": post(b"[]"),
    "not UTF-8 in the body": post(b'{"mac": "\xff"}'),
    "NaN": post(b'{"mac": "52:54:00:11:22:33", "start": "a", "messages": [{"n": NaN, "id": 1}]}'),
    "a key twice": post(b'{"mac": "52:54:00:11:22:33", "mac": "x", "start": "a", "messages": []}'),
    "a deep body": post(b"[" * 100_000),
    "a number of thousands of digits": post(b'{"n": ' + b"9" * 100_000 + b"}"),
    "a body of a gigabyte": request("POST /status", "Content-Length: 1073741824"),
    "a chunked body without end": request("POST /status", "Transfer-Encoding: chunked")
    + b"10000\r\n" + b"a" * 0x10000 + b"\r\n" + (b"10000\r\n" + b"a" * 0x10000 + b"\r\n") * 20,
    "an unknown key": post({**REPORT, "admin": True}),
    "a forged MAC": post({**REPORT, "mac": "'; DROP TABLE statuses; --"}),
    "a forged start": post({**REPORT, "start": "<img src=x>"}),
    "NUL in the start": post({**REPORT, "start": "a\0"}),
    "messages that are no list": post({**REPORT, "messages": {"n": 1}}),
    "too many messages": post({**REPORT, "messages": [{"n": n, "id": 1} for n in range(1001)]}),
    "a number that is a text": message(n="1"),
    "a number that is true": message(n=True),
    "a number below zero": message(n=-1),
    "a number beyond SQLite's": message(n=2**63),
    "half of a surrogate pair": message(text="\ud800"),
    "a long text": message(text="x" * 9000),
    "an infinite time": post(
        b'{"mac": "52:54:00:11:22:33", "start": "a", "messages": [{"n": 1, "id": 1, "time": 1e999}]}'
    ),
    # no HTTP
    "huge headers": get(KNOWN, "X-Huge: " + "a" * 70_000),
    "many headers": get(KNOWN, *(f"X-{n}: {'a' * 60}" for n in range(2000))),
    "a header with NUL": get(KNOWN, "X-Nul: a\0b"),
    "a header without a name": get(KNOWN, ": x"),
    "a folded request line": b"GET /boot/x\r\n y HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /boot/labpe-x64.efi HTTP/1.1\r\n\r\n",
    "two hosts": get(KNOWN, "Host: y"),
    "a request line without end": b"GET /" + b"a" * 300_000,
    "a header without end": b"GET /boot/x HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 300_000,
    "two lengths": post(b"{}", "Content-Length: 9"),
    "length and chunks": get(KNOWN, "Transfer-Encoding: chunked, identity", "Content-Length: 3"),
    "a length that is no number": request("POST /status", "Content-Length: 1e3"),
    "a path with bytes of another alphabet": b"GET /boot/\xd0\x9b HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "another version": b"GET /boot/labpe-x64.efi HTTP/9.9\r\nHost: x\r\n\r\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("site"))
    yield service
    wrong = service.said_wrong()
    service.close()
    assert "Traceback" not in wrong, wrong


def test_the_list_is_long_enough_and_its_honest_twins_are_served(service: Service) -> None:
    assert len(BAD) >= 60
    for honest in (get(BIG_FILE), get(KNOWN, "X-Start: a"), post(REPORT), get(BIG_FILE, "Range: bytes=0-1")):
        assert service.raw(honest).startswith(b"HTTP/1.1 20")
        service.request_line()


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_told(service: Service, name: str) -> None:
    answer = service.raw(BAD[name])
    line = service.request_line()
    assert 400 <= line["status"] < 500, line
    assert line["reason"] or line["path"]
    if answer:  # a client that had not sent all yet may lose the answer
        assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    for secret in (
        b"root:",
        b"secret\n",
        SECRET.encode(),
        ACCOUNT[1].encode(),
        b'"deployment"',
        bytes(range(64)),
    ):
        assert secret not in answer
    assert ACCOUNT[1] not in json.dumps(line) and basic() not in json.dumps(line)
    assert service.lines.empty()


def test_half_open_and_slow_clients_keep_nobody_waiting(service: Service) -> None:
    idle = [socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT) for _ in range(200)]
    try:
        for number, one in enumerate(idle):
            if number % 3 == 1:
                one.sendall(b"GET /boot/labpe-x64.efi HTTP/1.1\r\nHost:")
            elif number % 3 == 2:  # takes nothing of what it asked for
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.sendall(b"GET /boot/labpe-x64.efi HTTP/1.1\r\nHost: x\r\n\r\n")
        times = []
        for _ in range(20):
            begin = time.monotonic()
            assert service.get(KNOWN)[0] == 200
            times.append(time.monotonic() - begin)
        assert sorted(times)[10] < HEAD_SECONDS / 2  # whoever waits for one of them waits for all of that
        assert idle[1].recv(1000) == b""  # the service ended it: it never became a request
    finally:
        for one in idle:
            one.close()
