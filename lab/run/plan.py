"""The plan of a run: everything resolved, nothing done yet; it goes to the lab process as one JSON line.

Paths in it are absolute and those of the host; inside the sandbox they are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lab.disk.reader import Questions
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec, SmbiosSpec
from lab.network.ipxe import BootFiles, Scripts


@dataclass(frozen=True)
class MachinePlan:
    """A machine and what it will be told. ``address`` is the one DHCP gives it; ``policy``: what its policy
    says beside the sequence's. ``answers``: what the person at the machine does: {"f12": is it pressed,
    "choose": deployment, name or number on the wizard's page, "variables": {name: value}}."""

    spec: MachineSpec
    address: str
    policy: Mapping[str, Any]
    questions: Questions = field(default_factory=Questions)
    answers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mac(self) -> str:
        return self.spec.nics[0].mac.lower()


@dataclass(frozen=True)
class RunPlan:
    """One run, ready to be done.

    folder       the run's folder, there already; cache and project: the host's
    content      package -> relative name -> file; boot_files: name -> file, by HTTP and TFTP
    site         SiteObjects as JSON
    policies     sequence's package -> what its policy says, whichever machine asks (docs/architecture.md)
    contents     package -> [{"name", "size", "sha256"}]
    boot_images  package -> {"uefi": name, "bios": [kernel, initrd]}, names of boot_files
    scripts      what iPXE is answered: lab.network.ipxe.Scripts
    command_line of LabPE's kernel on BIOS
    accelerator  "auto": the probe decides inside
    time_limit   seconds for the whole run, before the host's factor
    limits       seconds per phase that replace the usual ones, before the host's factor
    patience     seconds added to the limit of a step: the longest a double takes
    live         the front commands the machines (lab.run.serve); without, they run from power-on to power-off
    """

    name: str
    folder: Path
    cache: Path
    project: Path
    machines: tuple[MachinePlan, ...]
    content: Mapping[str, Mapping[str, str]]
    boot_files: Mapping[str, str]
    site: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    contents: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    boot_images: Mapping[str, BootFiles] = field(default_factory=dict)
    scripts: Scripts | None = None
    command_line: str = ""
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    time_limit: float = 1800.0
    limits: Mapping[str, float] = field(default_factory=dict)
    patience: float = 0.0
    live: bool = False

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        for key in ("folder", "cache", "project"):
            data[key] = str(data[key])
        return data

    def to_line(self) -> bytes:
        """The plan as the lab process reads it."""
        return json.dumps(self.to_json(), separators=(",", ":")).encode() + b"\n"

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> RunPlan:
        values = dict(data)
        for key in ("folder", "cache", "project"):
            values[key] = Path(values[key])
        values["machines"] = tuple(_machine(item) for item in values["machines"])
        return RunPlan(**values)


def _machine(data: Mapping[str, Any]) -> MachinePlan:
    questions = {key: tuple(value) for key, value in data["questions"].items()}
    return MachinePlan(
        spec=spec_from_json(data["spec"]),
        address=data["address"],
        policy=data["policy"],
        questions=Questions(**questions),
        answers=data["answers"],
    )


def spec_from_json(data: Mapping[str, Any]) -> MachineSpec:
    """A machine's specification from what ``asdict`` made of it."""
    values = dict(data)
    values["disks"] = tuple(DiskSpec(**disk) for disk in values["disks"])
    values["nics"] = tuple(NicSpec(**nic) for nic in values["nics"])
    values["smbios"] = SmbiosSpec(**values["smbios"])
    for key in ("boot_order", "channels"):
        values[key] = tuple(values[key])
    return MachineSpec(**values)
