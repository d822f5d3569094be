"""What becomes of a machine's start: the site's PXE decision, what its firmware says, why nothing follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.run.attendant import Attendant
from lab.run.phases import cannot_start, firmware_trouble, left_alone, left_network, nothing_bootable
from lab.run.plan import MachinePlan
from lab.site.pxe import refused

#: In which the firmware, a loader, or a system that nobody continues has the console.
_BEFORE_THE_AGENT = ("firmware", "dhcp", "boot-file", "pe-kernel", "disk-boot")
#: Seconds a firmware may be silent while it tries what is behind the network (OVMF's HTTP boot: 66 observed).
_OTHER_DEVICES = 120.0


class Start:
    """One start after the other of one machine."""

    def __init__(self, plan: MachinePlan, attendant: Attendant) -> None:
        self._name, self._attendant = plan.spec.name, attendant
        self._network_last = plan.spec.boot_order[-1] == "network"
        self._left = ""

    @property
    def grace(self) -> float:
        """Seconds that this start may be silent beyond a phase's limit."""
        return _OTHER_DEVICES if self._left else 0.0

    def anew(self) -> None:
        """The machine was started or reset."""
        self._left = ""
        self._attendant.forget()

    def decided(self, decision: Mapping[str, Any]) -> None:
        """The site decided what this start from the network gets (event ``pxe`` of source ``site``)."""
        if decision.get("action") != "boot":
            self._left = refused(str(decision.get("action")), [*map(str, decision.get("reasons", ()))])
        elif decision.get("mandatory"):
            self._left = ""
        else:
            self._left = "" if self._attendant.presses else "F12 was not pressed, so nothing was started"
            self._attendant.offered()

    def hears(self, text: str, phase: str) -> str:
        """Why nothing more will happen on this machine, told from a line of the console; "" when it goes on.

        Raises LabFault for what nobody wanted.
        """
        if phase not in _BEFORE_THE_AGENT:
            return ""
        if reason := cannot_start(text):
            return reason
        if phase == "pe-kernel":
            return ""
        self._attendant.reads(text)
        if left_alone(text):
            return text.strip()
        # Where the network comes last, nothing follows but what the firmware tries of its own accord.
        if self._left and (nothing_bootable(text) or (self._network_last and left_network(text))):
            return self._left
        if fault := firmware_trouble(self._name, phase, text):
            raise fault
        return ""
