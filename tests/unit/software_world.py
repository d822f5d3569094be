"""A computer in the full system, and steps that run alone on it: for tests of scripts and software."""

from __future__ import annotations

from typing import Any

from lab.sequence import effects as fx
from lab.sequence.machinefacts import (
    DiskFacts,
    MachineFacts,
    NicFacts,
    PartitionFacts,
    Smbios,
    SystemFacts,
)
from lab.sequence.model import Step, StepVariable
from tests.unit.sequence_world import Told, World, fields, run, sequence

MACHINE = MachineFacts(
    Smbios("Contoso", "Desk 400 G5", serial="SN-7", asset_tag="A1", uuid="AB-CD"),
    SystemFacts(False, version="10.0.19045", drive="C:"),
    memory=(2048 << 20,),
    processors=("CPU",),
    clock=2000,
    disks=(DiskFacts(0, 40000 << 20, "GPT", partitions=(
        PartitionFacts(1, "Primary", 0, 40000 << 20, "NTFS", letter="C:", free=30000 << 20),
    )),),
    nics=(NicFacts("52:54:00:00:00:01", addresses=(("10.0.0.5", "255.0.0.0"),), gateways=("10.0.0.1",)),),
)  # fmt: skip


def step(kind: str, name: str = "it", hidden: dict[str, str] | None = None, **values: str) -> Step:
    arguments = tuple(StepVariable(key, key, value, True) for key, value in (hidden or {}).items())
    return Step(
        f"SMS_TaskSequence_{kind}Action",
        name,
        action="program.exe",
        variables=(*fields(**values), *arguments),
    )


def only(item: Step, world: World, variables: dict[str, str] | None = None) -> Told:
    """Run one step, through JSON at every effect."""
    return run(sequence(item), world, variables or {}, through_json=True)


def full_os(**more: Any) -> World:
    return World(in_winpe=False, volumes={"C:": {"disk": 0, "partition": 3}}, machine=MACHINE, **more)


def ran(world: World) -> list[str]:
    return [effect.command for effect in world.performed if isinstance(effect, fx.RunCommand)]
