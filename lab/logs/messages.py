"""The engine's messages and what they tell. Wording observed in public logs of several builds.

``PATTERNS``: (how the message begins, regular expression, name of the tracer's method without underscore).
The first that matches counts.
"""

from __future__ import annotations

import re

_FLAGS = re.IGNORECASE | re.DOTALL

#: The method's name, how its message begins, the rest. Names may hold any bracket, so they are greedy.
_SHAPES = (
    # 2013 to 2023 builds, and the 2024 build that quotes the name; a public article has lost a space.
    ("instruction", "Start executing an instruction",
     r"\. Instruction ?name: '(.*)'\. +Pointer: (\d+)\.(?: Type: '([^']*)'\.)?"),
    ("instruction", "Start executing an instruction",
     r"\. Instruction ?name: (.*?)(?:\. Instruction pointer: (\d+))?()\s*$"),
    ("condition", "The condition for the ", r"(group|action) \((.*)\) is evaluated to be (true|false)"),
    ("skipped", "The ", r"(group|action) \((.*)\) has been skipped because (.*)"),
    ("group_started", "The group (", r"(.*)\) has been successfully started"),
    ("group_completed", "The group (", r"(.*)\) has been successfully completed"),
    ("ignored", "The ", r"(group|action) \((.*)\) ignored "),
    ("group_failed", "The execution of the group (", r"(.*)\) has failed"),
    ("ignored", "The execution engine ignored the failure of the ", r"(group|action) \((.*?)\)"),
    ("command", "Start executing the command line: ", r"(.*)"),
    ("exited", "Process completed with exit code ", r"(-?\w+)"),
    ("completed", "Successfully completed the action (", r"(.*)\)(?: with the exit win32 code (-?\w+))?"),
    ("step_failed", "Failed to run the action: ", r"(.*?)\. Error (-?\w+)"),
    ("step_failed", "Failed to run the action: ",
     r"(.*?)\. *(?:\r?\n|This is usually|[A-Z][^\n]*\(Error|$)()"),
    ("last_action", "Failed to run the last action: ", r"(.*?)\. Execution of task sequence failed"),
    ("fatal", "Fatal error is returned in check for reboot request of the action (", r"(.*)\)\."),
    ("engine_failed", "Task sequence execution failed with error code ", r"(\w+)"),
    ("engine_failed", "Error Task Sequence Manager failed to execute task sequence. Code ", r"(\w+)"),
    ("engine_failed", "Task Sequence Engine failed! Code: ", r"()"),
    ("engine_failed", "An error (", r"(\w+)\) is encountered in execution of the task sequence"),
    ("result_code", "Execution engine result code: ", r"([A-Za-z]+)(?: \((-?\d+)\))?"),
    ("success", "The task exe", r"(?:ution|cution|uction) engine successfully completed the execution"),
    ("started", "The task execution engine started execution", r""),
    ("retry", "The action (", r"(.*)\) requested a retry"),
    ("reboot_request", "The action (", r"(.*)\) initiated a reboot request"),
    ("target", "SMSTSRebootRequested=", r"(.*)"),
    ("variable", "Set a global environment variable ", r"([^=]+)=(.*)"),
    ("rebooting", "Reboot to ", r"(local harddisk|winpe\b)"),
    ("bootstrap", "===", r"=*\[ ((?:TSMBootStrap|TSBootShell)\.exe) \]"),
    ("environment", "Command line: ", r".*tsmbootstrap\.exe\"?.*?/env:(\w+)"),
    ("in_winpe", "Executing from PXE in WinPE", r""),
    ("uefi", "UEFI: ", r"(true|false)"),
)  # fmt: skip

PATTERNS = tuple((start, re.compile(re.escape(start) + rest, _FLAGS), name) for name, start, rest in _SHAPES)

_ERROR = re.compile(r"\(Error: ([0-9A-Fa-f]{8});")


def code_of(text: str) -> int | None:
    """A code in a message: decimal, signed decimal or 0x; unsigned 32 bit. None when it is no number."""
    try:
        value = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return None
    return value & 0xFFFFFFFF if -0x80000000 <= value <= 0xFFFFFFFF else None


def error_code(message: str) -> int | None:
    """The code in ``Text (Error: 80070002; Source: Windows)``."""
    found = _ERROR.search(message)
    return int(found[1], 16) if found else None
