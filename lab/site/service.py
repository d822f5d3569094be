"""The site's HTTP service, management point and distribution point: one JSON line on stdout per request.

A child process of the lab process (``python -m lab.site.service --config FILE``): transfers must not slow
down the one that watches. The lines are

    {"ready": true, "port": 80}
    {"site": kind, "mac", "client", ...}                   what the site decided, before its request's line
    {"method", "path", "status", "bytes", "client", "seconds", "total", "query", "range", "reason"}
                                                           a request has ended
    {"progress": true, "path", "client", "bytes", "total"}     a long one, once a second

``bytes`` are those of the body handed to the connection; ``reason``: why it was refused. What never became a
request has "" as its method and path.

Standard input is the console of whoever runs the site; no computer can reach it. Its lines are orders,

    {"order": number, "clear_required": {"mac", "uuid"}}   clear a computer's required PXE deployments

and each gets the line {"answer": number, "error": ""}, once it is kept. Its end ends the service.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import uvicorn

from lab.site.app import SiteApp
from lab.site.config import SiteConfig, without_secrets
from lab.site.connection import protocol
from lab.site.store import SqliteStore

_BACKLOG = 1024
#: Seconds in which lines gather.
_GATHER = 0.005


class Gathered:
    """Text for a stream: written at once after a pause, else what has gathered every few milliseconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._texts: list[str] = []
        self._last = 0.0

    def __call__(self, text: str) -> None:
        self._texts.append(text)
        if len(self._texts) > 1:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nothing runs yet, or nothing runs any more
            self.flush()
        else:
            loop.call_later(max(0.0, self._last + _GATHER - time.monotonic()), self.flush)

    def flush(self) -> None:
        texts, self._texts = self._texts, []
        if texts:
            self._last = time.monotonic()
            self._stream.write("".join(texts))
            self._stream.flush()


class LineLog(Gathered):
    """Writes JSON lines. ``before``: a log that a line may be about is written first."""

    before: Gathered | None = None

    def flush(self) -> None:
        if self.before is not None:
            self.before.flush()
        super().flush()

    def line(self, line: dict[str, Any]) -> None:
        self(json.dumps(line) + "\n")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: from here on connections are kept until they are served."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener


def serve(config: SiteConfig, lines: LineLog, lifeline: TextIO | None) -> None:
    """Serve until the lifeline ends."""
    log = lines.line
    _many_files()
    listener = listen(config.host, config.port)
    port = listener.getsockname()[1]
    with ExitStack() as stack:
        database = config.database or str(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="site-"))) / "site.sqlite"
        )
        store = stack.enter_context(
            closing(
                SqliteStore(
                    Path(database), without_secrets(config.objects().to_json()), own=config.machines.keys()
                )
            )
        )
        smspxe = None
        if config.log:
            smspxe = Gathered(stack.enter_context(Path(config.log).open("a", encoding="utf-8", newline="")))
            stack.callback(smspxe.flush)
            lines.before = smspxe
        app = SiteApp(replace(config, port=port), store, log, smspxe)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol(log),
                loop="asyncio",
                lifespan="off",
                proxy_headers=False,  # nobody says who else he is
                server_header=False,
                access_log=False,
                log_level="error",
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )

        async def obey(line: str) -> None:
            order = json.loads(line)
            log({"answer": order["order"], "error": await app.clear_required(**order["clear_required"])})

        def watch(stream: TextIO, loop: asyncio.AbstractEventLoop) -> None:
            try:
                while line := stream.readline():
                    asyncio.run_coroutine_threadsafe(obey(line), loop).result()
            finally:  # an order that nobody understands ends the service, too: the lab hears why
                server.should_exit = True

        async def run() -> None:
            if lifeline is not None:
                arguments = (lifeline, asyncio.get_running_loop())
                threading.Thread(target=watch, args=arguments, name="lifeline", daemon=True).start()
            await server.serve(sockets=[listener])

        gc.freeze()  # what stays for good is not looked through again and again
        log({"ready": True, "port": port})
        try:
            asyncio.run(run())
        finally:
            lines.flush()


def _many_files() -> None:
    """As many connections as the system lets this process have: idle ones must not keep others out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="JSON file of the site's configuration")
    options = parser.parse_args()
    config = SiteConfig.from_json(json.loads(options.config.read_text(encoding="utf-8")))
    try:
        serve(config, LineLog(sys.stdout), sys.stdin)
    except sqlite3.Error as error:
        sys.exit(f"the site's database '{config.database}' cannot be used: {error}")


if __name__ == "__main__":
    main()
