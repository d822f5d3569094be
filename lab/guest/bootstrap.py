"""A start of Windows PE on the machine: ``lab.client.bootstrap`` with the site, screen and keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

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
from lab.client.wizard import Page

Tell = Callable[[str, dict[str, Any]], None]


class Management(Protocol):
    """The site's management point, as a machine asks it; the simulator has its own."""

    def assignments(self) -> dict[str, Any]: ...

    def policy(self, deployment: str) -> dict[str, Any] | None: ...

    def locations(self, package: str) -> dict[str, Any]: ...


def begin(
    management: Management,
    ask: Callable[[Page], str],
    tell: Tell,
    say: Callable[[dict[str, Any]], None],
) -> Begin | Nothing:
    """What comes of this start. ``ask`` shows a page and gives the line typed, ``tell`` tells the host,
    ``say`` logs a record. Raises LabFault, PhaseTimeout."""
    driven = bootstrap()
    answer: Any = None
    while True:
        try:
            request = driven.send(answer)
        except StopIteration as ended:
            result: Begin | Nothing = ended.value
            return result
        answer = _answer(request, management, ask, tell, say)


def _answer(
    request: Request,
    management: Management,
    ask: Callable[[Page], str],
    tell: Tell,
    say: Callable[[dict[str, Any]], None],
) -> Any:
    match request:
        case AskAssignments():
            return management.assignments()
        case AskPolicy():
            return management.policy(request.deployment)
        case AskLocations():
            return management.locations(request.package)
        case Show():
            return ask(request.page)
        case Answered():
            return tell("wizard-done", request.told)
        case Say():
            return say(request.record)
