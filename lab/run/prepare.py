"""From a loaded scenario to a plan: sequence, machine, policy, content, boot files, all resolved.

Builds what is missing (boot images, reference image); starts no machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.disk.reader import Questions
from lab.errors import InputError, LabFault, Problem, UsageError
from lab.files import write_whole
from lab.network import dnsmasq
from lab.network.ipxe import BootFiles, scripts
from lab.pe.images import client_package, ensure_pe, ensure_reference_image
from lab.pe.recipe import read_recipe
from lab.run.offer import offer
from lab.run.plan import MachinePlan, RunPlan
from lab.run.siteplan import child_ids, policy_bases, site_objects
from lab.run.software import complete
from lab.scenario.loader import LoadedScenario, check_decisions, check_steps
from lab.scenario.machines import LoadedMachine
from lab.scenario.schema import machine_spec
from lab.scenario.sitechecks import packages_of
from lab.scenario.sitefile import SequenceEntry
from lab.sequence.model import TaskSequence
from lab.sequence.references import needed
from lab.sequence.validate import validate
from lab.settings import Settings
from lab.site.content import ContentFile, HashCache, read_library
from lab.site.exports import label

#: What firmware is given: the UEFI executable, kernel and initrd for BIOS, PXELINUX and its module.
BOOT_IMAGES = ("boot-file", "boot-kernel", "boot-initrd", "pxelinux", "pxelinux-module")

#: In the cache: which images were built last.
_IMAGES = "images.json"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """What the site offers in a run. ``packages``: package -> folder or file; ``files``: what is in each;
    ``boot_files``: name -> file."""

    packages: Mapping[str, Path]
    files: Mapping[str, tuple[ContentFile, ...]]
    boot_files: Mapping[str, Path]
    client_package: str
    boot_image: str


def read_checked_sequences(loaded: LoadedScenario) -> dict[str, TaskSequence]:
    """Package -> sequence, all of the scenario's site. Raises InputError with everything wrong in them, or
    asked of them."""
    problems: list[Problem] = []
    found: dict[str, TaskSequence] = {}
    for package, entry in loaded.sequences.items():
        try:
            found[package] = complete(loaded, _chosen(loaded, package, entry))
        except InputError as error:
            problems += error.problems
    if not problems:
        for sequence in found.values():
            problems += validate(sequence)
        problems += check_steps(loaded, *found.values())
    if problems:
        raise InputError(sorted(set(problems)) if len(loaded.sequences) > 1 else problems)
    # Whether the site can be what the scenario makes of it, too.
    if wrong := check_decisions(loaded, site_objects(loaded, found)):
        raise InputError(wrong)
    return found


def read_checked_sequence(loaded: LoadedScenario) -> TaskSequence:
    """The first of them."""
    return next(iter(read_checked_sequences(loaded).values()))


def _chosen(loaded: LoadedScenario, package: str, entry: SequenceEntry) -> TaskSequence:
    """The one sequence meant. Raises InputError; UsageError where a command line said which."""
    export = next(export for export in loaded.exports if export.path == entry.path)
    try:
        sequence = export.start(entry.name)
    except UsageError as error:
        if loaded.arguments:
            raise
        keys = ("site",) if loaded.site is not None else ("sequence_name" if entry.name else "sequence",)
        place = loaded.document.place(*keys)
        known = ", ".join(label(found.sequence) for _, found in export.found)
        hint = f"say which by sequence_name, with its name or package id: {known}"
        raise InputError([place.problem(error.message, hint)]) from error
    # The site's own id counts: an export may come of another site.
    return replace(sequence, package_id=package) if loaded.site is not None else sequence


def make_site(loaded: LoadedScenario, settings: Settings, say: Say) -> Site:
    """Find or build every package and boot file. Raises LabFault when content that is to be there is not."""
    pe = ensure_pe(settings.cache, say)
    images = {
        "boot-file": pe.efi, "boot-kernel": pe.vmlinuz, "boot-initrd": pe.initrd, "boot-image": pe.package,
        "pxelinux": pe.pxelinux[0], "pxelinux-module": pe.pxelinux[1],
    }  # fmt: skip
    wanted = set(map(str, loaded.packages.values()))
    if "reference-image" in wanted:
        images["reference-image"] = ensure_reference_image(settings.cache, say)
    if "client" in wanted:
        images["client"] = client_package(settings.cache, say)
    _remember(settings.cache, images)
    return site_of(loaded, settings, images)


def site_of(loaded: LoadedScenario, settings: Settings, images: Mapping[str, Path]) -> Site:
    """The site made of images that are built: BOOT_IMAGES, "boot-image", "reference-image", "client"."""
    packages: dict[str, Path] = {}
    named = {"boot-image": "", "client": ""}
    for package, source in loaded.packages.items():
        packages[package] = images[source] if isinstance(source, str) else source.absolute()
        named[str(source)] = package
    files = read_library(packages, HashCache(settings.cache / "hashes.json"))
    names = (dnsmasq.BOOT_FILE, *dnsmasq.BIOS_FILES, *dnsmasq.PXELINUX_FILES)
    boot_files = {name: images[kind] for name, kind in zip(names, BOOT_IMAGES, strict=True)}
    return Site(packages, files, boot_files, named["client"], named["boot-image"])


def known_images(cache: Path) -> dict[str, Path]:
    """The images that were built last, as far as they are still there; builds nothing."""
    try:
        known = json.loads((cache / _IMAGES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {kind: Path(path) for kind, path in known.items() if Path(path).exists()}


def _remember(cache: Path, images: Mapping[str, Path]) -> None:
    known = {**known_images(cache), **images}
    write_whole(cache / _IMAGES, json.dumps({kind: str(path) for kind, path in known.items()}))


def check_content(loaded: LoadedScenario, sequence: TaskSequence) -> None:
    """Every package the sequence refers to has content, or the scenario says that it is missing on purpose.

    Raises LabFault that offers the lines to paste: a lab that forgot a package must not look like a site
    that lost it.
    """
    relative = "the working directory" if loaded.arguments else "the scenario"
    places = {
        name.upper(): (loaded.document.place("content", name), relative)
        for name, told in loaded.scenario.content.items()
        if told.source is not None
    }
    if loaded.site is not None:
        document = loaded.site.document
        for section, name, _ in packages_of(document.value):
            places.setdefault(name.upper(), (document.place(section, name, "content"), "the site's file"))
    for package, (place, relative) in places.items():
        source = loaded.content.get(package)
        if isinstance(source, Path) and not source.exists():
            raise LabFault(
                f"package {package} has no content: there is no '{source}'",
                hint=f"{place} names it; a path is relative to {relative}",
            )
    declared = {package.upper() for package in (*loaded.packages, *loaded.scenario.content)}
    if loaded.site is not None:
        declared |= {package.id.upper() for package in loaded.site.objects.packages}
    # A child stands in its step's place by now; the referenceList may still have it.
    children = child_ids(loaded, sequence)
    lacking = {
        item.package: item
        for item in reversed(needed(sequence))
        if item.package and item.package.upper() not in declared and item.package.upper() not in children
    }
    if lacking:
        named = "".join(f"{item.position}: names {package}\n" for package, item in sorted(lacking.items()))
        raise LabFault(
            f"the sequence refers to {', '.join(sorted(lacking))}, and there is no content for it",
            hint=f"{named}say where it is, or what you want to see ('missing': on no distribution point, "
            "'deleted': the site does not know it any more):\n"
            + offer(sorted(lacking), sequence, loaded.scenario.values, loaded.arguments),
        )


def make_plan(
    loaded: LoadedScenario,
    settings: Settings,
    folder: Path,
    sequences: Mapping[str, TaskSequence],
    say: Say,
) -> RunPlan:
    """The plan of a run on real machines. ``folder`` is the run's."""
    scenario = loaded.scenario
    site = make_site(loaded, settings, say)
    command_line = read_recipe().command_line
    boot_images: dict[str, BootFiles] = {
        package: {"uefi": dnsmasq.BOOT_FILE, "bios": list(dnsmasq.BIOS_FILES)}
        for package, source in loaded.packages.items()
        if source == "boot-image"
    }
    return RunPlan(
        name=loaded.title,
        folder=folder,
        cache=settings.cache,
        project=settings.project,
        machines=tuple(_planned(machine, index) for index, machine in enumerate(loaded.machines)),
        site=site_objects(loaded, sequences).to_json(),
        policies=policy_bases(loaded, sequences),
        content={
            package: {file.name: str(_path(site.packages[package], file)) for file in content}
            for package, content in site.files.items()
        },
        contents={package: [file.to_json() for file in files] for package, files in site.files.items()},
        boot_files={name: str(path) for name, path in site.boot_files.items()},
        boot_images=boot_images,
        scripts=scripts(boot_images, command_line),
        command_line=command_line,
        accelerator=settings.accelerator,
        time_limit=scenario.limits.time or settings.time_limit,
        patience=max((double.takes for double in scenario.doubles), default=0.0),
    )


def _planned(machine: LoadedMachine, index: int) -> MachinePlan:
    return MachinePlan(
        spec=machine_spec(machine.template, machine.name, machine.mac, machine.uuid),
        address=dnsmasq.host_address(index),
        policy={"at_end": "power-off"},
        questions=Questions(*machine.questions()),
        answers=machine.answers,
    )


def _path(package: Path, file: ContentFile) -> Path:
    return package / file.name if package.is_dir() else package
