"""Install Package: smsswd.exe /install, one program of a package or a dynamic list of them."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import Effect, Outcome
from lab.sequence.effects_software import ReadPolicy
from lab.sequence.steps.content import download
from lab.sequence.steps.programs import (
    HARD_REBOOT,
    SOFT_REBOOT,
    dynamic_list,
    request_restart,
    run_program,
    standalone,
)
from lab.sequence.steps.subsequence import NOT_RESOLVED
from lab.sequence.steptype import Field

SOFTWARE_FIELDS = (Field("_SMSSWDProgramName"),)
#: Documented for stand-alone media: the software distribution agent is disabled.
AGENT_DISABLED = 0x87D01004
_ENTRY = re.compile(r"([A-Z0-9]{3}[0-9A-F]{5}):(.+)")


def install_package(context: StepContext) -> Behaviour:
    """Install the program, even when it was installed before (R43).

    Documented: the list is BASE001, BASE002, … with PKGID:Program and ends at the first gap; without 001
    nothing is installed and that is success; an entry of another form fails. With ContinueOnInstallError the
    next program's turn comes, and the step succeeds (guess).
    """
    context.record("================================ [ smsswd.exe ] ================================")
    step = context.step
    package = context.expand(context.argument("PackageID")).strip()
    program = context.value("_SMSSWDProgramName") or context.expand(context.argument("ProgramName"))
    base = context.expand(context.argument("BaseVariableName")).strip()
    goes_on = context.argument("ContinueOnInstallError").strip().casefold() == "true"
    context.record(f"PackageID = '{package}'", file="main.cpp:341")
    context.record(f"BaseVar = '{base}', ContinueOnError='{str(goes_on).lower()}'", file="main.cpp:342")
    context.record(f"ProgramName = '{program.strip()}'", file="main.cpp:343")
    if base:
        if standalone(context):
            return context.fail("A dynamic list cannot be used from stand-alone media", AGENT_DISABLED)
        entries = dynamic_list(context, base, 3)
        if not entries:
            context.record(f"There is no variable {base}001: nothing to install")
            return 0
        wanted = []
        for entry in entries:
            found = _ENTRY.fullmatch(entry.strip())
            if not found:
                return context.fail(f"'{entry}' is not PACKAGE:Program", codes.INVALID_PARAMETER)
            wanted.append((found.group(1), found.group(2)))
    else:
        if not package or not program.strip():
            return context.fail("No package and program are named", codes.INVALID_PARAMETER)
        wanted = [(package, program)]
    for identifier, name in wanted:
        code = yield from _install(context, identifier, name.strip())
        if not code:
            continue
        if not (base and goes_on):
            return code
        context.record(f"{step.name}: going on after the failure of {identifier}:{name}", 2)
    return 0


def _install(context: StepContext, package: str, name: str) -> Generator[Effect, Outcome, int]:
    policy = yield ReadPolicy("packages", package.upper())
    if not policy.ok:
        return context.fail(f"There is no policy for package {package}", NOT_RESOLVED)
    programs: dict[str, Any] = _found(policy).get("programs") or {}
    program = next((programs[key] for key in programs if key.casefold() == name.casefold()), None)
    if program is None:
        return context.fail(f"Package {package} has no program '{name}'", NOT_RESOLVED)
    if not program.get("install_without_deployment", True):
        text = f"The program '{name}' does not allow to be installed without being deployed"
        return context.fail(text, codes.E_FAIL)
    folder = ""
    if _found(policy).get("content", True):
        content = yield from download(context, package.upper())
        if content.code:
            return content.code
        folder = content.folder
    timeout = program.get("timeout") or context.step.timeout
    code = yield from run_program(
        context, str(program.get("command") or ""), str(program.get("working_directory") or folder), timeout
    )
    if code in (SOFT_REBOOT, HARD_REBOOT):
        request_restart(context)
        return 0
    if code:
        return context.fail(f"The program '{name}' of package {package} failed", code)
    return 0


def _found(policy: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = policy.value.get("found") or {}
    return found
