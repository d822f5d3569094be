"""Settings and user state of the old Windows: captured before it is wiped, given to the new one.

USMT itself is a Windows program; the lab copies the profiles' files for real and puts the command line that
scanstate or loadstate would have had into the log.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import Effect, Outcome
from lab.sequence.effects_imaging import CopyTree, ReadHive
from lab.sequence.steps.capture import TCPIP_KEY, text_of
from lab.sequence.steps.content import download

_CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control"
_VERSION_KEY = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
#: Profiles that are Windows' own, and stay with it.
_NOT_MIGRATED = ("Default", "Default User", "All Users", "desktop.ini")
#: Where a store keeps what was on C: (documented shape of an uncompressed USMT store).
_IN_STORE = r"USMT\File\C$\Users"
_NET_BANNER = "==============================[ OSDNetSettings.exe ]=============================="
_WIN_BANNER = "==============================[ OSDWinSettings.exe ]=============================="
_STATE_BANNER = "==============================[ OSDMigrateUserState.exe ]=============================="
_STORE_BANNER = "==============================[ OSDSmpClient.exe ]=============================="


def _old_windows(context: StepContext) -> Generator[Effect, Outcome, tuple[str, Outcome]]:
    """The volume of the Windows to look at, and the outcome of reading its name; "" when there is none."""
    key = f"{_CONTROL}\\ComputerName\\ComputerName"
    known: dict[str, Any] = context.facts.get("volumes") or {}
    letters = sorted(letter for letter in known if letter != "X:") if context.in_winpe else ["C:"]
    detected = context.variables.value("_OSDDetectedWinDrive").strip()[:2].upper()
    read = Outcome(codes.FILE_NOT_FOUND)
    for letter in sorted(letters, key=lambda letter: letter != detected):
        read = yield ReadHive(letter, key)
        if read.ok:
            return letter, read
    return "", read


def capture_windows_settings(context: StepContext) -> Behaviour:
    """Read name, owner and time zone of the old Windows into the OSD variables."""
    context.record(_WIN_BANNER)
    volume, name = yield from _old_windows(context)
    if not volume:
        return context.fail("There is no Windows to capture settings of", codes.PATH_NOT_FOUND)
    if _wanted(context, "OSDMigrateComputerName"):
        _migrate(context, "OSDComputerName", text_of(name.value, "ComputerName"))
    if _wanted(context, "OSDMigrateRegistrationInfo"):
        read = yield ReadHive(volume, _VERSION_KEY)
        if not read.ok:
            return context.fail("Failed to read the registration", read.code)
        _migrate(context, "OSDRegisteredUserName", text_of(read.value, "RegisteredOwner"))
        _migrate(context, "OSDRegisteredOrgName", text_of(read.value, "RegisteredOrganization"))
    if _wanted(context, "OSDMigrateTimeZone"):
        read = yield ReadHive(volume, f"{_CONTROL}\\TimeZoneInformation")
        if not read.ok:
            return context.fail("Failed to read the time zone", read.code)
        _migrate(context, "OSDTimeZone", text_of(read.value, "TimeZoneKeyName"))
    return 0


def capture_network_settings(context: StepContext) -> Behaviour:
    """Read domain or workgroup, and the adapters' addresses, into the OSD variables.

    An unset OSDMigrateNetworkMembership counts as false, as in the class (the article says true).
    """
    context.record(_NET_BANNER)
    read = yield ReadHive("C:", TCPIP_KEY)
    if not read.ok:
        return context.fail("Failed to read the network settings", read.code)
    if context.enabled("OSDMigrateNetworkMembership"):
        domain = text_of(read.value, "Domain")
        context.set("OSDNetworkJoinType", "0" if domain else "1")
        context.set("OSDDomainName" if domain else "OSDWorkgroupName", domain or "WORKGROUP")
    if not _wanted(context, "OSDMigrateAdapterSettings"):
        return 0
    interfaces = yield ReadHive("C:", f"{TCPIP_KEY}\\Interfaces")
    count = 0
    for name in interfaces.value.get("keys") or () if interfaces.ok else ():
        adapter = yield ReadHive("C:", f"{TCPIP_KEY}\\Interfaces\\{name}")
        if not adapter.ok or text_of(adapter.value, "EnableDHCP") not in ("0", "1"):
            continue  # not an adapter that TCP/IP is bound to
        dynamic = text_of(adapter.value, "EnableDHCP") == "1"
        context.set(f"OSDAdapter{count}EnableDHCP", "true" if dynamic else "false")
        for variable, value in _ADAPTER:
            text = text_of(adapter.value, value)
            if text and (not dynamic or value in ("NameServer", "Domain")):
                context.set(f"OSDAdapter{count}{variable}", text)
        count += 1
    context.set("OSDAdapterCount", str(count))
    context.record(f"Captured the settings of {count} network adapters")
    return 0


_ADAPTER = (
    ("IPAddressList", "IPAddress"),
    ("SubnetMask", "SubnetMask"),
    ("Gateways", "DefaultGateway"),
    ("DNSServerList", "NameServer"),
    ("DNSDomain", "Domain"),
)


def _wanted(context: StepContext, name: str) -> bool:
    return context.value(name, "true").strip().casefold() != "false"


def _migrate(context: StepContext, name: str, value: str) -> None:
    if value:
        context.set(name, value)
        context.record(f"Captured {name}")


def request_state_store(context: StepContext) -> Behaviour:
    """Get a place for this machine's user state on the state migration point: OSDStateStorePath.

    The lab's site is the state migration point; the store is told by the machine's UUID.
    """
    context.record(_STORE_BANNER)
    kind = context.value("OSDStateRequestType") or (
        "restore" if "/restore" in context.step.action else "capture"
    )
    retries = context.value("OSDStateSMPRetryCount", "0").strip()
    if not (retries.isascii() and retries.isdigit() and int(retries) <= 600):
        return context.fail(f"The retry count is '{retries}'", codes.INVALID_PARAMETER)
    server = re.sub(r"^https?://|[/\\:].*$", "", context.variables.value("_SMSTSMP").strip()) or "SMP"
    identity = str(context.facts.get("uuid") or context.variables.value("_SMSTSMachineName")).upper()
    path = f"\\\\{server}\\SMPSTORE$\\{identity}"
    context.set("OSDStateStorePath", path)
    context.record(f"The state store for {kind.casefold()} is {path}")
    return 0
    yield  # a generator without effects


def release_state_store(context: StepContext) -> Behaviour:
    """Say that capture or restore is complete. Without a store there is nothing to release."""
    context.record(_STORE_BANNER)
    path = context.value("OSDStateStorePath")
    if not path:
        return context.fail("There is no state store to release", codes.ELEMENT_NOT_FOUND)
    context.record(f"Released the state store {path}")
    return 0
    yield  # a generator without effects


def capture_user_state(context: StepContext) -> Behaviour:
    """Copy the profiles below Users into the state store."""
    context.record(_STATE_BANNER)
    store = yield from _store(context, "_OSDMigrateUsmtPackageID")
    if isinstance(store, int):
        return store
    volume, _ = yield from _old_windows(context)
    if not volume:
        return context.fail("There is no Windows to capture user state of", codes.PATH_NOT_FOUND)
    given = context.value("OSDMigrateAdditionalCaptureOptions")
    offline = " /offlineWinDir:" + volume + "\\Windows" if context.in_winpe else ""
    links = " /hardlink /nocompress" if context.enabled("_OSDMigrateUseHardlinks") else ""
    text = f"scanstate.exe {store} /o /localonly{_switches(context)}{offline}{links} {given}"
    context.record(f"In place of: {text.rstrip()}")
    copied = yield CopyTree(f"{volume}\\Users", f"{store}\\{_IN_STORE}", _NOT_MIGRATED)
    if not copied.ok:
        return context.fail(f"Failed to capture user state to {store}", copied.code)
    files, size = copied.value.get("files", 0), copied.value.get("size", 0)
    context.record(f"Captured {files} files, {size} bytes, to {store}")
    return 0


def restore_user_state(context: StepContext) -> Behaviour:
    """Copy what the state store has into the new system's Users."""
    context.record(_STATE_BANNER)
    store = yield from _store(context, "_OSDMigrateUsmtRestorePackageID")
    if isinstance(store, int):
        return store
    if context.enabled("OSDMigrateLocalAccounts") and not context.value("OSDMigrateLocalAccountPassword"):
        context.record("Local accounts are restored without a password: they stay disabled", 2)
    given = context.value("OSDMigrateAdditionalRestoreOptions")
    text = f"loadstate.exe {store}{_switches(context)} {given}"
    context.record(f"In place of: {text.rstrip()}")
    copied = yield CopyTree(f"{store}\\{_IN_STORE}", "C:\\Users")
    if not copied.ok:
        return context.fail(f"Failed to restore user state from {store}", copied.code)
    context.record(f"Restored {copied.value.get('files', 0)} files from {store}")
    return 0


def _switches(context: StepContext) -> str:
    """What scanstate and loadstate are told alike."""
    verbose = context.enabled("OSDMigrateEnableVerboseLogging")
    files = ""
    if context.value("OSDMigrateMode").casefold() == "advanced":
        files = "".join(
            f" /i:{name.strip()}"
            for name in context.value("OSDMigrateConfigFiles").split(",")
            if name.strip()
        )
    return f"{files} /v:{13 if verbose else 5} /c"


def _store(context: StepContext, name: str) -> Generator[Effect, Outcome, str | int]:
    """The state store's path, with USMT's package on the machine; or the code of what is missing."""
    store = context.value("OSDStateStorePath").strip().rstrip("\\")
    if not store:
        return context.fail("OSDStateStorePath is not set", codes.PATH_NOT_FOUND)
    package = context.value(name).strip()
    if not package:
        return context.fail(f"{name} is not set", codes.INVALID_PARAMETER)
    content = yield from download(context, package)
    return content.code or store
