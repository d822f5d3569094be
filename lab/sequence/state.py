"""What the engine remembers between two effects: an immutable value that travels as JSON.

Engine room: standard library only. ``variables`` and ``memory`` are those at the beginning of the current
activity; what the activity did since is in ``outcomes``, from which the engine works it out again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lab.sequence.effects import Effect, Finished, Outcome
from lab.sequence.variables import Variables

FORMAT = 1

#: What the engine is doing: beginning, evaluating an instruction's condition that asks the machine, one step,
#: a requested restart, the end, or nothing any more.
Activity = Literal["begin", "condition", "step", "restart", "end", "done"]


@dataclass(frozen=True)
class Memory:
    """What the engine knows besides the variables.

    ``facts``: GatherFacts' value, kept up to date; never changed in place. ``hook``: TS Manager will start
    again from the local disk (Setup Windows put its hook there, or the run began in the installed system).
    ``targets``: volumes that an Apply Operating System step has used ("C:"). ``architecture`` of the image
    applied last ("x64").
    """

    facts: dict[str, Any] = field(default_factory=dict)
    hook: bool = False
    targets: tuple[str, ...] = ()
    architecture: str = ""


@dataclass(frozen=True)
class ExecutionState:
    """A run between two effects. ``pointer`` is the current instruction's; ``retries`` how often it was
    started again after a restart that it asked for; ``ending`` the result once it is decided."""

    variables: Variables
    activity: Activity = "begin"
    pointer: int = 0
    retries: int = 0
    memory: Memory = Memory()
    outcomes: tuple[Outcome, ...] = ()
    pending: Effect | None = None
    ending: Finished | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values. Secret values are in it: it is for the machine's own disk, not for logs."""
        return {
            "format": FORMAT,
            "variables": self.variables.to_json(),
            "activity": self.activity,
            "pointer": self.pointer,
            "retries": self.retries,
            "memory": {
                "facts": self.memory.facts,
                "hook": self.memory.hook,
                "targets": list(self.memory.targets),
                "architecture": self.memory.architecture,
            },
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "pending": None if self.pending is None else self.pending.to_json(),
            "ending": None if self.ending is None else asdict(self.ending),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> ExecutionState:
        """Raises ValueError for another format version or a shape that is no state."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"not an execution state of format {FORMAT}")
        try:
            memory = data["memory"]
            return ExecutionState(
                variables=Variables.from_json(data["variables"]),
                activity=data["activity"],
                pointer=data["pointer"],
                retries=data["retries"],
                memory=Memory(
                    memory["facts"], memory["hook"], tuple(memory["targets"]), memory["architecture"]
                ),
                outcomes=tuple(Outcome.from_json(outcome) for outcome in data["outcomes"]),
                pending=None if data["pending"] is None else Effect.from_json(data["pending"]),
                ending=None if data["ending"] is None else Finished(**data["ending"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an execution state: {error!r}") from error


def variables_of(state: ExecutionState) -> dict[str, str]:
    """All variables that are not secret, as they were when the current activity began."""
    return state.variables.public()


def pending_data_path(state: ExecutionState) -> str:
    """Where a state file belongs now: the data path on a formatted volume, or "" while there is none."""
    return str(state.memory.facts.get("data_path") or "")
