"""What the site said about content: where a package is, and who was not let in. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.timeline import Event


@dataclass(frozen=True)
class LocationSeen:
    """An answer of the management point. ``known`` false: there is no such package; no
    ``distribution_points``: it is on none."""

    seq: int
    machine: str
    package: str
    known: bool
    distribution_points: tuple[str, ...]

    @property
    def told(self) -> str:
        """The answer as a clause."""
        if not self.known:
            return f"the management point answered that the site has no {self.package}"
        if not self.distribution_points:
            return f"the management point answered that no distribution point has {self.package}"
        return f"the management point named {' and '.join(self.distribution_points)} for {self.package}"


@dataclass(frozen=True)
class RefusalSeen:
    """A distribution point did not let a machine read a file. ``reason``: one clause."""

    seq: int
    machine: str
    package: str
    file: str
    distribution_point: str
    reason: str

    @property
    def told(self) -> str:
        """The refusal as a clause."""
        what = f"{self.file} of {self.package}"
        return f"{self.distribution_point} did not let the machine read {what}: {self.reason}"


def location_seen(event: Event) -> LocationSeen:
    """Of an event ``site: location``."""
    data = event.data
    return LocationSeen(
        event.seq,
        event.machine,
        str(data.get("package") or ""),
        bool(data.get("known")),
        tuple(map(str, data.get("distribution_points") or ())),
    )


def refusal_seen(event: Event) -> RefusalSeen:
    """Of an event ``site: denied``."""
    words = (str(event.data.get(key) or "") for key in ("package", "file", "distribution_point", "reason"))
    return RefusalSeen(event.seq, event.machine, *words)


def folded(links: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """What was said several times once, at its first place, with the number: downloads are tried again."""
    first: dict[str, int] = {}
    times: dict[str, int] = {}
    for seq, text in sorted(links):
        first.setdefault(text, seq)
        times[text] = times.get(text, 0) + 1
    return [
        (seq, text + (f" ({times[text]} times)" if times[text] > 1 else "")) for text, seq in first.items()
    ]
