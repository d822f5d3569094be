"""Whether a machine that starts from the network is offered its deployment. Pure but for its memory.

Documented: a required PXE deployment runs once per machine, until its flag is cleared; an available one is
offered at every start. One start of the machine is one decision, however often the machine asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """``attempt``: which start of the machine from the network this is, from 1; ``reason``: one clause."""

    offered: bool
    attempt: int
    purpose: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """What the timeline has."""
        return {
            "decision": "offered" if self.offered else "not-offered",
            "attempt": self.attempt, "purpose": self.purpose, "reason": self.reason,
        }  # fmt: skip

    def refusal(self) -> dict[str, str]:
        """What the machine gets in place of a policy."""
        return {"no_deployment": self.reason}


class Deployments:
    """Remembers which machine was offered its deployment at which of its starts."""

    def __init__(self) -> None:
        self._starts: dict[str, list[str]] = {}

    def decide(self, machine: str, purpose: str, start: str) -> Decision:
        """``machine``: its MAC; ``start``: what tells one start of it from another (the boot's mark)."""
        starts = self._starts.setdefault(machine.lower(), [])
        if start not in starts:
            starts.append(start)
        attempt = starts.index(start) + 1
        if purpose != "required":
            reason = "an available deployment is offered at every start"
        elif attempt == 1:
            reason = "a required deployment is offered once"
        else:
            reason = "the required deployment has run on this machine already, and its flag was not cleared"
        return Decision(purpose != "required" or attempt == 1, attempt, purpose, reason)
