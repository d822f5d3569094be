"""The models of a scenario file and of a hardware template. JSON Schemas for editors come from them."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.scenario.expect import Expect
from lab.scenario.fields import (
    Code,
    CommandPattern,
    Count,
    Duration,
    Flag,
    PackageId,
    Size,
    VariableName,
    VariableValue,
    WindowsPath,
)  # fmt: skip
from lab.yamlio import BadValue, Model, quoted

#: What a package may be besides a path: built by the lab, or not there.
BUILT_IN_CONTENT = ("reference-image", "boot-image", "client", "missing")
#: The content every site has unless the scenario says otherwise.
DEFAULT_CONTENT = {"LAB00001": "reference-image", "LAB00002": "boot-image", "LAB00003": "client"}

_ARCHITECTURES: dict[str, Literal["x86_64", "aarch64", "i686"]] = {
    "x64": "x86_64", "arm64": "aarch64", "x86": "i686",
}  # fmt: skip


class Double(Model):
    """The answer to a command of the sequence that only Windows could run."""

    command: CommandPattern
    """the command line as a glob (* and ?), or a /regular expression/; case does not count"""
    exit: Code = 0
    sets: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """variables that the command sets"""
    writes: dict[WindowsPath, str] = Field(default_factory=dict)
    """files that the command writes"""
    takes: Duration = 0.0
    output: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the machine's policy has it (docs/architecture.md); ``takes`` in seconds."""
        return {
            "command": self.command, "exit": self.exit, "sets": dict(self.sets),
            "writes": dict(self.writes), "takes": self.takes, "output": self.output,
        }  # fmt: skip


class Limits(Model):
    """When the lab gives up."""

    time: Duration | None = None
    """of the whole run, on the wall clock of an accelerated machine; the lab scales it for a slow host"""


class Scenario(Model):
    """One scenario: a machine, a task sequence, and what must come of it."""

    scenario: str
    """the title: one sentence that says what is shown"""
    machine: str
    """a hardware template of vm-templates/"""
    sequence: str
    """a task sequence (XML or zip): beside the scenario, or in a folder sequences/ there or above"""
    sequence_name: str = ""
    """which one, by name or package id, where the export holds several"""
    variables: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """the device's variables, before the first step"""
    content: dict[PackageId, str] = Field(default_factory=dict)
    """packages of the distribution point: reference-image, boot-image, client, missing, or a path"""
    doubles: tuple[Double, ...] = ()
    rules: tuple[str, ...] = ()
    severity: Literal["blocker", "critical", "normal", "minor", "trivial"] = "normal"
    limits: Limits = Limits()
    expect: Expect

    @field_validator("variables", "content")
    @classmethod
    def _names_differ(cls, value: dict[str, str]) -> dict[str, str]:
        """Case does not count in the names of variables (R16) and in package ids."""
        seen: dict[str, str] = {}
        for name in value:
            if name.casefold() in seen:
                raise BadValue(f"{quoted(seen[name.casefold()])} and {quoted(name)} are the same name")
            seen[name.casefold()] = name
        return value

    @field_validator("rules")
    @classmethod
    def _rule_numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for rule in value:
            if not re.fullmatch(r"R\d\d", rule):
                raise BadValue(f"{quoted(rule)} is not a rule's number", "write it as R66")
        return value

    @model_validator(mode="after")
    def _has_a_title(self) -> Scenario:
        if not self.scenario.strip():
            raise BadValue("the scenario has no title")
        return self


class DiskTemplate(Model):
    size: Size
    bus: Literal["virtio", "sata"] = "virtio"


class NicTemplate(Model):
    model: Literal["virtio", "e1000", "e1000e"] = "virtio"
    pxe: Flag = True
    option_rom: Flag = True
    """QEMU's iPXE in the card; false: the firmware's own PXE"""


class Template(Model):
    """Hardware, without a name: what a machine of a scenario is made like."""

    description: str = ""
    firmware: Literal["uefi", "bios"]
    architecture: Literal["x64", "arm64", "x86"] = "x64"
    memory: Size
    vcpus: Count = 1
    secure_boot: Flag = False
    disks: tuple[DiskTemplate, ...]
    nics: tuple[NicTemplate, ...] = (NicTemplate(),)
    boot_order: tuple[Literal["disk", "network"], ...] = ("disk", "network")

    @model_validator(mode="after")
    def _sensible(self) -> Template:
        if not 64 << 20 <= self.memory <= 64 << 30:
            raise BadValue("memory must be between 64 MiB and 64 GiB")
        if not 1 <= self.vcpus <= 64:
            raise BadValue("vcpus must be between 1 and 64")
        if any(not 1 << 20 <= disk.size <= 1 << 44 for disk in self.disks):
            raise BadValue("a disk must have between 1 MiB and 16 TiB")
        return self


def machine_spec(
    template: Template,
    name: str,
    mac: str,
    uuid: str,
    *,
    taps: tuple[str, ...] = (),
    accelerator: Literal["kvm", "tcg"] = "tcg",
    serial_number: str = "",
) -> MachineSpec:
    """A machine made like ``template``. ``mac`` ("52:54:..") is the first card's; the others count up."""
    first = int(mac.replace(":", ""), 16)
    nics = tuple(
        NicSpec(
            mac=(first + index).to_bytes(6, "big").hex(":"),
            model=nic.model,
            pxe=nic.pxe,
            option_rom=nic.option_rom,
            tap=taps[index] if index < len(taps) else "",
        )
        for index, nic in enumerate(template.nics)
    )
    return MachineSpec(
        name=name,
        uuid=uuid,
        firmware=template.firmware,
        memory=template.memory >> 20,
        disks=tuple(DiskSpec(disk.size, disk.bus) for disk in template.disks),
        nics=nics,
        architecture=_ARCHITECTURES[template.architecture],
        vcpus=template.vcpus,
        secure_boot=template.secure_boot,
        boot_order=template.boot_order,
        serial_number=serial_number,
        accelerator=accelerator,
    )
