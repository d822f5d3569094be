"""SSH into a live machine, for testinfra: a key for one run, the host key told by the machine's own channel.

The private key is made in memory and is never written anywhere.
"""

from __future__ import annotations

import functools
import io
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from testinfra.backend.paramiko import ParamikoBackend
from testinfra.host import Host
from testinfra.modules.process import BusyboxProcess, int_or_float

from lab.errors import LabFault, PhaseTimeout

#: Seconds for the key exchange of a slow machine, and for a command that says nothing.
HANDSHAKE_LIMIT = 60.0
SILENCE_LIMIT = 300.0

_NAME = "osdlab-machine"
#: What keeps a session from coming about; the last two: the machine may tell anything for its key.
_NO_SESSION = (paramiko.SSHException, OSError, EOFError, paramiko.hostkeys.InvalidHostKey, ValueError)


class RunKey:
    """The user's key of one run."""

    def __init__(self) -> None:
        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        self._key = paramiko.Ed25519Key.from_private_key(io.StringIO(private.decode("ascii")))

    @property
    def authorized_key(self) -> str:
        """The public half, as a line of authorized_keys."""
        return f"{self._key.get_name()} {self._key.get_base64()}"

    def log_in(self, connection: socket.socket, host_key: str) -> paramiko.SSHClient:
        """A session as root over ``connection`` with the machine that has ``host_key`` ("ssh-ed25519 AAAA…").

        Raises LabFault, also when another machine answers.
        """
        client = paramiko.SSHClient()
        try:
            self._open(client, connection, host_key)
        except BaseException as error:
            client.close()
            connection.close()
            if isinstance(error, paramiko.BadHostKeyException):
                raise LabFault(
                    "who answers on the machine's SSH port has another host key than the machine told"
                ) from error
            if isinstance(error, _NO_SESSION):
                hint = "see console.log"
                raise LabFault(f"no SSH session with the machine: {error}", hint=hint) from error
            raise
        return client

    def _open(self, client: paramiko.SSHClient, connection: socket.socket, host_key: str) -> None:
        kind, _, encoded = host_key.partition(" ")
        known = paramiko.hostkeys.HostKeyEntry.from_line(f"{_NAME} {kind} {encoded}")
        if known is None or known.key is None:
            raise LabFault("the machine told no usable host key over its channel")
        client.get_host_keys().add(_NAME, kind, known.key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            _NAME, username="root", pkey=self._key, sock=connection,
            look_for_keys=False, allow_agent=False,
            timeout=HANDSHAKE_LIMIT, banner_timeout=HANDSHAKE_LIMIT, auth_timeout=HANDSHAKE_LIMIT,
        )  # fmt: skip


class LabBackend(ParamikoBackend):  # type: ignore[misc]
    """testinfra's paramiko backend over a session of ours. ``log_in`` is called at the first command, and
    again when the session ended or ``stands`` says that the machine it was with is no more: a machine that
    restarted without a word leaves a session that looks alive."""

    NAME = "osdlab"

    def __init__(
        self,
        machine: str,
        log_in: Callable[[], paramiko.SSHClient],
        stands: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(f"root@{machine}")
        self._log_in = log_in
        self._stands = stands

    @functools.cached_property
    def client(self) -> paramiko.SSHClient:
        return self._log_in()

    def run(self, command: str, *args: str, **kwargs: Any) -> Any:
        if "client" in self.__dict__:
            transport = self.client.get_transport()
            if transport is None or not transport.is_active() or not self._stands():
                self.leave()
        return super().run(command, *args, **kwargs)

    def _exec_command(self, command: bytes) -> tuple[int, bytes, bytes]:
        """Exit code, output and errors. Raises LabFault when the session ends before the command does: no
        answer is not an answer of the machine's; PhaseTimeout when nothing is heard of it any more."""
        told = command.decode("utf-8", "replace")
        try:
            with self._channel() as channel:
                _start(channel, command)
                out, err = _output(channel)
                ended = channel.status_event.wait(HANDSHAKE_LIMIT)
        except TimeoutError as error:
            raise PhaseTimeout(
                f"the machine's answer to '{told}'", seconds=SILENCE_LIMIT, last_seen="no output"
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise LabFault(
                f"the SSH session ended under '{told}': {error}", hint="see console.log"
            ) from error
        if not ended or (channel.exit_status < 0 and not channel.transport.is_active()):
            raise LabFault(f"the SSH session ended under '{told}'", hint="see console.log")
        return channel.exit_status, out, err

    def _channel(self) -> paramiko.Channel:
        """A channel for a command. A session that ended meanwhile is made anew, once: nothing was asked yet.

        Raises SSHException, EOFError, OSError.
        """
        for again in (True, False):
            transport = self.client.get_transport()
            assert transport is not None
            try:
                return transport.open_session(timeout=HANDSHAKE_LIMIT)
            except (paramiko.SSHException, EOFError, OSError):
                self.leave()
                if not again:
                    raise
        raise AssertionError("not reached")

    def leave(self) -> None:
        """End the session; the next command makes a new one."""
        client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()


def _start(channel: paramiko.Channel, command: bytes) -> None:
    """Start a command. paramiko waits for its begin without any limit: a machine that says nothing loses
    its session. Raises SSHException, EOFError, OSError."""
    limit = threading.Timer(HANDSHAKE_LIMIT, channel.transport.close)
    limit.daemon = True
    limit.start()
    try:
        channel.exec_command(command)
    finally:
        limit.cancel()


def _output(channel: paramiko.Channel) -> tuple[bytes, bytes]:
    """Both outputs, read side by side: they share one window, and the one left unread would stop the other.

    Raises TimeoutError after SILENCE_LIMIT seconds without a byte: a machine whose power went ends nothing.
    """
    out, err = bytearray(), bytearray()
    while True:
        if not select.select([channel.fileno()], [], [], SILENCE_LIMIT)[0]:
            raise TimeoutError
        over = channel.eof_received or channel.closed  # asked first: what comes before the end is there then
        while channel.recv_ready():
            out += channel.recv(1 << 16)
        while channel.recv_stderr_ready():
            err += channel.recv_stderr(1 << 16)
        if over:
            return bytes(out), bytes(err)


class Processes(BusyboxProcess):  # type: ignore[misc]
    """testinfra's processes, from the columns that this busybox's ps has: no time among them, so there is
    no start time to tell two processes of one number apart."""

    _COLUMNS = ("pid", "ppid", "user", "group", "vsz", "rss", "comm", "args")

    @classmethod
    def get_module_class(cls, host: Host) -> type[Processes]:
        return cls

    def _get_processes(self, **filters: Any) -> list[dict[str, Any]]:
        found = []
        for line in self.check_output("ps -A -o %s", ",".join(self._COLUMNS)).splitlines()[1:]:
            values = line.split(None, len(self._COLUMNS) - 1)
            found.append({"lstart": "", **dict(zip(self._COLUMNS, map(int_or_float, values), strict=False))})
        return found

    def _get_process_attribute_by_pid(self, pid: int, name: str) -> dict[str, Any]:
        for line in self.check_output("ps -A -o %s", f"pid,{name}").splitlines()[1:]:
            number, _, value = line.strip().partition(" ")
            if int(number) == pid:
                return {"lstart": "", name: int_or_float(value.strip())}
        raise RuntimeError(f"process {pid} is gone")


def live_host(
    machine: str, log_in: Callable[[], paramiko.SSHClient], stands: Callable[[], bool] = lambda: True
) -> tuple[Host, LabBackend]:
    """testinfra's host for a machine; the arguments are LabBackend's."""
    backend = LabBackend(machine, log_in, stands)
    host = Host(backend)
    backend.set_host(host)
    host.process = Processes.get_module(host)
    return host, backend
