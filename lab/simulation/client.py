"""The client of a modelled machine, from its start to the sequence's first step, and what it reports.

Drives ``lab.client.bootstrap``, as the guest's agent does: questions go to the site, pages of the wizard are
answered as the scenario says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from lab.client.answers import typed
from lab.client.bootstrap import (
    Answered,
    AskAssignments,
    AskLocations,
    AskPolicy,
    Begin,
    Nothing,
    Request,
    Say,
    Show,
    bootstrap,
)
from lab.client.status import Outbox, Reporter
from lab.clock import VirtualClock
from lab.guest.loop import Log, record
from lab.sequence.effects import Effect, Outcome, Performer
from lab.sequence.model import TaskSequence
from lab.simulation.site import ModelSite
from lab.simulation.telling import Teller

#: Seconds in which somebody reads a page, and types one character.
_READS, _TYPES = 2.0, 0.05


def begin(
    site: ModelSite,
    tell: Teller,
    clock: VirtualClock,
    *,
    start: str,
    machine: str,
    answers: Mapping[str, Any],
    log: Log,
    wall: Callable[[], float],
) -> Begin | Nothing:
    """What comes of the client's start. Raises LabFault where the wizard asks for what the scenario does not
    answer."""
    driven = bootstrap()
    answer: Any = None
    tell.announce("policy")
    while True:
        try:
            request: Request = driven.send(answer)
        except StopIteration as ended:
            result: Begin | Nothing = ended.value
            return result
        answer = None
        match request:
            case AskAssignments():
                answer = site.assignments(start)
            case AskPolicy():
                answer = site.policy(request.deployment)
            case AskLocations():
                answer = site.locations(request.package)
            case Show():
                page = request.page.to_json()
                tell.emit("wizard", page)
                answer = typed(page, answers, machine=machine)
                clock.pause(_READS + _TYPES * len(answer))
            case Answered():
                tell.emit("wizard-done", request.told)
            case Say():
                tell.emit("record", record(log, request.record, wall()))
            case _:
                assert_never(request)


class Reporting:
    """The status messages of one start: made of what the engine says, posted before each effect and at the
    end."""

    def __init__(
        self, sequence: TaskSequence, site: ModelSite, start: str, *, wall: Callable[[], float]
    ) -> None:
        self._reporter = Reporter(sequence)
        self._outbox = Outbox(lambda messages: site.status(messages, start), lambda: False)
        self._wall = wall

    def take(self, kind: str, data: dict[str, Any]) -> None:
        """Something that the loop tells the host."""
        self._outbox.add(self._reporter.take(kind, data, self._wall()))

    def deliver(self) -> None:
        self._outbox.deliver()


class ReportingPerformer:
    """Posts what waits, then performs."""

    def __init__(self, performer: Performer, reporting: Reporting) -> None:
        self._performer = performer
        self._reporting = reporting

    def perform(self, effect: Effect) -> Outcome:
        self._reporting.deliver()
        return self._performer.perform(effect)
