r"""The shape of the reference image: what a Windows volume holds, as values.

Pure description, and the simulator's too. The image looks like a generalised Windows to everything that
reads a volume from outside (folders, hives, loader); what runs in it is the lab's own system.
Paths are below the volume's root, with backslashes. Hive keys are below the hive's root.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The image's name in the WIM, its description, and the build it claims to be.
NAME = "osdlab reference image"
DESCRIPTION = "A Windows-shaped system of the lab's own; no part of Windows is in it"
VERSION = (10, 0, 19045)
#: PROCESSOR_ARCHITECTURE_AMD64 in a WIM's XML.
ARCHITECTURE = 9
COMPUTER_NAME = "MININT-REF"

#: Artifacts: files whose content is built. "loader": the UEFI executable; "bios-kernel", "bios-initrd",
#: "bios-config": the same for BIOS; "root": the root file system; "setup": Windows Setup's bundle;
#: "hive:NAME": a registry hive.
LOADER = "Windows\\Boot\\EFI\\bootmgfw.efi"
BIOS_KERNEL = "Windows\\Boot\\PCAT\\bootmgr"
BIOS_INITRD = "Windows\\Boot\\PCAT\\bootmgr.img"
BIOS_CONFIG = "Windows\\Boot\\PCAT\\extlinux.conf"
ROOT = "Windows\\System32\\osdlab\\root.squashfs"
SETUP = "Windows\\System32\\osdlab\\setup.zip"
CONFIG = "Windows\\System32\\config"


@dataclass(frozen=True)
class ShapeFile:
    """A file: its ``text``, or the ``artifact`` that is built for it."""

    path: str
    text: str = ""
    artifact: str = ""


Values = dict[str, tuple[str, str | int]]

FOLDERS: tuple[str, ...] = (
    "PerfLogs",
    "Program Files",
    "Program Files\\Common Files",
    "Program Files (x86)",
    "ProgramData",
    "Users\\Default",
    "Users\\Public",
    "Windows\\Boot\\EFI",
    "Windows\\Boot\\PCAT",
    "Windows\\INF",
    "Windows\\Logs",
    "Windows\\Panther",
    "Windows\\Setup\\Scripts",
    "Windows\\System32\\config",
    "Windows\\System32\\drivers\\etc",
    "Windows\\System32\\oobe",
    "Windows\\System32\\osdlab",
    "Windows\\System32\\Tasks",
    "Windows\\Temp",
)

_SYSTEM_INI = "; for 16-bit app support\r\n[386Enh]\r\nwoafont=dosapp.fon\r\n"
_HOSTS = "# This file contains the mappings of IP addresses to host names.\r\n127.0.0.1 localhost\r\n"

FILES: tuple[ShapeFile, ...] = (
    ShapeFile(LOADER, artifact="loader"),
    ShapeFile(BIOS_KERNEL, artifact="bios-kernel"),
    ShapeFile(BIOS_INITRD, artifact="bios-initrd"),
    ShapeFile(BIOS_CONFIG, artifact="bios-config"),
    ShapeFile(ROOT, artifact="root"),
    ShapeFile(SETUP, artifact="setup"),
    *(ShapeFile(f"{CONFIG}\\{name}", artifact=f"hive:{name}")
      for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")),
    ShapeFile("Windows\\system.ini", _SYSTEM_INI),
    ShapeFile("Windows\\win.ini", "; for 16-bit app support\r\n[fonts]\r\n[extensions]\r\n"),
    ShapeFile("Windows\\System32\\drivers\\etc\\hosts", _HOSTS),
    ShapeFile("Windows\\System32\\osdlab\\readme.txt",
              "This is osdlab's reference image: shaped like Windows, with the lab's own system inside.\r\n"),
)  # fmt: skip

_CONTROL = "ControlSet001\\Control"
_TCPIP = "ControlSet001\\Services\\Tcpip\\Parameters"
_CURRENT_VERSION = "Microsoft\\Windows NT\\CurrentVersion"

HIVES: dict[str, dict[str, Values]] = {
    "SYSTEM": {
        "Select": {
            "Current": ("REG_DWORD", 1),
            "Default": ("REG_DWORD", 1),
            "Failed": ("REG_DWORD", 0),
            "LastKnownGood": ("REG_DWORD", 1),
        },
        "Setup": {
            "SystemPartition": ("REG_SZ", "\\Device\\HarddiskVolume1"),
            "OsLoaderPath": ("REG_SZ", "\\"),
            "CmdLine": ("REG_SZ", "oobe\\windeploy.exe"),
            "SetupType": ("REG_DWORD", 2),
            "SystemSetupInProgress": ("REG_DWORD", 1),
            "OOBEInProgress": ("REG_DWORD", 1),
            "RestartSetup": ("REG_DWORD", 0),
        },
        "Setup\\Status\\SysprepStatus": {
            "GeneralizationState": ("REG_DWORD", 7),
            "CleanupState": ("REG_DWORD", 2),
        },
        "MountedDevices": {},
        _CONTROL: {"SystemStartOptions": ("REG_SZ", ""), "CurrentUser": ("REG_SZ", "USERNAME")},
        f"{_CONTROL}\\ComputerName\\ComputerName": {
            "": ("REG_SZ", "mnmsrvc"),
            "ComputerName": ("REG_SZ", COMPUTER_NAME),
        },
        f"{_CONTROL}\\ComputerName\\ActiveComputerName": {"ComputerName": ("REG_SZ", COMPUTER_NAME)},
        f"{_CONTROL}\\ProductOptions": {"ProductType": ("REG_SZ", "WinNT")},
        f"{_CONTROL}\\Session Manager\\Environment": {
            "ComSpec": ("REG_EXPAND_SZ", "%SystemRoot%\\system32\\cmd.exe"),
            "OS": ("REG_SZ", "Windows_NT"),
            "PROCESSOR_ARCHITECTURE": ("REG_SZ", "AMD64"),
            "windir": ("REG_EXPAND_SZ", "%SystemRoot%"),
        },
        f"{_CONTROL}\\TimeZoneInformation": {
            "TimeZoneKeyName": ("REG_SZ", "Pacific Standard Time"),
            "Bias": ("REG_DWORD", 480),
        },
        f"{_CONTROL}\\Nls\\Language": {"Default": ("REG_SZ", "0409"), "InstallLanguage": ("REG_SZ", "0409")},
        _TCPIP: {
            "Hostname": ("REG_SZ", COMPUTER_NAME),
            "NV Hostname": ("REG_SZ", COMPUTER_NAME),
            "Domain": ("REG_SZ", ""),
            "DataBasePath": ("REG_EXPAND_SZ", "%SystemRoot%\\System32\\drivers\\etc"),
        },
        "ControlSet001\\Services\\disk": {"Start": ("REG_DWORD", 0), "Type": ("REG_DWORD", 1)},
        "ControlSet001\\Services\\Ntfs": {"Start": ("REG_DWORD", 1), "Type": ("REG_DWORD", 2)},
        "ControlSet001\\Enum": {},
    },
    "SOFTWARE": {
        _CURRENT_VERSION: {
            "ProductName": ("REG_SZ", NAME),
            "EditionID": ("REG_SZ", "Professional"),
            "InstallationType": ("REG_SZ", "Client"),
            "CurrentVersion": ("REG_SZ", "6.3"),
            "CurrentMajorVersionNumber": ("REG_DWORD", VERSION[0]),
            "CurrentMinorVersionNumber": ("REG_DWORD", VERSION[1]),
            "CurrentBuild": ("REG_SZ", str(VERSION[2])),
            "CurrentBuildNumber": ("REG_SZ", str(VERSION[2])),
            "UBR": ("REG_DWORD", 1),
            "SystemRoot": ("REG_SZ", "C:\\Windows"),
            "RegisteredOwner": ("REG_SZ", ""),
            "RegisteredOrganization": ("REG_SZ", ""),
        },
        f"{_CURRENT_VERSION}\\Winlogon": {"Shell": ("REG_SZ", "explorer.exe")},
        "Microsoft\\Windows\\CurrentVersion": {
            "ProgramFilesDir": ("REG_SZ", "C:\\Program Files"),
            "CommonFilesDir": ("REG_SZ", "C:\\Program Files\\Common Files"),
        },
        "Microsoft\\Windows\\CurrentVersion\\Setup\\State": {
            "ImageState": ("REG_SZ", "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"),
        },
        "Microsoft\\Windows\\CurrentVersion\\Run": {},
        "Policies": {},
    },
    "SAM": {"SAM\\Domains\\Account\\Users\\Names": {}, "SAM\\Domains\\Builtin": {}},
    "SECURITY": {"Policy\\PolAdtEv": {}, "Policy\\Accounts": {}},
    "DEFAULT": {"Control Panel\\International": {"Locale": ("REG_SZ", "00000409")}, "Environment": {}},
}
