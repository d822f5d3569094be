"""A channel over a real socket pair: no byte is lost, and the end comes after the last of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from lab.hypervisor.channel import SocketChannel
from lab.hypervisor.errors import ChannelClosed, HypervisorError


@pytest.fixture
def pair() -> Iterator[tuple[SocketChannel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = SocketChannel(ours, "'test'")
    yield channel, theirs
    theirs.close()
    channel.finish(60.0)


def test_a_flood_before_an_abrupt_end_arrives_whole(pair: tuple[SocketChannel, socket.socket]) -> None:
    channel, theirs = pair
    channel.send(b"this will never be read, so the close becomes a reset")
    sent = bytes(range(256)) * 20_000  # 5 MB: far more than the socket's buffers hold

    def flood() -> None:
        theirs.sendall(sent)
        theirs.close()

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join(60.0)  # nobody called receive yet: the reader thread alone must take it all
    assert not thread.is_alive()
    received = bytearray()
    with pytest.raises(ChannelClosed):
        while data := channel.receive(60.0):
            received += data
    assert received == sent


def test_sending_is_whole_while_receiving(pair: tuple[SocketChannel, socket.socket]) -> None:
    channel, theirs = pair
    sent = bytes(range(251)) * 10_000
    got = bytearray()

    def read_slowly() -> None:
        while len(got) < len(sent):
            got.extend(theirs.recv(10_000))
        theirs.sendall(b"thanks")

    thread = threading.Thread(target=read_slowly)
    thread.start()
    channel.send(sent)
    assert channel.receive(60.0) == b"thanks"
    thread.join(60.0)
    assert got == sent


def test_a_guest_that_does_not_read_is_an_error_not_a_hang(
    pair: tuple[SocketChannel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, _theirs = pair
    monkeypatch.setattr(SocketChannel, "SEND_LIMIT", 0.3)
    with pytest.raises(HypervisorError, match="read nothing"):
        channel.send(bytes(10_000_000))


def test_finish_ends_the_reader_though_the_other_side_stays(
    pair: tuple[SocketChannel, socket.socket],
) -> None:
    channel, theirs = pair
    theirs.sendall(b"last words")
    channel.finish(0.2)
    assert channel.receive(60.0) == b"last words"
    with pytest.raises(ChannelClosed):
        channel.receive(60.0)
    with pytest.raises(ChannelClosed):
        channel.send(b"x")
