"""Keys of the registry in one spelling, the 32-bit view of them, and a registry that is a plain mapping.

Engine room: pure. Documented: "Registry Keys Affected by WOW64", "File System Redirector".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Key -> value name -> [type, data].
Registry = Mapping[str, Mapping[str, list[Any]]]

#: Where 32-bit programs are sent on a 64-bit Windows that has WOW64.
NODE = "HKLM\\SOFTWARE\\WOW6432Node"

_ROOTS = {
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_USERS": "HKU",
    # The sequence runs as Local System.
    "HKEY_CURRENT_USER": "HKU\\.DEFAULT",
    "HKCU": "HKU\\.DEFAULT",
    "HKEY_CLASSES_ROOT": "HKLM\\SOFTWARE\\Classes",
    "HKCR": "HKLM\\SOFTWARE\\Classes",
    "HKEY_CURRENT_CONFIG": "HKLM\\SYSTEM\\CurrentControlSet\\Hardware Profiles\\Current",
}

#: Below HKLM\SOFTWARE: what both views share, in lower case.
_SHARED = (
    "classes", "clients", "policies", "registeredapplications", "microsoft\\com3",
    "microsoft\\cryptography\\calais\\current", "microsoft\\cryptography\\calais\\readers",
    "microsoft\\cryptography\\services", "microsoft\\ctf\\systemshared", "microsoft\\ctf\\tip",
    "microsoft\\dfs", "microsoft\\driver signing", "microsoft\\enterprisecertificates",
    "microsoft\\eventsystem", "microsoft\\msmq", "microsoft\\non-driver signing",
    "microsoft\\notepad\\defaultfonts", "microsoft\\ole", "microsoft\\ras", "microsoft\\rpc",
    "microsoft\\shared tools\\msinfo", "microsoft\\systemcertificates", "microsoft\\termservlicensing",
    "microsoft\\transactionserver", "microsoft\\windows\\currentversion\\control panel\\cursors\\schemes",
    "microsoft\\windows\\currentversion\\explorer\\autoplayhandlers",
    "microsoft\\windows\\currentversion\\explorer\\driveicons",
    "microsoft\\windows\\currentversion\\explorer\\kindmap",
    "microsoft\\windows\\currentversion\\group policy", "microsoft\\windows\\currentversion\\policies",
    "microsoft\\windows\\currentversion\\previewhandlers", "microsoft\\windows\\currentversion\\setup",
    "microsoft\\windows\\currentversion\\telephony\\locations",
    *(f"microsoft\\windows nt\\currentversion\\{name}" for name in (
        "console", "fontdpi", "fontlink", "fontmapper", "fonts", "fontsubstitutes", "gre_initialize",
        "image file execution options", "languagepack", "networkcards", "perflib", "ports", "print",
        "profilelist", "time zones")),
)  # fmt: skip

#: Below System32: what the file system redirector leaves alone, in lower case.
_NOT_REDIRECTED = ("catroot", "catroot2", "driverstore", "drivers\\etc", "logfiles", "spool")


def resolve(key: str) -> str:
    """A key with its short root (HKLM, HKU) and ControlSet001 for CurrentControlSet."""
    root, _, rest = key.strip().strip("\\").partition("\\")
    names = [*_ROOTS.get(root.upper(), root.upper()).split("\\"), *rest.split("\\")]
    names = [name for name in names if name]
    if len(names) > 2 and names[1].upper() == "SYSTEM" and names[2].casefold() == "currentcontrolset":
        names[2] = "ControlSet001"
    if len(names) > 1 and names[0] == "HKU" and names[1].upper() == "S-1-5-18":
        names[1] = ".DEFAULT"
    return "\\".join(names)


def in_32_bit_view(key: str) -> str:
    """Where a 32-bit program's access to a resolved key goes, if there is a ``NODE``."""
    root, _, below = key.casefold().partition("\\software\\")
    if root != "hklm" or not below or _is_below(below, ("wow6432node", *_SHARED)):
        return key
    return NODE + key[len("HKLM\\SOFTWARE") :]


def file_in_32_bit_view(path: str, windows: str = "C:\\Windows") -> str:
    """Where a 32-bit program's access to a file goes, if there is a SysWOW64."""
    start = f"{windows}\\System32\\".casefold()
    plain = path.replace("/", "\\")
    if not f"{plain}\\".casefold().startswith(start) or _is_below(
        plain[len(start) :].casefold(), _NOT_REDIRECTED
    ):
        return path
    return f"{windows}\\SysWOW64\\{plain[len(start) :]}".rstrip("\\")


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "\\") for folder in folders)


def find(registry: Registry, key: str) -> dict[str, list[Any]] | None:
    """A resolved key's values; empty for a key that only has keys below it, None when there is none."""
    wanted = key.casefold()
    below = False
    for name, values in registry.items():
        folded = name.casefold()
        if folded == wanted:
            return {value: list(stored) for value, stored in values.items()}
        below = below or folded.startswith(wanted + "\\")
    return {} if below else None
