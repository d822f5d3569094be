"""The site's service as the process it is, and a site for it to serve."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from lab.site.model import (
    ALL_UNKNOWN,
    Account,
    Collection,
    Deployment,
    Device,
    DistributionPoint,
    SiteObjects,
    SitePackage,
    SiteSequence,
)

BIG = 6 << 20
WHOLE = bytes(range(256)) * (BIG // 256)
MAC = "52:54:00:11:22:33"
ONCE = "52:54:00:11:22:44"
STRANGER = "52:54:00:11:22:99"
ACCOUNT = ("LAB\\naa", "Right-1")
SECRET = "Pin-4711"
SITE = SiteObjects(
    "LAB",
    devices=(
        Device("PC-1", MAC, "", {"Pin": SECRET, "Place": "desk"}, ("Pin",)),
        Device("PC-2", ONCE),
    ),
    collections=(Collection("Office", ("PC-1",)), Collection("Once", ("PC-2",))),
    packages=(
        SitePackage("LAB00001", distributed={"DP1": "there", "DP2": "damaged"}, version=3, share=True),
        SitePackage("LAB00002", kind="boot-image", distributed={"DP1": "there"}),
        SitePackage("LAB00003", distributed={"DP1": "denied", "DP2": "missing", "OPEN": "there"}),
    ),
    sequences=(SiteSequence("LAB00010", "Deploy", "LAB00002"), SiteSequence("LAB00011", "Other", "LAB00002")),
    deployments=(
        Deployment("LAB20001", "LAB00010", "Office"),
        Deployment("LAB20002", "LAB00011", "Once", "required"),
        Deployment("LAB20003", "LAB00011", ALL_UNKNOWN),
    ),
    distribution_points=(
        DistributionPoint("DP1"), DistributionPoint("DP2"), DistributionPoint("OPEN", anonymous=True)
    ),
    account=Account(*ACCOUNT),
)  # fmt: skip
SCRIPTS = {
    "boot": {"LAB00002": {"uefi": "#!ipxe\nchain u\n", "bios": "#!ipxe\nkernel b\n"}},
    "prompt": "#!ipxe\nprompt\n",
    "abort": "#!ipxe\necho abort {reason}\n",
    "ignore": "#!ipxe\necho ignore {reason}\n",
}


def basic(user: str = ACCOUNT[0], password: str = ACCOUNT[1]) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def configuration(folder: Path) -> dict[str, Any]:
    """The service's configuration, its files laid in ``folder`` (beside them one that nobody may have)."""
    root = folder / "package"
    (root / "sub").mkdir(parents=True, exist_ok=True)
    (root / "big.wim").write_bytes(WHOLE)
    (root / "sub" / "a b.txt").write_bytes(b"small")
    (root / "empty").write_bytes(b"")
    (folder / "secret").write_text("root:secret")
    names = ("big.wim", "sub/a b.txt", "gone.txt", "empty")
    files = {name: str(root / name) for name in names}
    listed = [{"name": name, "size": BIG, "sha256": hashlib.sha256(WHOLE).hexdigest()} for name in names]
    base = {"sequence": {"name": "Deploy"}, "variables": {"Base": "1"}, "references": ["LAB00001"]}
    return {
        "host": "127.0.0.1",
        "port": 0,
        "site": SITE.to_json(),
        "policies": {"LAB00010": base, "LAB00011": base},
        "machines": {MAC: {"name": "PC-1", "policy": {"at_end": "power-off"}}},
        "content": {"LAB00001": files, "LAB00003": files},
        "contents": {"LAB00001": listed, "LAB00003": listed},
        "boot": {"labpe-x64.efi": str(root / "big.wim")},
        "scripts": SCRIPTS,
        "shares": str(folder / "shares"),
        "database": str(folder / "site.sqlite"),
        "log": str(folder / "SMSPXE.log"),
    }


#: Seconds for what comes at once: only a broken service lets anybody wait so long.
LIMIT = 120.0


class Service:
    """``python -m lab.site.service`` on a free port of the loopback, its lines in a queue."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        config = {**configuration(folder), **changes}
        (folder / "site.json").write_text(json.dumps(config))
        self.errors = (folder / "stderr").open("ab+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.site.service", "--config", str(folder / "site.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        self.lines: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ready = self.line()
        assert ready["ready"] is True
        self.port = int(ready["port"])

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if "progress" not in (told := json.loads(line)):  # only a slow host has something to say there
                self.lines.put(told)

    def line(self, seconds: float = LIMIT) -> dict[str, Any]:
        try:
            return self.lines.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"the service said nothing for {seconds} s") from None

    def request_line(self) -> dict[str, Any]:
        """The next line of a request; what the site said before it is left out."""
        while "method" not in (line := self.line()):
            pass
        return line

    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            connection.putrequest(method, path)  # as it is: no client tidies it up
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def json(self, path: str, **headers: str) -> Any:
        status, body, _ = self.get(path, **headers)
        assert status == 200, (status, body)
        return json.loads(body)

    def order(self, **order: Any) -> None:
        """Say a line on its standard input, as whoever runs the site does."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def raw(self, request: bytes) -> bytes:
        """What comes back for bytes, until the service closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as connection:
            connection.sendall(request)
            received = b""
            try:
                while data := connection.recv(65536):
                    received += data
            except ConnectionResetError:  # it had enough, and what was sent was not all read
                pass
            return received

    def kill(self) -> None:
        """As a power cut would: nothing is said to it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._done()

    def close(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            return self.process.wait(LIMIT)
        finally:
            self.process.kill()
            self.process.wait()
            self._done()

    def _done(self) -> None:
        self._reader.join(LIMIT)
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None and not stream.closed:
                stream.close()

    def said_wrong(self) -> str:
        """What it wrote to standard error."""
        return os.fsdecode((self.folder / "stderr").read_bytes())
