"""Clients that start at a steady rate, whatever the service does. One client: its PXE decision, its
assignments, its policy; with ``status``, a status message as the fourth request. Each request has a
connection of its own, as a card and an agent make them.

An open loop: a client that is due begins although others wait, and its time counts from the moment it was
due, so that a slow service, or a late generator, shows in the times. One process, epoll, plain sockets: it
must need less of the host than what it measures.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.site.configuration import DEVICES, mac

#: Where ``benchmarks`` is found.
ROOT = Path(__file__).parents[2]
RATE, SECONDS = 200, 20
#: Seconds without an answer that are an error.
_PATIENCE = 60.0
_EACH_READ = 1 << 18
_NS = 1e-9


def clients(address: str, service: int, status: bool) -> dict[str, Any]:
    """What a process of its own measures against a service, whose process id is ``service``."""
    command = [sys.executable, "-m", "benchmarks.site.load", address, str(service), str(int(status))]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def used(process: int) -> float:
    """Seconds of CPU time that a process has had, all its threads."""
    total = 0.0
    for task in _tasks(process):
        with open(f"/proc/{process}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0]) * _NS
    return total


def stolen() -> float:
    """Seconds that the host of this virtual machine gave to others while it had work (all its CPUs)."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def _tasks(process: int) -> list[str]:
    return os.listdir(f"/proc/{process}/task")


class Client:
    """One client on its way through its requests; ``due``: when the present one was to begin."""

    def __init__(self, load: Load, index: int, due: float) -> None:
        self.load, self.began, self.due, self.step = load, due, due, 0
        self.mac, self.start = mac(index % DEVICES), f"{load.name}-{index}"
        self._deployment = ""
        self._next()

    def _request(self) -> bytes:
        head = f" HTTP/1.1\r\nHost: {self.load.address}\r\nConnection: close\r\n"
        match self.step:
            case 0:
                text = f"GET /pxe/ipxe?mac={self.mac}&client_system=7&start={self.start}{head}\r\n"
            case 1:
                text = f"GET /policy/{self.mac}{head}X-Start: {self.start}\r\n\r\n"
            case 2:
                text = f"GET /policy/{self.mac}/{self._deployment}{head}\r\n"
            case _:
                message = {"n": 1, "id": 11140, "severity": "info", "text": "The task sequence began."}
                body = json.dumps({"mac": self.mac, "start": self.start, "messages": [message]})
                text = f"POST /status{head}Content-Length: {len(body)}\r\n\r\n{body}"
        return text.encode()

    def _next(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.connect_ex((self.load.address, 80))
        self._answer = b""
        self.load.watch(self, self._socket.fileno(), select.EPOLLOUT)

    def ready(self, event: int) -> None:
        if event & select.EPOLLOUT and not event & (select.EPOLLERR | select.EPOLLHUP):
            self._socket.send(self._request())
            self.load.poll.modify(self._socket.fileno(), select.EPOLLIN)
            return
        if data := self._socket.recv(_EACH_READ):
            self._answer += data
            return
        self.load.forget(self._socket.fileno())
        self._socket.close()
        self._answered()

    def _answered(self) -> None:
        now = time.monotonic()
        head, _, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().rpartition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200") or int(length) != len(body):
            raise RuntimeError(f"request {self.step} of {self.mac}: {head!r}, {len(body)} bytes")
        self.load.requests[self.step].append(now - self.due)
        if self.step == 1:
            self._deployment = json.loads(body)["assignments"][0]["deployment"]
        self.step, self.due = self.step + 1, now
        if self.step < self.load.steps:
            self._next()
        else:
            self.load.whole.append(now - self.began)


class Load:
    """All clients, and their times in seconds: of each first, second, ... request, and of each client as a
    whole."""

    def __init__(self, address: str, steps: int) -> None:
        self.address, self.steps, self.name = address, steps, f"boot{steps}"
        self.poll = select.epoll()
        self.requests: list[list[float]] = [[] for _ in range(steps)]
        self.whole: list[float] = []
        #: Seconds that the latest client began after its time.
        self.late = 0.0
        self._open: dict[int, Client] = {}

    def watch(self, client: Client, file: int, events: int) -> None:
        self._open[file] = client
        self.poll.register(file, events)

    def forget(self, file: int) -> None:
        self.poll.unregister(file)
        del self._open[file]

    def run(self) -> None:
        begin, index = time.monotonic(), 0
        while index < RATE * SECONDS or self._open:
            now = time.monotonic()
            while index < RATE * SECONDS and begin + index / RATE <= now:
                Client(self, index, begin + index / RATE)
                self.late = max(self.late, time.monotonic() - begin - index / RATE)
                index += 1
            if now > begin + SECONDS + _PATIENCE:
                raise RuntimeError(f"{len(self._open)} clients got no answer")
            due = begin + index / RATE - time.monotonic() if index < RATE * SECONDS else 1.0
            for file, event in self.poll.poll(max(0.0, due)):
                self._open[file].ready(event)


def main() -> None:
    load = Load(sys.argv[1], 4 if sys.argv[3] == "1" else 3)
    service, before, begin = int(sys.argv[2]), used(int(sys.argv[2])), time.monotonic()
    gone = stolen()
    load.run()
    own = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "requests": load.requests, "clients": load.whole, "seconds": time.monotonic() - begin,
        "generator": own.ru_utime + own.ru_stime, "service": used(service) - before,
        "late": load.late, "stolen": stolen() - gone,
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
