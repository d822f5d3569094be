"""One connection to the service: uvicorn's, with deadlines, and with files that the kernel sends.

uvicorn waits for ever for the rest of a request's head, answers broken ones without telling anybody, and
passes every byte of a file through Python. The protocol here ends half-open connections, tells of each
refusal, writes a small answer in one piece, and gives its application ``send_file`` in the scope's
``extensions``: the body of a started response straight from a file, by sendfile(2). A body sent so is
finished, as any, with an empty last ``http.response.body``. Every answer must say Content-Length.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, BinaryIO

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Message = MutableMapping[str, Any]
#: ``await send_file(file, offset, count)``; raises ConnectionError when the client went away.
SendFile = Callable[[BinaryIO, int, int], Awaitable[None]]
#: A refusal on the way to the application: one line of the service's output.
Refused = Callable[[dict[str, Any]], None]

SEND_FILE = "osdlab.send_file"
#: Bytes that a request's line and headers may have.
HEAD_LIMIT = 32 << 10
#: Seconds in which a request's head must have come, from the connection's begin or its first byte.
HEAD_SECONDS = 15.0
#: Seconds in which a client must take what was written for it.
STALL = 120.0
#: Requests that may wait on a connection for the answer before theirs.
_PIPELINED = 16


class _Broken(Exception):
    """Something in a request's head that llhttp lets through and nobody honest sends."""


class _Heads:
    """The connections that owe a request's head, the longest waiting first; one timer for all of them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[Any, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, connection: Any, loop: asyncio.AbstractEventLoop) -> None:
        if connection not in self._since:
            self._since[connection] = loop.time()
            if self._timer is None:
                self._timer = loop.call_later(self.seconds, self._look, loop)

    def came(self, connection: Any) -> None:
        self._since.pop(connection, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        late = loop.time() - self.seconds
        for connection in [one for one, since in self._since.items() if since <= late]:
            self.came(connection)
            connection.no_head()
        if self._since:
            oldest = next(iter(self._since.values()))
            self._timer = loop.call_at(oldest + self.seconds, self._look, loop)


class _Flow(FlowControl):
    """uvicorn's, and the way of a file past the transport: a second handle of the same socket.

    ``loop.sendfile`` would look for room anew after each call of sendfile(2): four calls to the system more.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._sending: asyncio.Future[None] | None = None

    async def send_file(self, head: bytes, file: BinaryIO, offset: int, count: int) -> None:
        """Raises ConnectionError when the client went away, or the file is shorter than that."""
        loop = asyncio.get_running_loop()
        resume = not self.read_paused
        self.pause_reading()  # a client that has said all may close its half
        self._transport.set_write_buffer_limits(0)
        if head:
            self._transport.write(head)
        await self.drain()
        if self._transport.is_closing():
            raise ConnectionResetError("the client went away")
        self._sending = done = loop.create_future()

        def room() -> None:
            nonlocal offset, count
            try:
                sent = os.sendfile(handle, file.fileno(), offset, count)
            except BlockingIOError:
                return
            except OSError as error:
                if not done.done():
                    done.set_exception(ConnectionResetError(str(error)))
                loop.remove_writer(handle)
                return
            offset, count = offset + sent, count - sent
            if not sent or not count:
                loop.remove_writer(handle)
                if not done.done():
                    done.set_result(None)

        handle = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            loop.add_writer(handle, room)
            await done
        finally:
            loop.remove_writer(handle)
            os.close(handle)
            self._sending = None
            self._transport.set_write_buffer_limits()
            if resume:
                self.resume_reading()
        if count:
            raise ConnectionResetError(f"the file is {count} bytes shorter than it was")

    def lost(self) -> None:
        """The transport is closed: the second handle goes, too."""
        if self._sending is not None and not self._sending.done():
            self._sending.set_exception(ConnectionResetError("the client went away"))


class _Cycle(RequestResponseCycle):
    """A request and its answer: uvicorn's, but for how the answer is written."""

    _head: list[bytes]
    _left = 0

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            async with asyncio.timeout(STALL):
                await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self.response_started, self.waiting_for_100_continue = True, False
            self._begin(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        sent = 0 if self.scope["method"] == "HEAD" else len(body)
        self._count(sent)
        if self._head or sent:
            self.transport.write(b"".join((*self._head, body)) if sent else b"".join(self._head))
            self._head = []
        if not more:
            self._end()

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        if self.disconnected or self.transport.is_closing():
            raise ConnectionResetError("the client went away")
        self._count(count)
        # The kernel reads ahead while the client takes what is there: no cold disk stops the loop.
        os.posix_fadvise(file.fileno(), offset + count, count, os.POSIX_FADV_WILLNEED)
        assert isinstance(self.flow, _Flow)
        try:
            async with asyncio.timeout(STALL):
                await self.flow.send_file(b"".join(self._head), file, offset, count)
        except BaseException:
            self.transport.abort()  # nobody knows how much of it went out
            raise
        self._head = []

    def _begin(self, message: Any) -> None:
        head = [STATUS_LINE[message["status"]]]
        length = None
        for name, value in (*self.default_headers, *message["headers"]):
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                continue
            if b"\n" in value or b"\r" in value:
                raise RuntimeError("a header of more than one line")
            head += (name, b": ", value, b"\r\n")
        if length is None:
            raise RuntimeError("an answer without Content-Length")
        self._left = 0 if self.scope["method"] == "HEAD" else length
        head.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self._head = head

    def _count(self, sent: int) -> None:
        self._left -= sent
        if self._left < 0:
            raise RuntimeError("a body longer than Content-Length")

    def _end(self) -> None:
        if self._left:
            raise RuntimeError("a body shorter than Content-Length")
        self.response_complete = True
        self.message_event.set()
        if self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(STALL, self._taken)
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _taken(self) -> None:
        """A connection that has nothing to do but to wait for its client does not wait for ever."""
        if not self.disconnected and self.transport.get_write_buffer_size():
            self.transport.abort()


def protocol(refused: Refused, head_seconds: float = HEAD_SECONDS) -> type[HttpToolsProtocol]:
    """The protocol class of a service that tells ``refused`` of what never became a request."""
    heads = _Heads(head_seconds)

    class Connection(HttpToolsProtocol):
        _unread = 0
        """Bytes that came since the last part of a request that was whole: what the parser may hold."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.flow = _Flow(transport)
            heads.wait(self, self.loop)

        def connection_lost(self, exc: Exception | None) -> None:
            heads.came(self)
            if isinstance(self.flow, _Flow):
                self.flow.lost()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._unset_keepalive_if_required()
            self._unread += len(data)
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                pass  # nothing here is upgraded: its answer is the connection's last
            except httptools.HttpParserError as error:
                broken = error.__context__
                self._refuse(400, str(broken) if isinstance(broken, _Broken) else "no HTTP request")
                return
            if self._unread > HEAD_LIMIT:
                self._refuse(431, f"a head of more than {HEAD_LIMIT} bytes")
            elif self.cycle is None or self.cycle.response_complete:
                heads.wait(self, self.loop)
            else:
                heads.came(self)

        def on_headers_complete(self) -> None:
            self._unread = 0
            version = self.parser.get_http_version()
            hosts = sum(name == b"host" for name, _ in self.headers)
            if hosts > 1 or (version == "1.1" and not hosts):
                raise _Broken("one Host header is needed")
            if len(self.pipeline) >= _PIPELINED:
                raise _Broken("too many requests at once")
            path, _, query = self.url.partition(b"?")
            scope: Message = self.scope  # type: ignore[assignment]
            scope.update(
                method=self.parser.get_method().decode("ascii"), http_version=version,
                path=path.decode("latin-1"), raw_path=path, query_string=query,
            )  # fmt: skip
            before = self.cycle
            self.cycle = cycle = _Cycle(
                scope=self.scope, transport=self.transport, flow=self.flow, logger=self.logger,
                access_logger=self.access_logger, access_log=False,
                default_headers=self.server_state.default_headers, message_event=asyncio.Event(),
                expect_100_continue=self.expect_100_continue,
                keep_alive=version == "1.1" and self.parser.should_keep_alive()
                and not self.parser.should_upgrade(),
                on_response=self.on_response_complete,
            )  # fmt: skip
            scope["extensions"] = {SEND_FILE: cycle.send_file}
            if before is None or before.response_complete:
                self._start_asgi_task(cycle, self.app)
            else:
                self.flow.pause_reading()
                self.pipeline.appendleft((cycle, self.app))

        def on_body(self, body: bytes) -> None:
            self._unread = 0
            super().on_body(body)

        def no_head(self) -> None:
            if not self.transport.is_closing():
                self._tell(408, f"no whole request within {head_seconds:g} s")
                self.transport.abort()

        def _refuse(self, status: int, reason: str) -> None:
            self._tell(status, reason)
            if self.cycle is None or self.cycle.response_complete:
                text = reason.encode() + b"\n"
                self.transport.write(
                    STATUS_LINE[status] + b"content-type: text/plain; charset=utf-8\r\n"
                    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(text), text)
                )
            self.transport.close()  # where an answer is under way already, it ends here

        def _tell(self, status: int, reason: str) -> None:
            client = self.client[0] if self.client else ""
            refused({"method": "", "path": "", "status": status, "client": client, "reason": reason})

    return Connection
