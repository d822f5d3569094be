"""Modelled machines on a site: what its decisions, its content and its wizard make of their starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lab.client.answers import UnansweredPage
from lab.clock import VirtualClock
from lab.errors import LabFault
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.sequence.codec import to_json
from lab.sequence.model import Step, StepVariable, TaskSequence
from lab.simulation.lockstep import Lockstep
from lab.simulation.offered import telling
from lab.simulation.outcome import SimulatedRun
from lab.simulation.run import SimMachine, simulate_machines
from lab.simulation.site import SimContent, SimFile, SimSite
from lab.simulation.world import Occupant
from lab.site.managementpoint import ManagementPoint, MemoryStore
from lab.site.model import (
    Account,
    Collection,
    Deployment,
    Device,
    DistributionPoint,
    SiteObjects,
    SitePackage,
    SiteSequence,
)
from lab.timeline import Timeline

MACS = {"A": "52:54:00:00:00:0a", "B": "52:54:00:00:00:0b"}
TOOL = SimContent((SimFile("setup.exe", 600_000, "aa"),))
SITE = SiteObjects(
    "LAB",
    devices=tuple(Device(name, mac, variables={"Who": name}) for name, mac in MACS.items()),
    collections=(Collection("All of them", tuple(MACS)),),
    packages=(
        SitePackage("LAB00002", kind="boot-image", distributed={"DP1": "there"}),
        SitePackage("LAB00004", distributed={"DP1": "missing", "DP2": "there"}, share=True),
    ),
    sequences=(SiteSequence("LAB00010", "First", "LAB00002"), SiteSequence("LAB00011", "Second", "LAB00002")),
    deployments=(Deployment("LAB20000", "LAB00010", "All of them"),),
    distribution_points=(DistributionPoint("DP1"), DistributionPoint("DP2")),
    account=Account("LAB\\naa", "secret"),
)


def spec(name: str, **more: Any) -> MachineSpec:
    uuid = f"00000000-0000-4000-8000-00000000000{name.lower()}"
    return MachineSpec(name, uuid, "uefi", 768, (DiskSpec(1 << 30),), (NicSpec(MACS[name]),), **more)


def sets(name: str, value: str) -> Step:
    named = (StepVariable("VariableName", "", name), StepVariable("VariableValue", "", value))
    return Step(
        "SMS_TaskSequence_SetVariableAction", name, action=f'tsenv.exe "{name}={value}"', variables=named
    )


def needs(package: str) -> Step:
    kind = "SMS_TaskSequence_RunCommandLineAction"
    return Step(kind, "Needs it", action=f"smsswd.exe /run:{package} setup.exe")


class Runs:
    def __init__(
        self,
        site: SiteObjects = SITE,
        *steps: Step,
        answers: Mapping[str, Any] | None = None,
        machines: tuple[MachineSpec, ...] = (spec("A"),),
        references: tuple[str, ...] = (),
    ) -> None:
        lockstep = Lockstep()
        self.timeline = Timeline(lockstep)
        sequence = TaskSequence("T", children=steps or (sets("Said", "%Who%"),))
        base = {
            "sequence": to_json(sequence), "references": list(references),
            "doubles": [{"command": "*setup.exe"}],
        }  # fmt: skip
        self.point = ManagementPoint(
            site,
            policies={"LAB00010": base, "LAB00011": base},
            machines={},
            contents={"LAB00004": TOOL.to_json()},
            address="10.77.0.1",
            store=MemoryStore(),
            tell=telling(self.timeline, {mac: name for name, mac in MACS.items()}),
        )
        self.runs = simulate_machines(
            [
                SimMachine(one, f"10.77.0.{10 + index}", Occupant(answers=answers or {"f12": True}))
                for index, one in enumerate(machines)
            ],
            self.point,
            contents={"LAB00004": TOOL},
            site=SimSite(),
            timeline=self.timeline,
            lockstep=lockstep,
        )

    @property
    def run(self) -> SimulatedRun:
        return self.runs["A"]

    def paths(self) -> list[str]:
        return [f"{one['status']} {one['path']}" for one in self.run.requests]


def test_two_machines_run_side_by_side_each_with_its_own_and_the_timeline_is_in_order() -> None:
    slow = replace(spec("B"), nics=(NicSpec(MACS["B"], native=True),))
    runs = Runs(machines=(spec("A"), slow))
    assert [run.variables["Said"] for run in runs.runs.values()] == ["A", "B"]
    times = [event.time for event in runs.timeline.events]
    assert times == sorted(times)
    order = [event.machine for event in runs.timeline.events]
    assert order.index("B") < len(order) - 1 - order[::-1].index("A"), "not one after the other"
    again = Runs(machines=(spec("A"), slow)).timeline.events
    told = [(event.time, event.machine, event.kind, event.data) for event in runs.timeline.events]
    assert told == [(event.time, event.machine, event.kind, event.data) for event in again]


def test_what_breaks_in_one_life_ends_them_all() -> None:
    lockstep = Lockstep()
    seen: list[float] = []

    def goes_on(clock: VirtualClock) -> None:
        while True:
            clock.pause(0.3)
            seen.append(clock.now())

    def breaks(clock: VirtualClock) -> None:
        clock.pause(1.0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        lockstep.run([goes_on, breaks])
    assert seen and max(seen) < 1.3


@pytest.mark.parametrize(
    ("change", "machine", "reason"),
    [
        ({"deployments": ()}, spec("A"), "the site's PXE decision is abort: "),
        ({}, spec("A", architecture="i686"), "the site's PXE decision is abort: "),
        (
            {"packages": (SitePackage("LAB00002", kind="boot-image", architecture="x86",
                                      distributed={"DP1": "there"}),)},
            replace(spec("A", architecture="i686"), firmware="bios"),
            "This kernel requires an x86-64 CPU",
        ),
    ],
)  # fmt: skip
def test_a_machine_that_cannot_start_is_a_result_with_its_reason(
    change: dict[str, Any], machine: MachineSpec, reason: str
) -> None:
    runs = Runs(replace(SITE, **change), machines=(machine,))
    assert runs.run.fault is None and runs.run.finished is None and reason in runs.run.not_started
    told = [event.data["reason"] for event in runs.timeline.events if event.kind == "not-started"]
    assert told == [runs.run.not_started]
    assert not any("/policy/" in path for path in runs.paths())


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("firmware", ["uefi", "bios"])
def test_nobody_presses_f12_and_a_required_deployment_does_not_ask(firmware: Any, native: bool) -> None:
    machine = replace(spec("A"), firmware=firmware, nics=(NicSpec(MACS["A"], native=native),))
    left = Runs(machines=(machine,), answers={"f12": False})
    assert left.run.not_started == "F12 was not pressed, so nothing was started"
    required = (replace(SITE.deployments[0], purpose="required"),)
    begins = Runs(replace(SITE, deployments=required), machines=(machine,), answers={"f12": False})
    assert begins.run.result == "success"
    pressed = Runs(machines=(machine,))
    assert pressed.run.result == "success"
    keys = [event.data["key"] for event in pressed.timeline.events if event.kind == "key-pressed"]
    assert keys == ([] if native and firmware == "uefi" else ["ENTER" if native else "F12"])


def test_a_bios_that_starts_natively_reads_what_the_site_decided() -> None:
    machine = replace(spec("A"), firmware="bios", nics=(NicSpec(MACS["A"], native=True),))

    def sent(runs: Runs) -> list[str]:
        return [event.data["file"] for event in runs.timeline.events if event.source == "tftp"]

    loader = ["pxelinux.0", "ldlinux.c32", "pxelinux.cfg/default"]
    assert sent(Runs(replace(SITE, deployments=()), machines=(machine,))) == loader
    assert sent(Runs(machines=(machine,), answers={"f12": False})) == loader
    assert sent(Runs(machines=(machine,))) == [*loader, "labpe-x64.krn", "labpe-x64.img"]


def test_a_kernel_that_refuses_the_processor_halts_the_machine() -> None:
    boot = SitePackage("LAB00002", kind="boot-image", architecture="x86", distributed={"DP1": "there"})
    machine = spec("A", architecture="i686", boot_order=("network", "network"))
    runs = Runs(replace(SITE, packages=(boot,)), machines=(replace(machine, firmware="bios"),))
    assert [event.kind for event in runs.timeline.events if event.source == "site"] == ["pxe"]


@pytest.mark.parametrize("package", ["lab00004", "LAB00005"])
def test_a_package_id_in_any_case_and_a_package_without_files(package: str) -> None:
    empty = SitePackage("LAB00005", distributed={"DP1": "there"})
    runs = Runs(replace(SITE, packages=(*SITE.packages, empty)), needs(package))
    assert runs.run.result == "success"
    asked = [
        one["path"]
        for one in runs.run.requests
        if one["path"].startswith("/content/") and one["status"] == 200
    ]
    assert asked == (["/content/LAB00004/setup.exe"] if package == "lab00004" else [])


@pytest.mark.rule("R13", shown="sim")
def test_the_wizard_asks_for_the_sequence_and_for_what_was_left_empty() -> None:
    both = (*SITE.deployments, Deployment("LAB20001", "LAB00011", "All of them"))
    empty = (replace(SITE.devices[0], variables={"Who": ""}), SITE.devices[1])
    site = replace(SITE, deployments=both, devices=empty)
    runs = Runs(site, answers={"choose": "First", "variables": {"who": "typed"}})
    assert runs.run.variables["Said"] == "typed"
    assert runs.run.variables["_SMSTSPackageID"] == "LAB00010"
    pages = [event.data["page"] for event in runs.timeline.events if event.kind == "wizard"]
    assert pages == ["choose", "variable"]
    for answers in ({}, {"choose": "First"}):
        fault = Runs(site, answers=answers).run.fault
        assert isinstance(fault, UnansweredPage) and "wizard:" in fault.hint
    more = replace(
        site, devices=(replace(SITE.devices[0], variables={"Who": "", "Where": ""}), SITE.devices[1])
    )
    fault = Runs(more, answers={"choose": "First", "variables": {"Who": "typed"}}).run.fault
    assert isinstance(fault, UnansweredPage) and "asks for variable Where" in fault.message


@pytest.mark.rule("R08", shown="sim")
def test_what_one_distribution_point_lacks_the_next_one_gives() -> None:
    runs = Runs(SITE, needs("LAB00004"))
    assert runs.run.result == "success"
    assert [path for path in runs.paths() if "content" in path] == [
        "404 /content/LAB00004/setup.exe",
        "200 /content/LAB00004/setup.exe",
    ]


@pytest.mark.rule("R63", shown="sim")
@pytest.mark.parametrize("share", [True, False])
def test_run_from_distribution_point_takes_it_from_the_share_or_fails(share: bool) -> None:
    download = (replace(SITE.deployments[0], download="run from distribution point"),)
    packages = (SITE.packages[0], replace(SITE.packages[1], distributed={"DP2": "damaged"}, share=share))
    runs = Runs(replace(SITE, deployments=download, packages=packages), needs("LAB00004"))
    assert runs.run.result == ("success" if share else "failed")
    effects = [event.data for event in runs.timeline.events if event.kind == "effect"]
    codes = [effect["code"] for effect in effects if effect["effect"] == "DownloadContent"]
    assert codes == ([0] if share else [0x80070043]), "the hash is not looked at"


@pytest.mark.rule("R68", shown="sim")
@pytest.mark.parametrize(("reference", "begins"), [("LAB00004", True), ("LAB00099", False)])
def test_a_deleted_object_lets_the_sequence_not_begin(reference: str, begins: bool) -> None:
    runs = Runs(references=(reference,))
    assert (runs.run.result == "success") == begins
    assert bool(runs.run.not_started) != begins and "LAB00099" in (runs.run.not_started or "LAB00099")


@pytest.mark.rule("R65", shown="sim")
def test_the_site_has_the_history_of_what_ran() -> None:
    runs = Runs(SITE, needs("LAB00099"))
    assert [entry["result"] for entry in runs.point.history(MACS["A"])] == ["failed"]
    told = [event for event in runs.timeline.events if (event.source, event.kind) == ("site", "status")]
    statuses = [one for event in told for one in event.data["messages"]]
    assert [one["id"] for one in statuses] == [11144, 11135, 11141]


def test_a_machine_without_anything_to_boot_is_still_the_labs_fault() -> None:
    nothing = replace(spec("A"), nics=(NicSpec(MACS["A"], pxe=False),))
    assert isinstance(Runs(machines=(nothing,)).run.fault, LabFault)
