"""A run as the store keeps it over restarts, and what of a damaged one can be said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.sequence.effects import Effect
from lab.sequence.state import ExecutionState

#: Format version of what the store holds.
FORMAT = 2


class Unusable(ValueError):
    """What the store holds cannot be gone on with; the message says why, as a clause."""


@dataclass(frozen=True)
class Saved:
    """A run between two effects, as a store keeps it: values that never change, text only when it is needed.

    ``mark`` is the boot's; ``place``: pointer and name of the current step, whether anything was interrupted.
    """

    sequence: Mapping[str, Any]
    state: ExecutionState
    pending: Effect
    mark: str
    policy: Mapping[str, Any]
    counts: Mapping[str, int]
    place: tuple[int, str, bool]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "sequence": self.sequence,
            "state": self.state.to_json(),
            "pending": self.pending.to_json(),
            "mark": self.mark,
            "policy": self.policy,
            "counts": dict(self.counts),
            "place": list(self.place),
        }


def read_saved(content: bytes) -> dict[str, Any]:
    """What a state file holds, not looked into yet. Raises Unusable when it is no whole JSON."""
    if not content:
        raise Unusable("the file is empty")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"the file of {len(content)} bytes is damaged: {error}") from error
    if not isinstance(data, dict):
        raise Unusable("it holds no saved run")
    return data


def checked(saved: Any) -> tuple[ExecutionState, Effect]:
    """State and pending effect of a saved run. Raises Unusable when it is none, or one of another format."""
    if not isinstance(saved, Mapping):
        raise Unusable("it holds no saved run")
    if saved.get("format") != FORMAT:
        raise Unusable(f"the saved run has format {saved.get('format')}, this agent reads {FORMAT}")
    missing = [key for key in ("sequence", "mark", "policy", "counts", "place") if key not in saved]
    if missing:
        raise Unusable(f"the saved run has no '{missing[0]}'")
    try:
        return ExecutionState.from_json(saved["state"]), Effect.from_json(saved["pending"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"the saved run is damaged: {error}") from error
