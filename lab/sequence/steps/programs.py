"""What the steps share that start a program: its records, its variables, its restart."""

from __future__ import annotations

from collections.abc import Generator

from lab.sequence import codes
from lab.sequence.context import StepContext
from lab.sequence.effects import Effect, Outcome, RunCommand

#: Exit codes of installers that mean: done, and the machine must restart (3010) or does already (1641).
SOFT_REBOOT, HARD_REBOOT = 3010, 1641


def run_program(
    context: StepContext, command: str, folder: str, timeout: int | None = None
) -> Generator[Effect, Outcome, int]:
    """Run a program of a package or application and give its exit code; what a script of it set is set."""
    line, shown = context.expand(command), context.expand_shown(command)
    if context.enabled("OSDDoNotLogCommand"):
        shown = "***"
    context.record(f"Executing command line: {shown} with options (0, 4)", file="commandline.cpp:805")
    context.record(f"Working dir '{folder or 'not set'}'", file="runcommandline.cpp:395")
    outcome = yield RunCommand(line, folder, timeout, shown if shown != line else "")
    code = codes.unsigned(outcome.code)
    for printed in str(outcome.value.get("output") or "").splitlines():
        context.record(printed, file="runcommandline.cpp:560")
    context.record(f"Process completed with exit code {code}", file="commandline.cpp:1102")
    for name, value in (outcome.value.get("sets") or {}).items():
        context.set_for_user(str(name), str(value))
    return code


def request_restart(context: StepContext) -> None:
    """Ask the engine to restart when the step is over: back into the environment that runs now."""
    if not context.variables.value("SMSTSRebootRequested"):
        context.set("SMSTSRebootRequested", "WinPE" if context.in_winpe else "HD")


def dynamic_list(context: StepContext, base: str, digits: int) -> list[str]:
    """The values of BASE01, BASE02, … (two digits) or BASE001, … (three), up to the first gap.

    Documented.
    """
    found: list[str] = []
    while base and len(found) < 10**digits - 1:
        value = context.variables.value(f"{base}{len(found) + 1:0{digits}}")
        if not value:
            break
        found.append(context.expand(value))
    return found


def restarts_borne(context: StepContext) -> int:
    """How often the step is tried again when the computer restarts unexpectedly (documented)."""
    text = context.argument("RetryCount").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 else context.step.retry_count


def standalone(context: StepContext) -> bool:
    """Whether the run comes from stand-alone media, where nothing of a site can be asked."""
    return context.variables.value("_SMSTSMediaType").casefold() == "fullmedia"
