"""Error codes: one spelling for a code, the system's text for it, and its usual cause in a sequence.

Engine room: standard library only. Sources: Windows' documented messages; causes from the reference's
error table. Codes are unsigned 32 bit; an HRESULT 0x8007xxxx carries the Win32 code xxxx.
"""

from __future__ import annotations

E_FAIL = 0x80004005
E_ABORT = 0x80004004
FILE_NOT_FOUND = 0x80070002
PATH_NOT_FOUND = 0x80070003
ACCESS_DENIED = 0x80070005
NOT_SUPPORTED = 0x80070032
INVALID_PARAMETER = 0x80070057
DISK_FULL = 0x80070070
ELEMENT_NOT_FOUND = 0x80070490
TIMEOUT = 0x800705B4
CANCELLED = 0x800704C7
HASH_MISMATCH = 0x80091007
NO_LOCATION = 0x80040102
REBOOT_REQUIRED = 3010
#: What TSManager's process returns when the machine is to restart: HRESULT of 3010, not a failure.
HRESULT_REBOOT_REQUIRED = 0x80070BC2

#: Win32 code -> (text, usual cause in a sequence)
_WIN32: dict[int, tuple[str, str]] = {
    0: ("The operation completed successfully.", ""),
    1: ("Incorrect function.", "a script or program returned 1"),
    2: (
        "The system cannot find the file specified.",
        "the command is missing, or a package's content could not be had",
    ),
    3: ("The system cannot find the path specified.", "the data path was on a volume that is gone"),
    5: (
        "Access is denied.",
        "a custom SetupComplete.cmd, or rights on the distribution point or of the Network Access Account",
    ),
    8: ("Not enough memory resources are available to process this command.", "too little memory for the PE"),
    13: ("The data is invalid.", ""),
    14: ("Not enough storage is available to complete this operation.", "too little memory for the PE"),
    50: (
        "The request is not supported.",
        "the step may not run in this environment (Windows PE or full operating system)",
    ),
    53: ("The network path was not found.", "no network driver, or the server's name is wrong"),
    67: ("The network name cannot be found.", "the share does not exist"),
    87: ("The parameter is incorrect.", "a field of the step has a value that its program refuses"),
    112: ("There is not enough space on the disk.", "the disk is too small for the layout or the content"),
    193: (
        "%1 is not a valid Win32 application.",
        "the program's architecture does not fit the PE or the system",
    ),
    200: ("The code segment cannot be greater than or equal to 64K.", "a script's own exit code 200"),
    258: ("The wait operation timed out.", ""),
    1168: ("Element not found.", "the disk, package, policy or boot entry does not exist"),
    1223: ("The operation was canceled by the user.", "a restart nobody asked for"),
    1326: ("The user name or password is incorrect.", "the Network Access Account is wrong"),
    1392: ("The file or directory is corrupted and unreadable.", "a damaged image, disk or memory"),
    1460: ("This operation returned because the timeout period expired.", "the step's time limit"),
    1602: ("User cancelled installation.", "an installer asked somebody, and nobody was there"),
    1605: ("This action is only valid for products that are currently installed.", "nothing to uninstall"),
    1619: ("This installation package could not be opened.", "the path of the package is wrong"),
    1603: ("Fatal error during installation.", "an installer failed; see its own log"),
    1618: ("Another installation is already in progress. Complete that installation before proceeding "
           "with this install.", "two installers at once"),
    1641: ("The requested operation is completed successfully by restarting the system.", ""),
    3010: ("The requested operation is successful. Changes will not be effective until the system is "
           "rebooted.", ""),
    4316: ("The resource required for this operation does not exist.", "Check Readiness failed"),
    12002: ("The operation timed out", "a firewall, or the management point is down"),
    12007: ("The server name or address could not be resolved", "no DNS or address, or a wrong server name"),
    12029: ("A connection with the server could not be established", "the server is down or not reachable"),
    12030: ("The connection with the server was terminated abnormally", "the server closed the connection"),
    12044: ("A certificate is required to complete client authentication", "an HTTPS-only site"),
    12175: ("A security error occurred", "the clock is wrong, or a root certificate is missing"),
}  # fmt: skip

#: other HRESULTs -> (text, source, usual cause)
_HRESULT: dict[int, tuple[str, str, str]] = {
    0x80004001: ("Not implemented", "Windows", ""),
    E_ABORT: ("Operation aborted", "Windows", "a group was given up because an action in it failed"),
    E_FAIL: ("Unspecified error", "Windows", "the sequence failed; the step's own code is the cause"),
    0x80040101: ("Unknown error", "Unknown", "the site has no Network Access Account"),
    NO_LOCATION: ("Unknown error", "Unknown", "the package is on no distribution point the machine may use"),
    0x80040104: ("Unknown error", "Unknown", "a package or application of the sequence does not exist"),
    0x8004100E: ("Invalid namespace", "WMI", ""),
    0x80041002: ("Not found", "WMI", ""),
    0x80041010: ("Invalid class", "WMI", "policy could not be compiled"),
    0x8000FFFF: ("Catastrophic failure", "Windows", ""),
    HASH_MISMATCH: (
        "The hash value is not correct.",
        "Windows",
        "the content on the distribution point changed, or memory is bad",
    ),
    0x8028400F: ("A compatible TPM cannot be found on this computer.", "Windows", "no TPM, or it is off"),
    0x80190191: ("Unauthorized (401)", "Windows", "no or a wrong Network Access Account"),
    0x80190193: ("Forbidden (403)", "Windows", "the account may not read the content"),
    0x80190194: ("Not found (404)", "Windows", "the content is not on the distribution point"),
    0x87D00215: ("Item not found", "CCM", ""),
    0x87D00267: ("The client is not ready", "CCM", "the client was not installed or has no policy yet"),
    0x87D00269: ("The required management point is not found", "CCM", "the client cannot reach its site"),
    0x87D00324: ("The application was not detected after installation", "CCM", "the detection rule is wrong"),
    0x87D01004: ("The software distribution agent is disabled", "CCM", "stand-alone media"),
    0x87D01106: ("Failed to verify the executable file is valid", "CCM", "the package's content is missing"),
    0x87D01107: ("Failed to access all the provided program locations", "CCM", "the content is not there"),
    0xC1900200: ("The machine is not eligible for Windows", "Windows", "hardware below the minimum"),
    0xC1900208: ("An incompatible application blocks the upgrade", "Windows", ""),
    0xC1900210: ("No compatibility issue was found", "Windows", "success of a scan"),
    0xC0000135: ("A required library was not found", "Windows", "the PE has no .NET or lacks a DLL"),
    0xC000007B: ("The image has a wrong format", "Windows", "a program of another architecture"),
}


def unsigned(code: int) -> int:
    """The code as an unsigned 32-bit number: -2147467259 and 0x80004005 are one code."""
    return code & 0xFFFFFFFF


def hexadecimal(code: int) -> str:
    """``80004005``, as the log spells a code."""
    return f"{unsigned(code):08X}"


def win32(code: int) -> int | None:
    """The Win32 code in an HRESULT of facility Windows, or the code itself when it is a plain one."""
    code = unsigned(code)
    if code >> 16 == 0x8007:
        return code & 0xFFFF
    return code if code < 0x10000 else None


def _known(code: int) -> tuple[str, str, str] | None:
    code = unsigned(code)
    if code in _HRESULT:
        return _HRESULT[code]
    plain = win32(code)
    if plain is not None and plain in _WIN32:
        text, cause = _WIN32[plain]
        return text, "Windows", cause
    return None


def message(code: int) -> str:
    """The system's text for a code, or "Unknown error"."""
    known = _known(code)
    return known[0] if known else "Unknown error"


def cause(code: int) -> str:
    """The usual cause of a code in a task sequence, or "" when none is known."""
    known = _known(code)
    return known[2] if known else ""


def system_message(code: int) -> str:
    """The second line of an error record: ``Text (Error: 80070002; Source: Windows)`` (observed log)."""
    known = _known(code)
    text, source = (known[0], known[1]) if known else ("Unknown error", "Unknown")
    return f"{text} (Error: {hexadecimal(code)}; Source: {source})"


def describe(code: int) -> str:
    """A code for people: ``0x80070002 (The system cannot find the file specified.)``.

    Where the system has no text, what the code means in a sequence stands instead.
    """
    code = unsigned(code)
    shown = str(code) if code < 0x10000 else f"0x{code:08X}"
    text = message(code)
    return f"{shown} ({cause(code) or text if text == 'Unknown error' else text})"


def parse(text: str) -> int:
    """A code as people write it (``0x80070002``, ``-2147024894``, ``2147942402``), unsigned.

    Raises ValueError when it is no number of 32 bits.
    """
    value = int(text.strip(), 0)
    if not -0x80000000 <= value <= 0xFFFFFFFF:
        raise ValueError(f"'{text.strip()}' does not fit in 32 bits")
    return unsigned(value)
