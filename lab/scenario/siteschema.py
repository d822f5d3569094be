"""The model of a site file: what may be written, value by value. ``sitefile`` checks what refers to what."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, field_validator, model_validator

from lab.scenario.fields import (
    EMPTY,
    Count,
    Duration,
    Flag,
    Guid,
    Mac,
    PackageId,
    Texts,
    VariableName,
    VariableValue,
)  # fmt: skip
from lab.scenario.software import Application, Program
from lab.site.model import Architecture, AvailableTo, Download, Purpose
from lab.yamlio import BadValue, Model, quoted

#: What a package's content may be besides a path.
BUILT_IN = ("reference-image", "boot-image", "client")
#: A maintenance window is shorter than this (documented).
_DAY = 24 * 60 * 60


def moment(value: Any) -> str:
    """A local time to the minute: ``2026-11-22 01:00``."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M").strftime("%Y-%m-%d %H:%M")
    except ValueError:
        raise BadValue(f"{quoted(value)} is not a time", "write it as 2026-11-22 01:00") from None


def deployment_id(value: Any) -> str:
    """A deployment's id, formed as a package's."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9]{3}[0-9A-Fa-f]{5}", text):
        hint = "three characters and five hex digits: LAB20000"
        raise BadValue(f"{quoted(value)} is not a deployment id", hint)
    return text


def computer_name(value: Any) -> str:
    """A device's name (NetBIOS: at most 15 characters)."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,14})", text):
        hint = "letters, digits, '-' and '_'; at most 15"
        raise BadValue(f"{quoted(value)} is not a computer's name", hint)
    return text


def server_name(value: Any) -> str:
    """The name of a distribution point: it stands in URLs and UNC paths."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62})", text):
        raise BadValue(f"{quoted(value)} is not a server's name", "letters, digits, '-' and '.'")
    return text


def object_name(value: Any) -> str:
    """The name of a collection or group: one line that is not blank."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isprintable() or len(text) > 255:
        raise BadValue(f"{quoted(value)} is not a name", "one line, at most 255 characters")
    return text


def site_code(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9]{3}", text):
        raise BadValue(f"{quoted(value)} is not a site code", "three letters and digits: LAB")
    return text.upper()


_TEXT = WithJsonSchema({"type": "string"})
Moment = Annotated[
    str, PlainValidator(moment), WithJsonSchema({"type": "string", "examples": ["2026-11-22 01:00"]})
]
DeploymentId = Annotated[str, PlainValidator(deployment_id), _TEXT]
ComputerName = Annotated[str, PlainValidator(computer_name), _TEXT]
ServerName = Annotated[str, PlainValidator(server_name), _TEXT]
ObjectName = Annotated[str, PlainValidator(object_name), _TEXT]
SiteCode = Annotated[str, PlainValidator(site_code), _TEXT]


class SiteVariable(Model):
    """A variable of a collection or device. Left empty, the Task Sequence Wizard asks for it."""

    shorthand: ClassVar[str] = "value"
    value: VariableValue = ""
    secret: Flag = False
    """``***`` in log, timeline, record and report, as a password's is by its name"""

    @field_validator("value", mode="before")
    @classmethod
    def _nothing_is_the_empty_text(cls, value: Any) -> Any:
        return "" if value is None else value


SiteVariables = Annotated[dict[VariableName, Annotated[SiteVariable, EMPTY]], EMPTY]


class AccountEntry(Model):
    """The Network Access Account, with which machines in Windows PE read content."""

    user: str
    """DOMAIN\\name"""
    password: str
    valid: Flag = True
    """false: the directory has another password"""

    @field_validator("user")
    @classmethod
    def _with_its_domain(cls, value: str) -> str:
        if not re.fullmatch(r"[^\\/:\s]+\\[^\\/:]+", value):
            raise BadValue(f"{quoted(value)} is not an account", r"write it as LAB\naa")
        return value


class DistributionPointEntry(Model):
    pxe: Flag = True
    """it answers PXE requests"""
    unknown_computers: Flag = True
    """of computers without a record, too"""
    anonymous: Flag = False
    """content is read without an account"""


class DeviceEntry(Model):
    """A computer's record, found by its SMBIOS GUID or its MAC address."""

    mac: Mac = ""
    uuid: Guid = ""
    variables: SiteVariables = Field(default_factory=dict)
    last_pxe: DeploymentId = ""
    """the required deployment that was offered to it by PXE last; without it the flag is cleared"""
    site: SiteCode = ""
    """the site that it is assigned to, where that is another one"""


class RuleEntry(Model):
    """A query rule: globs (* and ?) over a device's record, all of which must fit; case does not count."""

    name: str | None = None
    mac: str | None = None
    uuid: str | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> RuleEntry:
        if not any((self.name, self.mac, self.uuid)):
            raise BadValue("a rule asks for name, mac or uuid", "name: 'PC-*'")
        return self


class WindowEntry(Model):
    """A maintenance window. Windows PE looks at none."""

    start: Moment
    length: Duration
    every: Literal["once", "day", "week", "month"] = "once"
    task_sequences: Flag = False
    """for task sequences only"""

    @field_validator("length")
    @classmethod
    def _shorter_than_a_day(cls, value: float) -> float:
        if not 60 <= value < _DAY:
            raise BadValue(
                "a maintenance window is at least a minute and shorter than 24 hours", "length: 4h"
            )
        return value


class CollectionEntry(Model):
    """A collection: members by name, by rules, and those of other collections; what is excluded is out."""

    members: Texts = ()
    rules: tuple[RuleEntry, ...] = ()
    include: Texts = ()
    exclude: Texts = ()
    users: Flag = False
    """it holds users: no sequence is deployed to it"""
    variables: SiteVariables = Field(default_factory=dict)
    priority: Count = 1
    """1 to 9: of two collections that set the same variable the higher one wins"""
    maintenance_windows: dict[ObjectName, WindowEntry] = Field(default_factory=dict)

    @field_validator("priority")
    @classmethod
    def _one_to_nine(cls, value: int) -> int:
        if not 1 <= value <= 9:
            raise BadValue("a collection's priority is 1 to 9")
        return value


class ContentEntry(Model):
    """What packages of every kind have."""

    name: str = ""
    content: str | None = None
    """reference-image, boot-image, client, or the path of a file or folder, relative to this file"""
    version: Count = 1
    """its source version: every sequence gets the newest"""
    distribution_points: Texts | None = None
    """names of distribution points and groups; all when not said; [] for none: no location is known"""
    state: dict[ServerName, Literal["missing", "denied", "damaged"]] = Field(default_factory=dict)
    """how it is there: its files are gone (404), its rights keep the account out (401), its hash is wrong"""
    package_share: Flag = False
    """it is copied to a package share, too: for 'run from distribution point'"""

    @field_validator("version")
    @classmethod
    def _from_one(cls, value: int) -> int:
        if value < 1:
            raise BadValue("a package's first version is 1")
        return value

    @field_validator("content")
    @classmethod
    def _somewhere(cls, value: str | None) -> str | None:
        if value == "missing":
            raise BadValue(
                "a site says by distribution points that content is missing", "distribution_points: []"
            )
        if value is not None and (not value.strip() or "\0" in value):
            raise BadValue(f"{quoted(value)} is not a path")
        return value


class PackageEntry(ContentEntry):
    """A package, with its programs."""

    programs: dict[str, Program] = Field(default_factory=dict)


class OsImageEntry(ContentEntry):
    content: str | None = "reference-image"


class BootImageEntry(ContentEntry):
    content: str | None = "boot-image"
    architecture: Architecture = "x64"
    """what the site takes it for"""
    pxe: Flag = True
    """deploy this boot image from the PXE-enabled distribution point"""


class SequenceObject(Model):
    """A task sequence of the site."""

    sequence: str
    """its file (XML or zip): beside this one, or in a folder sequences/ there or above"""
    sequence_name: str = ""
    """which one, by name or package id, where the export holds several"""
    boot_image: PackageId = ""
    name: str = ""
    """as the wizard lists it; the sequence's own when not said"""
    disabled: Flag = False


class DeploymentEntry(Model):
    """A sequence deployed to a collection."""

    sequence: PackageId
    collection: str
    purpose: Purpose = "available"
    available_to: AvailableTo = "clients, media and PXE"
    download: Download = "when needed"
    available_at: Moment = ""
    deadline: Moment = ""
    """Windows PE looks at neither"""

    @model_validator(mode="after")
    def _as_the_console_allows(self) -> DeploymentEntry:
        if self.download == "all before start" and self.available_to != "clients":
            raise BadValue(
                "'all before start' cannot be had for a deployment that PXE and media are offered",
                "available_to: clients",
            )
        if self.deadline and self.purpose == "available":
            raise BadValue("an available deployment has no deadline", "purpose: required")
        return self


class SettingsEntry(Model):
    ignored_macs: tuple[Mac, ...] = ()
    """addresses that PXE never answers"""
    duplicate_macs: tuple[Mac, ...] = ()
    """addresses that many computers have, such as a docking station's: no record is found by them"""
    duplicate_uuids: tuple[Guid, ...] = ()
    media_variables: Literal["replace", "merge"] = "replace"
    default_size: Count = 100
    """of collections: above it a required deployment that installs a system is warned about; 0: never"""
    maximum_size: Count = 0
    """above it such a deployment is refused; 0: never"""

    @model_validator(mode="after")
    def _maximum_above_default(self) -> SettingsEntry:
        if self.maximum_size and self.maximum_size <= self.default_size:
            raise BadValue(
                f"maximum_size must be greater than default_size ({self.default_size})", "0 switches it off"
            )
        return self


class SiteFile(Model):
    """A site: its objects by their names and ids."""

    site: SiteCode
    network_access_account: AccountEntry | None = None
    distribution_points: dict[ServerName, Annotated[DistributionPointEntry, EMPTY]] = Field(
        default_factory=lambda: {"DP1": DistributionPointEntry()}
    )
    distribution_point_groups: dict[ObjectName, Texts] = Field(default_factory=dict)
    devices: dict[ComputerName, Annotated[DeviceEntry, EMPTY]] = Field(default_factory=dict)
    collections: dict[ObjectName, Annotated[CollectionEntry, EMPTY]] = Field(default_factory=dict)
    packages: dict[PackageId, Annotated[PackageEntry, EMPTY]] = Field(default_factory=dict)
    os_images: dict[PackageId, Annotated[OsImageEntry, EMPTY]] = Field(default_factory=dict)
    boot_images: dict[PackageId, Annotated[BootImageEntry, EMPTY]] = Field(default_factory=dict)
    driver_packages: dict[PackageId, Annotated[ContentEntry, EMPTY]] = Field(default_factory=dict)
    applications: dict[str, Application] = Field(default_factory=dict)
    sequences: dict[PackageId, SequenceObject] = Field(default_factory=dict)
    deployments: dict[DeploymentId, DeploymentEntry] = Field(default_factory=dict)
    settings: SettingsEntry = SettingsEntry()
