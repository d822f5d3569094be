"""The site's driver catalogue, held against a machine's devices. Pure, and the simulator's too."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any


def match_drivers(
    catalogue: Iterable[Mapping[str, Any]],
    devices: Iterable[str],
    categories: Iterable[str] = (),
    *,
    best: bool = True,
) -> list[dict[str, str]]:
    """The drivers that fit the devices, longest id first for each device; with ``best`` one for each.

    ``catalogue``: {"package", "name", "ids": hardware or compatible ids, "categories"} each. ``devices``:
    hardware ids as Windows has them, ``PCI\\VEN_8086&DEV_100E&SUBSYS_..``. An id fits a device that it
    is the beginning of, up to the next ``&``. A driver without the wanted categories does not count.
    """
    wanted = {name.casefold() for name in categories}
    offered = [
        driver
        for driver in catalogue
        if not wanted or wanted & {str(name).casefold() for name in driver.get("categories") or ()}
    ]
    found: list[dict[str, str]] = []
    for device in dict.fromkeys(devices):
        fitting = [
            (-len(str(identifier)), str(driver["package"]), str(driver["name"]))
            for driver in offered
            for identifier in driver.get("ids") or ()
            if _fits(str(identifier), device)
        ]
        chosen = list(dict.fromkeys((package, name) for _, package, name in sorted(fitting)))
        for package, name in chosen[:1] if best else chosen:
            found.append({"package": package, "name": name, "device": device})
    return found


def _fits(identifier: str, device: str) -> bool:
    return f"{device}&".casefold().startswith(f"{identifier}&".casefold())


def pci_devices(sys: str = "/sys") -> list[str]:
    """The machine's PCI devices as Windows names them, in order of their places."""
    folder = f"{sys}/bus/pci/devices"
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = []
    for name in names:
        parts = [
            _hexadecimal(f"{folder}/{name}/{part}")
            for part in ("vendor", "device", "subsystem_device", "subsystem_vendor", "revision")
        ]
        vendor, device, subsystem, subvendor, revision = parts
        found.append(
            f"PCI\\VEN_{vendor:04X}&DEV_{device:04X}&SUBSYS_{subsystem:04X}{subvendor:04X}&REV_{revision:02X}"
        )
    return found


def _hexadecimal(path: str) -> int:
    try:
        with open(path) as file:
            return int(file.read(), 16)
    except (OSError, ValueError):
        return 0
