"""Listens to a machine's channel in a thread of its own, so that nothing it says waits for anybody."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from lab.errors import LabError
from lab.hypervisor.protocol import Channel
from lab.run.phases import Seen

#: Seconds of silence at which to look whether the machine is off; and after which, when it is, nothing is on
#: its way any more, though the channel has not ended.
_LOOK, _SILENCE = 0.2, 2.0


class Listener:
    """Puts what comes into the inbox: ``channel-bytes``, and ``channel-end`` with a reason at the end."""

    def __init__(self, machine: str, channel: Channel, inbox: SimpleQueue[Seen]) -> None:
        self._machine, self._channel, self._inbox = machine, channel, inbox
        self._off = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def machine_is_off(self) -> None:
        """What is still on its way is waited for, but no more."""
        self._off.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _listen(self) -> None:
        reason = ""
        try:
            while True:
                off = self._off.is_set()
                data = self._channel.receive(_SILENCE if off else _LOOK)
                if data:
                    self._inbox.put(Seen(self._machine, "agent", "channel-bytes", {"bytes": data}))
                elif off:
                    break
        except LabError as error:  # its other end is gone: with the machine, or worth an event if that stays
            reason = str(error)
        self._inbox.put(Seen(self._machine, "lab", "channel-end", {"reason": reason}))
