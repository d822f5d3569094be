"""A connection to a machine, handed from one process to the other by a socket pair."""

from __future__ import annotations

import io
import json
import os
import socket
from types import SimpleNamespace

from lab.run.conversation import Messages
from lab.run.live import LiveRun
from lab.run.serve import hand_over_by


def test_a_connection_whose_answer_came_too_late_is_not_taken_for_the_next() -> None:
    run = LiveRun(SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]
    told, tell = os.pipe()
    run._messages, run._input = Messages(told), io.BytesIO()  # type: ignore[assignment]
    run._side, theirs = socket.socketpair()
    late, old_machine = socket.socketpair()
    wanted, new_machine = socket.socketpair()
    with run._input, run._side, theirs, late, old_machine, wanted, new_machine:
        hand_over = hand_over_by(theirs)
        hand_over(late, 1)
        late.close()
        run._number = 1  # the command that was given up
        hand_over(wanted, 2)
        os.write(tell, json.dumps({"kind": "answer", "id": 2, "value": None}).encode() + b"\n")
        with run.connect() as connection:
            new_machine.sendall(b"new")
            connection.settimeout(60)
            assert connection.recv(3) == b"new"
        old_machine.settimeout(60)
        assert old_machine.recv(1) == b"", "the one that nobody waits for any more is closed"
    os.close(tell)
    os.close(told)
