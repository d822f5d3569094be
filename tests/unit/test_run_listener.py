"""What comes to the lab process from outside: an agent's channel, the site's lines."""

from __future__ import annotations

import json
from collections import deque
from queue import SimpleQueue

from lab.errors import LabFault
from lab.run.follow import site_seen
from lab.run.listener import Listener
from lab.run.phases import Seen

MAC = "52:54:00:00:00:01"


class Says:
    """A channel that says these things, and then nothing more."""

    def __init__(self, *said: bytes | LabFault) -> None:
        self._said = deque(said)

    def receive(self, seconds: float) -> bytes:
        said = self._said.popleft() if self._said else b""
        if isinstance(said, LabFault):
            raise said
        return said

    def send(self, data: bytes) -> None:
        raise AssertionError(data)


def test_a_silent_channel_is_listened_to_until_its_machine_is_off() -> None:
    inbox: SimpleQueue[Seen] = SimpleQueue()
    listener = Listener("PC-1", Says(b"", b"one", b"", b"", b"two"), inbox)
    assert [inbox.get(timeout=20).data for _ in range(2)] == [{"bytes": b"one"}, {"bytes": b"two"}]
    listener.machine_is_off()
    assert inbox.get(timeout=20) == Seen("PC-1", "lab", "channel-end", {"reason": ""})


def test_what_is_on_its_way_when_the_machine_goes_off_is_heard_on_a_busy_host_too() -> None:
    class Late(Says):
        """What was sent comes a second later, the end never."""

        def receive(self, seconds: float) -> bytes:
            return super().receive(seconds) if seconds > 1.0 else b""

    inbox: SimpleQueue[Seen] = SimpleQueue()
    listener = Listener("PC-1", Late(b"bye"), inbox)
    listener.machine_is_off()
    listener.join(60.0)
    assert [inbox.get_nowait().kind for _ in range(inbox.qsize())] == ["channel-bytes", "channel-end"]


def test_a_channel_that_breaks_says_why() -> None:
    inbox: SimpleQueue[Seen] = SimpleQueue()
    Listener("PC-1", Says(b"one", LabFault("its other end is gone")), inbox)
    assert inbox.get(timeout=20).kind == "channel-bytes"
    assert inbox.get(timeout=20).data == {"reason": "its other end is gone"}


def test_a_site_event_is_its_machines() -> None:
    line = json.dumps({"site": "pxe", "mac": MAC.upper(), "action": "abort"})
    assert site_seen(line, {MAC: "PC-1"}, {}) == Seen(
        "PC-1", "site", "pxe", {"mac": MAC.upper(), "action": "abort"}
    )
    assert site_seen('{"path": "/x"}', {}, {}) is None and site_seen("no JSON", {}, {}) is None


def test_who_is_kept_from_content_is_told_by_its_address() -> None:
    refused = {"package": "LAB00001", "client": "10.77.0.11"}
    seen = site_seen(
        json.dumps({"site": "denied", "mac": "", **refused}),
        {"52:54:00:00:00:07": "PC-2", MAC: "PC-1"},
        {"10.77.0.10": "PC-2", "10.77.0.11": "PC-1"},
    )
    assert seen == Seen("PC-1", "site", "denied", {"mac": MAC, **refused})
    (stranger,) = filter(None, [site_seen(json.dumps({"site": "denied", **refused}), {MAC: "PC-1"}, {})])
    assert (stranger.machine, stranger.data["mac"]) == ("", "")
