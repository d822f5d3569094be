"""What a code means, however it is written: decimal, signed, hexadecimal, truncated by a shell, or by name.

Texts and causes come from ``lab.sequence.codes``; here are the names that Windows' headers give, the
facilities of HRESULTs, and the taking apart of codes that no table has. Sources: documented constants.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from lab.errors import UsageError
from lab.sequence import codes

#: Win32 code -> name in winerror.h
_WIN32_NAMES = {
    0: "ERROR_SUCCESS", 1: "ERROR_INVALID_FUNCTION", 2: "ERROR_FILE_NOT_FOUND", 3: "ERROR_PATH_NOT_FOUND",
    4: "ERROR_TOO_MANY_OPEN_FILES", 5: "ERROR_ACCESS_DENIED", 6: "ERROR_INVALID_HANDLE",
    8: "ERROR_NOT_ENOUGH_MEMORY", 11: "ERROR_BAD_FORMAT", 13: "ERROR_INVALID_DATA", 14: "ERROR_OUTOFMEMORY",
    15: "ERROR_INVALID_DRIVE", 19: "ERROR_WRITE_PROTECT", 21: "ERROR_NOT_READY", 23: "ERROR_CRC",
    32: "ERROR_SHARING_VIOLATION", 50: "ERROR_NOT_SUPPORTED", 53: "ERROR_BAD_NETPATH",
    64: "ERROR_NETNAME_DELETED", 67: "ERROR_BAD_NET_NAME", 80: "ERROR_FILE_EXISTS",
    87: "ERROR_INVALID_PARAMETER", 112: "ERROR_DISK_FULL", 122: "ERROR_INSUFFICIENT_BUFFER",
    126: "ERROR_MOD_NOT_FOUND", 127: "ERROR_PROC_NOT_FOUND", 183: "ERROR_ALREADY_EXISTS",
    193: "ERROR_BAD_EXE_FORMAT", 200: "ERROR_INVALID_SEGDPL", 258: "WAIT_TIMEOUT",
    1053: "ERROR_SERVICE_REQUEST_TIMEOUT", 1060: "ERROR_SERVICE_DOES_NOT_EXIST", 1117: "ERROR_IO_DEVICE",
    1168: "ERROR_NOT_FOUND", 1223: "ERROR_CANCELLED", 1231: "ERROR_NETWORK_UNREACHABLE",
    1326: "ERROR_LOGON_FAILURE", 1355: "ERROR_NO_SUCH_DOMAIN", 1392: "ERROR_FILE_CORRUPT",
    1460: "ERROR_TIMEOUT", 1602: "ERROR_INSTALL_USEREXIT", 1603: "ERROR_INSTALL_FAILURE",
    1605: "ERROR_UNKNOWN_PRODUCT", 1612: "ERROR_INSTALL_SOURCE_ABSENT",
    1618: "ERROR_INSTALL_ALREADY_RUNNING", 1619: "ERROR_INSTALL_PACKAGE_OPEN_FAILED",
    1620: "ERROR_INSTALL_PACKAGE_INVALID", 1638: "ERROR_PRODUCT_VERSION",
    1639: "ERROR_INVALID_COMMAND_LINE", 1641: "ERROR_SUCCESS_REBOOT_INITIATED",
    1707: "ERROR_INSTALL_SUCCESS", 2202: "ERROR_BAD_USERNAME", 3010: "ERROR_SUCCESS_REBOOT_REQUIRED",
    4316: "ERROR_RESOURCE_NOT_PRESENT",
    12002: "ERROR_INTERNET_TIMEOUT", 12007: "ERROR_INTERNET_NAME_NOT_RESOLVED",
    12029: "ERROR_INTERNET_CANNOT_CONNECT", 12030: "ERROR_INTERNET_CONNECTION_ABORTED",
    12044: "ERROR_INTERNET_CLIENT_AUTH_CERT_NEEDED", 12175: "ERROR_INTERNET_DECODING_FAILED",
}  # fmt: skip

#: Texts of Win32 codes that the engine itself never says.
_WIN32_TEXTS = {
    4: "The system cannot open the file.", 6: "The handle is invalid.",
    11: "An attempt was made to load a program with an incorrect format.",
    15: "The system cannot find the drive specified.", 19: "The media is write protected.",
    21: "The device is not ready.", 23: "Data error (cyclic redundancy check).",
    32: "The process cannot access the file because it is being used by another process.",
    64: "The specified network name is no longer available.", 80: "The file exists.",
    122: "The data area passed to a system call is too small.",
    126: "The specified module could not be found.", 127: "The specified procedure could not be found.",
    183: "Cannot create a file when that file already exists.",
    1053: "The service did not respond to the start or control request in a timely fashion.",
    1060: "The specified service does not exist as an installed service.",
    1117: "The request could not be performed because of an I/O device error.",
    1231: "The network location cannot be reached.",
    1355: "The specified domain either does not exist or could not be contacted.",
    1612: "The installation source for this product is not available.",
    1620: "This installation package could not be opened; it is no valid Windows Installer package.",
    1638: "Another version of this product is already installed.", 1639: "Invalid command line argument.",
    1707: "Installation completed successfully.", 2202: "The specified username is invalid.",
}  # fmt: skip

#: HRESULT or NTSTATUS -> name
_NAMES = {
    0x80004001: "E_NOTIMPL", 0x80004002: "E_NOINTERFACE", 0x80004003: "E_POINTER", 0x80004004: "E_ABORT",
    0x80004005: "E_FAIL", 0x8000FFFF: "E_UNEXPECTED", 0x80070005: "E_ACCESSDENIED",
    0x80070006: "E_HANDLE", 0x8007000E: "E_OUTOFMEMORY", 0x80070057: "E_INVALIDARG",
    0x80040154: "REGDB_E_CLASSNOTREG", 0x80041001: "WBEM_E_FAILED", 0x80041002: "WBEM_E_NOT_FOUND",
    0x80041003: "WBEM_E_ACCESS_DENIED", 0x80041010: "WBEM_E_INVALID_CLASS",
    0x80041013: "WBEM_E_PROVIDER_LOAD_FAILURE", 0x8004100E: "WBEM_E_INVALID_NAMESPACE",
    0x8028400F: "TBS_E_TPM_NOT_FOUND", 0x80091007: "CRYPT_E_HASH_VALUE", 0x80190191: "HTTP_E_STATUS_DENIED",
    0x80190193: "HTTP_E_STATUS_FORBIDDEN", 0x80190194: "HTTP_E_STATUS_NOT_FOUND",
    0xC0000001: "STATUS_UNSUCCESSFUL", 0xC0000005: "STATUS_ACCESS_VIOLATION",
    0xC000000F: "STATUS_NO_SUCH_FILE", 0xC000007B: "STATUS_INVALID_IMAGE_FORMAT",
    0xC0000098: "STATUS_FILE_INVALID", 0xC0000135: "STATUS_DLL_NOT_FOUND",
    0xC000013A: "STATUS_CONTROL_C_EXIT", 0xC0000142: "STATUS_DLL_INIT_FAILED",
    0xC0000225: "STATUS_NOT_FOUND", 0xC000035A: "STATUS_INVALID_IMAGE_WIN_64",
}  # fmt: skip

_TEXTS = {
    0x80004002: "No such interface supported", 0x80004003: "Invalid pointer",
    0x80040154: "Class not registered", 0x80041001: "Generic failure of WMI",
    0x80041003: "Access denied by WMI", 0x80041013: "WMI cannot load a provider",
    0x8028400F: "A compatible TPM cannot be found on this computer",
    0xC0000001: "The requested operation was unsuccessful", 0xC0000005: "Access violation: a program crashed",
    0xC000000F: "The file does not exist; at boot: boot data or a device is missing",
    0xC0000098: "A file's volume was changed; at boot: the boot data is invalid",
    0xC000013A: "The program was ended by Ctrl+C or by its window",
    0xC0000142: "A library could not be initialised",
    0xC0000225: "The object was not found; at boot: the loader or its entry is missing",
    0xC000035A: "A 64-bit image was started on hardware or firmware without 64-bit support",
}  # fmt: skip

#: HRESULT facility -> what it is
_FACILITIES = {
    0: "general", 1: "RPC", 2: "OLE dispatch", 3: "OLE storage", 4: "interface-specific (also WMI)",
    7: "Win32", 8: "Windows", 9: "security and cryptography", 10: "control", 11: "certificates",
    12: "Internet", 13: "media server", 14: "message queue", 15: "setup", 16: "smart card", 17: "COM+",
    19: ".NET runtime", 20: "NT audit", 21: "background transfer (BITS)", 25: "HTTP",
    36: "Windows Update", 38: "group policy", 40: "trusted platform module", 42: "deployment services",
    48: "user-mode filter", 49: "BitLocker",
    400: "Windows Setup",
    0x7D0: "Configuration Manager",
}  # fmt: skip

_DECIMAL = re.compile(r"[+-]?\d+")
_HEXADECIMAL = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}|[0-9a-f]+h|(?=.*[a-f])[0-9a-f]{4,8}", re.IGNORECASE)


@dataclass(frozen=True)
class Meaning:
    """One thing a code can mean. ``via`` says by which way of reading it; ``facility`` for HRESULTs."""

    code: int
    hex: str
    name: str | None
    message: str | None
    source: str | None
    cause: str | None
    facility: str | None
    via: str


def meanings(text: str) -> list[Meaning]:
    """What a code may mean, the likeliest first; one without a known meaning is taken apart.

    Raises UsageError when the text is no code at all.
    """
    found: list[Meaning] = []
    for value, via in _readings(text):
        _add(found, value, via)
    if not found:
        raise UsageError(
            f"'{text}' is no code",
            hint="write it as 0x80070002, 2147942402, -2147024894, 2, or as ERROR_FILE_NOT_FOUND",
        )
    known = [meaning for meaning in found if meaning.name or meaning.message]
    return known or found[:1]


def to_json(text: str, found: list[Meaning]) -> dict[str, Any]:
    return {
        "input": text,
        "known": any(meaning.name or meaning.message for meaning in found),
        "meanings": [asdict(meaning) for meaning in found],
    }


def _readings(text: str) -> list[tuple[int, str]]:
    text = text.strip().strip("()\"',;:").strip()
    text = re.sub(r"^(?:error|exit code|code|hresult|hr)(?![a-z_])\s*[=:]?\s*", "", text, flags=re.IGNORECASE)
    name = text.upper()
    values = [(code, "name") for code, known in {**_WIN32_NAMES, **_NAMES}.items() if known == name]
    if values:
        return values
    compact = re.sub(r"(?<=\d)[,_ ](?=\d{3}\b)", "", text)
    if _DECIMAL.fullmatch(compact) and len(compact.lstrip("+-")) <= 20:
        value = int(compact)
        if -0x80000000 <= value <= 0xFFFFFFFF:
            values.append((codes.unsigned(value), "decimal"))
        elif value >> 32 == 0xFFFFFFFF or -(1 << 63) <= value < 0:
            values.append((codes.unsigned(value), "64-bit decimal"))
    if _HEXADECIMAL.fullmatch(compact):
        digits = compact.lower().removeprefix("0x").removesuffix("h")
        value = int(digits, 16) if len(digits) <= 16 else -1
        if 0 <= value <= 0xFFFFFFFF or value >> 32 == 0xFFFFFFFF:
            reading = (codes.unsigned(value), "hexadecimal")
            # 80070002 is a hexadecimal HRESULT far more often than a decimal number.
            values = [reading, *values] if len(digits) == 8 else [*values, reading]
    return values


def _add(found: list[Meaning], value: int, via: str) -> None:
    if any(meaning.code == value for meaning in found):
        return
    found.append(_meaning(value, via))
    if value >> 16 == 0 and via in ("decimal", "hexadecimal"):
        # Some programs return only the low half of an HRESULT: 16389 is 0x4005, of 0x80004005.
        for whole in sorted({*_NAMES, codes.E_FAIL, codes.E_ABORT}):
            if value >= 0x1000 and whole & 0xFFFF == value and whole >> 16 in (0x8000, 0x8004, 0x8007):
                found.append(_meaning(whole, f"low half of 0x{whole:08X}"))


def _meaning(code: int, via: str) -> Meaning:
    plain = codes.win32(code)
    name = _NAMES.get(code)
    if name is None and plain is not None:
        name = _WIN32_NAMES.get(plain)
    text: str | None = codes.message(code)
    if text == "Unknown error":
        text = _TEXTS.get(code) or (_WIN32_TEXTS.get(plain) if plain is not None else None)
    cause = codes.cause(code) or None
    status = code >> 28 == 0xC
    failure = bool(code & 0x80000000)
    facility = None
    source = "Win32" if code < 0x10000 else None
    if failure and not (status and code >> 16 & 0x0FFF == 0):
        number = code >> 16 & 0x7FF
        facility = f"{number} ({_FACILITIES.get(number, 'unknown')})"
        source = "HRESULT"
    elif status:
        source = "NTSTATUS"
    return Meaning(code, f"0x{code:08X}", name, text, source, cause, facility, via)
