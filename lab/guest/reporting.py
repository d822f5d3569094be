"""Status messages of this start: made of what the engine says, sent before each effect and at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.client.status import Message, Outbox, Reporter
from lab.sequence.effects import Effect, Outcome, Performer
from lab.sequence.model import TaskSequence


class Reporting:
    """``post`` sends messages and says whether the site took them; ``stops`` as of ``Outbox``; ``wall`` gives
    UTC seconds since 1970."""

    def __init__(
        self,
        sequence: TaskSequence,
        post: Callable[[list[Message]], bool],
        stops: Callable[[], bool],
        wall: Callable[[], float],
    ) -> None:
        self._reporter = Reporter(sequence)
        self._outbox = Outbox(post, stops)
        self._wall = wall

    def take(self, kind: str, data: dict[str, Any]) -> None:
        """Something that the loop tells the host."""
        self._outbox.add(self._reporter.take(kind, data, self._wall()))

    def deliver(self) -> None:
        self._outbox.deliver()


class Announced:
    """A performer before whose every effect ``before`` is called."""

    def __init__(self, performer: Performer, before: Callable[[], None]) -> None:
        self._performer = performer
        self._before = before

    def perform(self, effect: Effect) -> Outcome:
        self._before()
        return self._performer.perform(effect)
