"""The Microsoft Deployment Toolkit's steps: scripts that a double answers.

Of two of them more is known (observed in the toolkit's own scripts): the toolkit package's step says where
scripts and deployment share are, and Gather says what the machine is. Both set what they can know of the
machine's facts, and a double may set the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import RunCommand
from lab.sequence.model import Step
from lab.sequence.steps.content import download

_PACKAGE = re.compile(r"smsswd(?:\.exe)?\s+/run:(\S*)\s*(.*)", re.IGNORECASE | re.DOTALL)
_SCRIPT = re.compile(r"[cw]script(?:\.exe)?\b", re.IGNORECASE)
#: The facts' name of an architecture -> the toolkit's.
_ARCHITECTURES = {"x64": "X64", "x86": "X86", "arm64": "ARM64"}


def run_script(context: StepContext, *, optional: bool = False) -> Behaviour:
    """Run the step's script, with the content of its package as the folder it starts in."""
    found = _PACKAGE.fullmatch(context.step.action.strip())
    package = context.expand(found.group(1)).strip() if found else ""
    line = (found.group(2) if found else context.step.action).strip()
    command, shown = context.expand(line), context.expand_shown(line)
    if context.enabled("OSDDoNotLogCommand"):
        shown = "***"
    if not command:
        return context.fail("No command line is given", codes.INVALID_PARAMETER)
    folder = context.value("WorkingDirectory")
    if package:
        content = yield from download(context, package)
        if content.code:
            return content.code
        folder = folder or content.folder
    context.record(f"Executing command line: {shown}", file="commandline.cpp:805")
    outcome = yield RunCommand(
        command, folder, context.step.timeout, shown if shown != command else "", optional
    )
    code = codes.unsigned(outcome.code)
    for printed in str(outcome.value.get("output") or "").splitlines():
        context.record(printed, file="runcommandline.cpp:560")
    context.record(f"Command line {shown} returned {code}", file="runcommandline.cpp:615")
    for name, value in (outcome.value.get("sets") or {}).items():
        context.set_for_user(str(name), str(value))
    return code


def script(context: StepContext) -> Behaviour:
    """A step of the toolkit that is its script and nothing else."""
    return run_script(context)


def is_script(step: Step) -> bool:
    """Whether a built-in type is used with a script of the toolkit: that runs where the step says, not where
    the type's own program does (observed: templates that run ZTINICConfig.wsf in the full OS)."""
    return _SCRIPT.match(step.action.strip().lstrip('"')) is not None


def scripted(behaviour: Callable[[StepContext], Behaviour]) -> Callable[[StepContext], Behaviour]:
    """A built-in type that the toolkit uses with a script of its own: the action says which it is."""

    def either(context: StepContext) -> Behaviour:
        if is_script(context.step):
            return run_script(context)
        return behaviour(context)

    return either


def use_package(context: StepContext) -> Behaviour:
    """Get the toolkit package and say where it is: DeployRoot, ScriptRoot, ToolRoot."""
    found = _PACKAGE.fullmatch(context.step.action.strip())
    package = (context.expand(found.group(1)).strip() if found else "") or context.argument("PackageID")
    if not package:
        return context.fail("No toolkit package is given", codes.INVALID_PARAMETER)
    code = yield from run_script(context, optional=True)
    if code:
        return code
    root = f"{context.data_path}\\Packages\\{package}"
    tools = {"x64": "x64", "x86": "x86"}.get(str(context.facts.get("architecture")), "x64")
    for name, value in (
        ("DeployRoot", root),
        ("ScriptRoot", f"{root}\\Scripts"),
        ("ToolRoot", f"{root}\\Tools\\{tools}"),
        ("DeploymentMethod", "SCCM"),
    ):
        context.set(name, value)
    return 0


def gather(context: StepContext) -> Behaviour:
    """Say what the machine is. A rules file is the script's business: without a double it is not read."""
    facts = context.facts
    known = {
        "Architecture": _ARCHITECTURES.get(str(facts.get("architecture")), "X64"),
        "IsUEFI": "True" if facts.get("uefi") else "False",
        "UUID": str(facts.get("uuid") or "").upper(),
        "MacAddress001": str(facts.get("mac") or "").upper(),
        "OSVersion": "WinPE" if context.in_winpe else "",
        "HostName": str(facts.get("machine_name") or ""),
        "DeploymentType": ""
        if context.variables.value("DeploymentType")
        else "NEWCOMPUTER"
        if context.in_winpe
        else "REFRESH",
    }
    for name, value in known.items():
        if value:
            context.set(name, value)
    rules = context.argument("RulesFile")
    if rules and context.argument("GatherLocalOnly").strip().casefold() != "true":
        context.record(f"The rules of {rules} are the script's: what they set, a double must set", 2)
    return (yield from run_script(context, optional=True))
