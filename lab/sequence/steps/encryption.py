"""BitLocker and dynamic disks: the lab encrypts nothing and converts nothing, it says what was asked for.

Each of these steps checks what the product checks, and then yields an Intent: on any fidelity its outcome is
"modelled", so that no run claims more than happened.
"""

from __future__ import annotations

import re

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects_imaging import Intent
from lab.sequence.steps.image import given_options, volume_of

_BANNER = "==============================[ OSDBitLocker.exe ]=============================="
_MODES = ("tpm", "key", "tpmandkey", "tpmandpin", "tpmandpinandkey")
#: Windows' TBS_E_TPM_NOT_FOUND; that the step ends with it is a guess.
TPM_NOT_FOUND = 0x8028400F


def enable_bitlocker(context: StepContext) -> Behaviour:
    """Ask for encryption of a volume of the running system.

    A mode that needs a TPM fails without one, unless the step skips then (documented: not by default).
    """
    context.record(_BANNER)
    given = given_options(context)
    drive = (given.get("drive") or context.argument("TargetDrive") or "C:")[:2].upper()
    mode = (given.get("mode") or context.argument("Mode") or "TPM").casefold()
    if mode not in _MODES:
        return context.fail(f"Unknown key management '{mode}'", codes.INVALID_PARAMETER)
    if drive not in (context.facts.get("volumes") or {}):
        return context.fail(f"There is no volume {drive}", codes.PATH_NOT_FOUND)
    if "pin" in mode and not context.value("OSDBitLockerPIN"):
        return context.fail("The PIN is not given", codes.INVALID_PARAMETER)
    if mode != "key" and not context.facts.get("tpm"):
        skips = _says(context, given, "SkipWhenTPMInvalid", "skiptpm", "ignoretpm", default="false")
        return _no_tpm(context, skips)
    parameters = {
        "drive": drive,
        "mode": mode,
        "recovery-key": (given.get("pwd") or "AD"),
        "wait": given.get("wait", "False").casefold(),
        "full-disk": given.get("full", "False").casefold(),
    }
    if given.get("keydrive"):
        parameters["key-drive"] = given["keydrive"]
    for name, shown in (("OSDBitLockerPIN", "pin"), ("OSDBitLockerRecoveryPassword", "recovery-password")):
        if context.value(name):
            parameters[shown] = "***"
    return (yield from _intend(context, "enable-bitlocker", parameters))


def preprovision_bitlocker(context: StepContext) -> Behaviour:
    """Ask for encryption of the used space before the system is applied (documented: skips without a TPM)."""
    context.record("==============================[ OSDOfflineBitlocker.exe ]==============================")
    given = given_options(context)
    target = given.get("drive") or context.value(context.argument("OSDBitLockerDestinationVariable") or "-")
    volume = volume_of(context, target)
    if not volume:
        return context.fail(f"There is no volume '{target or 'next available'}'", codes.PATH_NOT_FOUND)
    if not context.facts.get("tpm"):
        skips = _says(context, given, "OSDBitLockerSkipWhenTPMInvalid", "ignoretpm", default="true")
        return _no_tpm(context, skips)
    parameters = {"drive": volume, "full-disk": given.get("full", "False").casefold()}
    return (yield from _intend(context, "preprovision-bitlocker", parameters))


def disable_bitlocker(context: StepContext) -> Behaviour:
    """Ask for the protectors to be suspended for OSDBitLockerRebootCount restarts (documented: 1 to 15, or 0
    for until it is enabled again)."""
    context.record(_BANNER)
    given = given_options(context)
    drive = (given.get("drive") or "C:")[:2].upper()
    count = context.variables.value("OSDBitLockerRebootCountOverride") or context.value(
        "OSDBitLockerRebootCount", "1"
    )
    if not re.fullmatch(r"\d{1,2}", count.strip()) or int(count) > 15:
        return context.fail(f"The restart count is '{count}'", codes.INVALID_PARAMETER)
    if drive not in (context.facts.get("volumes") or {}):
        return context.fail(f"There is no volume {drive}", codes.PATH_NOT_FOUND)
    return (yield from _intend(context, "disable-bitlocker", {"drive": drive, "restarts": count.strip()}))


def convert_disk(context: StepContext) -> Behaviour:
    """Ask for a dynamic disk. One that is not there fails; the disk itself stays basic."""
    context.record("==============================[ OSDDiskPart.exe ]==============================")
    index = context.value("OSDConvertDiskIndex", "0").strip()
    if not any(str(disk["index"]) == index for disk in context.facts.get("disks") or ()):
        return context.fail(f"There is no disk {index}", codes.ELEMENT_NOT_FOUND)
    return (yield from _intend(context, "convert-to-dynamic-disk", {"disk": index}))


def _says(context: StepContext, given: dict[str, str], *names: str, default: str) -> bool:
    """Whether an option or argument of one of these names is true."""
    found = (given.get(name.casefold()) or context.argument(name) for name in names)
    return next((text for text in found if text), default).strip().casefold() == "true"


def _no_tpm(context: StepContext, skips: bool) -> int:
    if skips:
        context.record("The machine has no TPM that can be used: the step is skipped", 2)
        return 0
    return context.fail("The machine has no TPM that can be used", TPM_NOT_FOUND)


def _intend(context: StepContext, action: str, parameters: dict[str, str]) -> Behaviour:
    outcome = yield Intent(action, parameters)
    if not outcome.ok:
        return context.fail(f"Failed: {action}", outcome.code)
    said = ", ".join(f"{name}={value}" for name, value in parameters.items())
    context.record(f"Intent only, nothing was done to the disk: {action} {said}", 2)
    return 0
