"""Check Readiness: OSDPrestartCheck.exe. Every check is made and logged; then one that failed counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects_software import GatherInventory
from lab.sequence.steptype import Field

#: ERROR_RESOURCE_NOT_FOUND: what a machine that is not ready gives (documented).
NOT_READY = 4316

Inventory = dict[str, Any]
Holds = Callable[[Inventory, str], bool]


def _number(text: str) -> float:
    try:
        return float(text.strip() or 0)
    except ValueError:
        return float("inf")  # a wish that is no number is never met


def dotted(version: str) -> tuple[int, ...]:
    """A version's numeric fields; what is no number counts 0."""
    return tuple(int(part) if part.isascii() and part.isdigit() else 0 for part in version.strip().split("."))


def _least(key: str) -> Holds:
    return lambda facts, wanted: float(facts.get(key) or 0) >= _number(wanted)


def _same(key: str) -> Holds:
    return lambda facts, wanted: str(facts.get(key) or "").casefold() == wanted.strip().casefold()


def _is(key: str) -> Holds:
    return lambda facts, wanted: bool(facts.get(key))


def _architecture(facts: Inventory, wanted: str) -> bool:
    bits = {"x64": "64", "x86": "32", "arm64": "arm64"}[str(facts.get("architecture") or "x64")]
    text = wanted.casefold().replace("-bit", "").replace("bit", "").strip()
    return text in (bits, str(facts.get("architecture")))


def _version(key: str, most: bool = False) -> Holds:
    def holds(facts: Inventory, wanted: str) -> bool:
        have = dotted(str(facts.get(key) or "0"))
        return have <= dotted(wanted) if most else have >= dotted(wanted)

    return holds


def _language(facts: Inventory, wanted: str) -> bool:
    return str(facts.get("os_language") or "") in wanted.replace(";", ",").replace(" ", "").split(",")


#: switch, its default, the wish's variable and default, the output, what must hold.
_CHECKS: tuple[tuple[str, str, str, str, str, Holds], ...] = (
    ("OSDCheckMemory", "true", "OSDMemory", "512", "MEMORY", _least("memory")),
    ("OSDCheckProcessorSpeed", "true", "OSDProcessorSpeed", "800", "SPEED", _least("processor_speed")),
    ("OSDCheckFreeDiskSpace", "true", "OSDFreeDiskSpace", "25000", "DISK", _least("free_disk")),
    ("OSDCheckOSType", "true", "OSDOSType", "CLIENT", "OSTYPE", _same("os_type")),
    ("OSDCheckOSArchitecture", "false", "OSDOSArchitecture", "64", "ARCHITECTURE", _architecture),
    ("OSDCheckMinOSVersion", "false", "OSDMinOSVersion", "", "MINOSVER", _version("os_version")),
    ("OSDCheckMaxOSVersion", "false", "OSDMaxOSVersion", "", "MAXOSVER", _version("os_version", most=True)),
    ("OSDCheckCMClientMinVersion", "false", "OSDCMClientMinVersion", "", "CLIENTMINVER",
     _version("client_version")),
    ("OSDCheckOSLanguageID", "false", "OSDOSLanguageID", "", "OSLANGUAGE", _language),
    ("OSDCheckPowerState", "false", "", "", "ACPOWER", _is("ac_power")),
    ("OSDCheckNetworkConnected", "false", "", "", "NETWORK", _is("network")),
    ("OSDCheckNetworkWired", "false", "", "", "WIRED", _is("wired")),
    ("OSDCheckDeviceUEFI", "false", "", "", "UEFI", _is("uefi")),
    ("OSDCheckTPMEnabled", "false", "", "", "TPMENABLED", _is("tpm_enabled")),
    ("OSDCheckTPMActivated", "false", "", "", "TPMACTIVATED", _is("tpm_activated")),
)  # fmt: skip

READINESS_FIELDS = tuple(
    field
    for switch, default, wish, wanted, _, _ in _CHECKS
    for field in (Field(switch, default), *([Field(wish, wanted)] if wish else []))
)


def check_readiness(context: StepContext) -> Behaviour:
    """Make all checks, set the ``_TS_CR*`` variables (1 passed, 0 failed, none: not checked)."""
    context.record("==============================[ OSDPrestartCheck.exe ]==============================")
    outcome = yield GatherInventory()
    if not outcome.ok:
        return context.fail("The machine could not be looked at", outcome.code)
    failed = False
    for switch, default, wish, wanted, output, holds in _CHECKS:
        if context.value(switch, default).strip().casefold() != "true":
            context.set(f"_TS_CR{output}", "")
            continue
        wished = context.value(wish, wanted) if wish else "true"
        passed = holds(outcome.value, wished)
        failed |= not passed
        context.set(f"_TS_CR{output}", "1" if passed else "0")
        text = f"{switch} ({wished}): {'passed' if passed else 'failed'}"
        context.record(text, 1 if passed else 3, "prestartcheck.cpp:200")
    if failed:
        return context.fail("The machine does not meet what the sequence asks for", NOT_READY)
    return 0
