"""What a site may say and hardly means. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lab.errors import Problem
from lab.scenario.siteschema import SiteFile
from lab.site.model import SiteObjects
from lab.yamlio import Document, quoted


def warnings(document: Document[SiteFile], site: SiteObjects) -> list[Problem]:
    return [
        *_records(document),
        *_boot_images(document, site),
        *_schedules(document),
        *_ties(document, site),
    ]


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


def _schedules(document: Document[SiteFile]) -> Iterator[Problem]:
    """Times of deployments that nobody but Windows PE is offered."""
    for name, entry in document.value.deployments.items():
        for key in ("available_at", "deadline"):
            if getattr(entry, key) and entry.available_to.startswith("media and PXE"):
                text = f"{name} is for media and PXE only, and Windows PE looks at no '{key}'"
                yield document.place("deployments", name, key).problem(text)


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
