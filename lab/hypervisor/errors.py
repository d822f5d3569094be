"""What goes wrong between the lab and a hypervisor."""

from __future__ import annotations

from lab.errors import LabFault


class HypervisorError(LabFault):
    """A hypervisor or a machine did not do what was asked; the message names the machine and the call."""


class ChannelClosed(HypervisorError):
    """The channel's other end is gone and every byte it sent has been received."""


def machine_error(machine: str, call: str, reason: str, *, hint: str = "") -> HypervisorError:
    """The error of one call on one machine, in the one wording all implementations share."""
    return HypervisorError(f"machine '{machine}': {call}: {reason}", hint=hint)
