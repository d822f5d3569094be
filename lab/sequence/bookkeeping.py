"""What happens to an instruction besides its action: announced, tested, skipped, begun, ended, saved.

Engine room: pure. The order and the wording are those of observed logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lab.sequence import codes, conditions
from lab.sequence.context import Run
from lab.sequence.instructions import Instruction
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.steps.variable import assigned
from lab.sequence.steptypes import STEP_TYPES

ASTERISKS = "*" * 76
RULE = "!" + "-" * 92 + "!"

#: Ids of the status messages that are known (observed); a site posts them.
STATUS = {"started": 11140, "started-without-client": 11144, "failure-ignored": 11138}

#: Whether an instruction goes on, or its condition has to ask the machine first.
Decision = bool | Literal["ask"]
_ACTION = ("action", "instruction.cxx:716")


class Bookkeeping:
    """The engine's part that says what is going on with an instruction; it decides nothing else."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def announce(self, entry: Instruction) -> None:
        item = entry.item
        if not entry.closes:
            kind = item.type if isinstance(item, Step) else "group"
            self.run.emit(
                "instruction",
                pointer=entry.pointer,
                name=item.name,
                type=kind,
                depth=entry.depth,
                n=entry.number,
            )
        self.run.record(
            f"Start executing an instruction. Instruction name: {item.name}. "
            f"Instruction pointer: {entry.pointer}",
            1,
            "engine.cxx:143",
        )
        self.run.set("_SMSTSCurrentActionName", item.name)
        self.run.set("_SMSTSNextInstructionPointer", str(entry.pointer))

    def decided(self, entry: Instruction, true: bool) -> bool:
        """Say what came of an item's condition; whether the step is to run, or the group begins."""
        item = entry.item
        word, file = ("group", "instruction.cxx:138") if isinstance(item, Group) else _ACTION
        if true:
            text = f"The condition for the {word} ({item.name}) is evaluated to be true"
        else:
            text = f"The {word} ({item.name}) has been skipped because the condition is evaluated to be false"
        self.run.record(text, 1, file)
        if true:
            self._begins(entry)
            return True
        if isinstance(item, Step):
            self.run.clear_local_defaults()
        self._skipped(item.name)
        if isinstance(item, Step):
            self.emit_step(entry, "skipped", 0, "condition")
        else:
            self.emit_group(entry, "skipped", "condition")
        return False

    def _begins(self, entry: Instruction) -> None:
        item = entry.item
        if isinstance(item, Step):
            self._step_starts(item)
            return
        self.run.record(f"The group ({item.name}) has been successfully started", 1, "instruction.cxx:159")
        self.save(entry.pointer + 1, (*entry.parents, entry.pointer))

    def _tested(self, entry: Instruction) -> Decision:
        """Evaluate an item's condition as far as variables decide it."""
        condition = entry.item.condition
        if entry.asks:
            return "ask"
        if condition is None:
            self._begins(entry)
            return True
        run = self.run
        return self.decided(entry, conditions.evaluate(condition, run.lookup, run.expand, run.record))

    def _skipped(self, name: str) -> None:
        self.run.record(f"Execution of the instruction ({name}) has been skipped", 1, "engine.cxx:228")

    def group_begins(self, entry: Instruction, group: Group) -> Decision:
        """Whether the group begins: not disabled, condition true."""
        if group.disabled:
            text = f"The group ({group.name}) has been skipped because it is disabled"
            self.run.record(text, 1, "instruction.cxx:105")
            self._skipped(group.name)
            self.emit_group(entry, "disabled", "disabled")
            return False
        return self._tested(entry)

    def group_ended(self, entry: Instruction, opening: Instruction) -> None:
        text = f"The group ({entry.item.name}) has been successfully completed"
        self.run.record(text, 1, "instruction.cxx:348")
        self.emit_group(opening, "success", "")
        self.save(entry.pointer + 1, entry.parents)

    def emit_group(self, entry: Instruction, result: str, reason: str, continued: bool = False) -> None:
        self.run.emit(
            "group-finished",
            pointer=entry.pointer,
            name=entry.item.name,
            result=result,
            reason=reason,
            continued=continued,
        )

    def save(self, pointer: int, stack: tuple[int, ...]) -> None:
        """The state goes to the disk between instructions, if there is a disk (observed)."""
        record = self.run.record
        if not self.run.facts.get("data_path"):
            record("We do not find an available volume to store the local data path", 1, "utils.cpp:2252")
        self.run.set("_SMSTSNextInstructionPointer", str(pointer))
        self.run.set("_SMSTSInstructionStackString", " ".join(map(str, stack)))
        if not self.run.records:
            return
        record("Save the current environment block", 0, "executionenv.cxx:827")
        if self.run.facts.get("data_path"):
            text = "Successfully save execution state and environment to local hard disk"
            record(text, 1, "engine.cxx:283")
            return
        record("Failed to save environment to  (80070057)", 2, "environmentlib.cpp:747")
        record("Failed to persist execution state. Error 0x(80070057)", 2, "executionenv.cxx:430")
        record("Failed to save execution state and environment to local hard disk", 2, "engine.cxx:286")

    # steps

    def step_begins(self, entry: Instruction, step: Step) -> Decision:
        """Whether the step is to run now: not disabled, condition true."""
        run = self.run
        if step.disabled:
            text = f"The action ({step.name}) has been skipped because it is disabled"
            run.record(text, 1, "instruction.cxx:680")
            self._skipped(step.name)
            self.emit_step(entry, "disabled", 0, "disabled")
            return False
        self.set_local_defaults(step)
        log_path = run.variables.value("_SMSTSLogPath")
        run.record(f"Set a global environment variable _SMSTSLogPath={log_path}", 0, "executionenv.cxx:662")
        return self._tested(entry)

    def set_local_defaults(self, step: Step) -> None:
        self.run.set_local_defaults(step, self._hidden_value(step))

    def _step_starts(self, step: Step) -> None:
        if not self.run.records:
            return
        run, shown = self.run, self.command(step)
        text = shown if self._hides_command(step) else step.action
        run.record(f"Expand a string: {text}", 0, "executionenv.cxx:776")
        run.record(f"Expand a string: {run.lookup('WorkingDirectory') or ''}", 0, "executionenv.cxx:776")
        run.record(f"Start executing the command line: {shown}", 1, "instruction.cxx:732")
        run.record(RULE, 1, "instruction.cxx:761")
        run.record(f"Expand a string: {step.run_in}", 0, "executionenv.cxx:776")

    def _hidden_value(self, step: Step) -> str:
        """What a Set Task Sequence Variable step hides: its action may have the value in clear."""
        name, value, secret = assigned(step)
        return value if secret or self.run.variables.is_secret(name) else ""

    def _hides_command(self, step: Step) -> bool:
        """Documented: OSDDoNotLogCommand keeps the command lines of programs out of the log."""
        kind = STEP_TYPES.get(step.type)
        hide = (self.run.lookup("OSDDoNotLogCommand") or "").casefold() == "true"
        return hide and kind is not None and kind.runs_commands

    def command(self, step: Step) -> str:
        """The action as the log may show it."""
        if self._hides_command(step):
            return f"{STEP_TYPES[step.type].program} ***"
        return self.run.expand_shown(step.action)

    def emit_step(
        self, entry: Instruction, result: str, code: int, reason: str, continued: bool = False
    ) -> None:
        step = entry.item
        self.run.emit(
            "step-finished",
            pointer=entry.pointer,
            name=step.name,
            type=step.type if isinstance(step, Step) else "group",
            result=result,
            code=code,
            reason=reason,
            continued=continued,
        )

    # TSManager itself

    def status(self, what: str, name: str = "") -> None:
        """A status message for the site; a run without one has it on the timeline."""
        self.run.emit("status", id=STATUS[what], what=what, name=name)

    def introduce(self, sequence: TaskSequence) -> None:
        """The read-only variables of the sequence itself, where the site has not set them already."""
        deploys = self.run.in_winpe or bool(self.run.variables.value("_SMSTSBootImageID"))
        values = {
            "_SMSTSType": "2" if deploys else "1",  # documented: an OS deployment, or a generic sequence
            "_SMSTSPackageID": sequence.package_id,
            "_SMSTSPackageName": sequence.name,
            "_SMSTSOrgName": "IT Organization",  # documented default
        }
        for name, value in values.items():
            if value and name not in self.run.variables:
                self.run.set(name, value)
        self.status("started" if not self.run.in_winpe else "started-without-client", sequence.name)

    def boots(self, facts: Mapping[str, Any]) -> None:
        """What comes before TSManager in a log that begins in Windows PE: how the machine got there.

        Observed wording; only the lines whose content the machine really knows. A run that a site deployed
        has had them: the bootstrap said them before it asked for policy (lab/client).
        """
        if not facts.get("in_winpe") or self.run.variables.value("_SMSTSAdvertID"):
            return
        pxe = facts.get("launch_mode") == "PXE"
        shell, bootstrap = "TSBootShell", "TSMBootstrap"
        self.run.record(f"{'=' * 24}[ TSBootShell.exe ]{'=' * 24}", 1, "bootshell.cpp:1055", shell)
        if pxe:
            self.run.record("Booted from network (PXE)", 1, "configpath.cpp:198", shell)
        self.run.record(f"{'=' * 30}[ TSMBootStrap.exe ]{'=' * 30}", 1, "tsmbootstrap.cpp:1165", bootstrap)
        if pxe:
            self.run.record("PXE Boot with Root = X:\\", 1, "tsmbootstrap.cpp:921", bootstrap)
            self.run.record("Executing from PXE in WinPE", 1, "tsmbootstrap.cpp:936", bootstrap)

    def manager_starts(self, version: str, pointer: int, instructions: int) -> None:
        """What TSManager says whenever it starts, at the beginning and after each restart."""
        record = self.run.record
        record("Successfully intialized Logging for TS Manager.", 1, "tsmanager.cpp:1009")
        record(f"UEFI: {'true' if self.run.facts.get('uefi') else 'false'}", 1, "tsmanager.cpp:1484")
        record("Parsing task sequence . . .", 1, "tsmanager.cpp:1839")
        record(f"Task sequence schema version is {version}", 0, "tsmanager.cpp:1758")
        record("Current supported schema version is 3.10 and 3.00", 0, "tsmanager.cpp:1766")
        record("Starting Task Sequence Engine . . . ", 1, "tsmanager.cpp:1263")
        record(ASTERISKS, 1, "tsmanager.cpp:1266")
        self.run.set("_SMSTSNextInstructionPointer", str(pointer))
        self.run.set("_SMSTSInstructionTableSize", str(instructions))
        for name in ("RebootRequested", "RebootMessage", "RebootReason", "RetryRequested"):
            self.run.set(f"SMSTS{name}", "")
        record("The task execution engine started execution", 1, "engine.cxx:94")

    def manager_fails(self, code: int) -> None:
        record = self.run.record
        record("Task Sequence Engine failed! Code: enExecutionFail", 3, "tsmanager.cpp:1306")
        record(ASTERISKS, 1, "tsmanager.cpp:1310")
        record(f"Task sequence execution failed with error code {code:08X}", 3, "tsmanager.cpp:1340")
        text = f"Error Task Sequence Manager failed to execute task sequence. Code 0x{code:08X}"
        record(text, 3, "tsmanager.cpp:1344")

    def restart_fails(self, name: str) -> None:
        """The lines that follow the reason why a requested restart could not be (observed)."""
        record = self.run.record
        text = "CheckForRebootRequest(&bRebootInitiated), HRESULT=80004005 (engine.cxx,274)"
        record(text, 3, "engine.cxx:274")
        record(
            f"Fatal error is returned in check for reboot request of the action ({name}).\n"
            f"{codes.system_message(codes.E_FAIL)}",
            3,
            "engine.cxx:275",
        )
        text = "An error (0x80004005) is encountered in execution of the task sequence"
        record(text, 3, "engine.cxx:347")

    def group_fails(self, name: str) -> None:
        self.run.record(
            f"The execution of the group ({name}) has failed and the execution has been "
            f"aborted. An action failed.\n{codes.system_message(codes.E_ABORT)}",
            3,
            "instruction.cxx:368",
        )
