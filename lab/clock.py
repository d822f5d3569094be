"""Clocks and deadlines: the only way the lab waits.

Ground room: standard library only (it travels in the guest's bundle). Durations are float seconds.
Every wait is a deadline plus a question; ``wait_until`` is the one loop that asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from lab.errors import PhaseTimeout

T = TypeVar("T")


class Clock(Protocol):
    """Where time comes from: the host's, or the simulator's virtual one."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean something."""
        ...

    def pause(self, seconds: float) -> None:
        """Let that much time go by."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class VirtualClock:
    """A clock that moves only when told to: a pause costs no real time."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def pause(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


class Deadline:
    """A point in time by which something must have happened."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock.now() + seconds

    def left(self) -> float:
        return max(0.0, self._end - self._clock.now())

    def passed(self) -> bool:
        return self._clock.now() >= self._end


def wait_until(
    question: Callable[[], T | None],
    *,
    waited_for: str,
    seconds: float,
    clock: Clock,
    last_seen: Callable[[], str] = lambda: "",
    every: float = 0.05,
    hint: str = "",
) -> T:
    """Ask ``question`` until it answers something true, at most ``seconds``.

    Raises PhaseTimeout naming ``waited_for`` and what ``last_seen`` says. The question is asked once
    more after the deadline, so an answer that came during the last pause counts.
    """
    deadline = Deadline(seconds, clock)
    while True:
        over = deadline.passed()
        answer = question()
        if answer:
            return answer
        if over:
            raise PhaseTimeout(waited_for, seconds=seconds, last_seen=last_seen(), hint=hint)
        clock.pause(min(every, deadline.left()))
