"""Who may talk to whom by SSH: the run's key, the machine's own host key, nobody else."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.errors import LabFault
from lab.run.ssh import RunKey, live_host


def new_key() -> paramiko.PKey:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return paramiko.Ed25519Key.from_private_key(io.StringIO(pem.decode()))


class Guest(paramiko.ServerInterface):
    """Answers each command with its own text, for the holder of one key."""

    def __init__(self, allowed: str) -> None:
        self._allowed = allowed

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        same = f"{key.get_name()} {key.get_base64()}" == self._allowed and username == "root"
        return paramiko.AUTH_SUCCESSFUL if same else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        transport = channel.get_transport()

        def reply() -> None:
            # The other side's answer is read when the request of this command is answered, no sooner.
            transport.global_request("are-you-there", wait=True)
            if command == b"drop":
                return transport.close()
            if command == b"flood":
                channel.sendall_stderr(b"x" * (5 << 20))  # more than the window of a channel
            channel.sendall(command)
            channel.send_exit_status(3)
            channel.close()

        threading.Thread(target=reply).start()
        return True


class Door:
    """A machine's SSH door behind a socket pair."""

    def __init__(self) -> None:
        self.host_key = new_key()
        self._open: list[paramiko.Transport] = []

    @property
    def told(self) -> str:
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"

    def connection(self, allowed: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        transport = paramiko.Transport(theirs)
        transport.add_server_key(self.host_key)
        transport.start_server(server=Guest(allowed), event=threading.Event())
        self._open.append(transport)
        return ours

    def close(self) -> None:
        for transport in self._open:
            transport.close()


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


def test_testinfra_asks_over_the_runs_key_and_again_after_the_session_ended(door: Door) -> None:
    key = RunKey()
    host, backend = live_host("PC-1", lambda: key.log_in(door.connection(key.authorized_key), door.told))
    done = host.run("echo %s", "two words")
    assert (done.rc, done.stdout) == (3, "echo 'two words'")
    door.close()
    assert host.run("once more").stdout == "once more"
    backend.leave()


def test_both_outputs_are_read_however_much_there_is(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.run.ssh.SILENCE_LIMIT", 60.0)
    key = RunKey()
    host, backend = live_host("PC-1", lambda: key.log_in(door.connection(key.authorized_key), door.told))
    done = host.run("flood")
    assert (done.rc, done.stdout, len(done.stderr)) == (3, "flood", 5 << 20)
    backend.leave()


def test_a_session_that_ends_under_a_command_is_the_labs_trouble_and_no_answer(door: Door) -> None:
    key = RunKey()
    host, backend = live_host("PC-1", lambda: key.log_in(door.connection(key.authorized_key), door.told))
    with pytest.raises(LabFault, match=r"the SSH session ended .*'drop'"):
        host.run("drop")
    assert host.run("next").stdout == "next"
    backend.leave()


def test_a_machine_that_restarted_is_asked_anew(door: Door) -> None:
    """The session of the start before looks alive: nothing ends it when a machine is reset."""
    key, sessions, stands = RunKey(), [], [True]

    def log_in() -> paramiko.SSHClient:
        sessions.append(key.log_in(door.connection(key.authorized_key), door.told))
        stands[0] = True
        return sessions[-1]

    host, backend = live_host("PC-1", log_in, lambda: stands[0])
    host.run("one")
    host.run("two")
    assert len(sessions) == 1
    stands[0] = False
    host.run("three")
    assert len(sessions) == 2
    backend.leave()


@pytest.mark.parametrize(
    "told", ["", "ssh-ed25519", "ssh-ed25519 x", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAQE=", "foo AAAA"]
)
def test_a_machine_that_tells_no_key_at_all_is_the_labs_trouble(told: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(LabFault):
        RunKey().log_in(ours, told)
    assert ours.fileno() == -1, "the connection is closed"


def test_another_host_key_than_the_machine_told_is_refused(door: Door) -> None:
    key, other = RunKey(), new_key()
    with pytest.raises(LabFault, match="another host key than the machine told"):
        key.log_in(door.connection(key.authorized_key), f"{other.get_name()} {other.get_base64()}")


def test_another_users_key_is_refused(door: Door) -> None:
    with pytest.raises(LabFault, match="no SSH session"):
        RunKey().log_in(door.connection(RunKey().authorized_key), door.told)


def test_a_key_is_one_runs_own_and_nothing_shows_its_private_half() -> None:
    one, two = RunKey(), RunKey()
    assert one.authorized_key != two.authorized_key
    assert "PRIVATE" not in repr(vars(one))
