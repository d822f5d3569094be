"""The channel to the host: numbered JSON lines over a virtio-serial port. Thread-safe.

Imports little: the first line must leave as early as possible.
"""

from __future__ import annotations

import _thread
import json
import os
import time

TYPE_CHECKING = False  # as typing's own, whose import takes too long here
if TYPE_CHECKING:
    from typing import Any, TextIO

PORT = "org.osdlab.agent.0"

#: Seconds a line may wait for a host that does not read.
PATIENCE = 60.0


def find_port(name: str = PORT, *, sys: str = "/sys", dev: str = "/dev") -> str | None:
    """The device of the virtio-serial port with this name, or None."""
    folder = f"{sys}/class/virtio-ports"
    try:
        ports = sorted(os.listdir(folder))
    except FileNotFoundError:
        return None
    for port in ports:
        try:
            with open(f"{folder}/{port}/name") as file:
                if file.read().strip() == name:
                    return f"{dev}/{port}"
        except OSError:
            continue
    return None


class Link:
    """Writes ``{"n", "boot", "up", "kind", "data"}`` lines and reads the host's operations.

    ``device`` None: there is no port; said once on the console, then lines go nowhere.
    """

    def __init__(self, device: str | None, mark: str, *, console: TextIO) -> None:
        self._mark = mark
        self._console = console
        self._lock = _thread.allocate_lock()
        self._number = 0
        self._received = b""
        self._file = -1
        if device is None:
            self._lost("there is no channel to the host")
            return
        try:
            self._file = os.open(device, os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            self._lost(f"the channel to the host cannot be opened: {error}")

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """Write one line, at once."""
        with self._lock:
            self._number += 1
            line = {
                "n": self._number,
                "boot": self._mark,
                "up": round(time.monotonic(), 3),
                "kind": kind,
                "data": data,
            }
            self._write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """The host's next operation, or None after ``timeout`` seconds, or when the host is gone."""
        end = time.monotonic() + timeout
        while b"\n" not in self._received:
            left = end - time.monotonic()
            if self._file < 0 or left <= 0 or not self._ready(read=True, seconds=left):
                return None
            try:
                more = os.read(self._file, 65_536)
            except BlockingIOError:
                continue
            except OSError:
                return None
            if not more:
                return None
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        try:
            operation = json.loads(line)
        except ValueError:
            return None
        return operation if isinstance(operation, dict) else None

    def _write(self, data: bytes) -> None:
        while data and self._file >= 0:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:
                if not self._ready(read=False, seconds=PATIENCE):
                    self._lost("the host does not read the channel")
            except OSError as error:
                self._lost(f"the channel to the host broke: {error}")

    def _ready(self, *, read: bool, seconds: float) -> bool:
        import select

        poll = select.poll()
        poll.register(self._file, select.POLLIN if read else select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def _lost(self, why: str) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        print(f"osdlab agent: {why}", file=self._console, flush=True)
