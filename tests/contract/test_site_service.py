"""The site's service as the process it is: what it serves, what it refuses, what it says of each request."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

BIG = 6 << 20
MAC = "52:54:00:11:22:33"
ONCE = "52:54:00:11:22:44"


class Service:
    """``python -m lab.site.service`` on a free port of the loopback, its lines in a queue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = folder / "package"
        (root / "sub").mkdir(parents=True)
        (root / "big.wim").write_bytes(bytes(range(256)) * (BIG // 256))
        (root / "sub" / "a b.txt").write_bytes(b"small")
        (folder / "secret").write_text("secret")
        config = {
            "host": "127.0.0.1",
            "port": 0,
            "content": {
                "LAB00001": {name: str(root / name) for name in ("big.wim", "sub/a b.txt", "gone.txt")}
            },
            "boot": {"labpe-x64.efi": str(root / "big.wim")},
            "policies": {
                MAC: {"machine_name": "PC-1"},
                ONCE: {"machine_name": "PC-2", "deployment": {"purpose": "required"}},
            },
            "shares": str(folder / "shares"),
        }
        (folder / "site.json").write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.site.service", "--config", str(folder / "site.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        ready = self.line()
        assert ready["ready"] is True
        self.port = int(ready["port"])

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def line(self, seconds: float = 10.0) -> dict[str, Any]:
        try:
            return self.lines.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"the service said nothing for {seconds} s") from None

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path)  # as it is: no client tidies it up
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request + b"Host: x\r\nConnection: close\r\n\r\n")
            received = b""
            while data := connection.recv(65536):
                received += data
            return received

    def close(self) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("site"))
    yield service
    service.close()


def test_policy_by_mac_in_any_spelling(service: Service) -> None:
    for spelling in (MAC, MAC.upper(), MAC.replace(":", "-"), MAC.replace(":", "%3A")):
        status, body, _ = service.get(f"/policy/{spelling}")
        assert (status, json.loads(body)) == (200, {"machine_name": "PC-1"})
        assert service.line()["path"] == f"/policy/{spelling}"
    assert service.get("/policy/52:54:00:00:00:00")[0] == 404
    assert service.line()["status"] == 404


def test_a_required_deployment_is_offered_at_one_start_of_the_machine(service: Service) -> None:
    answers = []
    for start in ("boot-1", "boot-1", "boot-2"):
        said = service.raw(f"GET /policy/{ONCE} HTTP/1.1\r\nX-Start: {start}\r\n".encode())
        answers.append(json.loads(said.partition(b"\r\n\r\n")[2]))
        decision, request = service.line(), service.line()
        assert (decision["path"], decision["client"]) == (f"/policy/{ONCE}", "127.0.0.1")
        assert decision["decision"] == ("offered" if start == "boot-1" else "not-offered")
        assert request["status"] == 200
    assert [answer.get("attempt") for answer in answers] == [1, 1, None]
    assert "already" in answers[2]["no_deployment"] and "machine_name" not in answers[2]


def test_content_is_served_whole_and_told(service: Service) -> None:
    status, body, headers = service.get("/content/LAB00001/big.wim")
    assert status == 200 and headers["content-length"] == str(BIG)
    assert hashlib.sha256(body).digest() == hashlib.sha256(bytes(range(256)) * (BIG // 256)).digest()
    line = service.line()
    assert {key: line[key] for key in ("method", "path", "status", "bytes", "total", "client")} == {
        "method": "GET", "path": "/content/LAB00001/big.wim", "status": 200, "bytes": BIG, "total": BIG,
        "client": "127.0.0.1",
    }  # fmt: skip
    assert service.get("/content/LAB00001/sub/a%20b.txt")[1] == b"small"
    service.line()
    assert service.get("/boot/labpe-x64.efi")[0] == 200
    service.line()


def test_a_part_of_a_file(service: Service) -> None:
    status, body, headers = service.get("/content/LAB00001/big.wim", Range="bytes=10-19")
    assert (status, body, headers["content-range"]) == (206, bytes(range(10, 20)), f"bytes 10-19/{BIG}")
    line = service.line()
    assert (line["status"], line["bytes"], line["range"]) == (206, 10, "bytes=10-19")
    assert service.get("/content/LAB00001/big.wim", Range=f"bytes={BIG}-")[0] == 416
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
    answer, body, _ = service.get(path)
    assert answer == status
    assert b"secret" not in body and b"root:" not in body
    line = service.line()
    assert (line["path"], line["status"]) == (path, status)


def test_other_methods_and_a_head(service: Service) -> None:
    assert service.get("/boot/labpe-x64.efi", method="PUT")[0] == 405
    assert service.line()["method"] == "PUT"
    status, body, headers = service.get("/boot/labpe-x64.efi", method="HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(BIG))
    assert (service.line()["method"], status) == ("HEAD", 200)


def test_rubbish_does_not_stop_it(service: Service) -> None:
    assert service.raw(b"\x16\x03\x01 rubbish\r\n").startswith(b"HTTP/1.1 400")
    assert service.get(f"/policy/{MAC}")[0] == 200
    service.line()


def test_a_client_that_goes_away_is_told_with_what_it_got(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /content/LAB00001/big.wim HTTP/1.1\r\nHost: x\r\n\r\n")
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
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
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
        ("/share/SRV", 405),
        ("/share/SRV/S/../../../x", 405),
        ("/content/LAB00001/x", 405),
        ("/share/SRV/S/" + "/".join(["n" * 200] * 30), 400),
        ("/share/SRV/S/" + "n" * 300, 507),
    ],
)
def test_a_write_goes_nowhere_but_to_a_share(service: Service, path: str, status: int) -> None:
    assert service.get(path, "PUT", **{"Content-Length": "0"})[0] == status


def test_a_name_that_no_file_can_have_is_no_trouble_of_the_service(service: Service) -> None:
    assert service.get("/share/SRV/S/" + "n" * 300)[0] == 400
