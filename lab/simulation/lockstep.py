"""Several modelled machines in one run, each on its own virtual clock: the one that is earliest goes on.

So what they do to the one site, and what stands on the one timeline, is in the order of time, and the same at
every run. A machine is a function on a thread of its own; only one of them runs at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lab.clock import VirtualClock

Life = Callable[["SharedClock"], None]


class SharedClock(VirtualClock):
    """The clock of one machine among several. A pause hands over to whichever of them is the earliest."""

    def __init__(self, lockstep: Lockstep) -> None:
        super().__init__()
        self._lockstep = lockstep
        self.turn = threading.Event()

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        self._lockstep.hand_over(self)


class Lockstep:
    """Runs lives side by side, from time 0 on each one's clock. It is the clock of their timeline."""

    def __init__(self) -> None:
        self._clocks: list[SharedClock] = []
        self._current: SharedClock | None = None
        self._latest = 0.0
        self._over = threading.Event()
        self._broken: list[BaseException] = []

    def now(self) -> float:
        """The time of the machine whose turn it is; the latest of all when none has one."""
        return self._current.now() if self._current else self._latest

    def pause(self, seconds: float) -> None:
        """Time goes by while no machine is on."""
        self._latest += max(0.0, seconds)

    def run(self, lives: Sequence[Life]) -> None:
        """Until all are over. Raises what one of them raised first; the others end at their next pause."""
        clocks = [SharedClock(self) for _ in lives]
        self._clocks = list(clocks)
        if len(lives) == 1:
            self._current = clocks[0]
            lives[0](clocks[0])
            self._latest, self._current = clocks[0].now(), None
            return
        for life, clock in zip(lives, clocks, strict=True):
            threading.Thread(target=self._live, args=(life, clock), daemon=True).start()
        self._pass_on()
        try:
            self._over.wait()
        except BaseException as interrupted:  # Ctrl-C: nobody goes on after their turn
            self._broken.insert(0, interrupted)
        if self._broken:
            raise self._broken[0]

    def hand_over(self, clock: SharedClock) -> None:
        """Called by the one whose turn it is, after its clock went on; comes back at its next turn."""
        if min(self._clocks, key=lambda one: one.now()) is not clock:
            clock.turn.clear()
            self._pass_on()
            clock.turn.wait()
        if self._broken:
            raise _GivenUp

    def _live(self, life: Life, clock: SharedClock) -> None:
        clock.turn.wait()
        try:
            if not self._broken:
                life(clock)
        except _GivenUp:
            pass
        except BaseException as error:
            self._broken.append(error)
        self._latest = max(self._latest, clock.now())
        self._clocks.remove(clock)
        self._pass_on()

    def _pass_on(self) -> None:
        if not self._clocks:
            self._current = None
            self._over.set()
            return
        self._current = min(self._clocks, key=lambda one: one.now())  # of equals the first one
        self._current.turn.set()


class _GivenUp(BaseException):
    """Another machine broke the run."""
