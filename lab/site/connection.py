"""One connection to the service: uvicorn's, with deadlines, and with files that the kernel sends.

uvicorn waits for ever for the rest of a request's head, answers broken ones without telling anybody, and
passes every byte of a file through Python. The protocol here ends half-open connections, tells of each
refusal, and gives its application ``send_file`` in the scope's ``extensions``: the body of a started response
(which must have said Content-Length) straight from a file, by sendfile(2). A body sent so is finished, as
any, with an empty last ``http.response.body``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, BinaryIO

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

Message = MutableMapping[str, Any]
Application = Callable[[Message, Any, Any], Awaitable[None]]
#: ``await send_file(file, offset, count)``; raises ConnectionError when the client went away.
SendFile = Callable[[BinaryIO, int, int], Awaitable[None]]
#: A refusal on the way to the application: one line of the service's output.
Refused = Callable[[dict[str, Any]], None]

SEND_FILE = "osdlab.send_file"
#: Bytes that a request's line and headers may have.
HEAD_LIMIT = 32 << 10
#: Seconds in which a request's head must have come, from the connection's begin or its first byte.
HEAD_SECONDS = 15.0


class _Span:
    """Stands for bytes that h11 only counts (h11's own way to let the kernel send a file)."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


def protocol(refused: Refused, head_seconds: float = HEAD_SECONDS) -> type[H11Protocol]:
    """The protocol class of a service that tells ``refused`` of what never became a request."""

    class Connection(H11Protocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._inner: Application = self.app
            self.app = self._with_files
            self._head: asyncio.TimerHandle | None = None

        async def _with_files(self, scope: Message, receive: Any, send: Any) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), SEND_FILE: self._send_file}
            await self._inner(scope, receive, send)

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
                self._head_came()
            elif self._head is None:
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_came()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            self._tell(400, msg)
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                super().send_400_response(msg)
            else:  # an answer is under way on this connection already
                self.transport.close()

        def _await_head(self) -> None:
            self._head = self.loop.call_later(head_seconds, self._no_head)

        def _head_came(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _no_head(self) -> None:
            self._head = None
            if not self.transport.is_closing():
                self._tell(408, f"no whole request within {head_seconds:g} s")
                self.transport.abort()

        def _tell(self, status: int, reason: str) -> None:
            client = self.client[0] if self.client else ""
            refused({"method": "", "path": "", "status": status, "client": client, "reason": reason})

        async def _send_file(self, file: BinaryIO, offset: int, count: int) -> None:
            if self.transport.is_closing():
                raise ConnectionResetError("the client went away")
            pieces = self.conn.send_with_data_passthrough(h11.Data(data=_Span(count)))  # type: ignore[arg-type]
            for piece in pieces or []:
                if not isinstance(piece, _Span):
                    self.transport.write(piece)
            # The kernel reads ahead while the client takes what is there: no cold disk stops the loop.
            os.posix_fadvise(file.fileno(), offset + count, count, os.POSIX_FADV_WILLNEED)
            try:
                sent = await self.loop.sendfile(self.transport, file, offset, count)
            except RuntimeError as error:  # "Transport is closing"
                raise ConnectionResetError(str(error)) from error
            except BaseException:
                self.transport.abort()  # nobody knows how much of it went out
                raise
            if sent < count:
                self.transport.abort()
                raise ConnectionResetError(f"the file is {count - sent} bytes shorter than it was")

    return Connection
