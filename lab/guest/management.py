"""The site's management point, as this machine asks it over HTTP: policy, locations, status messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lab.clock import Clock, Deadline, wait_until
from lab.errors import LabFault
from lab.guest import http

#: Seconds: for an answer before the sequence begins; of silence; for a status message.
POLICY_LIMIT = 60.0
SILENCE = 20.0
STATUS_SILENCE = 5.0
#: Seconds that the first status message waits for a network; a machine without one goes on.
NETWORK_LIMIT = 20.0


class ManagementPoint:
    """``site`` gives its address when it is needed; ``online`` says whether it can be had now; ``mac``,
    ``uuid`` and ``mark`` (of this start) are the machine's."""

    def __init__(
        self,
        site: Callable[[], str],
        online: Callable[[], bool],
        mac: str,
        uuid: str,
        mark: str,
        clock: Clock,
    ) -> None:
        self._site = site
        self._online = online
        self._patience = NETWORK_LIMIT
        self._mac = mac
        self._uuid = uuid
        self._mark = mark
        self._clock = clock

    def assignments(self) -> dict[str, Any]:
        """What this machine may run. Raises LabFault, PhaseTimeout."""
        return self._must(f"/policy/{self._mac}", {"uuid": self._uuid})

    def policy(self, deployment: str) -> dict[str, Any] | None:
        """The policy of one deployment, None when there is none. Raises LabFault, PhaseTimeout."""
        path = f"/policy/{self._mac}/{deployment}"
        status, answer = self._patiently(path, {"uuid": self._uuid})
        if status == 404:
            return None
        return self._of(path, status, answer)

    def locations(self, package: str) -> dict[str, Any]:
        """Where a package is, before the sequence begins. Raises LabFault, PhaseTimeout."""
        return self._must(f"/locations/{package}", {"mac": self._mac})

    def locate(self, package: str) -> dict[str, Any]:
        """Where a package is, asked by a step: a site that does not answer is that step's trouble.

        Raises OSError, LabFault.
        """
        path = f"/locations/{package}"
        status, answer = self._get(path, {"mac": self._mac})
        return self._of(path, status, answer)

    def status(self, messages: list[dict[str, Any]]) -> bool:
        """Send status messages; whether the site took them."""
        deadline = Deadline(self._patience, self._clock)
        while not self._online():
            if deadline.passed():
                self._patience = 0.0
                return False
            self._clock.pause(0.2)
        body = json.dumps({"mac": self._mac, "start": self._mark, "messages": messages}).encode()
        try:
            answer = http.post(self._site(), "/status", body, timeout=STATUS_SILENCE, start=self._mark)
            b"".join(answer.body)
        except OSError:
            return False
        return answer.status == 200

    def _must(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        return self._of(path, *self._patiently(path, query))

    def _patiently(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        last = [""]

        def ask() -> tuple[int, bytes] | None:
            try:
                return self._get(path, query)
            except OSError as error:
                last[0] = str(error)
                return None

        return wait_until(
            ask,
            waited_for=f"an answer from http://{self._site()}{path}",
            seconds=POLICY_LIMIT,
            clock=self._clock,
            last_seen=lambda: last[0],
            every=0.5,
        )

    def _get(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        answer = http.get(self._site(), path, timeout=SILENCE, start=self._mark, query=query)
        return answer.status, b"".join(answer.body)

    def _of(self, path: str, status: int, body: bytes) -> dict[str, Any]:
        if status != 200:
            raise LabFault(f"the site answered {status} for {path}")
        answer: dict[str, Any] = json.loads(body)
        return answer
