"""Install Software Updates: TSInstallSWUpdate.exe."""

from __future__ import annotations

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects_software import InstallUpdate, ReadPolicy
from lab.sequence.steps.programs import (
    HARD_REBOOT,
    SOFT_REBOOT,
    request_restart,
    restarts_borne,
    standalone,
)
from lab.sequence.steptype import Field

UPDATE_FIELDS = (
    Field("SMSInstallUpdateTarget", "Mandatory"),
    Field("SMSTSSoftwareUpdateScanUseCache", "true"),
    Field("SMSTSSoftwareUpdateScanTimeout", "3600"),
    Field("SMSTSWaitForSecondReboot", "0"),
)


def install_updates(context: StepContext) -> Behaviour:
    """Scan, and install what is deployed: all of it, or what is mandatory.

    Documented: not from stand-alone media; a scan that takes longer than SMSTSSoftwareUpdateScanTimeout
    fails. What the site has and how each update ends is the scenario's answer.
    """
    context.record("==============================[ TSInstallSWUpdate.exe ]==============================")
    if standalone(context):
        return context.fail("Updates cannot be installed from stand-alone media", codes.NOT_SUPPORTED)
    target = context.value("SMSInstallUpdateTarget", "Mandatory").strip().casefold()
    if target not in ("all", "mandatory"):
        return context.fail(f"The target is '{target}', not All or Mandatory", codes.INVALID_PARAMETER)
    cached = context.value("SMSTSSoftwareUpdateScanUseCache", "true").strip().casefold() == "true"
    context.record(f"Starting the software update scan ({'cached' if cached else 'full'})")
    policy = yield ReadPolicy("settings", "updates")
    updates = policy.value.get("found") or () if policy.ok else ()
    context.record(f"The scan found {len(updates)} updates")
    failed = 0
    for update in updates:
        name = str(update["name"])
        if target == "mandatory" and not update.get("mandatory", True):
            context.record(f"Update {name} is not mandatory")
            continue
        outcome = yield InstallUpdate(name)
        for _ in range(restarts_borne(context)):
            if codes.unsigned(outcome.code) != codes.CANCELLED:
                break
            context.record(f"The computer restarted unexpectedly while {name} was installed; trying again", 2)
            outcome = yield InstallUpdate(name)
        code = codes.unsigned(outcome.code)
        context.record(f"Update {name} ended with {code}", 1 if code in (0, SOFT_REBOOT, HARD_REBOOT) else 3)
        if code in (SOFT_REBOOT, HARD_REBOOT):
            request_restart(context)
        elif code:
            failed = failed or code
    if failed:
        return context.fail("An update could not be installed", failed)
    return 0
