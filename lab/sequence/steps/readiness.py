"""Check Readiness: OSDPrestartCheck.exe. Every check is made and logged; then one that failed counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.sequence.context import Behaviour, StepContext
from lab.sequence.expressions import version_order
from lab.sequence.inventory import Asked, Inventory
from lab.sequence.steptype import Field

#: ERROR_RESOURCE_NOT_FOUND: what a machine that is not ready gives (documented).
NOT_READY = 4316

#: What the machine has, what is wished -> whether that is enough.
Enough = Callable[[Any, str], bool]


def _least(have: int, wanted: str) -> bool:
    try:
        return have >= float(wanted.strip() or 0)
    except ValueError:
        return False  # a wish that is no number is never met


def _same(have: str, wanted: str) -> bool:
    return have.casefold() == wanted.strip().casefold()


def _is(have: bool, wanted: str) -> bool:
    return have


def _architecture(have: str, wanted: str) -> bool:
    bits = {"x64": "64", "x86": "32", "arm64": "arm64"}[have]
    return wanted.casefold().replace("-bit", "").replace("bit", "").strip() in (bits, have)


def _at_least(have: str, wanted: str) -> bool:
    return version_order(have, wanted or "0") in (0, 1)


def _at_most(have: str, wanted: str) -> bool:
    return version_order(have, wanted or "0") in (0, -1)


def _one_of(have: str, wanted: str) -> bool:
    return have in wanted.replace(";", ",").replace(" ", "").split(",")


#: switch, its default, the wish's variable and default, the output, the question, when it is enough.
_CHECKS: tuple[tuple[str, str, str, str, str, Callable[[Inventory], Asked], Enough], ...] = (
    ("OSDCheckMemory", "true", "OSDMemory", "512", "MEMORY", Inventory.memory, _least),
    ("OSDCheckProcessorSpeed", "true", "OSDProcessorSpeed", "800", "SPEED", Inventory.processor_speed,
     _least),
    ("OSDCheckFreeDiskSpace", "true", "OSDFreeDiskSpace", "25000", "DISK", Inventory.free_disk, _least),
    ("OSDCheckOSType", "true", "OSDOSType", "CLIENT", "OSTYPE", Inventory.os_type, _same),
    ("OSDCheckOSArchitecture", "false", "OSDOSArchitecture", "64", "ARCHITECTURE", Inventory.architecture,
     _architecture),
    ("OSDCheckMinOSVersion", "false", "OSDMinOSVersion", "", "MINOSVER", Inventory.os_version, _at_least),
    ("OSDCheckMaxOSVersion", "false", "OSDMaxOSVersion", "", "MAXOSVER", Inventory.os_version, _at_most),
    ("OSDCheckCMClientMinVersion", "false", "OSDCMClientMinVersion", "", "CLIENTMINVER",
     Inventory.client_version, _at_least),
    ("OSDCheckOSLanguageID", "false", "OSDOSLanguageID", "", "OSLANGUAGE", Inventory.os_language, _one_of),
    ("OSDCheckPowerState", "false", "", "", "ACPOWER", Inventory.ac_power, _is),
    ("OSDCheckNetworkConnected", "false", "", "", "NETWORK", Inventory.network, _is),
    ("OSDCheckNetworkWired", "false", "", "", "WIRED", Inventory.wired, _is),
    ("OSDCheckDeviceUEFI", "false", "", "", "UEFI", Inventory.uefi, _is),
    ("OSDCheckTPMEnabled", "false", "", "", "TPMENABLED", Inventory.tpm_enabled, _is),
    ("OSDCheckTPMActivated", "false", "", "", "TPMACTIVATED", Inventory.tpm_activated, _is),
)  # fmt: skip

READINESS_FIELDS = tuple(
    field
    for switch, default, wish, wanted, *_ in _CHECKS
    for field in (Field(switch, default), *([Field(wish, wanted)] if wish else []))
)


def check_readiness(context: StepContext) -> Behaviour:
    """Make all checks, set the ``_TS_CR*`` variables (1 passed, 0 failed, none: not checked)."""
    context.record("==============================[ OSDPrestartCheck.exe ]==============================")
    inventory, failed = Inventory(context), False
    for switch, default, wish, wanted, output, question, enough in _CHECKS:
        if context.value(switch, default).strip().casefold() != "true":
            context.set(f"_TS_CR{output}", "")
            continue
        wished = context.value(wish, wanted) if wish else "true"
        passed = enough((yield from question(inventory)), wished)
        failed |= not passed
        context.set(f"_TS_CR{output}", "1" if passed else "0")
        text = f"{switch} ({wished}): {'passed' if passed else 'failed'}"
        context.record(text, 1 if passed else 3, "prestartcheck.cpp:200")
    if failed:
        return context.fail("The machine does not meet what the sequence asks for", NOT_READY)
    return 0
