"""What the machine and its Windows are, for *Check Readiness* and the requirements of applications.

Engine room: pure. Asked as conditions ask: WMI and the registry of the system that runs.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lab.sequence.asking import Asker, Expression, Rows
from lab.sequence.effects import Effect, Outcome
from lab.sequence.model import Condition

Asked = Generator[Effect, Outcome, Any]

CLIENT = "HKLM\\SOFTWARE\\Microsoft\\SMS\\Mobile Client"
_TPM = "root\\cimv2\\Security\\MicrosoftTpm"
_NETWORK = "root\\StandardCimv2"

#: Win32_Battery.BatteryStatus and MSFT_NetAdapter.NdisPhysicalMedium, documented.
_DISCHARGING = 1
_WIRELESS = (1, 8, 9)


class Inventory:
    """Answers, each a generator over effects that returns it. What cannot be asked is 0, "" or false."""

    def __init__(self, asker: Asker) -> None:
        self._facts = asker.facts
        self._ask = Expression(Condition("and"), asker)

    def memory(self) -> Asked:
        """MiB."""
        return sum(_numbers((yield from self._ask.rows("Win32_ComputerSystem")), "TotalPhysicalMemory")) >> 20

    def processor_speed(self) -> Asked:
        """MHz of the fastest processor."""
        return max(_numbers((yield from self._ask.rows("Win32_Processor")), "MaxClockSpeed"), default=0)

    def free_disk(self) -> Asked:
        """MiB free on the volume with most room, or of the largest disk if nothing is formatted (guess)."""
        rows = yield from self._ask.rows("Win32_LogicalDisk")
        own = "X:" if self._facts.get("in_winpe") else ""
        rows = [row for row in rows if row.get("DriveType") == 3 and row.get("DeviceID") != own]
        if rows:
            return max(_numbers(rows, "FreeSpace"), default=0) >> 20
        return max(_numbers((yield from self._ask.rows("Win32_DiskDrive")), "Size"), default=0) >> 20

    def architecture(self) -> Asked:
        """ "x64", "x86" or "arm64"."""
        yield from ()
        return str(self._facts.get("architecture") or "x64")

    def uefi(self) -> Asked:
        yield from ()
        return bool(self._facts.get("uefi"))

    def os_type(self) -> Asked:
        """ "CLIENT" or "SERVER"."""
        rows = yield from self._ask.rows("Win32_OperatingSystem")
        return "SERVER" if any(row.get("ProductType") in (2, 3) for row in rows) else "CLIENT"

    def os_version(self) -> Asked:
        """As 10.0.19045; of PE there is none: it is not what a sequence deploys onto (guess)."""
        return (yield from self._of_windows("Version"))

    def os_language(self) -> Asked:
        """As 1033; "" in PE."""
        return (yield from self._of_windows("OSLanguage"))

    def _of_windows(self, name: str) -> Asked:
        if self._facts.get("in_winpe"):
            return ""
        rows = yield from self._ask.rows("Win32_OperatingSystem")
        return str(rows[0].get(name) or "") if rows else ""

    def client_version(self) -> Asked:
        """Of the client that is installed; "" without one."""
        values = yield from self._ask.values_of(CLIENT, 64)
        return str((values or {}).get("productversion", ("", ""))[1])

    def ac_power(self) -> Asked:
        rows = yield from self._ask.rows("Win32_Battery")
        return not any(row.get("BatteryStatus") == _DISCHARGING for row in rows)

    def network(self) -> Asked:
        """Whether a card has an address."""
        rows = yield from self._ask.rows("Win32_NetworkAdapterConfiguration")
        return any(row.get("IPEnabled") for row in rows)

    def wired(self) -> Asked:
        rows = yield from self._ask.rows("MSFT_NetAdapter", _NETWORK)
        return any(row.get("NdisPhysicalMedium") not in _WIRELESS for row in rows)

    def tpm_enabled(self) -> Asked:
        return (yield from self._tpm("IsEnabled_InitialValue"))

    def tpm_activated(self) -> Asked:
        return (yield from self._tpm("IsActivated_InitialValue"))

    def _tpm(self, name: str) -> Asked:
        return any(row.get(name) for row in (yield from self._ask.rows("Win32_Tpm", _TPM)))


def _numbers(rows: Rows, name: str) -> list[int]:
    return [int(row.get(name) or 0) for row in rows]
