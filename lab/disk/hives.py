"""Offline registry hives as values, read with regipy.

The home of regipy. Keys are named as Windows names them in the running system: ``HKLM\\SYSTEM\\Setup``;
types are REG_SZ, REG_EXPAND_SZ, REG_DWORD, REG_QWORD, REG_MULTI_SZ (list of str) and others,
whose data is hex text. The unnamed value's name is "".
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import regipy.registry

#: Registry root -> hive file in \Windows\System32\config (documented: Registry hives).
HIVE_FILES = {
    "HKLM\\SYSTEM": "SYSTEM",
    "HKLM\\SOFTWARE": "SOFTWARE",
    "HKLM\\SAM": "SAM",
    "HKLM\\SECURITY": "SECURITY",
    "HKU\\.DEFAULT": "DEFAULT",
}

#: Keys that every final state shows when they are there, whatever was asked.
STANDARD_KEYS = (
    "HKLM\\SYSTEM\\Select",
    "HKLM\\SYSTEM\\Setup",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ActiveComputerName",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\TimeZoneInformation",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Nls\\Language",
    "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters",
    "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
    "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon",
    "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State",
    "HKLM\\SOFTWARE\\Microsoft\\CCM",
    "HKLM\\SOFTWARE\\Microsoft\\CCM\\CcmExec",
    "HKLM\\SOFTWARE\\Microsoft\\SMS\\Mobile Client",
    "HKLM\\SOFTWARE\\Microsoft\\SMS\\Task Sequence",
)

#: A hive up to this size (bytes) is shown whole: the lab's own images have such.
SMALL_HIVE = 512 * 1024

#: Records of one hive that are looked at; a damaged hive can claim four thousand million.
MAX_RECORDS = 100_000

_LONG_ROOTS = {"HKEY_LOCAL_MACHINE": "HKLM", "HKEY_USERS": "HKU"}

# regipy has no type annotations.
_open: Callable[[str], Any] = regipy.registry.RegistryHive

Values = dict[str, list[Any]]


class DamagedHive(Exception):
    """A hive could not be read. The message is a clause: "is not a registry hive"."""


def normalise(key: str) -> tuple[str, str] | None:
    """``(root, path below it)`` of a key's name, or None when no hive of the image holds it."""
    parts = [part for part in key.strip().strip("\\").split("\\") if part]
    if len(parts) < 2:
        return None
    parts[0] = _LONG_ROOTS.get(parts[0].upper(), parts[0].upper())
    root = "\\".join((parts[0], parts[1].upper()))
    return (root, "\\".join(parts[2:])) if root in HIVE_FILES else None


class Hive:
    """One hive. Raises DamagedHive when ``data`` is none or too damaged to be opened."""

    def __init__(self, root: str, data: bytes) -> None:
        self.root_name = root
        self.small = len(data) <= SMALL_HIVE
        self._left = MAX_RECORDS
        if data[:4] != b"regf":
            raise DamagedHive("is not a registry hive")
        # regipy takes a path only and logs damage that we report ourselves.
        logging.getLogger("regipy").setLevel(logging.CRITICAL)
        handle, path = tempfile.mkstemp(prefix="osdlab-hive-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            self._hive = _open(path)
        except Exception as error:
            raise DamagedHive(f"is a damaged registry hive: {_said(error)}") from error
        finally:
            os.unlink(path)

    def get(self, path: str) -> tuple[str, Values] | None:
        """The key's full name with the hive's own case, and its values; None when it is not there.

        ``CurrentControlSet`` is looked up through ``Select\\Current``. Raises DamagedHive.
        """
        record = self._hive.root
        name = self.root_name
        try:
            parts = [part for part in path.split("\\") if part]
            if parts and parts[0].casefold() == "currentcontrolset":
                parts[0] = f"ControlSet{self.current_control_set():03d}"
            for part in parts:
                record = self._child(record, part)
                if record is None:
                    return None
                name += "\\" + record.name
            return name, self._values(record)
        except DamagedHive:
            raise
        except Exception as error:
            raise DamagedHive(f"is damaged at '{name}': {_said(error)}") from error

    def all(self) -> Iterator[tuple[str, Values]]:
        """Every key with its values. Raises DamagedHive, perhaps after some keys."""
        seen: set[int] = set()
        records = [(self.root_name, self._hive.root, 0)]
        while records:
            name, record, depth = records.pop()
            try:
                values = self._values(record)
                children = list(self._children(record))
            except DamagedHive:
                raise
            except Exception as error:
                raise DamagedHive(f"is damaged at '{name}': {_said(error)}") from error
            yield name, values
            offset = int(record.header.subkeys_list_offset) if children else -1
            if children and (offset in seen or depth > 512):
                raise DamagedHive(f"is damaged at '{name}': a key contains itself")
            seen.add(offset)
            records += [(f"{name}\\{child.name}", child, depth + 1) for child in reversed(children)]

    def current_control_set(self) -> int:
        """The number in ``Select\\Current``, 1 when the hive does not say."""
        select = self._child(self._hive.root, "Select")
        if select is not None:
            kind, data = self._values(select).get("Current", ["", 1])
            if kind == "REG_DWORD":
                return int(data)
        return 1

    def _child(self, record: Any, name: str) -> Any:
        wanted = name.casefold()
        return next((child for child in self._children(record) if child.name.casefold() == wanted), None)

    def _children(self, record: Any) -> Iterator[Any]:
        for child in record.iter_subkeys():
            self._spend()
            if isinstance(child, regipy.registry.NKRecord):
                yield child

    def _values(self, record: Any) -> Values:
        values: Values = {}
        for value in islice(record.iter_values(trim_values=False), MAX_RECORDS):
            self._spend()
            values["" if value.name == "(default)" else value.name] = _plain(value.value_type, value.value)
        return values

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DamagedHive(f"has more than {MAX_RECORDS} records; the rest is left out")


def _plain(kind: str, data: Any) -> list[Any]:
    """A value as [type, data] with JSON data only."""
    if kind == "REG_EXPAND":
        kind = "REG_EXPAND_SZ"
    if isinstance(data, bytes):
        return [kind, data.hex()]
    if isinstance(data, list):
        return [kind, [str(item) for item in data]]
    if isinstance(data, int):
        return [kind, int(data)]
    return [kind, str(data)]


def _said(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]
