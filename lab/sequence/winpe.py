"""What Windows PE is to a sequence that runs in it: its version, its files on X:, its registry.

Engine room: pure description. Conditions in PE see PE's own registry, never an offline Windows'. Documented:
the MiniNT key and PEFirmwareType tell PE and firmware; the rest is what a PE of the ADK has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lab.sequence.machinefacts import MachineFacts, SystemFacts

VERSION = "10.0.22621"
BUILD = "22621"
CAPTION = "Microsoft Windows PE"

#: On X:, besides what the run put there; in lower case.
FOLDERS = frozenset(
    {
        "", "program files", "program files (x86)", "programdata", "sms", "sms\\bin", "sms\\bin\\x64",
        "sms\\data", "users", "windows", "windows\\inf", "windows\\system32", "windows\\system32\\config",
        "windows\\system32\\drivers", "windows\\system32\\drivers\\etc", "windows\\system32\\wbem",
        "windows\\temp",
    }
)  # fmt: skip
FILES = frozenset(
    {
        "sms\\bin\\x64\\tsmbootstrap.exe", "sms\\bin\\x64\\tsmanager.exe", "sms\\bin\\x64\\tsbootshell.exe",
        "windows\\system32\\cmd.exe", "windows\\system32\\cscript.exe", "windows\\system32\\diskpart.exe",
        "windows\\system32\\dism.exe", "windows\\system32\\drivers\\etc\\hosts",
        "windows\\system32\\ntdll.dll", "windows\\system32\\reg.exe", "windows\\system32\\wpeinit.exe",
        "windows\\system32\\wpeutil.exe", "windows\\system32\\xcopy.exe",
    }
)  # fmt: skip

_LANGUAGE = re.compile(r"[0-9A-Fa-f]{4,8}")

Keys = dict[str, dict[str, list[Any]]]


def system(computer_name: str) -> SystemFacts:
    """The system that runs, while it is PE."""
    return SystemFacts(True, CAPTION, VERSION, BUILD, computer_name=computer_name)


def holds(path: str) -> str:
    """ "file", "folder" or "": what a path below X:\\ is in every PE."""
    plain = "\\".join(part for part in path.replace("/", "\\").casefold().split("\\") if part)
    return "folder" if plain in FOLDERS else "file" if plain in FILES else ""


def volatile(machine: MachineFacts) -> Keys:
    """What every Windows makes of the hardware when it starts; it is in no hive."""
    smbios = machine.smbios
    keys: Keys = {
        "HKLM\\HARDWARE\\DESCRIPTION\\System\\BIOS": _text(
            BIOSVendor=smbios.bios_vendor,
            BIOSVersion=smbios.bios_version,
            BIOSReleaseDate=smbios.bios_date,
            SystemManufacturer=smbios.manufacturer,
            SystemProductName=smbios.product,
            SystemFamily=smbios.family,
            SystemVersion=smbios.version,
            SystemSKU=smbios.sku,
            BaseBoardManufacturer=smbios.board_manufacturer,
            BaseBoardProduct=smbios.board_product,
            BaseBoardVersion=smbios.board_version,
        ),
        "HKLM\\SYSTEM\\ControlSet001\\Control": {"PEFirmwareType": ["REG_DWORD", 2 if machine.uefi else 1]},
    }
    for index, name in enumerate(machine.processors):
        keys[f"HKLM\\HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\{index}"] = _text(
            ProcessorNameString=name, VendorIdentifier=machine.processor_vendor
        )
    if machine.uefi:
        state = {"UEFISecureBootEnabled": ["REG_DWORD", int(machine.secure_boot)]}
        keys["HKLM\\SYSTEM\\ControlSet001\\Control\\SecureBoot\\State"] = state
    return keys


def registry(machine: MachineFacts) -> Keys:
    """The registry of PE on this machine."""
    keys = volatile(machine)
    control = "HKLM\\SYSTEM\\ControlSet001\\Control"
    name = machine.system.computer_name
    keys[control].update(_text(SystemStartOptions=" MININT", SystemBootDevice="ramdisk(0)"))
    keys[f"{control}\\MiniNT"] = {}
    keys[f"{control}\\ComputerName\\ComputerName"] = _text(ComputerName=name)
    keys[f"{control}\\ComputerName\\ActiveComputerName"] = _text(ComputerName=name)
    keys[f"{control}\\Session Manager\\Environment"] = _text(
        OS="Windows_NT", PROCESSOR_ARCHITECTURE="AMD64" if machine.architecture == "x64" else "x86"
    )
    keys["HKLM\\SYSTEM\\Setup"] = {
        "FactoryPreInstallInProgress": ["REG_DWORD", 0],
        "SystemSetupInProgress": ["REG_DWORD", 1],
        "CmdLine": ["REG_SZ", "winpeshl.exe"],
    }
    keys["HKLM\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters"] = _text(Hostname=name)
    major, minor, build = VERSION.split(".")
    keys["HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"] = {
        **_text(ProductName="Windows PE", EditionID="WindowsPE", InstallationType="WindowsPE"),
        **_text(CurrentVersion="6.3", CurrentBuild=build, CurrentBuildNumber=build, SystemRoot="X:\\Windows"),
        "CurrentMajorVersionNumber": ["REG_DWORD", int(major)],
        "CurrentMinorVersionNumber": ["REG_DWORD", int(minor)],
    }
    keys["HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\WinPE"] = _text(Version=VERSION)
    keys["HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion"] = _text(ProgramFilesDir="X:\\Program Files")
    keys["HKLM\\SOFTWARE\\Classes"] = {}
    keys["HKU\\.DEFAULT\\Environment"] = {}
    return keys


def _text(**values: str) -> dict[str, list[Any]]:
    return {name: ["REG_SZ", value] for name, value in values.items()}


#: Keys of a Windows that say what it is, as ``installed`` wants them.
CURRENT_VERSION = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
CONTROL = "HKLM\\SYSTEM\\ControlSet001\\Control"


def installed(values_of: Callable[[str], dict[str, list[Any]] | None]) -> SystemFacts:
    """The system that runs, from its registry. ``values_of`` a key: name -> [type, data], or None."""

    def read(key: str) -> dict[str, Any]:
        return {name.casefold(): value[1] for name, value in (values_of(key) or {}).items()}

    values = read(CURRENT_VERSION)
    kind = str(read(f"{CONTROL}\\ProductOptions").get("producttype") or "")
    language = str(read(f"{CONTROL}\\Nls\\Language").get("installlanguage") or "")

    def text(name: str) -> str:
        return str(values.get(name.casefold()) or "")

    build = text("CurrentBuildNumber") or text("CurrentBuild")
    major, minor = text("CurrentMajorVersionNumber"), text("CurrentMinorVersionNumber") or "0"
    product = text("ProductName")
    return SystemFacts(
        in_winpe=False,
        caption=f"Microsoft {product}" if product.startswith("Windows") else product,
        version=f"{major}.{minor}.{build}" if major else f"{text('CurrentVersion')}.{build}",
        build=build,
        product_type={"lanmannt": 2, "servernt": 3}.get(kind.casefold(), 1),
        sku=_SKUS.get(text("EditionID").casefold(), 0),
        language=int(language, 16) if _LANGUAGE.fullmatch(language) else 0x409,
        computer_name=str(read(f"{CONTROL}\\ComputerName\\ComputerName").get("computername") or ""),
        drive="C:",
        owner=text("RegisteredOwner"),
        organization=text("RegisteredOrganization"),
    )


#: EditionID -> OperatingSystemSKU (documented: GetProductInfo).
_SKUS = {
    "professional": 48, "enterprise": 4, "education": 121, "core": 101, "enterprises": 125,
    "professionalworkstation": 161, "serverstandard": 7, "serverdatacenter": 8, "iotenterprise": 188,
}  # fmt: skip
