"""How long a machine may be silent, and when it last was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lab.clock import Clock
from lab.run.phases import limit

#: Bytes within a phase's limit that count as a transfer going on: no retry of DHCP amounts to that.
_MUCH = 256 * 1024
#: In which something may be transferred that nobody logs before its end: a firmware's own TFTP.
_BY_FIRMWARE = ("dhcp", "boot-file")


@dataclass(frozen=True)
class Patience:
    """How long to wait: the host's factor, limits of one's own, and seconds added to a step's limit."""

    factor: float = 1.0
    limits: Mapping[str, float] = field(default_factory=dict)
    step_extra: float = 0.0

    def of(self, phase: str) -> float:
        return limit(phase, factor=self.factor, own=self.limits, patience=self.step_extra)


class Progress:
    """When something was heard of the machine last. ``traffic``: bytes that have gone to it so far."""

    def __init__(self, clock: Clock, traffic: Callable[[], int]) -> None:
        self._clock, self._traffic = clock, traffic
        self._at, self._bytes = clock.now(), 0

    def made(self) -> None:
        self._at = self._clock.now()

    def new_phase(self) -> None:
        self.made()
        self._bytes = self._traffic()

    def none_for(self, seconds: float, phase: str) -> bool:
        """Whether it has been silent for longer than ``seconds``."""
        return self._clock.now() - self._at > seconds and not self._gets_bytes(phase)

    def _gets_bytes(self, phase: str) -> bool:
        """Whether much has gone to the machine since the last time this was asked."""
        if phase not in _BY_FIRMWARE:
            return False
        seen, before = self._traffic(), self._bytes
        self._bytes = seen
        if seen - before < _MUCH:
            return False
        self.made()
        return True
