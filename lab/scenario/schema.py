"""The models of a scenario file and of a hardware template. JSON Schemas for editors come from them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec, SmbiosSpec
from lab.scenario.expect import Expect
from lab.scenario.fields import (
    EMPTY,
    Code,
    CommandPattern,
    Count,
    Duration,
    Flag,
    Guid,
    Mac,
    PackageId,
    Size,
    VariableName,
    VariableValue,
    WindowsPath,
)  # fmt: skip
from lab.scenario.keys import (
    F12,
    Content,
    DeviceVariable,
    MachineName,
    ScenarioMachine,
    Wizard,
)  # fmt: skip
from lab.scenario.software import Application, Child, Package, Share, Update
from lab.yamlio import BadValue, Model, quoted

#: What a machine says of itself when its template says nothing.
_PLAIN = SmbiosSpec()

_ARCHITECTURES: dict[str, Literal["x86_64", "aarch64", "i686"]] = {
    "x64": "x86_64", "arm64": "aarch64", "x86": "i686",
}  # fmt: skip


class Double(Model):
    """The answer to a command or script of the sequence that only Windows could run, or to a whole step."""

    command: CommandPattern | None = None
    """the command line as a glob (* and ?), or a /regular expression/; case does not count"""
    script: CommandPattern | None = None
    """a PowerShell script's file name; a /regular expression/ is looked for in its text too"""
    step: CommandPattern | None = None
    """a step of any type, by a glob over its name or its type"""
    exit: Code = 0
    sets: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """variables that the command sets"""
    writes: dict[WindowsPath, str] = Field(default_factory=dict)
    """files that the command writes"""
    takes: Duration = 0.0
    output: str = ""
    restarts: Annotated[
        Literal["false", "true", "once"], WithJsonSchema({"enum": [False, True, "false", "true", "once"]})
    ] = "false"
    """the command restarts the machine by itself: each time, or the first time only"""

    @model_validator(mode="after")
    def _says_nothing_that_is_lost(self) -> Double:
        lost = [key for key in ("exit", "sets", "output") if key in self.model_fields_set]
        if self.restarts == "true" and lost:
            raise BadValue(f"a command that restarts the machine is never heard of again: no {lost[0]}")
        return self

    @model_validator(mode="after")
    def _answers_one_thing(self) -> Double:
        if sum(key is not None for key in (self.command, self.script, self.step)) != 1:
            raise BadValue(
                "a double answers one of command, script, step", "'command: '*'' answers all commands"
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """As the machine's policy has it (docs/architecture.md); ``takes`` in seconds."""
        return {
            **self.model_dump(include={"command", "script", "step"}, exclude_none=True),
            "exit": self.exit, "sets": dict(self.sets),
            "writes": dict(self.writes), "takes": self.takes, "output": self.output,
            "restarts": {"false": "", "true": "always", "once": "once"}[self.restarts],
        }  # fmt: skip


class Driver(Model):
    """A driver of the site's catalogue, for *Auto Apply Drivers*."""

    package: PackageId
    """the package that holds it; it needs content too"""
    name: str
    ids: tuple[str, ...]
    """hardware or compatible ids: PCI\\VEN_1AF4&DEV_1041"""
    categories: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the machine's policy has it."""
        return {
            "package": self.package, "name": self.name, "ids": list(self.ids),
            "categories": list(self.categories),
        }  # fmt: skip


class Deployment(Model):
    """How the sequence is deployed to the machine."""

    purpose: Literal["available", "required"] = "available"
    """required: from the network it runs once, and the machine is not offered it again"""


class Limits(Model):
    """When the lab gives up."""

    time: Duration | None = None
    """of the whole run, on the wall clock of an accelerated machine; the lab scales it for a slow host"""


class Scenario(Model):
    """One scenario: a machine, a task sequence, and what must come of it."""

    scenario: str
    """the title: one sentence that says what is shown"""
    site: str | dict[str, Any] | None = None
    """the site: a file, looked for in folders sites/ beside the scenario or above, or what stands in one"""
    machine: str = ""
    """a hardware template of vm-templates/"""
    mac: Mac | None = None
    """of the machine's first card; without one it is made from the scenario's name"""
    uuid: Guid | None = None
    f12: F12 = "pressed"
    """what happens where the firmware asks for F12"""
    wizard: Wizard = Wizard()
    machines: dict[MachineName, Annotated[ScenarioMachine, EMPTY]] = Field(
        default_factory=dict, max_length=16
    )
    """several machines at once, by their names"""
    sequence: str = ""
    """a task sequence (XML or zip): beside the scenario, or in a folder sequences/ there or above"""
    sequence_name: str = ""
    """which one, by name or package id, where the export holds several"""
    deployment: Deployment = Deployment()
    variables: dict[VariableName, DeviceVariable] = Field(default_factory=dict)
    """the device's variables, before the first step"""
    network_access_account: Literal["valid", "none", "wrong"] = "valid"
    """none: the site has none; wrong: its password is not the directory's"""
    content: dict[PackageId, Content] = Field(default_factory=dict)
    """packages: reference-image, boot-image, client, missing (no location), deleted, or a path"""
    doubles: tuple[Double, ...] = ()
    packages: dict[PackageId, Package] = Field(default_factory=dict)
    """programs of packages, as *Install Package* gets them by policy"""
    applications: dict[str, Application] = Field(default_factory=dict)
    """applications by name, as *Install Application* gets them by policy"""
    updates: tuple[Update, ...] = ()
    """software updates that are deployed to the machine"""
    children: dict[PackageId, Child | Literal["missing"]] = Field(default_factory=dict)
    """task sequences that *Run Task Sequence* runs, or 'missing'"""
    shares: dict[str, Share | Literal["missing"]] = Field(default_factory=dict)
    """shares of the network, or 'missing'"""
    pe_components: tuple[str, ...] = ("PowerShell",)
    """optional components of the boot image"""
    drivers: tuple[Driver, ...] = ()
    """the site's driver catalogue"""
    rules: tuple[str, ...] = ()
    severity: Literal["blocker", "critical", "normal", "minor", "trivial"] = "normal"
    limits: Limits = Limits()
    takes: Duration | None = None
    """how long a run on a real machine usually takes, on the probe's reference host; for --vm-budget"""
    core: Flag = False
    """--vm-budget never leaves it out"""
    expect: Expect = Field(default_factory=Expect.model_construct)
    """of each machine"""

    @field_validator("variables", "content", "machines")
    @classmethod
    def _names_differ(cls, value: dict[str, Any]) -> dict[str, Any]:
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

    @property
    def values(self) -> dict[str, str]:
        """The device's variables, secret ones too."""
        return {name: variable.value for name, variable in self.variables.items()}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the variables whose values nobody may see."""
        return tuple(name for name, variable in self.variables.items() if variable.secret)

    @model_validator(mode="after")
    def _has_a_title(self) -> Scenario:
        if not self.scenario.strip():
            raise BadValue("the scenario has no title")
        return self

    @model_validator(mode="after")
    def _secrets_are_not_told(self) -> Scenario:
        expects = [self.expect, *(own.expect for own in self.machines.values() if own.expect)]
        told = {name.casefold() for expect in expects for name in expect.variables}
        given = [self.variables, *(own.variables for own in self.machines.values())]
        for name, variable in (pair for variables in given for pair in variables.items()):
            if variable.secret and name.casefold() in told:
                raise BadValue(f"variable {quoted(name)} is secret: nobody sees what it is at the end")
        return self


class DiskTemplate(Model):
    size: Size
    bus: Literal["virtio", "sata"] = "virtio"


class NicTemplate(Model):
    model: Literal["virtio", "e1000", "e1000e"] = "virtio"
    pxe: Literal["ipxe", "native", "none"] = "ipxe"
    """how it starts from the network: by iPXE's script and HTTP; natively, by TFTP alone; not at all"""


class SmbiosTemplate(Model):
    """What the firmware says of the machine: make, model and so on, for conditions and drivers."""

    manufacturer: str = _PLAIN.manufacturer
    product: str = _PLAIN.product
    version: str = _PLAIN.version
    sku: str = _PLAIN.sku
    family: str = _PLAIN.family
    serial: str = ""
    asset_tag: str = _PLAIN.asset_tag
    bios_vendor: str = _PLAIN.bios_vendor
    bios_version: str = _PLAIN.bios_version
    bios_date: str = _PLAIN.bios_date
    """as mm/dd/yyyy"""
    board_manufacturer: str = _PLAIN.board_manufacturer
    board_product: str = _PLAIN.board_product

    @model_validator(mode="after")
    def _plain_texts(self) -> SmbiosTemplate:
        for name in type(self).model_fields:
            text = getattr(self, name)
            if len(text) > 64 or not text.isascii() or not text.isprintable() or text != text.strip():
                raise BadValue(f"{name} must be at most 64 printable ASCII characters without blanks around")
        if self.bios_date and not re.fullmatch(r"\d\d/\d\d/\d{4}", self.bios_date):
            raise BadValue("bios_date must be written as 01/31/2024")
        return self

    def spec(self) -> SmbiosSpec:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        del values["serial"]
        return SmbiosSpec(**values)


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
    smbios: SmbiosTemplate = SmbiosTemplate()

    @model_validator(mode="after")
    def _sensible(self) -> Template:
        if not 64 << 20 <= self.memory <= 64 << 30:
            raise BadValue("memory must be between 64 MiB and 64 GiB")
        if not 1 <= self.vcpus <= 64:
            raise BadValue("vcpus must be between 1 and 64")
        native = [nic.model for nic in self.nics if nic.pxe == "native"]
        if self.firmware == "uefi" and set(native) - {"virtio"}:
            raise BadValue("the UEFI firmware has a driver of its own for virtio cards only")
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
            pxe=nic.pxe != "none",
            # UEFI firmware has PXE of its own; SeaBIOS has none but the card's, which is QEMU's iPXE.
            option_rom=nic.pxe == "ipxe" or template.firmware == "bios",
            native=nic.pxe == "native",
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
        serial_number=serial_number or template.smbios.serial,
        smbios=template.smbios.spec(),
        accelerator=accelerator,
    )
