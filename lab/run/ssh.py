"""SSH into a live machine, for testinfra: a key for one run, the host key told by the machine's own channel.

The private key is made in memory and is never written anywhere.
"""

from __future__ import annotations

import functools
import io
import socket
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
        kind, _, encoded = host_key.partition(" ")
        client = paramiko.SSHClient()
        try:
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
        except paramiko.BadHostKeyException as error:
            client.close()
            raise LabFault(
                "who answers on the machine's SSH port has another host key than the machine told"
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            client.close()
            raise LabFault(f"no SSH session with the machine: {error}", hint="see console.log") from error
        return client


class LabBackend(ParamikoBackend):  # type: ignore[misc]
    """testinfra's paramiko backend over a session of ours. ``log_in`` is called at the first command, and
    again when the session ended: the machine may have restarted."""

    NAME = "osdlab"

    def __init__(self, machine: str, log_in: Callable[[], paramiko.SSHClient]) -> None:
        super().__init__(f"root@{machine}")
        self._log_in = log_in

    @functools.cached_property
    def client(self) -> paramiko.SSHClient:
        return self._log_in()

    def run(self, command: str, *args: str, **kwargs: Any) -> Any:
        transport = self.client.get_transport()
        if transport is None or not transport.is_active():
            self.leave()
        return super().run(command, *args, **kwargs)

    def _exec_command(self, command: bytes) -> tuple[int, bytes, bytes]:
        transport = self.client.get_transport()
        assert transport is not None
        channel = transport.open_session(timeout=HANDSHAKE_LIMIT)
        channel.settimeout(SILENCE_LIMIT)  # a machine whose power went ends no connection
        try:
            channel.exec_command(command)
            out = b"".join(channel.makefile("rb"))
            err = b"".join(channel.makefile_stderr("rb"))
        except TimeoutError as error:
            told = command.decode("utf-8", "replace")
            raise PhaseTimeout(
                f"the machine's answer to '{told}'", seconds=SILENCE_LIMIT, last_seen="no output"
            ) from error
        return channel.recv_exit_status(), out, err

    def leave(self) -> None:
        """End the session; the next command makes a new one."""
        client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()


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


def live_host(machine: str, log_in: Callable[[], paramiko.SSHClient]) -> tuple[Host, LabBackend]:
    """testinfra's host for a machine."""
    backend = LabBackend(machine, log_in)
    host = Host(backend)
    backend.set_host(host)
    host.process = Processes.get_module(host)
    return host, backend
