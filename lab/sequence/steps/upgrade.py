"""Upgrade Operating System: OSDUpgradeOS.exe runs Windows' setup.exe, which only a double can answer."""

from __future__ import annotations

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import RunCommand
from lab.sequence.steps.content import download

_RETURN_CODE = "_SMSTSOSUpgradeActionReturnCode"
#: What setup.exe says when a scan found nothing in the way (documented).
_NO_ISSUES = 0xC1900210


def upgrade_operating_system(context: StepContext) -> Behaviour:
    """Run setup.exe of the upgrade package; then the machine restarts into the new system.

    Documented: the result is in _SMSTSOSUpgradeActionReturnCode, of a scan too, where 0xC1900210 is success.
    """
    context.record("==============================[ OSDUpgradeOS.exe ]==============================")
    if context.retries:
        context.record("Windows setup is complete, the sequence goes on in the new system")
        return 0
    scan = context.enabled("OSDUpgradeScanOnly")
    folder = context.value("OSDUpgradeInstallPath").strip()
    package = context.value("OSDUpgradeInstallPackageID").strip()
    if not folder:
        if not package:
            return context.fail(
                "Neither package nor path of the new system is given", codes.INVALID_PARAMETER
            )
        content = yield from download(context, package)
        if content.code:
            return content.code
        folder = content.folder
    staged = context.value("OSDUpgradeStagedContent").strip()
    drivers = context.value("OSDUpgradeDriverPackageID").strip()
    if drivers and not staged:
        content = yield from download(context, drivers)
        if content.code:
            return content.code
        staged = content.folder
    words = [f'"{folder}\\setup.exe"', "/ImageIndex", context.value("OSDUpgradeInstallEditionIndex", "1")]
    words += ["/auto", context.value("OSDUpgradePreserveSettings", "Upgrade"), "/quiet", "/noreboot"]
    if staged:
        words += ["/InstallDrivers", f'"{staged}"']
    updates = context.value("OSDUpgradeDynamicUpdateSettings", "Disable")
    words += ["/DynamicUpdate", "Disable" if updates.casefold() == "disable" else "Enable"]
    if scan:
        words += ["/Compat", "ScanOnly"]
    if context.enabled("OSDUpgradeIgnoreMessages"):
        words += ["/Compat", "IgnoreWarning"]
    extra = context.value("OSDSetupAdditionalUpgradeOptions")
    key = context.value("OSDUpgradeOsProductKey")
    shown = " ".join([*words, *(["/PKey", "***"] if key else []), *([extra] if extra else [])])
    command = " ".join([*words, *(["/PKey", key] if key else []), *([extra] if extra else [])])
    context.record(f"Executing command line: {shown}", file="upgradeos.cpp:400")
    minutes = context.value("OSDUpgradeSetupTimeout").strip() or context.value("SetupTimeout").strip()
    timeout = int(minutes) * 60 if minutes.isascii() and minutes.isdigit() and len(minutes) < 6 else None
    outcome = yield RunCommand(command, folder, timeout or context.step.timeout, shown if key else "")
    code = codes.unsigned(outcome.code)
    context.set(_RETURN_CODE, str(code))
    context.record(f"Windows setup returned {codes.describe(code)}", file="upgradeos.cpp:420")
    if scan:
        return 0 if code == _NO_ISSUES else code
    if code not in (0, codes.REBOOT_REQUIRED):
        context.set("_SMSTSSetupRollback", "true")
        return context.fail("Windows setup failed", code)
    context.set("SMSTSRetryRequested", "true")
    context.set("SMSTSRebootRequested", "HD")
    return 0
