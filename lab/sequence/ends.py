"""How a run ends: a failure given up from group to group, a restart that cannot be, success.

Engine room: pure; a part of the engine.
"""

from __future__ import annotations

from typing import Literal

from lab.sequence import codes
from lab.sequence.bookkeeping import Bookkeeping
from lab.sequence.effects import Effect, Finished, Outcome
from lab.sequence.instructions import Instruction, Table
from lab.sequence.model import Group
from lab.sequence.state import Activity, Memory
from lab.sequence.variables import Variables


class Ends(Bookkeeping):
    """The engine's part that decides a run."""

    _table: Table
    _activity: Activity
    _pointer: int
    _retries: int
    _base: tuple[Variables, Memory]
    _outcomes: tuple[Outcome, ...]
    _pending: Effect | None
    _ending: Finished | None

    def _fail(self, entry: Instruction, name: str, code: int, fatal: bool) -> Activity | Literal["walk"]:
        """A failed step gives its groups up, one by one, until one continues (R06)."""
        for pointer in reversed(entry.parents):
            group = self._table.instructions[pointer]
            continues = isinstance(group.item, Group) and group.item.continue_on_error and not fatal
            self.group_fails(group.item.name)
            self.emit_group(group, "failed", codes.message(code), continues)
            if continues:
                # Wording by analogy, not verified.
                text = f"The execution engine ignored the failure of the group ({group.item.name})"
                self.run.record(f"{text} and continues execution", 2, "instruction.cxx:380")
                self._retries = 0
                self._pointer = group.end + 1
                self.save(self._pointer, group.parents)
                return "walk"
        self.run.record(
            f"Failed to run the last action: {name}. Execution of task sequence failed.\n"
            f"{codes.system_message(code)}",
            3,
            "engine.cxx:214",
        )
        return self._decide("failed", codes.E_FAIL, name, code)

    def _fatal(self, name: str) -> Activity:
        """A restart that cannot be: nothing may continue, whatever the error handling says (R66)."""
        self.restart_fails(name)
        for pointer in reversed(self._table.instructions[self._pointer].parents):
            self.emit_group(self._table.instructions[pointer], "failed", "restart not possible")
        return self._decide("failed", codes.E_FAIL, name, codes.E_FAIL)

    def _succeed(self) -> Activity:
        text = "The task exeuction engine successfully completed the execution"
        self.run.record(text, 1, "engine.cxx:127")
        self.run.record("Execution engine result code: Success (0)", 1, "tsmanager.cpp:1300")
        self._pointer = 0
        return self._decide("success", 0, "", 0)

    def _decide(self, result: str, code: int, name: str, step_code: int) -> Activity:
        if result == "failed":
            self.manager_fails(code)
            self._ending = Finished("failed", code, name, step_code)
        else:
            self._ending = Finished("success", 0)
        return "end"

    def _finish(self) -> None:
        ending = self._ending
        if ending is None:
            raise ValueError("the run ended without a result")
        self._activity = "done"
        self._pending = None
        self._outcomes = ()
        self._base = (self.run.variables, self.run.memory)
        self.run.emit(
            "sequence-finished",
            result=ending.result,
            code=ending.code,
            failed_step=ending.failed_step,
            step_code=ending.step_code,
        )
