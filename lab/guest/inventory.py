"""What the machine is, read from /sys, /proc and its own registry: the value of GatherInventory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.guest import machine
from lab.guest.volumes import Volumes

CURRENT_VERSION = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
PRODUCT = "HKLM\\SYSTEM\\ControlSet001\\Control\\ProductOptions"
LANGUAGE = "HKLM\\SYSTEM\\ControlSet001\\Control\\Nls\\Language"
CLIENT = "HKLM\\SOFTWARE\\Microsoft\\SMS\\Mobile Client"

#: The values of a key by name, as [type, data]; None when there is no such key.
Registry = Callable[[str], Mapping[str, Any] | None]


def inventory(
    phase: str,
    identity: Mapping[str, Any],
    volumes: Volumes,
    registry: Registry,
    *,
    sys: str = "/sys",
    proc: str = "/proc",
    lease: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """``phase`` "pe" or "os"; ``lease`` the DHCP lease (default: the machine's own)."""
    given = lease if lease is not None else (machine.lease() or {})
    dmi = f"{sys}/class/dmi/id"
    system = running_system(registry if phase == "os" else lambda key: None)
    cards = list(_cards(sys))
    return {
        "make": _text(f"{dmi}/sys_vendor"),
        "model": _text(f"{dmi}/product_name"),
        "serial_number": machine.serial_number(sys),
        "asset_tag": _text(f"{dmi}/chassis_asset_tag"),
        "uuid": str(identity["uuid"]).upper(),
        "mac_addresses": [_text(f"{sys}/class/net/{card}/address").upper() for card in cards],
        "ip_addresses": [given["ip"]] if given.get("ip") else [],
        "default_gateways": given.get("router", "").split(),
        "memory": machine.memory_mib(proc),
        "processor_speed": _speed(proc),
        "free_disk": _free(volumes),
        "architecture": identity["architecture"],
        **system,
        "ac_power": _on_mains(sys),
        "network": bool(given.get("ip")),
        "wired": any(not os.path.exists(f"{sys}/class/net/{card}/wireless") for card in cards),
        "uefi": bool(identity["uefi"]),
        "tpm_enabled": os.path.isdir(f"{sys}/class/tpm/tpm0"),
        "tpm_activated": os.path.isdir(f"{sys}/class/tpm/tpm0"),
    }


def running_system(registry: Registry) -> dict[str, str]:
    """What the running Windows says of itself; what its registry does not hold is "". Pure."""

    def value(key: str, name: str) -> str:
        found = (registry(key) or {}).get(name)
        return str(found[1]) if found else ""

    version = value(CURRENT_VERSION, "CurrentVersion")
    build = value(CURRENT_VERSION, "CurrentBuild") or value(CURRENT_VERSION, "CurrentBuildNumber")
    major = value(CURRENT_VERSION, "CurrentMajorVersionNumber")
    if major:
        version = f"{major}.{value(CURRENT_VERSION, 'CurrentMinorVersionNumber') or '0'}"
    kind = value(PRODUCT, "ProductType")
    language = value(LANGUAGE, "InstallLanguage")
    return {
        "os_version": f"{version}.{build}" if version and build else version,
        "os_type": "SERVER" if kind and kind.casefold() != "winnt" else "CLIENT",
        "os_language": str(int(language, 16)) if re.fullmatch(r"[0-9A-Fa-f]{1,8}", language) else "",
        "client_version": value(CLIENT, "ProductVersion"),
    }


def _cards(sys: str) -> list[str]:
    folder = f"{sys}/class/net"
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [name for name in names if os.path.exists(f"{folder}/{name}/device")]


def _speed(proc: str) -> int:
    """MHz of the first processor; 0 when the kernel does not say."""
    found = re.search(r"^cpu MHz\s*:\s*(\d+)", _text(f"{proc}/cpuinfo"), re.MULTILINE)
    return int(found[1]) if found else 0


def _free(volumes: Volumes) -> int:
    """MB that are free on the volume with most room, or of the largest disk where nothing is formatted."""
    free = []
    for letter in volumes.facts():
        room = os.statvfs(volumes.folder(letter))
        free.append(room.f_bavail * room.f_frsize)
    if not free:
        free = [disk["sectors"] * 512 for disk in volumes.describe_disks()]
    return max(free, default=0) >> 20


def _on_mains(sys: str) -> bool:
    """A machine without a battery, or whose battery is not being emptied, is on mains."""
    folder = f"{sys}/class/power_supply"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return not any(_text(f"{folder}/{name}/status") == "Discharging" for name in names)


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
