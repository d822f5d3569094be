"""Byte channels over sockets: a reader thread keeps every byte from the moment the machine has power."""

from __future__ import annotations

import select
import socket
import threading

from lab.clock import Clock, Deadline, SystemClock
from lab.hypervisor.errors import ChannelClosed, HypervisorError


class SocketChannel:
    """A Channel on a connected stream socket, which it owns.

    Reads until the other end closes; what came before that is handed out before ChannelClosed is raised. QEMU
    throws away what a guest writes while nobody is connected, so make it before the guest runs.
    """

    #: Seconds a guest may leave its port unread before ``send`` gives up.
    SEND_LIMIT = 30.0

    def __init__(self, connection: socket.socket, label: str, *, clock: Clock | None = None) -> None:
        connection.setblocking(True)
        self._socket = connection
        self._label = label
        self._clock = clock or SystemClock()
        self._buffer = bytearray()
        self._at_end = False
        self._news = threading.Condition()
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name=f"channel {label}", daemon=True)
        self._reader.start()

    def receive(self, timeout: float) -> bytes:
        """All bytes that came, or b"" after ``timeout`` seconds without any.

        Raises ChannelClosed when the other end is gone and every byte was handed out.
        """
        with self._news:
            self._news.wait_for(lambda: self._buffer or self._at_end, timeout)
            data = bytes(self._buffer)
            self._buffer.clear()
            if not data and self._at_end:
                raise ChannelClosed(f"channel {self._label} is closed")
            return data

    def send(self, data: bytes) -> None:
        """Write all of ``data``. Raises ChannelClosed, or HypervisorError when the guest does not read."""
        deadline = Deadline(self.SEND_LIMIT, self._clock)
        rest = memoryview(data)
        with self._sending:
            while rest:
                if self._at_end:
                    raise ChannelClosed(f"channel {self._label} is closed")
                try:
                    if select.select([], [self._socket], [], min(0.5, deadline.left()))[1]:
                        rest = rest[self._socket.send(rest, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
                except BlockingIOError:
                    pass
                except (OSError, ValueError) as error:
                    raise ChannelClosed(f"channel {self._label} is closed: {error}") from error
                if rest and deadline.passed():
                    raise HypervisorError(
                        f"channel {self._label}: the guest read nothing in {self.SEND_LIMIT:.0f} s"
                    )

    def finish(self, seconds: float) -> None:
        """The machine is off: take what is still on its way, at most ``seconds``, then let the socket go."""
        self._reader.join(seconds)
        if self._reader.is_alive():
            # Something else holds the other end open: end the reader, which keeps what it has.
            self._socket.shutdown(socket.SHUT_RDWR)
            self._reader.join(seconds)

    def _read(self) -> None:
        try:
            while data := self._socket.recv(65536):
                with self._news:
                    self._buffer += data
                    self._news.notify_all()
        except OSError:
            pass  # a reset comes after the last byte; it is an end like any other
        finally:
            with self._news:
                self._at_end = True
                self._news.notify_all()
            with self._sending:
                self._socket.close()
