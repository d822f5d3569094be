"""Whole simulated runs: several machines on one site, or one with a sequence and no scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.clock import VirtualClock
from lab.guest.doubles import Double
from lab.hypervisor.protocol import MachineSpec
from lab.sequence.model import TaskSequence
from lab.simulation.disks import Files
from lab.simulation.lockstep import Life, Lockstep
from lab.simulation.machine import Machine
from lab.simulation.offered import MakePoint, offered
from lab.simulation.outcome import SimulatedRun
from lab.simulation.site import ModelSite, SimContent, SimSite
from lab.simulation.world import EPOCH, Occupant, World
from lab.site.managementpoint import ManagementPoint
from lab.site.model import Purpose
from lab.timeline import Timeline


@dataclass(frozen=True)
class SimMachine:
    """A machine of a run. ``address``: the one that DHCP gives it."""

    spec: MachineSpec
    address: str
    occupant: Occupant = field(default_factory=Occupant)


def simulate_machines(
    machines: Sequence[SimMachine],
    point: ManagementPoint,
    *,
    contents: Mapping[str, SimContent],
    site: SimSite,
    timeline: Timeline,
    lockstep: Lockstep,
) -> dict[str, SimulatedRun]:
    """Run machines side by side on one site, all switched on at time 0: name -> what came of it.

    ``timeline`` must use ``lockstep`` as its clock. Never raises for what a sequence or a machine does.
    """
    runs: dict[str, SimulatedRun] = {}
    shares = Files()  # what file servers hold is there for all

    def life(machine: SimMachine) -> Life:
        def live(clock: VirtualClock) -> None:
            world = machine_world(
                machine, point, contents=contents, site=site, timeline=timeline, clock=clock, shares=shares
            )
            runs[machine.spec.name] = world.run()

        return live

    lockstep.run([life(machine) for machine in machines])
    return {machine.spec.name: runs[machine.spec.name] for machine in machines}


def machine_world(
    machine: SimMachine,
    point: ManagementPoint,
    *,
    contents: Mapping[str, SimContent],
    site: SimSite,
    timeline: Timeline,
    clock: VirtualClock,
    shares: Files,
) -> World:
    """One machine on a site, off. ``clock``: its own; ``shares``: what file servers hold."""
    spec, occupant = machine.spec, machine.occupant
    state = occupant.machine or Machine.blank(spec)
    state.shares = shares
    here = ModelSite(
        replace(site, client=machine.address), contents, point=point, machine=spec.name,
        mac=spec.nics[0].mac if spec.nics else "", uuid=spec.uuid, timeline=timeline, clock=clock,
    )  # fmt: skip
    return World(spec, here, timeline, clock, replace(occupant, machine=state))


def simulate(
    sequence: TaskSequence,
    spec: MachineSpec,
    *,
    variables: Mapping[str, str],
    doubles: Sequence[Double],
    contents: Mapping[str, SimContent],
    timeline: Timeline,
    clock: VirtualClock,
    site: SimSite | None = None,
    secrets: Sequence[str] = (),
    purpose: Purpose = "available",
    epoch: float = EPOCH,
    policy: Mapping[str, Any] | None = None,
    records: bool = True,
    machine: Machine | None = None,
    point: MakePoint = ManagementPoint,
) -> SimulatedRun:
    """Run ``sequence`` on a blank machine, on a site made for it (``lab.simulation.offered``).

    On another ``machine`` (``installed_machine``) its client starts the sequence, in the full OS.
    ``timeline`` must use ``clock``. ``policy`` has the sections for software (docs/architecture.md). Without
    ``records`` the sequence's log is not made, which is most of the work; the same call with them makes it.
    """
    site = site or SimSite()
    made = offered(
        sequence, spec, variables=variables, secrets=secrets, contents=contents, policy=policy or {},
        purpose=purpose, timeline=timeline, address=site.address, kind=point,
    )  # fmt: skip
    here = ModelSite(
        site, contents, point=made, machine=spec.name, mac=spec.nics[0].mac if spec.nics else "",
        uuid=spec.uuid, timeline=timeline, clock=clock,
    )  # fmt: skip
    occupant = Occupant(doubles=doubles, epoch=epoch, records=records, machine=machine)
    return World(spec, here, timeline, clock, occupant).run()
