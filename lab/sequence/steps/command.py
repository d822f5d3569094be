"""Run Command Line: smsswd.exe, with a package's content as working directory if one is named."""

from __future__ import annotations

import re
from functools import lru_cache

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import RunCommand
from lab.sequence.steps.content import download

_ACTION = re.compile(r"smsswd(?:\.exe)?\s+/run:(\S*)\s*(.*)", re.IGNORECASE | re.DOTALL)
_BANNER = " ================================ [ smsswd.exe ] ================================ "
#: Characters of output that a variable keeps (documented).
_KEPT = 1000


@lru_cache(maxsize=1024)
def _written(action: str) -> re.Match[str] | None:
    return _ACTION.fullmatch(action)


def run_command_line(context: StepContext) -> Behaviour:
    """Run the command line and return its exit code.

    Documented: an account other than Local System fails in Windows PE; a step's time limit ends the program.
    A script's variables and the output variable are set even when the command failed.
    """
    found = _written(context.step.action)
    package = context.expand(found.group(1)).strip() if found else ""
    line = found.group(2).strip() if found else ""
    # An export may hold the command in the argument only; MDT writes it as the action, without smsswd.exe.
    line = line or context.argument("CommandLine").strip() or ("" if found else context.step.action.strip())
    command, shown = context.expand(line), context.expand_shown(line)
    if context.enabled("OSDDoNotLogCommand"):
        shown = "***"
    context.record(_BANNER, file="main.cpp:305")
    context.record(f"PackageID = '{package}'", file="main.cpp:341")
    context.record("BaseVar = '', ContinueOnError=''", file="main.cpp:342")
    context.record(f"ProgramName = '{shown}'", file="main.cpp:343")
    context.record("SwdAction = '0001'", file="main.cpp:344")
    if not command:
        return context.fail("No command line is given", codes.INVALID_PARAMETER)
    as_user = context.enabled("_SMSTSRunCommandLineAsUser") or context.enabled("SMSTSRunCommandLineAsUser")
    if as_user and context.in_winpe:
        return context.fail("Running as another account is not possible in WinPE", codes.NOT_SUPPORTED)
    if as_user and not context.value("SMSTSRunCommandLineUserName"):
        return context.fail("No account is given to run the command as", codes.INVALID_PARAMETER)
    folder = context.value("WorkingDirectory")
    if package:
        content = yield from download(context, package)
        if content.code:
            return content.code
        folder = folder or content.folder
    context.record(f"Working dir '{folder or 'not set'}'", file="runcommandline.cpp:395")
    text = f"Executing command line: {shown} with options (0, 4)"
    context.record(text, file="commandline.cpp:805")
    outcome = yield RunCommand(command, folder, context.step.timeout, shown if shown != command else "")
    code = codes.unsigned(outcome.code)
    output = str(outcome.value.get("output") or "")
    for printed in output.splitlines():
        context.record(printed, file="runcommandline.cpp:560")
    if code == codes.TIMEOUT:
        context.record(f"Command line execution failed ({code:08X})", 3, "runcommandline.cpp:607")
    else:
        context.record(f"Process completed with exit code {code}", file="commandline.cpp:1102")
        context.record(f"Command line {shown} returned {code}", file="runcommandline.cpp:615")
    for name, value in (outcome.value.get("sets") or {}).items():
        # A refusal is the script's business: the COM object refuses, the script may go on.
        context.set_for_user(str(name), str(value))
    target = context.value("SMSTSRunCommandLineOutputVariableName").strip()
    if target:
        context.set_for_user(target, output.strip()[-_KEPT:], secret=context.is_secret_text(line))
    return code
