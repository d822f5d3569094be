"""The person at the machine: presses F12 where the loader asks for it, answers the wizard, on its keyboard.

What to answer is the plan's (``MachinePlan.answers``, as ``lab.client.answers`` has them).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from lab.client.answers import typed
from lab.clock import Clock
from lab.errors import LabFault
from lab.hypervisor.protocol import Machine
from lab.network.ipxe import F12_PROMPT, F12_SECONDS
from lab.run.keyboard import ENTER, keys
from lab.run.plan import MachinePlan

#: PXELINUX's prompt on the serial line; the words above it stand on the screen only.
_ENTER_PROMPT = "boot:"
_F12 = "KEY_F12"
#: Keys pressed at once, and seconds for each: QEMU holds one for 50 ms, and keeps no more than 256.
_AT_ONCE, _A_KEY = 20, 0.1
#: Seconds for the last key to stand on the screen, before its picture is taken and ENTER pressed.
_READ_AGAIN = 0.5

Event = Callable[[str, str, Mapping[str, Any]], object]


class Attendant:
    """Sits at one machine. ``event`` puts (source, kind, data) on the timeline, ``picture`` keeps one of the
    screen: of the question for F12, and of a page of the wizard with its answer."""

    def __init__(
        self, plan: MachinePlan, machine: Machine, *, clock: Clock, event: Event,
        picture: Callable[[str], object],
    ) -> None:  # fmt: skip
        self._machine, self._clock, self._event, self._picture = machine, clock, event, picture
        self.name, self._answers = plan.spec.name, plan.answers
        #: iPXE's words on a BIOS go to the screen only: F12 is pressed there until something happens.
        self._unseen = plan.spec.firmware == "bios" and not plan.spec.nics[0].native
        self._keys: deque[str] = deque()
        self._next = 0.0
        self._wanted_until: float | None = None
        self._told = False

    @property
    def presses(self) -> bool:
        """Whether an offer that must be confirmed is."""
        return bool(self._answers.get("f12", True))

    def forget(self) -> None:
        """The machine starts anew."""
        self._keys.clear()
        self._wanted_until, self._told = None, False

    def offered(self) -> None:
        """The site made an offer that must be confirmed: the prompt comes."""
        now = self._clock.now()
        self._wanted_until, self._told, self._next = now + F12_SECONDS, False, now + 1.0

    def taken(self) -> None:
        """The offer is confirmed: the boot files are being fetched."""
        self._wanted_until = None

    def reads(self, text: str) -> None:
        """A line of the console."""
        if self._wanted_until is None:
            return
        if F12_PROMPT in text:
            self._confirm(_F12)
        elif text == _ENTER_PROMPT:
            self._confirm(ENTER)

    def wizard(self, page: Mapping[str, Any]) -> None:
        """A page of the wizard waits. Raises LabFault when the plan has no answer, or a wrong one."""
        answer = typed(page, self._answers, machine=self.name)
        what = {"text": answer} if page["page"] == "choose" else {"name": page["name"]}  # never its value
        self._event("lab", "typed", {"page": page["page"], **what})
        try:
            self._keys += keys(answer)
        except ValueError as error:
            raise LabFault(
                f"the answer to the wizard of machine '{self.name}' cannot be typed: {error}",
                hint="see 'wizard' in the scenario",
            ) from error

    def turn(self) -> None:
        """Press what is to be pressed now; called often. Raises LabFault."""
        now = self._clock.now()
        if now < self._next:
            return
        if self._keys:
            if self._keys[0] == ENTER:
                self._picture("answer")
            some = self._some()
            self._next = now + _A_KEY * len(some) + (_READ_AGAIN if list(self._keys) == [ENTER] else 0.0)
            self._machine.send_keys(some)
        elif self._wanted_until is not None and self._unseen:
            if now > self._wanted_until:
                self._wanted_until = None
                return
            self._next = now + 1.0
            self._press(_F12)

    def _some(self) -> tuple[str, ...]:
        """The next keys, as many as are pressed at once; the ENTER that ends an answer comes alone."""
        some: list[str] = []
        while self._keys and len(some) < _AT_ONCE and not (some and self._keys[0] == ENTER):
            some.append(self._keys.popleft())
        return tuple(some)

    def _confirm(self, key: str) -> None:
        self._wanted_until = None
        self._press(key)

    def _press(self, key: str) -> None:
        """Press the key that is asked for, or leave it, as the plan says."""
        if not self._told:
            self._told = True
            self._picture("f12")
            if self.presses:
                self._event("lab", "key-pressed", {"key": key.removeprefix("KEY_")})
        if self.presses:
            self._machine.send_keys((key,))
