"""A scenario in the simulator: the same parts of a plan, the same folder and events, but no machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.client.answers import UnansweredPage
from lab.errors import LabError, LabFault, PhaseTimeout
from lab.files import write_whole
from lab.guest.doubles import Double, Unanswered, suggestion
from lab.network.dnsmasq import host_address
from lab.pe.boot import bios_configuration
from lab.pe.recipe import read_recipe
from lab.run.conversation import OnEvent
from lab.run.messages import error_message
from lab.run.offer import as_scenario
from lab.run.prepare import BOOT_IMAGES, Site, known_images, site_of
from lab.run.siteplan import policy_bases, site_objects
from lab.run.strategy import OVER_TIME
from lab.scenario.loader import LoadedScenario
from lab.scenario.schema import machine_spec
from lab.sequence.doubled import double_steps
from lab.sequence.model import TaskSequence
from lab.settings import Settings
from lab.simulation.disks import Blob
from lab.simulation.lockstep import Lockstep
from lab.simulation.offered import pxe_log, telling
from lab.simulation.outcome import SimulatedRun
from lab.simulation.reference import reference_image
from lab.simulation.run import SimMachine, simulate_machines
from lab.simulation.site import SimContent, SimFile, SimImage, SimSite
from lab.simulation.world import EPOCH, Occupant
from lab.site.content import ContentFile, HashCache, read_library
from lab.site.managementpoint import ManagementPoint, MemoryStore
from lab.site.wim import read_files
from lab.timeline import Timeline

#: What the reference image's built files are called in its description, by their place in the image.
_ARTIFACTS = {
    "Windows\\Boot\\EFI\\bootmgfw.efi": "loader",
    "Windows\\Boot\\PCAT\\bootmgr": "bios-kernel",
    "Windows\\Boot\\PCAT\\bootmgr.img": "bios-initrd",
    "Windows\\Boot\\PCAT\\extlinux.conf": "bios-config",
    "Windows\\System32\\osdlab\\root.squashfs": "root",
    "Windows\\System32\\osdlab\\setup.zip": "setup",
    **{
        f"Windows\\System32\\config\\{name}": f"hive:{name}"
        for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
    },
}
#: The distribution point's log of PXE, in the run's folder.
PXE_LOG = "SMSPXE.log"
#: Up to this size (bytes) the simulator gets a file's content and not only its hash.
_SMALL = 1 << 20
#: How many missing doubles a rehearsal offers at once.
_MOST_OFFERED = 100


def simulate_into(
    folder: Path,
    loaded: LoadedScenario,
    sequences: Mapping[str, TaskSequence],
    settings: Settings,
    on_event: OnEvent,
) -> LabError | None:
    """Simulate the scenario; timeline, logs and final states go to ``folder`` as those of a real run.

    ``sequences`` as ``read_checked_sequences`` gives them. Gives what broke, or None. Nothing is built for
    the simulator: sizes and hashes of the images are those of the newest that a machine had, or modelled
    ones.
    """
    lockstep = Lockstep()
    for machine in loaded.machines:
        (folder / machine.name).mkdir()
    with (folder / "timeline.jsonl").open("w", encoding="utf-8") as file:
        timeline = Timeline(lockstep, file)
        timeline.follow(on_event)
        timeline.append("lab", "run-started", name=loaded.title, live=False)
        pxe: list[str] = []
        runs = _simulated(loaded, sequences, settings, timeline, lockstep, pxe=pxe)
        fault = told_fault(loaded, settings, runs, timeline)
        timeline.append("lab", "run-ended")
    keep(folder, runs, pxe)
    return fault


def told_fault(
    loaded: LoadedScenario, settings: Settings, runs: Mapping[str, SimulatedRun], timeline: Timeline
) -> LabError | None:
    """What broke, as it is told to the user; it stands on the timeline, too. None when nothing did."""
    fault = _first_fault(runs) or _over_time(timeline, loaded.scenario.limits.time or settings.time_limit)
    if fault is not None and not any(event.kind == "lab-error" for event in timeline.events):
        timeline.append("lab", "lab-error", details=error_message(fault))
    return _told(loaded, fault) if isinstance(fault, Unanswered) else fault


def keep(folder: Path, runs: Mapping[str, SimulatedRun], pxe: Sequence[str]) -> None:
    """Logs and final states, as those of a real run. ``pxe``: the records of SMSPXE.log."""
    (folder / PXE_LOG).write_text("".join(pxe), encoding="utf-8-sig", newline="")
    for name, run in runs.items():
        (folder / name / "smsts.log").write_text(run.log, encoding="utf-8-sig", newline="")
        final = json.dumps(run.final_state.to_json(), ensure_ascii=False)
        write_whole(folder / name / "final-state.json", final)


def _first_fault(runs: Mapping[str, SimulatedRun]) -> LabError | None:
    """What broke first, of all machines."""
    broken = sorted((run.seconds, name) for name, run in runs.items() if run.fault is not None)
    return runs[broken[0][1]].fault if broken else None


def rehearse(
    loaded: LoadedScenario, sequences: Mapping[str, TaskSequence], settings: Settings
) -> LabFault | None:
    """What the scenario does not answer and a machine would ask, as one fault: commands without a double, and
    pages of the wizard; None when there is nothing.

    A machine needs minutes to come to the first of them, the simulator a moment. From the second on it is
    taken that those before succeeded.
    """
    found: list[Unanswered] = []
    while len(found) < _MOST_OFFERED:
        lockstep = Lockstep()
        answered = [item.double for item in found]
        runs = _simulated(loaded, sequences, settings, Timeline(lockstep), lockstep, answered)
        faults = [run.fault for run in runs.values()]
        pages = [fault for fault in faults if isinstance(fault, UnansweredPage)]
        if pages and not found:
            told = "\n".join(dict.fromkeys(page.hint for page in pages))
            return LabFault("; ".join(page.message for page in pages), hint=f"no machine was started; {told}")
        new = [
            fault
            for fault in faults
            if isinstance(fault, Unanswered) and fault.pattern not in [item.pattern for item in found]
        ]
        if not new:
            break
        found.append(new[0])
    if not found:
        return None
    if len(found) == 1:
        return _told(loaded, found[0])
    steps = ", ".join(f"'{command.step}'" for command in found)
    return LabFault(
        f"{len(found)} commands or scripts that only Windows can run have no double, in the steps {steps}",
        hint="no machine was started; " + _doubles(loaded, found),
    )


def _told(loaded: LoadedScenario, command: Unanswered) -> LabFault:
    return LabFault(command.message, hint=_doubles(loaded, [command])) if loaded.arguments else command


def _doubles(loaded: LoadedScenario, found: Sequence[Unanswered]) -> str:
    """What to paste: the doubles, or, for a command line without any, a whole scenario."""
    if loaded.arguments and loaded.scenario.doubles:
        return "add these to the file of --doubles:\n" + suggestion(found)
    if not loaded.arguments:
        return "give the scenario these doubles:\n" + suggestion(found)
    name = f"{loaded.path.stem}.yaml"
    said = f"save this, as '{name}' for instance, and run that file (the doubles alone go with --doubles):\n"
    return said + as_scenario(loaded) + suggestion(found)


def _simulated(
    loaded: LoadedScenario,
    sequences: Mapping[str, TaskSequence],
    settings: Settings,
    timeline: Timeline,
    lockstep: Lockstep,
    doubles: Sequence[Double] = (),
    *,
    pxe: list[str] | None = None,
) -> dict[str, SimulatedRun]:
    """Simulate the scenario's machines with these doubles behind its own. ``pxe`` gets SMSPXE.log."""
    made = modelled(loaded, sequences, settings, timeline, lockstep.now, doubles, pxe=pxe)
    return simulate_machines(
        made.machines, made.point, contents=made.contents, site=made.network, timeline=timeline,
        lockstep=lockstep,
    )  # fmt: skip


@dataclass(frozen=True)
class Modelled:
    """A scenario's site and machines in the simulator."""

    machines: list[SimMachine]
    point: ManagementPoint
    contents: dict[str, SimContent]
    network: SimSite


def modelled(
    loaded: LoadedScenario,
    sequences: Mapping[str, TaskSequence],
    settings: Settings,
    timeline: Timeline,
    now: Callable[[], float],
    doubles: Sequence[Double] = (),
    *,
    pxe: list[str] | None = None,
) -> Modelled:
    """The scenario's world before anything is on. ``now``: virtual seconds since the run began."""
    site = _site(loaded, settings)
    contents = _contents(loaded, site, settings)
    boot_files = {name: path.stat().st_size for name, path in site.boot_files.items()}
    network = SimSite(boot_files=boot_files) if boot_files else SimSite()
    steps = [double.step for double in doubles if double.step]
    objects = site_objects(loaded, sequences)
    tell = telling(timeline, {machine.mac: machine.name for machine in loaded.machines})
    if pxe is not None:
        tell = pxe_log(objects, tell, pxe, lambda: EPOCH + now())
    point = ManagementPoint(
        objects,
        policies=policy_bases(loaded, {key: double_steps(one, steps) for key, one in sequences.items()}),
        machines={machine.mac: {} for machine in loaded.machines},
        contents={package: content.to_json() for package, content in contents.items()},
        address=network.address,
        store=MemoryStore(),
        tell=tell,
    )
    machines = [
        SimMachine(
            machine_spec(machine.template, machine.name, machine.mac, machine.uuid),
            host_address(index),
            Occupant(answers=machine.answers, doubles=doubles),
        )
        for index, machine in enumerate(loaded.machines)
    ]
    return Modelled(machines, point, contents, network)


def _over_time(timeline: Timeline, limit: float) -> LabError | None:
    """What a machine would have said at the limit of the whole run."""
    late = next((event for event in timeline.events if event.time > limit), None)
    if late is None:
        return None
    seen = f"{late.source} {late.kind} at {late.time:.1f} s"
    return PhaseTimeout("the run to end", seconds=limit, last_seen=seen, hint=OVER_TIME)


def _site(loaded: LoadedScenario, settings: Settings) -> Site:
    """What the site really offers, as it was built last; what was never built is modelled."""
    images = known_images(settings.cache)
    wanted = {*BOOT_IMAGES, *(source for source in loaded.packages.values() if isinstance(source, str))}
    if wanted <= images.keys():
        return site_of(loaded, settings, images)
    return _modelled_site(loaded, settings)


def _modelled_site(loaded: LoadedScenario, settings: Settings) -> Site:
    names = {"reference-image": "reference.wim", "boot-image": "labpe-x64.efi", "client": "client.zip"}
    packages = {key: Path(value) for key, value in loaded.packages.items() if value not in names}
    files = dict(read_library(packages, HashCache(settings.cache / "hashes.json")))
    found = {str(value): key for key, value in loaded.packages.items() if value in names}
    for package, kind in loaded.packages.items():
        if name := names.get(str(kind)):
            files[package] = (ContentFile(name, 1, hashlib.sha256(name.encode()).hexdigest()),)
    return Site(packages, files, {}, found.get("client", ""), found.get("boot-image", ""))


def _contents(loaded: LoadedScenario, site: Site, settings: Settings) -> dict[str, SimContent]:
    packages = loaded.packages
    return {
        package: SimContent(tuple(_file(file, site, package, packages[package], settings) for file in files))
        for package, files in site.files.items()
    }


def _file(file: ContentFile, site: Site, package: str, source: str | Path, settings: Settings) -> SimFile:
    place = site.packages.get(package)
    path = None if place is None else (place / file.name if place.is_dir() else place)
    images: tuple[SimImage, ...] = ()
    if source == "reference-image":
        images = (reference_image(_artifacts(path, file.sha256, settings)),)
    data = path.read_bytes() if path is not None and not images and file.size <= _SMALL else None
    return SimFile(file.name, file.size, file.sha256, data=data, images=images)


def _artifacts(wim: Path | None, sha256: str, settings: Settings) -> Mapping[str, Blob]:
    """Size and hash of the reference image's built files, remembered by the image's own hash.

    What an image of an older build does not have is modelled, as everything is without an image.
    """
    known: dict[str, list[Any]] = {}
    remembered = settings.cache / f"wim-{sha256[:16]}.json"
    if wim is not None and remembered.exists():
        known = json.loads(remembered.read_text(encoding="utf-8"))
    elif wim is not None:
        known = {file.path: [file.size, file.sha256] for file in read_files(wim)}
        write_whole(remembered, json.dumps(known))
    modelled = {name: Blob(1, hashlib.sha256(name.encode()).hexdigest()) for name in _ARTIFACTS.values()}
    config = bios_configuration(read_recipe())  # known without any build
    modelled["bios-config"] = Blob(len(config), hashlib.sha256(config).hexdigest())
    return modelled | {
        _ARTIFACTS[path]: Blob(*values) for path, values in known.items() if path in _ARTIFACTS
    }
