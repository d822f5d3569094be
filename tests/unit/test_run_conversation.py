"""The front's end of the conversation with the lab process."""

from __future__ import annotations

import os

import pytest

from lab.errors import LabFault
from lab.run.conversation import Messages


def test_reading_goes_on_where_a_ctrl_c_broke_it_off() -> None:
    ours, theirs = os.pipe()
    try:
        messages = Messages(ours)
        os.write(theirs, b'{"kind": "a"}\n{"kind": "b"}\n{"ki')
        assert next(messages.read(1.0)) == {"kind": "a"}
        os.write(theirs, b'nd": "c"}\n')
        os.close(theirs)
        assert [message["kind"] for message in messages.read(1.0)] == ["b", "c"]
    finally:
        os.close(ours)


def test_silence_has_a_limit() -> None:
    ours, theirs = os.pipe()
    try:
        with pytest.raises(LabFault, match="said nothing for 0 s"):
            next(Messages(ours).read(0.01))
    finally:
        os.close(ours)
        os.close(theirs)
