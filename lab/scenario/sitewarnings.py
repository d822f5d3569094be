"""What a site may say and hardly means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from lab.errors import Problem
from lab.scenario.sitechecks import packages_of
from lab.scenario.siteschema import SiteFile
from lab.sequence.model import TaskSequence
from lab.sequence.references import accesses_directly, active_steps, listed_ids, step_references
from lab.site.model import (
    ALL_SYSTEMS,
    UNKNOWN_COMPUTERS,
    Deployment,
    SiteObjects,
    SitePackage,
)
from lab.site.policy import assigned_elsewhere, is_member, listed
from lab.yamlio import Document, quoted

#: Steps that get content into a folder of its own, wherever the deployment runs from.
_FETCHING = frozenset(
    {"SMS_TaskSequence_SetupWindowsAndSMSAction", "SMS_TaskSequence_DownloadPackageContentAction"}
)


@dataclass(frozen=True)
class Needs:
    """Packages (upper case) that a sequence's enabled steps name: all; without those that are fetched into a
    folder whatever the deployment says; and those that a step accesses directly on the share."""

    all: frozenset[str]
    used: frozenset[str]
    direct: frozenset[str]


def needs_of(sequences: Iterable[TaskSequence]) -> Needs:
    """What sequences need, all together."""
    named = [
        (step, reference.package.upper())
        for sequence in sequences
        for step, enabled in active_steps(sequence)
        if enabled
        for reference in step_references(step, listed_ids(sequence))
        if reference.package
    ]
    return Needs(
        frozenset(package for _, package in named),
        frozenset(package for step, package in named if step.type not in _FETCHING),
        frozenset(package for step, package in named if accesses_directly(step)),
    )


def warnings(document: Document[SiteFile], site: SiteObjects, needs: Mapping[str, Needs]) -> list[Problem]:
    """``needs``: what the sequence of each package id (upper case) needs."""
    return [
        *_records(document),
        *_to_nobody(document, site),
        *_restaged(document, site),
        *_schedules(document),
        *_ties(document, site),
        *_shares(document, site, needs),
        *_account(document, site, needs),
    ]


def _records(document: Document[SiteFile]) -> Iterator[Problem]:
    """Devices that no computer, or more than one, is found to be."""
    seen: dict[tuple[str, str], str] = {}
    settings = document.value.settings
    for name, entry in document.value.devices.items():
        # What is on the list of duplicates is meant to be shared, and finds nothing.
        mac = "" if listed(settings.duplicate_macs, entry.mac) else entry.mac
        uuid = "" if listed(settings.duplicate_uuids, entry.uuid) else entry.uuid
        if not mac and not uuid:
            only = "has nothing but what is on the lists of duplicates"
            has = only if entry.mac or entry.uuid else "has neither MAC address nor GUID"
            text = f"device {quoted(name)} {has}: no computer is found to be it"
            yield document.key_place("devices", name).problem(text)
        for key, value, label in (("mac", mac, "MAC address"), ("uuid", uuid, "SMBIOS GUID")):
            first = seen.setdefault((key, value), name) if value else name
            if first != name:
                text = f"device {quoted(first)} has the same {label}"
                yield document.place("devices", name, key).problem(text)


def _to_nobody(document: Document[SiteFile], site: SiteObjects) -> Iterator[Problem]:
    """Deployments that are made available to PXE and that PXE can give to nobody."""
    points = {one.name for one in site.distribution_points if one.pxe}
    for written in document.value.deployments:
        deployment = site.deployment(written)
        sequence = site.sequence(deployment.sequence) if deployment else None
        if deployment is None or sequence is None or deployment.available_to == "clients":
            continue
        image = site.package(sequence.boot_image) if sequence.boot_image else None
        why = ""
        if image is None:
            why = f"task sequence {sequence.package} has no boot image"
        elif not image.pxe:
            why = f"boot image {image.id} is not enabled for PXE"
        elif not points & set(image.distributed):
            why = f"boot image {image.id} is on no distribution point that answers PXE requests"
        else:
            why = _without_members(site, deployment)
        if why:
            yield document.key_place("deployments", written).problem(f"PXE gives {written} to nobody: {why}")


def _schedules(document: Document[SiteFile]) -> Iterator[Problem]:
    """Times of deployments that nobody but Windows PE is offered."""
    for name, entry in document.value.deployments.items():
        for key in ("available_at", "deadline"):
            if getattr(entry, key) and entry.available_to.startswith("media and PXE"):
                text = f"{name} is for media and PXE only, and Windows PE looks at no '{key}'"
                yield document.place("deployments", name, key).problem(text)


def _without_members(site: SiteObjects, deployment: Deployment) -> str:
    """Why nobody in the collection of a deployment is given it; "" where somebody can be."""
    name = deployment.collection
    if (collection := site.collection(name)) is not None and not collection.members:
        return f"{quoted(collection.name)} has no members"
    members = [one for one in site.devices if is_member(site, name, one)]
    if not all(assigned_elsewhere(site, one) for one in members):
        return ""
    why = ["its devices are assigned to another site"] if members else []
    if is_member(site, name, None):
        if any(one.pxe and one.unknown_computers for one in site.distribution_points):
            return ""
        if name.casefold() == ALL_SYSTEMS.casefold() and not members:
            why.append("the site has no devices")
        why.append("no distribution point answers unknown computers")
    return ", and ".join(why)


def _shares(document: Document[SiteFile], site: SiteObjects, needs: Mapping[str, Needs]) -> Iterator[Problem]:
    """Package shares that nothing uses, and those that are not there (documented: content that is used where
    it lies must be on one)."""
    running = [one for one in site.deployments if one.download == "run from distribution point"]
    direct = {package for one in needs.values() for package in one.direct}
    for section, identifier, entry in packages_of(document.value):
        if entry.package_share and not running and identifier.upper() not in direct:
            text = f"nothing uses the package share of {identifier}"
            hint = "a deployment does that says 'download: run from distribution point'"
            yield document.place(section, identifier, "package_share").problem(text, hint)
    shared = {package.id: package.share for package in site.packages}
    for written in document.value.deployments:
        deployment = site.deployment(written)
        wanted = needs.get(deployment.sequence) if deployment else None
        if deployment is None or wanted is None:
            continue
        runs = deployment in running
        lacking = [one for one in sorted(wanted.used if runs else wanted.direct) if not shared.get(one, True)]
        if lacking:
            how = "runs from the distribution point" if runs else "has a step that accesses content directly"
            place = document.place("deployments", written, "download")
            text = f"{written} {how}, and no package share has {', '.join(lacking)}"
            yield place.problem(text, "say 'package_share: true' there")


def _account(
    document: Document[SiteFile], site: SiteObjects, needs: Mapping[str, Needs]
) -> Iterator[Problem]:
    """Content that nobody in Windows PE may read (documented: it takes the Network Access Account)."""
    if site.account is not None:
        return
    anonymous = {one.name for one in site.distribution_points if one.anonymous}
    closed = {one.id for one in site.packages if one.distributed and not anonymous & set(one.distributed)}
    for deployment in site.deployments:
        wanted = needs.get(deployment.sequence)
        barred = sorted(wanted.all & closed) if wanted is not None else []
        if barred and deployment.available_to != "clients":
            text = f"no machine in Windows PE may read {', '.join(barred)}, which {deployment.id} needs"
            yield document.place("site").problem(
                f"the site has no network_access_account: {text}",
                "give it one, or say 'anonymous: true' of a distribution point",
            )
            return


def _restaged(document: Document[SiteFile], site: SiteObjects) -> Iterator[Problem]:
    """Deployments that the wizard may run in another boot image than their sequence's: PXE starts that of the
    highest id (documented)."""
    points = {one.name for one in site.distribution_points if one.pxe}
    offered: list[tuple[str, Deployment, SitePackage]] = []
    for written in document.value.deployments:
        one = site.deployment(written)
        sequence = site.sequence(one.sequence) if one else None
        image = site.package(sequence.boot_image) if sequence and not sequence.disabled else None
        wizard = ("clients, media and PXE", "media and PXE")
        served = (
            image is not None and image.pxe and bool(points & set(image.distributed))
        )  # else told already
        if one and image and served and one.purpose == "available" and one.available_to in wizard:
            offered.append((written, one, image))
    offered.sort(key=lambda each: each[1].id.casefold(), reverse=True)  # as policy.by_rank
    for index, (written, one, image) in enumerate(offered):
        for _, other, started in offered[:index]:
            if started.architecture != image.architecture or not _share_members(site, one, other):
                continue
            if started == image:
                break
            text = f"PXE starts boot image {started.id} of {other.id} where {written} could be chosen, too"
            hint = (
                f"ConfigMgr then restarts to {image.id}, the sequence's own; osdlab does not, and says so on "
                "the timeline (site boot-image)"
            )
            yield document.key_place("deployments", written).problem(text, hint)
            break


def _share_members(site: SiteObjects, one: Deployment, other: Deployment) -> bool:
    computers = [(device, "") for device in site.devices] + [
        (None, name) for name in UNKNOWN_COMPUTERS.values()
    ]
    return any(
        is_member(site, one.collection, *computer) and is_member(site, other.collection, *computer)
        for computer in computers
    )


def _ties(document: Document[SiteFile], site: SiteObjects) -> Iterator[Problem]:
    """Two collections of one priority that say different things to the same computer."""
    for one, other in combinations((each for each in site.collections if not each.users), 2):
        if one.priority != other.priority or not set(one.members) & set(other.members):
            continue
        before = {name.casefold(): value for name, value in one.variables.items()}
        for name, value in other.variables.items():
            if before.get(name.casefold(), value) != value:
                text = f"collection {quoted(one.name)} of the same priority sets {name} to another value"
                place = document.key_place("collections", other.name, "variables", name)
                yield place.problem(text, "give one of them a higher priority")
