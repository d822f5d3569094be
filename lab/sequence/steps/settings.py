"""Apply Windows Settings and Apply Network Settings: they write the answer file, nothing happens yet."""

from __future__ import annotations

from collections.abc import Callable

from lab.sequence import codes, timezones, unattend
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import ReadFile, SetRegistry, WriteFile
from lab.sequence.steps.image import UNATTEND
from lab.sequence.unattend import Setting, UnattendRefused

_INVALID_DATA = 0x8007000D
_TCPIP_KEY = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"


def apply_windows_settings(context: StepContext) -> Behaviour:
    """Computer name, owner, time zone, product key, locale and administrator password."""
    context.record("==============================[ OSDWinSettings.exe ]==============================")
    context.record(r'Command line: "osdwinsettings.exe" /config')
    wanted = context.value("OSDTimeZone").strip()
    zone = timezones.known(wanted) if wanted else ""
    if wanted and not zone:
        # Documented: it must be the English name of the standard time, else the zone is UTC.
        context.record(f"Windows knows no time zone '{wanted}': it is set to UTC", 2)
        zone = "UTC"

    def value(name: str) -> str:
        return zone if name == "OSDTimeZone" else context.value(name)

    return (yield from _write(context, lambda: unattend.windows_settings(value)))


def apply_network_settings(context: StepContext) -> Behaviour:
    """Workgroup or domain, and the adapters if OSDAdapterCount is set."""
    context.record("==============================[ OSDNetSettings.exe ]==============================")
    context.record('Command line: "osdnetsettings.exe" configure')
    if context.value("OSDNetworkJoinType").strip() == "0" and not context.value("OSDDomainName"):
        return context.fail("No domain is given to join", codes.INVALID_PARAMETER)
    mac = str(context.facts.get("mac") or "").upper()
    code = yield from _write(context, lambda: unattend.network_settings(context.value, mac))
    if code or not context.enabled("OSDEnableTCPIPFiltering"):
        return code
    # An answer file knows no filters: they are the registry's. Those of each adapter would follow when the
    # new system knows its adapters.
    drive = context.variables.value("OSDTargetSystemDrive")
    filtered = yield SetRegistry(drive, _TCPIP_KEY, {"EnableSecurityFilters": ["REG_DWORD", 1]})
    if not filtered.ok:
        return context.fail("Failed to switch the TCP/IP filters on", filtered.code)
    context.record("TCP/IP filtering is on; the adapters' own filters are not written", 2)
    return 0


def _write(context: StepContext, settings: Callable[[], list[Setting]]) -> Behaviour:
    drive = context.variables.value("OSDTargetSystemDrive")
    if not drive:
        return context.fail("No operating system was applied before this step", codes.PATH_NOT_FOUND)
    path = f"{drive}\\{UNATTEND}"
    read = yield ReadFile(path)
    if not read.ok and codes.unsigned(read.code) not in (codes.FILE_NOT_FOUND, codes.PATH_NOT_FOUND):
        return context.fail(f"Failed to read {path}", read.code)
    existing = str(read.value.get("text") or "") if read.ok else None
    architecture = context.memory.architecture or "x64"
    try:
        text = unattend.merge(existing, settings(), architecture)
    except UnattendRefused as refused:
        return context.fail(f"Failed to make {path}: {refused}", _INVALID_DATA)
    written = yield WriteFile(path, text)
    if not written.ok:
        return context.fail(f"Failed to write {path}", written.code)
    context.record(f"Wrote {path}")
    return 0
