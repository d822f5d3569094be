"""The site's HTTP service: policy, content and boot files, one JSON line on standard output per request.

A child process of the lab process (``python -m lab.site.service --config FILE``): transfers must not slow
down the one that watches. The lines are

    {"ready": true, "port": 80}
    {"method", "path", "status", "bytes", "client", "seconds", "range", "total"}     a request has ended
    {"decision": "offered" or "not-offered", "attempt", "purpose", "reason", "path", "client"}      of policy
    {"progress": true, "path", "client", "bytes", "total"}                 a long one, once a second

``bytes`` are those of the body handed to the connection. End of file on standard input ends the service.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from lab.site.deployment import Deployments
from lab.site.shares import Shares
from lab.site.target import Refusal, Target, read_target

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PROGRESS_EVERY = 1.0


@dataclass(frozen=True)
class SiteConfig:
    """What the service serves. ``content``: package -> relative name -> file; ``boot``: name -> file;
    ``policies``: MAC (lower case, colons) -> the policy's JSON. ``port`` 0 takes any free one.
    ``shares``: the folder of what machines write to file servers, "" for none."""

    host: str = "127.0.0.1"
    port: int = 80
    content: dict[str, dict[str, str]] = field(default_factory=dict)
    boot: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    shares: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "host": self.host, "port": self.port, "content": self.content,
            "boot": self.boot, "policies": self.policies, "shares": self.shares,
        }  # fmt: skip

    @staticmethod
    def from_json(data: dict[str, Any]) -> SiteConfig:
        return SiteConfig(**data)


class SiteApp:
    """The ASGI application: looks a target up in the configuration's lists and answers."""

    def __init__(self, config: SiteConfig, log: Callable[[dict[str, Any]], None]) -> None:
        self._config = config
        self._log = log
        self._deployments = Deployments()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        counted = _Counted(scope, send, self._log)
        try:
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, counted.send)
        finally:
            counted.end()

    async def _answer(self, request: Request) -> Response:
        target = read_target(request.scope.get("raw_path") or request.scope["path"].encode())
        sharing = isinstance(target, Target) and target.kind == "share" and bool(self._config.shares)
        if request.method not in ("GET", "HEAD") and not (sharing and request.method == "PUT"):
            return PlainTextResponse("only GET and HEAD\n", 405, headers={"Allow": "GET, HEAD"})
        if isinstance(target, Refusal):
            return PlainTextResponse(target.reason + "\n", target.status)
        if sharing:
            return await Shares(self._config.shares).answer(request, target.name.split("/"))
        if target.kind == "policy":
            return self._policy(request, target.name)
        files = self._config.boot if target.kind == "boot" else self._config.content.get(target.package, {})
        path = files.get(target.name)
        if path is None or not os.path.isfile(path):  # it may have been taken away since
            return _missing()
        return FileResponse(path, media_type="application/octet-stream")

    def _policy(self, request: Request, mac: str) -> Response:
        policy = self._config.policies.get(mac)
        if policy is None:
            return _missing()
        if "deployment" not in policy or request.method != "GET":
            return JSONResponse(policy)
        start = request.headers.get("x-start", "")
        decision = self._deployments.decide(mac, policy["deployment"]["purpose"], start)
        client = request.client.host if request.client else ""
        self._log({**decision.to_json(), "path": request.url.path, "client": client})
        if not decision.offered:
            return JSONResponse(decision.refusal())
        return JSONResponse({**policy, "attempt": decision.attempt})


class _Counted:
    """Sits between application and connection and counts what goes out."""

    def __init__(self, scope: Message, send: Send, log: Callable[[dict[str, Any]], None]) -> None:
        headers = dict(scope.get("headers") or [])
        self._send = send
        self._log = log
        self._start = self._told = time.monotonic()
        self._bytes = 0
        self._status = 0
        self._total: int | None = None
        self._method = scope["method"]
        self._path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        self._client = scope["client"][0] if scope.get("client") else ""
        self._range = headers.get(b"range", b"").decode("latin-1")

    async def send(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self._status = message["status"]
            length = dict(message.get("headers") or []).get(b"content-length")
            self._total = int(length) if length is not None else None
        elif message["type"] == "http.response.body":
            self._bytes += len(message.get("body", b""))
            now = time.monotonic()
            if message.get("more_body") and now - self._told >= _PROGRESS_EVERY:
                self._told = now
                self._log({"progress": True, **self._common()})

    def end(self) -> None:
        line = {"method": self._method, "status": self._status, **self._common()}
        line["seconds"] = round(time.monotonic() - self._start, 3)
        if self._range:
            line["range"] = self._range
        self._log(line)

    def _common(self) -> dict[str, Any]:
        return {"path": self._path, "client": self._client, "bytes": self._bytes, "total": self._total}


def _missing() -> Response:
    return PlainTextResponse("not found\n", 404)


class LineLog:
    """Writes JSON lines, each at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, line: dict[str, Any]) -> None:
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: from here on connections are kept until they are served."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(64)
    return listener


def serve(config: SiteConfig, log: Callable[[dict[str, Any]], None], lifeline: TextIO | None) -> None:
    """Serve until the lifeline ends."""
    listener = listen(config.host, config.port)
    server = uvicorn.Server(
        uvicorn.Config(
            SiteApp(config, log),
            lifespan="off",
            access_log=False,
            log_level="warning",
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )

    def watch(stream: TextIO) -> None:
        while stream.read(4096):
            pass
        server.should_exit = True

    if lifeline is not None:
        threading.Thread(target=watch, args=(lifeline,), name="lifeline", daemon=True).start()
    log({"ready": True, "port": listener.getsockname()[1]})
    server.run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="JSON file of the site's configuration")
    options = parser.parse_args()
    config = SiteConfig.from_json(json.loads(options.config.read_text(encoding="utf-8")))
    serve(config, LineLog(sys.stdout), sys.stdin)


if __name__ == "__main__":
    main()
