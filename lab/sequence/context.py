"""The working copy of a run inside one ``advance``, and what a step sees of it.

Engine room: pure. ``Run`` gathers events and changes; it lives for one call only. ``StepContext`` is what a
step type's behaviour gets: its fields, the variables, the machine's facts, the log.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

from lab.sequence import codes, variables
from lab.sequence.effects import Effect, EngineEvent, Outcome
from lab.sequence.model import Step
from lab.sequence.state import Memory
from lab.sequence.variables import MASK, VariableRefused, Variables

#: A step's behaviour, and every other activity: yields effects, gets their outcomes, returns an exit code.
Behaviour = Generator[Effect, Outcome, int]

#: Where the data path is while no formatted volume exists (documented: the RAM disk).
RAM_DATA_PATH = "X:\\_SMSTaskSequence"

#: Set many times per instruction; they are in the log, but make no variable events.
_BOOKKEEPING = frozenset(
    spelled
    for name in (
        "_SMSTSCurrentActionName",
        "_SMSTSNextInstructionPointer",
        "_SMSTSInstructionTableSize",
        "_SMSTSInstructionStackString",
        "_SMSTSLastActionRetryCount",
    )
    for spelled in (name, name.casefold())
)

#: Secret values shorter than this are only masked where they stand as a value, not in running text.
_SHORTEST_MASKED = 3


class Run:
    """The mutable working copy. ``muted`` while recorded outcomes are replayed: what they caused was said.

    ``records``: whether log records are made; without them a run is the same, and quicker.
    """

    def __init__(self, variables_: Variables, memory: Memory, records: bool = True) -> None:
        self.variables = variables_
        self.memory = memory
        self.locals: dict[str, str] = {}
        self.events: list[EngineEvent] = []
        self.muted = False
        self.records = records
        self._masked_for: Variables | None = None
        self._masked: tuple[str, ...] = ()
        self._local_secrets: tuple[str, ...] = ()

    # what is said

    def emit(self, kind: str, **data: Any) -> None:
        if not self.muted:
            self.events.append(EngineEvent(kind, data))

    def record(self, message: str, type: int = 1, file: str = "", component: str = "TSManager") -> None:
        """One record of smsts.log; secret values in it become ``***``."""
        if self.records and not self.muted:
            self.emit("record", component=component, message=self.mask(message), type=type, file=file)

    def mask(self, text: str) -> str:
        if self._masked_for is not self.variables:
            self._masked_for = self.variables
            self._masked = tuple(
                value for value in self.variables.secret_values() if len(value) >= _SHORTEST_MASKED
            )
        return variables.mask(variables.mask(text, self._masked), self._local_secrets)

    # variables

    def lookup(self, name: str) -> str | None:
        """What a variable is now: what was set beats the step's own default (documented precedence)."""
        value = self.variables.get(name)
        return value if value is not None else self.locals.get(name.strip().casefold())

    def expand(self, text: str) -> str:
        return variables.expand(text, self.lookup)

    def expand_shown(self, text: str) -> str:
        """As ``expand``, for eyes: secret values are ``***``."""

        def shown(name: str) -> str | None:
            value = self.lookup(name)
            return MASK if value and self.variables.is_secret(name) else value

        return variables.expand(text, shown)

    def set(self, name: str, value: str, *, secret: bool = False) -> None:
        """Set a global variable on the engine's behalf. Raises VariableRefused only over the limits."""
        self._changed(name, self.variables.set(name, value, secret=secret))

    def set_by_user(self, name: str, value: str, *, secret: bool = False) -> None:
        """Set a global variable for a user's step or script. Raises VariableRefused."""
        self._changed(name, self.variables.set_by_user(name, value, secret=secret))

    def _changed(self, name: str, changed: Variables) -> None:
        same = changed is self.variables
        self.variables = changed
        if self.muted or (same and not self.records):
            return
        bookkeeping = name in _BOOKKEEPING or name.strip().casefold() in _BOOKKEEPING
        if bookkeeping and not self.records:
            return
        shown = changed.shown(name)
        if self.records:
            text = f"Set a global environment variable {name.strip()}={shown}"
            self.record(text, 0, "executionenv.cxx:662")
        # The log says every set (observed); an event is a change.
        if not (bookkeeping or same):
            self.emit("variable", name=name.strip(), value=shown, secret=changed.is_secret(name))

    def set_local_defaults(self, step: Step, secret: str = "") -> None:
        """Make a step's own values known while it is evaluated and runs (R12); hidden ones are arguments.

        ``secret``: a text of the step that no record shows.
        """
        self.locals = {}
        secrets = [secret]
        for variable in step.variables:
            if variable.value and (
                variable.property == "HiddenVariableValue" or self.variables.is_secret(variable.name)
            ):
                secrets.append(variable.value)
            if variable.hidden:
                continue
            if self.records:
                self.record(f"Set a local default variable {variable.name}", 0, "executionenv.cxx:694")
            if variable.value:
                self.locals[variable.name.strip().casefold()] = self.expand(variable.value)
        self._local_secrets = tuple(
            sorted((value for value in secrets if len(value) >= _SHORTEST_MASKED), key=len, reverse=True)
        )

    def clear_local_defaults(self) -> None:
        self.locals = {}
        self._local_secrets = ()
        self.record("Clear local default environment", 0, "executionenv.cxx:801")

    # facts

    @property
    def facts(self) -> dict[str, Any]:
        return self.memory.facts

    @property
    def in_winpe(self) -> bool:
        return bool(self.facts.get("in_winpe"))

    @property
    def data_path(self) -> str:
        """Where the sequence keeps its data now."""
        return str(self.facts.get("data_path") or RAM_DATA_PATH)

    def local_data_drive(self, volumes: Mapping[str, Any]) -> str:
        """The volume ("D:") that SMSTSLocalDataDrive names for state and content, if there is such a one."""
        drive = self.expand(self.variables.value("SMSTSLocalDataDrive")).strip().upper()[:1] + ":"
        return drive if drive in volumes else ""

    def choose_data_drive(self) -> None:
        """Put state, content and log where SMSTSLocalDataDrive says; it counts before the start only."""
        before = str(self.facts.get("data_path") or "")
        drive = self.local_data_drive(self.facts.get("volumes") or {})
        if before and drive and before[:2].upper() != drive:
            facts = {"data_path": drive + before[2:]}
            log = str(self.facts.get("log_path") or "")
            if log.startswith(before):
                facts["log_path"] = drive + log[2:]
            self.learn(facts)

    def learn(self, facts: Mapping[str, Any]) -> None:
        """Take new facts in and bring the read-only variables up to date."""
        known = {**self.memory.facts, **facts}
        self.memory = replace(self.memory, facts=known)
        values = {
            "_SMSTSInWinPE": "true" if known.get("in_winpe") else "false",
            "_SMSTSBootUEFI": "true" if known.get("uefi") else "",  # observed: absent on BIOS
            "_SMSTSMachineName": str(known.get("machine_name") or ""),
            "_SMSTSLogPath": str(known.get("log_path") or ""),
            "_SMSTSMDataPath": self.data_path,
            # A guess: documented is that the folder exists and that a wipe spares it, not its name.
            "_SMSTSUserStatePath": f"{self.data_path[:2]}\\UserState" if known.get("data_path") else "",
            # Documented: there once a disk can hold a cache; its place in the data folder is a guess.
            "_SMSTSClientCache": self.data_path if known.get("data_path") else "",
            "_SMSTSLaunchMode": str(known.get("launch_mode") or ""),
            "_SMSTSMediaType": "PXE" if known.get("launch_mode") == "PXE" else "",
        }
        for name, value in values.items():
            if self.variables.value(name) != value:
                self.set(name, value)


class StepContext:
    """What a step type's behaviour may see and do. Everything else it asks for as an effect."""

    def __init__(self, run: Run, step: Step, component: str, retries: int) -> None:
        self._run = run
        self.step = step
        self.component = component
        #: how often this step was started again after a restart that it asked for
        self.retries = retries

    # fields

    def value(self, name: str, default: str = "") -> str:
        """A field of the step: the variable of that name if set, else the step's own value; expanded."""
        value = self._run.variables.get(name)
        if value is not None:
            return self._run.expand(value) or default
        local = self._run.locals.get(name.strip().casefold())  # expanded already
        return local or self._run.expand(self.step.variable(name)) or default

    def argument(self, name: str, default: str = "") -> str:
        """A field that is an argument of the step's program: no variable overrides it. Not expanded."""
        return self.step.variable(name) or default

    def enabled(self, name: str) -> bool:
        return self.value(name).strip().casefold() == "true"

    def expand(self, text: str) -> str:
        return self._run.expand(text)

    def expand_shown(self, text: str) -> str:
        return self._run.expand_shown(text)

    def expand_with(self, text: str, quote: Callable[[str], str]) -> str:
        """Expand with each value passed through ``quote``, for instance to escape it for XML."""

        def quoted(name: str) -> str | None:
            value = self._run.lookup(name)
            return None if value is None else quote(value)

        return variables.expand(text, quoted)

    # variables

    def lookup(self, name: str) -> str | None:
        """What a variable is now: what was set, or the step's own default."""
        return self._run.lookup(name)

    @property
    def variables(self) -> Variables:
        return self._run.variables

    def set(self, name: str, value: str, *, secret: bool = False) -> None:
        """Set a global variable as the product's own program does."""
        self._run.set(name, value, secret=secret)

    def set_for_user(self, name: str, value: str, *, secret: bool = False) -> int:
        """Set a variable that a user named. Returns 0, or the code of the refusal, which is in the log."""
        try:
            self._run.set_by_user(name, value, secret=secret)
        except VariableRefused as refused:
            self.record(f"Failed to set the variable {refused.name}: it {refused.reason}", 3)
            return refused.code
        return 0

    def is_secret_text(self, text: str) -> bool:
        """Whether expanding ``text`` would put a secret value into it."""
        return any(
            self._run.variables.is_secret(name) and self._run.lookup(name)
            for name in variables.references(text)
        )

    # the machine

    @property
    def memory(self) -> Memory:
        return self._run.memory

    def remember(self, **changes: Any) -> None:
        self._run.memory = replace(self._run.memory, **changes)

    @property
    def facts(self) -> dict[str, Any]:
        return self._run.facts

    def learn(self, facts: Mapping[str, Any]) -> None:
        self._run.learn(facts)

    def local_data_drive(self, volumes: Mapping[str, Any]) -> str:
        return self._run.local_data_drive(volumes)

    @property
    def in_winpe(self) -> bool:
        return self._run.in_winpe

    @property
    def data_path(self) -> str:
        return self._run.data_path

    # the log

    def record(self, message: str, type: int = 1, file: str = "main.cpp:100") -> None:
        """A record of the step's own program."""
        self._run.record(message, type, file, self.component)

    def fail(self, message: str, code: int) -> int:
        """Say why, as programs do; returns the code."""
        self.record(f"{message}\n{codes.system_message(code)}", 3)
        return codes.unsigned(code)
