"""The site's objects as values: devices, collections, packages, sequences, deployments, settings.

Pure and JSON-able: the scenario room makes them of YAML, the service and the simulator decide with them.
Names are ConfigMgr's. Ids and names compare without case and are kept as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from lab.sequence.variables import is_secret_name

Architecture = Literal["x86", "x64", "arm64"]
Purpose = Literal["available", "required"]
#: Documented: what a deployment is made available to.
AvailableTo = Literal["clients", "clients, media and PXE", "media and PXE", "media and PXE (hidden)"]
#: Documented: how the deployment gets content.
Download = Literal["when needed", "all before start", "run from distribution point"]
#: How a package is on a distribution point: whole; its files are gone (404); its rights let the account not
#: read it (401); its bytes are not those of the hash.
Distributed = Literal["there", "missing", "denied", "damaged"]
PackageKind = Literal["package", "os-image", "boot-image", "driver-package", "application"]

ALL_SYSTEMS = "All Systems"
ALL_UNKNOWN = "All Unknown Computers"
#: The objects that stand for computers without a record, by what the CPU is able to run (documented: x86 and
#: x64; arm64 in new builds, a guess). Collections may have them as members, beside devices.
UNKNOWN_COMPUTERS: Mapping[Architecture, str] = {
    "x86": "x86 Unknown Computer",
    "x64": "x64 Unknown Computer",
    "arm64": "arm64 Unknown Computer",
}


@dataclass(frozen=True)
class Device:
    """A record of a computer. ``mac`` with colons, lower case; ``uuid`` of its SMBIOS, lower case; "" where
    the record has none. ``last_pxe``: the required deployment that was offered to it by PXE last; ``site``:
    the code of the site that it is assigned to, "" for this one."""

    name: str
    mac: str = ""
    uuid: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    last_pxe: str = ""
    site: str = ""


@dataclass(frozen=True)
class Window:
    """A maintenance window. ``start``: local time 2026-11-22 01:00; ``minutes``: its length, below 24 h;
    ``every``: its recurrence; ``task_sequences``: for them only. Windows PE looks at none (documented)."""

    name: str
    start: str
    minutes: int
    every: Literal["once", "day", "week", "month"] = "once"
    task_sequences: bool = False


@dataclass(frozen=True)
class Collection:
    """A collection. ``members``: names of devices and of unknown computer objects, its rules carried out;
    ``users``: it holds users.

    ``priority``: of two collections that set the same variable the higher one wins (guess: 1 to 9).
    """

    name: str
    members: tuple[str, ...] = ()
    users: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    priority: int = 1
    windows: tuple[Window, ...] = ()

    @cached_property
    def member_names(self) -> frozenset[str]:
        """The members, to look one up without regard to case."""
        return frozenset(name.casefold() for name in self.members)


@dataclass(frozen=True)
class SitePackage:
    """A package of any kind. ``distributed``: distribution point -> how it is there; none: no location.

    ``version``: its source version, from 1. ``share``: it is copied to a package share, too. ``architecture``
    and ``pxe`` (enabled for PXE) are a boot image's.
    """

    id: str
    name: str = ""
    kind: PackageKind = "package"
    version: int = 1
    distributed: Mapping[str, Distributed] = field(default_factory=dict)
    share: bool = False
    architecture: Architecture = "x64"
    pxe: bool = True


@dataclass(frozen=True)
class SiteSequence:
    """A task sequence of the site. ``boot_image`` is a package id, or "" for none."""

    package: str
    name: str
    boot_image: str = ""
    disabled: bool = False


@dataclass(frozen=True)
class Deployment:
    """A task sequence deployed to a collection. ``available_at`` and ``deadline``: local times as a window's
    ``start``, or ""; Windows PE ignores both (documented)."""

    id: str
    sequence: str
    collection: str
    purpose: Purpose = "available"
    available_to: AvailableTo = "clients, media and PXE"
    download: Download = "when needed"
    available_at: str = ""
    deadline: str = ""


@dataclass(frozen=True)
class DistributionPoint:
    """A distribution point. ``pxe``: it answers PXE requests; ``unknown_computers``: those of computers that
    the site does not know, too; ``anonymous``: content is read without an account."""

    name: str
    pxe: bool = True
    unknown_computers: bool = True
    anonymous: bool = False


@dataclass(frozen=True)
class Account:
    """The Network Access Account as clients get it. ``valid`` false: its password is not the directory's."""

    user: str
    password: str
    valid: bool = True


@dataclass(frozen=True)
class Settings:
    """``ignored_macs``: never answered. ``shared_macs`` and ``shared_uuids``: hardware identifiers that
    several computers have (docking stations): no record is found by them. ``default_size`` and
    ``maximum_size``: of collections, for high-risk deployments (documented: 100, and 0 for none)."""

    ignored_macs: tuple[str, ...] = ()
    shared_macs: tuple[str, ...] = ()
    shared_uuids: tuple[str, ...] = ()
    media_variables: Literal["replace", "merge"] = "replace"
    default_size: int = 100
    maximum_size: int = 0


@dataclass(frozen=True)
class SiteObjects:
    """All objects of a site. ``code``: its three characters."""

    code: str
    devices: tuple[Device, ...] = ()
    collections: tuple[Collection, ...] = ()
    packages: tuple[SitePackage, ...] = ()
    sequences: tuple[SiteSequence, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    distribution_points: tuple[DistributionPoint, ...] = (DistributionPoint("DP1"),)
    account: Account | None = None
    settings: Settings = Settings()

    def sequence(self, package: str) -> SiteSequence | None:
        wanted = package.casefold()
        return next((one for one in self.sequences if one.package.casefold() == wanted), None)

    def package(self, identifier: str) -> SitePackage | None:
        wanted = identifier.casefold()
        return next((one for one in self.packages if one.id.casefold() == wanted), None)

    def deployment(self, identifier: str) -> Deployment | None:
        wanted = identifier.casefold()
        return next((one for one in self.deployments if one.id.casefold() == wanted), None)

    def device(self, name: str) -> Device | None:
        return next((one for one in self.devices if one.name.casefold() == name.casefold()), None)

    def collection(self, name: str) -> Collection | None:
        return next((one for one in self.collections if one.name.casefold() == name.casefold()), None)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Name of a device -> its place among them, from 0."""
        return {one.name: index for index, one in enumerate(self.devices)}

    @cached_property
    def by_mac(self) -> Mapping[str, tuple[Device, ...]]:
        """MAC address -> the records that have it."""
        return _grouped(self.devices, lambda one: one.mac)

    @cached_property
    def by_uuid(self) -> Mapping[str, tuple[Device, ...]]:
        """SMBIOS GUID -> the records that have it."""
        return _grouped(self.devices, lambda one: one.uuid)

    def is_secret(self, variable: str) -> bool:
        """Whether nobody may see a variable: some device or collection says so, or its name does."""
        return variable.casefold() in self._secrets or is_secret_name(variable)

    @cached_property
    def _secrets(self) -> frozenset[str]:
        holders: tuple[Device | Collection, ...] = (*self.devices, *self.collections)
        return frozenset(name.casefold() for one in holders for name in one.secrets)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> SiteObjects:
        def made(kind: type, key: str) -> tuple[Any, ...]:
            return tuple(kind(**_tupled(item)) for item in data[key])

        collections = (
            {**item, "windows": tuple(Window(**window) for window in item["windows"])}
            for item in data["collections"]
        )
        return SiteObjects(
            code=data["code"],
            devices=made(Device, "devices"),
            collections=tuple(Collection(**_tupled(item)) for item in collections),
            packages=made(SitePackage, "packages"),
            sequences=made(SiteSequence, "sequences"),
            deployments=made(Deployment, "deployments"),
            distribution_points=made(DistributionPoint, "distribution_points"),
            account=Account(**data["account"]) if data["account"] else None,
            settings=Settings(**_tupled(data["settings"])),
        )


def _grouped(devices: Iterable[Device], key: Callable[[Device], str]) -> dict[str, tuple[Device, ...]]:
    found: dict[str, tuple[Device, ...]] = {}
    for one in devices:
        if name := key(one).casefold():
            found[name] = (*found.get(name, ()), one)
    return found


def _tupled(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
