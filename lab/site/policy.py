"""What a computer's record brings it: which deployments, which variables, where content is. Pure.

Sources: "Prepare for unknown computer deployments", "Deploy a task sequence", "Using task sequence variables"
(documented). Schedules do not count: Windows PE looks at none (documented).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lab.sequence.variables import is_secret_name
from lab.site.model import (
    ALL_SYSTEMS,
    ALL_UNKNOWN,
    UNKNOWN_COMPUTERS,
    Collection,
    Deployment,
    Device,
    SiteObjects,
)  # fmt: skip

#: The share that packages are copied to, when they are (observed: the drive's letter behind SMSPKG).
SHARE = "SMSPKGD$"


@dataclass(frozen=True)
class Variables:
    """``values``: name -> value, none empty; ``secrets``: names of those that nobody may see; ``unset``:
    names that were left empty on purpose, for the wizard to ask (documented)."""

    values: dict[str, str]
    secrets: tuple[str, ...]
    unset: tuple[str, ...]


def find_device(site: SiteObjects, mac: str, uuid: str) -> tuple[Device | None, tuple[str, ...]]:
    """The record of a computer, and how it was found; a record *Unknown* is named as what it is."""
    found, reasons = _looked_up(site, mac, uuid)
    if found is not None and found.name.casefold() == "unknown":
        # Documented: it makes the computer a known one, for which there is no deployment.
        reasons.append("record 'Unknown' is left over from a start that came to no end: delete it")
    return found, tuple(reasons)


def _looked_up(site: SiteObjects, mac: str, uuid: str) -> tuple[Device | None, list[str]]:
    """The record of a computer, and how it was found.

    By SMBIOS GUID first, then by MAC address (documented: by both; that a GUID goes before an address is a
    guess). Of several records with its GUID the one with its address counts, else the first. A record that
    is found by the address alone counts even if its GUID is another one: so a docking station's address makes
    a new computer a known one (observed), unless the site ignores that address.
    """
    mac, uuid = mac.casefold(), uuid.casefold()
    shared_mac = listed(site.settings.shared_macs, mac)
    shared_uuid = listed(site.settings.shared_uuids, uuid)
    reasons = []
    if shared_uuid:
        reasons.append(f"SMBIOS GUID {uuid} does not count: it is on the list of duplicate identifiers")
    if shared_mac:
        reasons.append(f"MAC address {mac} does not count: it is on the list of duplicate identifiers")
    by_uuid = [] if shared_uuid else list(site.by_uuid.get(uuid, ()))
    by_mac = [] if shared_mac else list(site.by_mac.get(mac, ()))
    if by_uuid:
        found = next((one for one in by_uuid if one in by_mac), by_uuid[0])
        reasons.append(f"SMBIOS GUID {uuid} is that of {found.name}")
        if len(by_uuid) > 1:
            others = ", ".join(one.name for one in by_uuid if one != found)
            why = "has its MAC address, too" if found in by_mac else "is the first record"
            reasons.append(f"{others} has the same GUID: {found.name} {why}")
        other = [one.name for one in by_mac if one != found]
        if other and found not in by_mac:
            reasons.append(f"MAC address {mac} is that of {', '.join(other)}: the GUID goes before it")
        return found, reasons
    if by_mac:
        found = by_mac[0]
        reasons.append(f"MAC address {mac} is that of {found.name}")
        if uuid and found.uuid and not shared_uuid:
            reasons.append(f"{found.name} has another SMBIOS GUID ({found.uuid}): the address counts")
        if len(by_mac) > 1:
            others = ", ".join(one.name for one in by_mac[1:])
            reasons.append(f"{others} has the same address: {found.name} is the first record")
        return found, reasons
    whose = " or ".join([f"MAC address {mac}", *([f"SMBIOS GUID {uuid}"] if uuid else [])])
    reasons.append(f"no record has {whose}: an unknown computer")
    return None, reasons


def assigned_elsewhere(site: SiteObjects, device: Device | None) -> str:
    """Why nothing that this site deploys is for a computer that is another site's (documented); else ""."""
    if device is None or not device.site or device.site.casefold() == site.code.casefold():
        return ""
    return f"{device.name} is assigned to site {device.site}, so no policy of {site.code} is visible to it"


def is_member(site: SiteObjects, collection: str, device: Device | None, unknown: str = "") -> bool:
    """Whether a computer is in a collection of devices. ``unknown``: the object that stands for a computer
    without a record; "" for any of them."""
    name = collection.casefold()
    if name == ALL_SYSTEMS.casefold():
        return True  # documented: All Unknown Computers is in it
    if name == ALL_UNKNOWN.casefold():
        return device is None
    found = site.collection(collection)
    if found is None or found.users:
        return False
    if device is not None:
        return device.name.casefold() in found.member_names
    return any(listed(found.members, one) for one in ([unknown] if unknown else UNKNOWN_COMPUTERS.values()))


def is_elsewhere(site: SiteObjects, deployment: Deployment, device: Device | None, unknown: str = "") -> bool:
    """Whether a deployment is made to other computers, and there is nothing else to say of it."""
    return not _no_devices(site, deployment.collection) and not is_member(
        site, deployment.collection, device, unknown
    )


def refusal(site: SiteObjects, deployment: Deployment, device: Device | None, unknown: str = "") -> str:
    """Why a deployment is not for a computer that comes from the network; "" when it is (R40)."""
    if why := _no_devices(site, deployment.collection):
        return why
    if not is_member(site, deployment.collection, device, unknown):
        return f"it is made to '{deployment.collection}'"
    if deployment.available_to == "clients":
        return "it is made available to clients only, not to PXE"
    if deployment.available_to == "media and PXE (hidden)":
        return "it is hidden: only SMSTSPreferredAdvertID finds it"
    sequence = site.sequence(deployment.sequence)
    if sequence is None:
        return f"task sequence {deployment.sequence} was deleted"
    if sequence.disabled:
        return f"task sequence {sequence.package} is disabled"
    return ""


def _no_devices(site: SiteObjects, name: str) -> str:
    """Why a collection cannot hold a device; "" when it can."""
    if name.casefold() in (ALL_SYSTEMS.casefold(), ALL_UNKNOWN.casefold()):
        return ""
    collection = site.collection(name)
    if collection is None:
        return f"there is no collection '{name}'"
    return f"collection '{name}' is one of users" if collection.users else ""


def assignments(site: SiteObjects, device: Device | None, unknown: str = "") -> tuple[Deployment, ...]:
    """The deployments that a computer in Windows PE sees, the highest id (compared as text) first.

    Boot images do not count here: a sequence with another one than the computer started is seen, too.
    """
    if assigned_elsewhere(site, device):
        return ()
    return tuple(one for one in by_rank(site.deployments) if not refusal(site, one, device, unknown))


def by_rank(deployments: Iterable[Deployment]) -> list[Deployment]:
    """Highest id first (documented: compared as text, not by date)."""
    return sorted(deployments, key=lambda one: one.id.casefold(), reverse=True)


def variables(site: SiteObjects, device: Device | None, unknown: str = "") -> Variables:
    """The variables of a computer's collections and its own: R12, R13, R14 and R22, the site's half.

    The device's beat its collections' (documented). Of two collections the one of higher priority wins
    (guess), of equal ones the later. An unknown computer has its collections' only (documented). A name is
    as secret as in the strictest place that sets it, and a password's by itself.
    """
    layers: list[Collection | Device] = [
        one for one in site.collections if is_member(site, one.name, device, unknown)
    ]
    layers.sort(key=lambda one: one.priority if isinstance(one, Collection) else 0)
    if device is not None:
        layers.append(device)
    found: dict[str, tuple[str, str]] = {}
    secret: set[str] = set()
    for layer in layers:
        found |= {name.casefold(): (name, value) for name, value in layer.variables.items()}
        secret |= {name.casefold() for name in layer.secrets}
    return Variables(
        {name: value for name, value in found.values() if value},
        tuple(name for key, (name, _) in found.items() if key in secret or is_secret_name(name)),
        tuple(name for name, value in found.values() if not value),
    )


def locations(site: SiteObjects, package: str) -> dict[str, Any]:
    """Where the newest version of a package is (R67), as ``GET /locations`` tells it, but for its files.

    ``known`` false: there is no such object, it was deleted (R68). ``locations``: one for each distribution
    point that has it, those included that cannot give it; ``url`` is the path of its folder: a file is below
    it by its name, with ``?dp=`` and the distribution point; ``share``: its UNC path, or "". A task sequence
    is known and has no content.
    """
    found = site.package(package)
    if found is None:
        sequence = site.sequence(package)
        identifier = sequence.package if sequence else package
        return {"package": identifier, "known": sequence is not None, "version": 0, "locations": []}
    places = [one for one in site.distribution_points if listed(found.distributed, one.name)]
    return {
        "package": found.id,
        "known": True,
        "version": found.version,
        "locations": [
            {
                "distribution_point": one.name,
                "url": f"/content/{found.id}",
                "share": rf"\\{one.name}\{SHARE}\{found.id}" if found.share else "",
            }
            for one in places
        ],
    }


def listed(names: Iterable[str], wanted: str) -> bool:
    """Whether a name or identifier is among others; case does not count."""
    return bool(wanted) and wanted.casefold() in _folded(tuple(names))


@lru_cache(maxsize=1024)
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)
