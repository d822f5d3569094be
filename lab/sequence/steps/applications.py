"""Install Application: smsappinstall.exe. Requirements, detection, return codes, dependencies, retries."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import Effect, Outcome
from lab.sequence.effects_software import Pause, ReadPolicy
from lab.sequence.steps.content import download
from lab.sequence.steps.detection import all_hold
from lab.sequence.steps.programs import (
    dynamic_list,
    request_restart,
    restarts_borne,
    run_program,
    standalone,
)
from lab.sequence.steptype import Field

APPLICATION_FIELDS = (
    Field("OSDAppCount"),
    Field("OSDAppClearCache", "false"),
    Field("OSDAppInstallRetries", "0"),
    Field("OSDAppInstallRetryTimeout", "30000"),
    Field("TSErrorOnWarning", "false"),
)
#: What the program ends with when an application failed: E_FAIL cut to 16 bits (guess).
FAILED = 16389
NOT_FOUND = 0x87D00215
NOT_DETECTED = 0x87D00324
#: A package's return codes when its own table says nothing (documented).
RETURN_CODES = {0: "success", 1707: "success", 3010: "soft-reboot", 1641: "hard-reboot", 1618: "fast-retry"}
#: How often an installer is tried again that met another one, if the step asks for no retries (guess).
_FAST_RETRIES = 3
_DEEPEST = 20

App = Mapping[str, Any]
#: "success", "warning" (its requirements do not hold) or "error", and the code.
Result = tuple[str, int]


def install_application(context: StepContext) -> Behaviour:
    """Install the applications of the step, or of a dynamic list (BASE01, BASE02, … up to the first gap).

    Documented: a name in the list that is no application is passed over; without BASE01 nothing is installed
    and that is success; _TSAppInstallStatus is Error, Warning or Success at the end, Undefined before;
    TSErrorOnWarning makes a warning fail the step.
    """
    context.record("==============================[ smsappinstall.exe ]==============================")
    context.set("_TSAppInstallStatus", "Undefined")
    base = context.expand(context.argument("BaseVariableName")).strip()
    goes_on = context.argument("ContinueOnInstallError").strip().casefold() == "true"
    if base and standalone(context):
        return context.fail("A dynamic list cannot be used from stand-alone media", codes.NOT_SUPPORTED)
    names = dynamic_list(context, base, 2) if base else _named(context)
    if not names:
        context.record(f"There is no variable {base}01: nothing to install" if base else "Nothing to install")
        context.set("_TSAppInstallStatus", "Success")
        return 0
    worst = "success"
    for name in names:
        policy = yield ReadPolicy("applications", name)
        if not policy.ok:
            text = f"There is no application '{name}'"
            if base:
                context.record(f"{text}; going on with the next one", 2)
                continue
            context.record(f"{text}\n{codes.system_message(NOT_FOUND)}", 3)
            status, code = "error", NOT_FOUND
        else:
            status, code = yield from _with_retries(context, _found(policy), goes_on)
        if status == "error" or worst == "success":
            worst = status
        if status == "error" and not goes_on:
            context.set("_TSAppInstallStatus", "Error")
            text = f"Installation of '{name}' failed ({codes.hexadecimal(code)})"
            context.record(f"{text}\n{codes.system_message(code)}", 3, "installapplication.cpp:900")
            return FAILED
    context.set("_TSAppInstallStatus", worst.capitalize())
    if worst == "warning" and context.enabled("TSErrorOnWarning"):
        return context.fail("An application was not installed, and warnings are errors", FAILED)
    return 0


def _named(context: StepContext) -> list[str]:
    """The applications that the step itself names."""
    given = context.expand(context.argument("ApplicationName"))
    found = [name.strip() for name in given.split(",") if name.strip()]
    if not found:
        count = context.value("OSDAppCount").strip()
        number = int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 0
        found = [name for index in range(number) if (name := context.value(f"OSDApp{index}Name").strip())]
    return found


def _with_retries(context: StepContext, app: App, goes_on: bool) -> Generator[Effect, Outcome, Result]:
    """Documented: retries are made only where the step does not go on after a failure; what an unexpected
    restart interrupted is tried again RetryCount times."""
    interruptions = 0
    retries = 0 if goes_on else _count(context, "OSDAppInstallRetries", 0)
    pause = _count(context, "OSDAppInstallRetryTimeout", 30000) / 1000
    tried = 0
    while True:
        result = yield from _install(context, app, 0)
        if result == ("error", codes.CANCELLED) and interruptions < restarts_borne(context):
            interruptions += 1
            context.record(f"The computer restarted unexpectedly; trying again ({interruptions})", 2)
            continue
        busy = result[1] == 1618
        if result[0] != "error" or tried >= (max(retries, _FAST_RETRIES) if busy else retries):
            return result
        tried += 1
        context.set("_SMSTSAppInstallNeedsRetry", "true")
        context.record(f"Trying again in {pause:g} s ({tried})", 2, "installapplication.cpp:800")
        yield Pause(pause)


def _install(context: StepContext, app: App, depth: int) -> Generator[Effect, Outcome, Result]:
    name = str(app.get("name") or app.get("model") or "")
    if depth > _DEEPEST:
        context.record(f"The dependencies of '{name}' have no end", 3)
        return "error", codes.E_FAIL
    if not app.get("allow_task_sequence", True):
        context.record(f"'{name}' may not be installed from a task sequence", 3)
        return "error", codes.E_FAIL
    if (yield from _detected(context, app)):
        context.record(f"'{name}' is installed already", file="installapplication.cpp:500")
        return "success", 0
    if not (yield from all_hold(context, app.get("requirements") or ())):
        context.record(f"The requirements of '{name}' do not hold", 2, "installapplication.cpp:510")
        return "warning", 0
    for other in app.get("dependencies") or ():
        policy = yield ReadPolicy("applications", str(other))
        if not policy.ok:
            context.record(f"'{name}' depends on '{other}', which does not exist", 3)
            return "error", NOT_FOUND
        result = yield from _install(context, _found(policy), depth + 1)
        if result[0] != "success":
            return result
    folder = ""
    package = str(app.get("content") or "")
    if package:
        content = yield from download(context, package.upper())
        if content.code:
            return "error", content.code
        folder = content.folder
    context.record(f"Installing '{name}'", file="installapplication.cpp:600")
    code = yield from run_program(context, str(app.get("install") or ""), folder, app.get("timeout"))
    table = RETURN_CODES | {int(key): value for key, value in (app.get("return_codes") or {}).items()}
    meaning = table.get(code, "failure")
    context.record(f"Exit code {code} means {meaning}", file="installapplication.cpp:650")
    if meaning in ("failure", "fast-retry"):
        return "error", code
    if meaning in ("soft-reboot", "hard-reboot"):
        request_restart(context)
    # After a hard restart the installer may not be done: it is detected when the machine is back.
    if meaning != "hard-reboot" and app.get("detection") and not (yield from _detected(context, app)):
        context.record(f"'{name}' is not detected after its installation", 3)
        return "error", NOT_DETECTED
    return "success", 0


def _detected(context: StepContext, app: App) -> Generator[Effect, Outcome, bool]:
    rules = app.get("detection") or ()
    return bool(rules) and (yield from all_hold(context, rules))


def _count(context: StepContext, name: str, default: int) -> int:
    text = context.value(name).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _found(policy: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = policy.value.get("found") or {}
    return found
