"""What the lab orders of the site's service on its standard input (decision 021), and how it answers."""

from __future__ import annotations

import json
from collections.abc import Callable

from lab.clock import Clock, wait_until
from lab.errors import LabFault

#: Seconds in which the site has kept what it was ordered to.
_LIMIT = 60.0


class SiteOrders:
    """One order after the other. Another thread, which reads the service's lines, calls ``answered`` and
    ``ended``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._number = 0
        #: What the site said to an order: "" or why it was not done.
        self._answers: dict[int, str] = {}
        self._ended = False

    def answered(self, line: str) -> None:
        """The service's line ``{"answer", "error"}``."""
        answer = json.loads(line)
        self._answers[answer["answer"]] = answer["error"]

    def ended(self) -> None:
        """The service is gone; who waits for an answer gets none."""
        self._ended = True

    def clear_required(self, send: Callable[[str], None], mac: str, uuid: str) -> None:
        """Clear a computer's required PXE deployments; ``send`` writes a line to the service.

        Raises LabFault when that was not done, and PhaseTimeout without an answer.
        """
        self._number = number = self._number + 1
        send(json.dumps({"order": number, "clear_required": {"mac": mac.lower(), "uuid": uuid.lower()}}))
        wait_until(
            lambda: number in self._answers or self._ended,
            waited_for="the site service to clear the required PXE deployments",
            seconds=_LIMIT,
            clock=self._clock,
            hint="see lab.log",
        )
        if error := self._answers.get(number, "the site service has ended"):
            raise LabFault(f"the required PXE deployments were not cleared: {error}", hint="see lab.log")
