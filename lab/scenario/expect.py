"""The models of a scenario's ``expect``: what the run, the log, the disk and the site must show."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from lab.scenario.fields import (
    Code,
    Count,
    Flag,
    OneOrMore,
    PackageId,
    Regex,
    RegistryKey,
    SizeRange,
    Texts,
    WindowsPath,
)  # fmt: skip
from lab.yamlio import BadValue, Model

StepResult = Literal["success", "failed", "skipped", "disabled", "unfinished", "not-run"]
Severity = Literal["info", "warning", "error"]
PartitionType = Literal["EFI", "MSR", "Primary", "Recovery", "Hidden", "Extended", "Logical"]


def _lower(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


class StepExpectation(Model):
    """How a step or group ends. ``failed`` counts also when the step continues on error."""

    shorthand: ClassVar[str] = "result"
    result: StepResult
    """success, failed, skipped, disabled, unfinished (begun, and never ended) or not-run"""
    code: Code | None = None
    """the step's code: 0x80070002 or 1603"""

    @model_validator(mode="after")
    def _sensible(self) -> StepExpectation:
        if self.code is not None and self.result not in ("success", "failed"):
            raise BadValue(f"a step that is {self.result} has no code")
        if self.code == 0 and self.result == "failed":
            raise BadValue("a step that failed has another code than 0")
        return self


class LogExpectation(Model):
    """A record of smsts.log, or of SMSPXE.log. Without ``count`` and ``at_least``: there is at least one."""

    shorthand: ClassVar[str] = "contains"
    file: Literal["smsts.log", "SMSPXE.log"] = "smsts.log"
    """SMSPXE.log: the site's own, with what it decided about every machine"""
    contains: str | None = None
    """text found in the message; case counts"""
    matches: Regex | None = None
    """regular expression found in the message"""
    component: str | None = None
    """TSManager, ApplyOperatingSystem, …"""
    severity: Severity | None = None
    count: Count | None = None
    at_least: Count | None = None
    absent: Flag = False
    """true: no such record"""
    after: str | None = None
    """only records after the first one that contains this text"""
    before: str | None = None
    """only records before the first one that contains this text"""

    @model_validator(mode="after")
    def _sensible(self) -> LogExpectation:
        if (self.contains is None) == (self.matches is None):
            raise BadValue("a record is told by 'contains' or by 'matches', one of them")
        if not (self.contains or self.matches):
            raise BadValue("an empty text is in every record")
        if sum((self.count is not None, self.at_least is not None, self.absent)) > 1:
            raise BadValue("'count', 'at_least' and 'absent' exclude each other")
        if self.at_least == 0:
            raise BadValue("at_least: 0 always holds", "write 'absent: true' or 'at_least: 1'")
        return self


class ValueExpectation(Model):
    """A variable's or registry value's content. Nothing (``null``): there is no such variable or value."""

    shorthand: ClassVar[str] = "equals"
    equals: str | None = None
    """the whole value; case counts"""
    contains: str | None = None
    matches: Regex | None = None

    @model_validator(mode="after")
    def _sensible(self) -> ValueExpectation:
        if sum(item is not None for item in (self.equals, self.contains, self.matches)) > 1:
            raise BadValue("'equals', 'contains' and 'matches' exclude each other")
        if self.contains == "" or self.matches == "":
            raise BadValue("an empty text is in every value")
        return self

    @property
    def absent(self) -> bool:
        return self.equals is None and self.contains is None and self.matches is None


class FileExpectation(Model):
    """A file or folder (the path ends with a backslash) on the powered-off disk."""

    shorthand: ClassVar[str] = "state"
    state: Literal["exists", "absent"] = "exists"
    contains: Texts = ()
    """texts that are in it"""
    equals: str | None = None
    """its whole text; line ends do not count"""
    matches: Regex | None = None
    sha256: str | None = None
    size: SizeRange | None = None
    same_as: WindowsPath | None = None
    """another file on the disk with the same content"""

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise BadValue("a SHA-256 has 64 hexadecimal digits")
        return value.lower() if value else value

    @model_validator(mode="after")
    def _sensible(self) -> FileExpectation:
        if self.state == "absent" and self.model_fields_set - {"state"}:
            raise BadValue("a file that is absent has no content")
        if "" in self.contains or self.matches == "":
            raise BadValue("an empty text is in every file")
        return self

    @property
    def needs_text(self) -> bool:
        return bool(self.contains) or self.equals is not None or self.matches is not None

    @property
    def needs_hash(self) -> bool:
        return self.sha256 is not None or self.same_as is not None


def _registry_schema(schema: dict[str, Any]) -> None:
    values = schema["properties"]["values"]
    state = schema["properties"]["state"]
    title, description = schema.get("title", ""), schema.get("description", "")
    schema.clear()
    schema.update(title=title, description=description, anyOf=[state, values])


class RegistryExpectation(Model):
    """A key of the offline hives: ``exists``, ``absent``, or its values by name."""

    model_config = ConfigDict(json_schema_extra=_registry_schema)
    state: Literal["exists", "absent"] = "exists"
    values: dict[str, ValueExpectation] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if not data:
                raise BadValue("no value is named", "write 'exists' when any will do")
            return {"values": data}
        return {"state": data}


class PartitionExpectation(Model):
    """One partition, in the order of the table."""

    type: PartitionType
    label: str | None = None
    file_system: Literal["NTFS", "FAT32", "none"] | None = None
    size: SizeRange | None = None
    bootable: Flag | None = None
    """the active flag of an MBR"""


class BootLoaderExpectation(Model):
    """Where the boot loader stands: a volume that the firmware starts from, and the path on it."""

    shorthand: ClassVar[str] = "path"
    path: WindowsPath
    same_as: WindowsPath | None = None
    """the file it was copied from"""


def _disk_schema(schema: dict[str, Any]) -> None:
    properties = schema["properties"]
    schema["patternProperties"] = {
        **properties.pop("files")["patternProperties"],
        **properties.pop("registry")["patternProperties"],
    }
    properties.pop("unformatted")
    full = dict(schema)
    schema.clear()
    schema.update(title=full["title"], anyOf=[{"const": "unformatted"}, full])


class DiskExpectation(Model):
    r"""The first disk, read when the machine is off. Keys that are Windows paths (``C:\Windows\…``) are files
    and folders; keys that are registry keys (``HKLM\SYSTEM\Setup``) are looked up in the offline hives."""

    model_config = ConfigDict(json_schema_extra=_disk_schema)
    unformatted: bool = False
    style: Literal["GPT", "MBR"] | None = None
    partitions: tuple[PartitionExpectation, ...] | None = None
    """all partitions, in the order of the table"""
    boot_loader: BootLoaderExpectation | None = None
    files: dict[WindowsPath, FileExpectation] = Field(default_factory=dict)
    registry: dict[RegistryKey, RegistryExpectation] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _by_shape(cls, data: Any) -> Any:
        if data == "unformatted":
            return {"unformatted": True}
        if isinstance(data, str):
            raise BadValue(f"expected 'unformatted' or a mapping, not '{data[:60]}'")
        if not isinstance(data, dict):
            return data
        if not data:
            raise BadValue("nothing is expected of the disk")
        made: dict[str, Any] = {"files": {}, "registry": {}}
        for key, value in data.items():
            if re.match(r"HK\w*\\", key, re.IGNORECASE):
                made["registry"][key] = value
            elif ":" in key or "\\" in key:
                made["files"][key] = value  # what is misspelled is told how it is written
            elif key in ("unformatted", "files", "registry"):
                raise BadValue(
                    f"'{key}' is no key here", "paths and registry keys stand below 'disk' themselves"
                )
            else:
                made[key] = value
        return made


class OtherDiskExpectation(Model):
    """A disk beside the first one, read when the machine is off."""

    style: Literal["GPT", "MBR"] | None = None
    partitions: tuple[PartitionExpectation, ...] | None = None
    """all partitions, in the order of the table"""

    @model_validator(mode="after")
    def _sensible(self) -> OtherDiskExpectation:
        if not self.model_fields_set:
            raise BadValue("nothing is expected of the disk")
        return self


class RequestExpectation(Model):
    """An HTTP request the machine made. Without ``count`` and ``at_least``: there is at least one."""

    shorthand: ClassVar[str] = "content"
    content: PackageId | None = None
    """a package: any of its files"""
    path: str | None = None
    """the path asked for, as a glob: /boot/*"""
    status: Count | None = None
    count: Count | None = None
    at_least: Count | None = None
    absent: Flag = False

    @model_validator(mode="after")
    def _sensible(self) -> RequestExpectation:
        if (self.content is None) == (self.path is None):
            raise BadValue("a request is told by 'content' or by 'path', one of them")
        if sum((self.count is not None, self.at_least is not None, self.absent)) > 1:
            raise BadValue("'count', 'at_least' and 'absent' exclude each other")
        if self.at_least == 0:
            raise BadValue("at_least: 0 always holds", "write 'absent: true' or 'at_least: 1'")
        return self


class PxeExpectation(Model):
    """What the site decides when the machine starts from the network. What is not said may be anything."""

    shorthand: ClassVar[str] = "action"
    action: Literal["boot", "abort", "ignore"] | None = None
    """abort: sent on to the next boot device; ignore: no answer at all"""
    deployment: str | None = None
    """its id; an empty text: none"""
    boot_image: PackageId | None = None
    mandatory: Flag | None = None
    """it starts without F12, as a required deployment does"""
    known: Flag | None = None
    """whether the site has a record of the machine"""
    device: str | None = None
    """the record's name"""

    @model_validator(mode="after")
    def _sensible(self) -> PxeExpectation:
        if not self.model_fields_set:
            raise BadValue("nothing is expected of the decision", "write 'boot', 'abort' or 'ignore'")
        if self.action in ("abort", "ignore") and self.boot_image:
            raise BadValue(f"no boot image is given where the answer is {self.action}")
        return self


class StatusExpectation(Model):
    """A status message that the machine sent. Without ``count`` and ``at_least``: there is at least one."""

    shorthand: ClassVar[str] = "id"
    id: Count | None = None
    """ConfigMgr's message id: 11170"""
    contains: str | None = None
    """text found in what it says: its step, group, action and text"""
    count: Count | None = None
    at_least: Count | None = None
    absent: Flag = False

    @model_validator(mode="after")
    def _sensible(self) -> StatusExpectation:
        if self.id is None and not self.contains:
            raise BadValue("a status message is told by 'id', by 'contains', or by both")
        if sum((self.count is not None, self.at_least is not None, self.absent)) > 1:
            raise BadValue("'count', 'at_least' and 'absent' exclude each other")
        if self.at_least == 0:
            raise BadValue("at_least: 0 always holds", "write 'absent: true' or 'at_least: 1'")
        return self


class Expect(Model):
    """What must hold when the run is over. Each line is judged on its own."""

    result: Literal["success", "failed", "unfinished", "not-started"] | None = None
    """unfinished: the sequence came to no end, and the machine has nothing more to do; not-started: none
    began"""
    code: Code | None = None
    """the sequence's code, normally 0x80004005 when it failed"""
    failed_step: str | None = None
    """the step that ended the sequence"""
    steps: dict[str, StepExpectation] = Field(default_factory=dict)
    """steps and groups by name; every one that has the name"""
    steps_not_run: tuple[str, ...] = ()
    log: tuple[LogExpectation, ...] = ()
    variables: dict[str, ValueExpectation] = Field(default_factory=dict)
    """the variables at the end; null: there is no such variable"""
    disk: DiskExpectation | None = None
    disks: dict[Count, OtherDiskExpectation] = Field(default_factory=dict)
    """the other disks by their number: 1 is the second one"""
    requests: tuple[RequestExpectation, ...] = ()
    pxe: Annotated[tuple[PxeExpectation, ...], OneOrMore()] = ()
    """of every start from the network; a list: one for each start, in their order, and no more"""
    status: Annotated[tuple[StatusExpectation, ...], OneOrMore()] = ()

    @model_validator(mode="after")
    def _sensible(self) -> Expect:
        if not self.model_fields_set:
            raise BadValue("nothing is expected, so nothing could fail", "write 'result: success'")
        if self.result == "unfinished" and (self.failed_step or self.code is not None):
            raise BadValue("a sequence that comes to no end has no code and no step that ended it")
        if self.result == "not-started" and (self.failed_step or self.code is not None or self.steps):
            raise BadValue("a sequence that does not begin has no code and no steps")
        if self.result == "success" and (self.failed_step or self.code):
            raise BadValue("a sequence that succeeds has no failed step and no code but 0")
        return self
