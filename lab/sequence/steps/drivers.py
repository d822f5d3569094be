"""Apply Driver Package and Auto Apply Drivers: osddriverclient.exe.

A driver is an INF file and what lies beside it. It goes to the image's driver store and is listed in the
registry, where the Windows that is being deployed looks for it.
"""

from __future__ import annotations

import re
from collections.abc import Generator

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import Effect, Outcome, SetRegistry
from lab.sequence.effects_imaging import CopyTree, FindDrivers, Intent, ReadHive
from lab.sequence.steps.content import Content, download
from lab.sequence.steps.image import given_options

_BANNER = "==============================[ OSDDriverClient.exe ]=============================="
_STORE = r"Windows\System32\DriverStore\FileRepository"
_PACKAGES = r"HKLM\SYSTEM\DriverDatabase\DriverPackages"
_INFS = r"HKLM\SYSTEM\DriverDatabase\DriverInfFiles"
_ARCHITECTURES = {"x64": "amd64", "x86": "x86", "arm64": "arm64"}
#: More drivers than this in one package are no driver package.
_MOST = 2000


def apply_driver_package(context: StepContext) -> Behaviour:
    """Add the package's drivers to the image that was applied.

    A package without any is refused, as the servicing tool refuses it (observed: 0x80070057).
    """
    context.record(_BANNER)
    given = given_options(context)
    package = given.get("install") or context.argument("OSDApplyDriverDriverPackageID")
    package = package or context.argument("DriverPackageID")
    drive = context.variables.value("OSDTargetSystemDrive")
    if not drive:
        return context.fail("No operating system was applied before this step", codes.PATH_NOT_FOUND)
    if not package:
        return context.fail("No driver package is given", codes.INVALID_PARAMETER)
    content = yield from download(context, package)
    if content.code:
        return content.code
    # Only an export with the option writes it; older clients always looked into the folders.
    recurse = given.get("recurse", "true").strip().casefold() != "false"
    extra = context.value("OSDInstallDriversAdditionalOptions")
    if extra:
        recurse = recurse or "/recurse" in extra.casefold()
        context.record(f"Additional options: {extra}")
    infs = drivers_in(content.files, recurse=recurse)
    if not infs:
        return context.fail(f"Package {package} holds no driver", codes.INVALID_PARAMETER)
    code = yield from _install(context, drive, content, infs)
    if code:
        return code
    critical = {
        name: context.value(f"OSDApplyDriverBootCritical{name}")
        for name in ("ContentUniqueID", "INFFile", "HardwareComponent", "ID")
        if context.value(f"OSDApplyDriverBootCritical{name}")
    }
    if critical:
        outcome = yield Intent("boot-critical-driver", critical)
        if not outcome.ok:
            return context.fail("Failed to note the boot critical driver", outcome.code)
    context.record(f"Successfully added {len(infs)} drivers of {package} to {drive}\\Windows")
    return 0


def auto_apply_drivers(context: StepContext) -> Behaviour:
    """Add the drivers that the site's catalogue has for this machine's hardware; none is a success."""
    context.record(_BANNER)
    drive = context.variables.value("OSDTargetSystemDrive")
    if not drive:
        return context.fail("No operating system was applied before this step", codes.PATH_NOT_FOUND)
    listed = re.split(r"[,;]", context.value("OSDAutoApplyDriverCategoryList"))
    best = context.value("OSDAutoApplyDriverBestMatch", "true").strip().casefold() != "false"
    found = yield FindDrivers(tuple(name.strip() for name in listed if name.strip()), best)
    if not found.ok:
        return context.fail("Failed to ask for drivers", found.code)
    chosen: dict[str, str] = {}
    for driver in found.value.get("drivers") or ():
        context.record(f"Driver {driver['name']} of {driver['package']} fits {driver['device']}")
        chosen.setdefault(str(driver["package"]), str(driver["name"]))
    if not chosen:
        context.record("No matching drivers are in the catalogue for this machine's devices")
        return 0
    for package in chosen:
        content = yield from download(context, package)
        if content.code:
            return content.code
        code = yield from _install(context, drive, content, drivers_in(content.files))
        if code:
            return code
    context.record(f"Successfully added {len(chosen)} driver packages to {drive}\\Windows")
    return 0


def drivers_in(files: tuple[str, ...], *, recurse: bool = True) -> list[str]:
    """The INF files of a package, by their relative names with backslashes."""
    names = (name.replace("/", "\\") for name in files)
    infs = [name for name in names if name.casefold().endswith(".inf") and (recurse or "\\" not in name)]
    return sorted(infs, key=str.casefold)[:_MOST]


def _install(
    context: StepContext, drive: str, content: Content, infs: list[str]
) -> Generator[Effect, Outcome, int]:
    """Copy each driver's folder to the driver store and list it; returns 0 or the code."""
    architecture = _ARCHITECTURES.get(context.memory.architecture, "amd64")
    known = yield ReadHive(drive, _INFS)
    number = len(known.value.get("keys") or ()) if known.ok else 0
    signed = {
        name.replace("/", "\\").rpartition("\\")[0].casefold()
        for name in content.files
        if name.casefold().endswith(".cat")
    }
    for inf in infs:
        folder, _, name = inf.rpartition("\\")
        if folder.casefold() not in signed and not context.enabled("OSDAllowUnsignedDriver"):
            # That it is only warned of is a guess.
            context.record(f"Driver {inf} has no catalogue file: it is not signed", 2)
        # Windows puts a hash of the driver there.
        stored = f"{name.casefold()}_{architecture}_{_digest(f'{content.folder}|{inf}'.casefold())}"
        source = f"{content.folder}\\{folder}".rstrip("\\")
        copied = yield CopyTree(source, f"{drive}\\{_STORE}\\{stored}")
        if not copied.ok:
            return context.fail(f"Failed to add driver {inf}", copied.code)
        oem = f"oem{number}.inf"
        number += 1
        for key, values in (
            (f"{_PACKAGES}\\{stored}", {"": ["REG_SZ", oem], "InfName": ["REG_SZ", name]}),
            (f"{_INFS}\\{oem}", {"Active": ["REG_SZ", stored]}),
        ):
            listed = yield SetRegistry(drive, key, dict(values))
            if not listed.ok:
                return context.fail(f"Failed to list driver {inf}", listed.code)
        context.record(f"Added driver {inf} as {oem}")
    return 0


def _digest(text: str) -> str:
    """64 bits of FNV-1a, in hexadecimal."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
