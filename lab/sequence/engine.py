"""The task sequence engine: ``start``, ``next_effect``, ``advance``. Pure: no I/O, clock or chance.

Engine room. Order and wording follow observed logs; guesses are marked. An activity (the beginning, a
condition that asks the machine, a step, a restart, the end) is a generator over effects: it is run again from
its start with the recorded outcomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from lab.sequence import codes, expressions, instructions
from lab.sequence.bookkeeping import RULE, Decision
from lab.sequence.context import Behaviour, Run, StepContext
from lab.sequence.effects import (
    Effect,
    EngineEvent,
    Finished,
    GatherFacts,
    Outcome,
)
from lab.sequence.ending import ending
from lab.sequence.ends import Ends
from lab.sequence.instructions import Instruction
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.restart import requested, restart, watched
from lab.sequence.state import Activity, ExecutionState
from lab.sequence.state import pending_data_path as pending_data_path
from lab.sequence.state import variables_of as variables_of
from lab.sequence.steps.answered import answered
from lab.sequence.steps.subsequence import missing_child
from lab.sequence.steps.toolkit import is_script
from lab.sequence.steptypes import STEP_TYPES, StepTypes, may_run
from lab.sequence.variables import Variables


def start(
    sequence: TaskSequence, variables: Mapping[str, str], secrets: Iterable[str] = ()
) -> ExecutionState:
    """The state of a run before its first effect, GatherFacts.

    ``variables``: the merged ones of collection and device or media, and the site's read-only ones
    (``_SMSTSBootImageID``). ``secrets``: names whose values never leave, besides those that are secret by
    their name. Raises VariableRefused when a name or value breaks the rules.
    """
    initial = Variables(
        {variable.name: variable.value for variable in sequence.variables if variable.value}, secrets
    )
    for name, value in variables.items():
        initial = initial.set(name, value)
    return ExecutionState(variables=initial, pending=GatherFacts())


def next_effect(sequence: TaskSequence, state: ExecutionState) -> Effect | Finished:
    """What is to be done now, or the result."""
    if state.activity == "done" and state.ending is not None:
        return state.ending
    if state.pending is None:
        raise ValueError("the state has neither a pending effect nor a result")
    return state.pending


def advance(
    sequence: TaskSequence,
    state: ExecutionState,
    outcome: Outcome,
    step_types: StepTypes = STEP_TYPES,
    *,
    records: bool = True,
) -> tuple[ExecutionState, tuple[EngineEvent, ...]]:
    """Take the pending effect's outcome in and go on until the next effect or the end.

    ``step_types`` stays the same in all of a run; a replay has recorded exit codes in place of the programs.
    ``records``: whether the events include the log's records; the same outcomes give them at any later time.
    Raises ValueError when the run is over.
    """
    return Running(sequence, state, step_types, records=records).advance(outcome)


class Running:
    """A run that goes on in one process: the same as ``advance`` again and again, but an activity's generator
    lives on from one outcome to the next, where ``advance`` runs it again from its start. ``state`` may be
    saved at any time, as it may be between two calls of ``advance``."""

    def __init__(
        self,
        sequence: TaskSequence,
        state: ExecutionState,
        step_types: StepTypes = STEP_TYPES,
        *,
        records: bool = True,
    ) -> None:
        self.state = state
        self._engine = _Engine(sequence, state, step_types, records)

    def advance(self, outcome: Outcome) -> tuple[ExecutionState, tuple[EngineEvent, ...]]:
        """As ``engine.advance``. Raises ValueError when the run is over."""
        if self.state.activity == "done":
            raise ValueError("the run is over")
        events = self._engine.run.events = []
        self._engine.feed(outcome)
        self.state = self._engine.state()
        return self.state, tuple(events)


class _Engine(Ends):
    """A working copy of the state, and the current activity's generator once it was fed."""

    def __init__(
        self, sequence: TaskSequence, state: ExecutionState, step_types: StepTypes, records: bool
    ) -> None:
        super().__init__(Run(state.variables, state.memory, records))
        self._sequence = sequence
        self._step_types = step_types
        self._table = instructions.table(sequence)
        self._activity: Activity = state.activity
        self._pointer = state.pointer
        self._retries = state.retries
        self._base = (state.variables, state.memory)
        self._outcomes = state.outcomes
        self._pending: Effect | None = state.pending
        self._ending = state.ending
        self._live: Behaviour | None = None

    def state(self) -> ExecutionState:
        variables, memory = self._base
        return ExecutionState(
            variables=variables,
            activity=self._activity,
            pointer=self._pointer,
            retries=self._retries,
            memory=memory,
            outcomes=self._outcomes,
            pending=self._pending,
            ending=self._ending,
        )

    # activities

    def feed(self, outcome: Outcome) -> None:
        """Give the current activity the new outcome; one that does not live yet is replayed before."""
        generator = self._live or self._replayed()
        self._outcomes = (*self._outcomes, outcome)
        try:
            self._pending = generator.send(outcome)
            self._live = generator
        except StopIteration as stop:
            self._drive(stop.value)

    def _replayed(self) -> Behaviour:
        """The current activity as far as the recorded outcomes take it, without saying anything again."""
        self.run.muted = True
        generator = self._generator()
        try:
            next(generator)
            for recorded in self._outcomes:
                generator.send(recorded)
        except StopIteration:
            raise ValueError("the state does not belong to this sequence") from None
        self.run.muted = False
        return generator

    def _drive(self, code: int) -> None:
        """The current activity ended with ``code``: go on until an effect is pending, or to the end."""
        ended: int | None = code
        while ended is not None:
            following = self._after(ended)
            if following == "walk":
                following = self._walk()
            if following == "done":
                self._finish()
                return
            ended = self._enter(following)

    def _after(self, code: int) -> Activity | Literal["walk"]:
        """What follows the activity that ended: another one, or the walk through the instructions."""
        if self._activity == "begin":
            return self._decide("failed", codes.E_FAIL, "", code) if code else "walk"
        if self._activity == "step":
            return self._step_ended(code)
        if self._activity == "condition":
            return self._condition_ended(bool(code))
        if self._activity == "restart":
            return self._restarted(code)
        return "done"

    def _generator(self) -> Behaviour:
        if self._activity == "begin":
            return self._begin()
        if self._activity == "restart":
            return restart(self.run, self._item.name)
        if self._activity == "end":
            return ending(self.run)
        if isinstance(self._item, Step):
            self.set_local_defaults(self._item)
        if self._activity == "condition":
            return self._condition()
        return watched(self.run, self._behaviour(self._step))

    def _enter(self, activity: Activity) -> int | None:
        """Begin an activity: what is so far becomes its base. Returns its code when it needs no effect."""
        self._activity = activity
        self._base = (self.run.variables, self.run.memory)
        self._outcomes = ()
        self._pending = self._live = None
        # A step's local defaults are set already: its condition may have asked for them.
        if activity == "step":
            generator = watched(self.run, self._behaviour(self._step))
        else:
            generator = self._condition() if activity == "condition" else self._generator()
        try:
            self._pending = next(generator)
        except StopIteration as stop:
            return int(stop.value)
        self._live = generator
        return None

    @property
    def _item(self) -> Group | Step:
        return self._table.instructions[self._pointer].item

    @property
    def _step(self) -> Step:
        item = self._item
        if not isinstance(item, Step):
            raise ValueError("the state does not belong to this sequence")
        return item

    # the beginning

    def _begin(self) -> Behaviour:
        facts = yield GatherFacts()
        self.run.emit(
            "sequence-started",
            name=self._sequence.name,
            steps=self._table.steps,
            instructions=len(self._table.instructions),
        )
        self.boots(facts.value)
        self.run.learn(facts.value)
        self.run.choose_data_drive()
        # A run that began in the installed system comes back to it.
        self.run.memory = replace(self.run.memory, hook=not self.run.in_winpe)
        self.introduce(self._sequence)
        self.manager_starts(self._sequence.version, self._pointer, len(self._table.instructions))
        return facts.code or (yield from missing_child(self.run, self._sequence))

    # instructions

    def _walk(self) -> Activity:
        """Work through the instructions from the pointer until a step is to run, or to the end."""
        while self._pointer < len(self._table.instructions):
            entry = self._table.instructions[self._pointer]
            self.announce(entry)
            if entry.closes:
                self.group_ended(entry, self._table.instructions[entry.opening])
                going: Decision = True
            elif isinstance(entry.item, Step):
                going = self.step_begins(entry, entry.item)
            else:
                going = self.group_begins(entry, entry.item)
            if going == "ask":
                return "condition"
            if going and isinstance(entry.item, Step):
                return "step"
            self._past(entry, going)
        return self._succeed()

    def _past(self, entry: Instruction, going: bool) -> None:
        """On to the next instruction: a group's first one, or what follows a skipped item."""
        self._pointer = entry.pointer + 1 if going else entry.end + 1
        self.run.set("_SMSTSLastActionRetryCount", "0")

    def _condition(self) -> Behaviour:
        """A condition that asks the machine; 1 when it is true."""
        return int((yield from expressions.holds(self._item.condition, self.run)))

    def _condition_ended(self, true: bool) -> Activity | Literal["walk"]:
        entry = self._table.instructions[self._pointer]
        if self.decided(entry, true) and isinstance(entry.item, Step):
            return "step"
        self._past(entry, true)
        return "walk"

    def _behaviour(self, step: Step) -> Behaviour:
        kind = self._step_types.get(step.type)
        if kind is None and not step.doubled:
            # ``validate`` names it before a run; here it must not pass silently.
            self.run.record(f"Unsupported step type {step.type}", 3, "instruction.cxx:780")
            return codes.NOT_SUPPORTED
        bound = None if kind is None or is_script(step) else kind
        if not may_run(bound, self.run.expand(step.run_in), self.run.in_winpe):
            text = f"The action ({step.name}) is not supported in this environment"
            self.run.record(f"{text}\n{codes.system_message(codes.NOT_SUPPORTED)}", 3, "instruction.cxx:780")
            return codes.NOT_SUPPORTED
        if self.run.records:
            self.run.record(f"Executing command line: {self.command(step)}", 1, "CommandLine.cpp:819")
        behaviour = answered if step.doubled or kind is None else kind.behaviour
        context = StepContext(self.run, step, kind.component if kind else "TSManager", self._retries)
        code = codes.unsigned((yield from behaviour(context)))
        self.run.record(f"Process completed with exit code {code}", 1, "CommandLine.cpp:1115")
        return code

    def _step_ended(self, code: int) -> Activity | Literal["walk"]:
        run, step, entry = self.run, self._step, self._table.instructions[self._pointer]
        kind = self._step_types.get(step.type)
        succeeded = code in map(codes.unsigned, step.success_codes)
        run.record(RULE, 1, "instruction.cxx:816")
        if succeeded:
            text = f"Successfully completed the action ({step.name}) with the exit win32 code {code}"
            run.record(text, 1, "instruction.cxx:857")
        else:
            text = f"Failed to run the action: {step.name}. \n{codes.system_message(code)}"
            run.record(text, 3, "instruction.cxx:922")
        run.set("_SMSTSLastActionRetCode", str(code))
        run.set("_SMSTSLastActionName", step.name)
        run.set("_SMSTSLastActionSucceeded", "true" if succeeded else "false")
        run.record(r"Expand a string: %_SMSTSMDataPath%\Logs", 0, "executionenv.cxx:776")
        run.clear_local_defaults()
        restarts = step.doubled if kind is None else kind.runs_commands
        reboots = succeeded and code == codes.REBOOT_REQUIRED and restarts
        if reboots and not run.variables.value("SMSTSRebootRequested"):
            # Documented: 3010 restarts to the same environment, then the next step runs.
            run.set("SMSTSRebootRequested", "WinPE" if run.in_winpe else "HD")
        fatal = not succeeded and (not step.doubled if kind is None else kind.fatal)
        continued = not succeeded and step.continue_on_error and not fatal
        retry = bool(run.variables.value("SMSTSRetryRequested")) and requested(run) != ""
        if not (succeeded and retry):
            reason = "" if succeeded else codes.message(code)
            self.emit_step(entry, "success" if succeeded else "failed", code, reason, continued)
        if continued:
            # Wording from public posts, not verified.
            text = f"The execution engine ignored the failure of the action ({step.name})"
            run.record(f"{text} and continues execution", 2, "instruction.cxx:950")
            self.status("failure-ignored", step.name)
        elif not succeeded:
            return self._fail(entry, step.name, code, fatal)
        if requested(run):
            return self._request_restart(entry, step.name, retry)
        if run.variables.value("SMSTSRetryRequested"):
            run.set("SMSTSRetryRequested", "")  # documented: it needs a restart request beside it
        return self._next_step()

    def _next_step(self) -> Literal["walk"]:
        entry = self._table.instructions[self._pointer]
        self._retries = 0
        self.save(entry.pointer + 1, entry.parents)
        self._pointer += 1
        self.run.set("_SMSTSLastActionRetryCount", "0")
        return "walk"

    # restarts

    def _request_restart(self, entry: Instruction, name: str, retry: bool) -> Activity:
        if retry:
            self.run.record(f"The action ({name}) requested a retry", 1, "engine.cxx:256")
        self.run.record(f"The action ({name}) initiated a reboot request", 1, "engine.cxx:277")
        self.save(entry.pointer if retry else entry.pointer + 1, entry.parents)
        return "restart"

    def _restarted(self, code: int) -> Activity | Literal["walk"]:
        if code:
            return self._fatal(self._item.name)
        retry = bool(self.run.variables.value("SMSTSRetryRequested"))
        self._retries = self._retries + 1 if retry else 0
        self._pointer += not retry
        self.manager_starts(self._sequence.version, self._pointer, len(self._table.instructions))
        self.run.set("_SMSTSLastActionRetryCount", str(self._retries))
        return "walk"
