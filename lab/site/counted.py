"""What goes out of one request, and its lines on the service's output."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_PROGRESS_EVERY = 1.0


class Counted:
    """Sits between application and connection and counts what goes out.

    ``reason``: why a request was refused, or broke; one word to a line of the output.
    """

    def __init__(
        self,
        scope: Message,
        headers: Mapping[bytes, bytes],
        send: Send,
        log: Callable[[dict[str, Any]], None],
    ) -> None:
        self._send = send
        self._log = log
        self._start = self._told = time.monotonic()
        self._bytes = 0
        self.status = 0
        self.reason = ""
        self._total: int | None = None
        self._method = scope["method"]
        self._path = scope["raw_path"].decode("latin-1")
        self._client = scope["client"][0] if scope.get("client") else ""
        self._query = scope["query_string"].decode("latin-1")[:1000]
        self._range = headers.get(b"range", b"").decode("latin-1")

    async def send(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            length = dict(message.get("headers") or []).get(b"content-length")
            self._total = int(length) if length is not None else None
        elif message["type"] == "http.response.body":
            self._bytes += len(message.get("body", b""))
            if message.get("more_body"):
                self._progress()

    async def answer(
        self, status: int, kind: bytes, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """A whole answer at once. ``kind``: its Content-Type."""
        said = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": said})
        self.status, self._total = status, len(body)
        await self._send({"type": "http.response.body", "body": body})
        self._bytes += len(body)

    def add(self, count: int) -> None:
        """Bytes of the body that did not come by ``send``."""
        self._bytes += count
        self._progress()

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told >= _PROGRESS_EVERY:
            self._told = now
            self._log({"progress": True, **self._common()})

    def end(self) -> None:
        line = {"method": self._method, "status": self.status, **self._common()}
        line["seconds"] = round(time.monotonic() - self._start, 3)
        for name, said in (("query", self._query), ("range", self._range), ("reason", self.reason)):
            if said:
                line[name] = said
        self._log(line)

    def _common(self) -> dict[str, Any]:
        return {"path": self._path, "client": self._client, "bytes": self._bytes, "total": self._total}
