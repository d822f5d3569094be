"""Where Windows Installer keeps what it installed for the machine, and how it writes codes there.

Engine room: pure. Observed on Windows: a code's digits in another order, as a key's name.
"""

from __future__ import annotations

import re

PRODUCTS = "HKLM\\SOFTWARE\\Classes\\Installer\\Products"
UPGRADE_CODES = "HKLM\\SOFTWARE\\Classes\\Installer\\UpgradeCodes"
#: Programs and Features: a product's key is its code with braces. The second one is for 32-bit products.
UNINSTALL = (
    "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
    "HKLM\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
)

_CODE = re.compile(r"\{?([0-9A-F]{8})-([0-9A-F]{4})-([0-9A-F]{4})-([0-9A-F]{4})-([0-9A-F]{12})\}?")


def packed(code: str) -> str:
    """A product or upgrade code ``{01234567-89AB-…}`` as its key is called; "" when it is no code."""
    found = _CODE.fullmatch(code.strip().upper())
    if not found:
        return ""
    pairs = found[4] + found[5]
    swapped = "".join(pairs[at + 1] + pairs[at] for at in range(0, len(pairs), 2))
    return found[1][::-1] + found[2][::-1] + found[3][::-1] + swapped
