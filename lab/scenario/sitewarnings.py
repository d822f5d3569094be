"""What a site may say and hardly means. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lab.errors import Problem
from lab.scenario.siteschema import SiteFile
from lab.site.model import Deployment, SiteObjects, SitePackage
from lab.yamlio import Document, quoted


def warnings(document: Document[SiteFile], site: SiteObjects) -> list[Problem]:
    images = [*_boot_images(document, site), *_restaged(document, site)]
    return [*_records(document), *images, *_ties(document, site)]


def _records(document: Document[SiteFile]) -> Iterator[Problem]:
    """Devices that no computer, or more than one, is found to be."""
    seen: dict[tuple[str, str], str] = {}
    for name, entry in document.value.devices.items():
        if not entry.mac and not entry.uuid:
            text = f"device {quoted(name)} has neither MAC address nor GUID: no computer is found to be it"
            yield document.key_place("devices", name).problem(text)
        for key, value, label in (("mac", entry.mac, "MAC address"), ("uuid", entry.uuid, "SMBIOS GUID")):
            first = seen.setdefault((key, value), name) if value else name
            if first != name:
                text = f"device {quoted(first)} has the same {label}"
                yield document.place("devices", name, key).problem(text)


def _boot_images(document: Document[SiteFile], site: SiteObjects) -> Iterator[Problem]:
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
        if why:
            yield document.key_place("deployments", written).problem(f"PXE gives {written} to nobody: {why}")


def _restaged(document: Document[SiteFile], site: SiteObjects) -> Iterator[Problem]:
    """Deployments that the wizard may run in another boot image than their sequence's: PXE starts that of the
    highest id (documented)."""
    offered: list[tuple[str, Deployment, SitePackage]] = []
    for written in document.value.deployments:
        one = site.deployment(written)
        sequence = site.sequence(one.sequence) if one else None
        image = site.package(sequence.boot_image) if sequence and not sequence.disabled else None
        wizard = ("clients, media and PXE", "media and PXE")
        if one and image and image.pxe and one.purpose == "available" and one.available_to in wizard:
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
    collections = [site.collection(each.collection) for each in (one, other)]
    members = [each.member_names if each else frozenset() for each in collections]
    return one.collection.casefold() == other.collection.casefold() or bool(members[0] & members[1])


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
