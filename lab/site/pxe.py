"""The PXE decision: what a computer that asks to start from the network gets, and why.

Pure. Sources: "Understand PXE boot" and "Use PXE to deploy Windows" (documented). Schedules do not count:
Windows PE looks at none (documented).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.site.model import (
    ALL_UNKNOWN,
    UNKNOWN_COMPUTERS,
    Architecture,
    Deployment,
    Device,
    DistributionPoint,
    SiteObjects,
)  # fmt: skip
from lab.site.policy import assigned_elsewhere, by_rank, find_device, is_elsewhere, listed, refusal

Firmware = Literal["bios", "uefi"]

#: DHCP option 93 -> firmware and the architecture that it tells of; a BIOS tells nothing (RFC 4578, observed:
#: 64-bit firmware says 7, the value of EFI byte code).
CLIENT_SYSTEMS: Mapping[int, tuple[Firmware, Architecture | None]] = {
    0: ("bios", None),
    6: ("uefi", "x86"),
    7: ("uefi", "x64"),
    9: ("uefi", "x64"),
    11: ("uefi", "arm64"),
}


#: Deployments to others that one reason names at most.
_NAMED = 5


@dataclass(frozen=True)
class PxeRequest:
    """What a computer says. ``client_system``: DHCP option 93. ``cpu``: what the network boot program finds
    on a BIOS machine, which says nothing of it by itself."""

    mac: str
    uuid: str
    client_system: int
    cpu: Architecture = "x64"

    @property
    def architecture(self) -> Architecture | None:
        """What its firmware can start, or None for a client system that nobody knows."""
        system = CLIENT_SYSTEMS.get(self.client_system)
        return (system[1] or self.cpu) if system else None

    @property
    def unknown(self) -> str:
        """The object that stands for it where the site has no record of it. An x64 CPU is that of the *x64*
        one, whatever image it starts (documented)."""
        return UNKNOWN_COMPUTERS[self.architecture or "x64"]


@dataclass(frozen=True)
class PxeDecision:
    """What the computer gets.

    action      "boot" the ``boot_image``; "abort": an answer that sends it on to its next boot device;
                "ignore": no answer at all
    mandatory   it starts without anybody asking for it (a required deployment); else F12 or Enter is needed
    device      its record's name, "" where it has none; then ``unknown`` is the object that stands for it
    last_offer  the required deployment that was offered to it by PXE last, before this one
    reasons     why, in the order in which it was found out; the last one is what it came to
    """

    action: Literal["boot", "abort", "ignore"]
    reasons: tuple[str, ...]
    deployment: str = ""
    boot_image: str = ""
    mandatory: bool = False
    device: str = ""
    known: bool = False
    unknown: str = ""
    last_offer: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "reasons": list(self.reasons)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> PxeDecision:
        return PxeDecision(**{**data, "reasons": tuple(data["reasons"])})


def refused(action: str, reasons: Sequence[str]) -> str:
    """A decision that starts nothing, in one clause: its name, and what its reasons came to."""
    return f"the site's PXE decision is {action}: {reasons[-1] if reasons else 'nobody knows why'}"


def offer_key(site: SiteObjects, device: Device | None, mac: str, uuid: str) -> str:
    """By what a computer's offers are remembered: its record's name; without a record, its SMBIOS GUID, or
    its address where it has none, or one that many computers have."""
    if device is not None:
        return device.name
    own = uuid if uuid and not listed(site.settings.shared_uuids, uuid) else mac
    return f"unknown:{own.casefold()}"


def decide(
    site: SiteObjects, request: PxeRequest, offered: Mapping[str, Iterable[str]] | None = None
) -> PxeDecision:
    """Decide about one request; the same arguments give the same answer.

    ``offered``: ``offer_key`` -> the required deployments that were offered by PXE, besides
    ``Device.last_pxe``: each is offered once, until its flag is cleared (documented).
    """
    mac = request.mac.casefold()
    if mac in {one.casefold() for one in site.settings.ignored_macs}:
        return PxeDecision("ignore", (f"{mac} is on the list of addresses that get no answer",))
    architecture = request.architecture
    if architecture is None:
        return PxeDecision("ignore", (f"nobody knows client system {request.client_system} (option 93)",))
    device, found = find_device(site, request.mac, request.uuid)
    reasons = list(found)
    known, name = device is not None, device.name if device else ""
    unknown = "" if known else request.unknown
    if unknown:
        reasons.append(f"it stands as '{unknown}'")
    points = [one for one in site.distribution_points if one.pxe]
    if not points:
        reasons.append("no distribution point answers PXE requests")
    elif not known and not any(one.unknown_computers for one in points):
        reasons.append("no distribution point answers unknown computers")
        points = []
    if not points:
        return PxeDecision("ignore", tuple(reasons), device=name, known=known, unknown=unknown)
    if why := assigned_elsewhere(site, device):  # that it is sent on, and not left alone, is a guess
        return PxeDecision("abort", (*reasons, why), device=name, known=True)
    points = [one for one in points if known or one.unknown_computers]
    ran = [device.last_pxe] if device is not None and device.last_pxe else []
    ran += (offered or {}).get(offer_key(site, device, request.mac, request.uuid), ())
    last = ran[-1] if ran else ""
    fit: list[tuple[Deployment, str]] = []
    elsewhere: list[Deployment] = []
    nearly: list[str] = []  # for this computer, and yet not for this start
    for deployment in by_rank(site.deployments):
        if is_elsewhere(site, deployment, device, unknown):
            elsewhere.append(deployment)
            continue
        if why := refusal(site, deployment, device, unknown):
            reasons.append(f"{deployment.id}: {why}")
            continue
        why, image = _ran(deployment, ran), ""
        if not why:
            why, image = _image(site, deployment, request, points)
        if why:
            nearly.append(f"{deployment.id}: {why}")
        else:
            fit.append((deployment, image))
    if elsewhere:
        reasons.append(_elsewhere(elsewhere, name or unknown))
    if not fit:
        none = "no deployment is for it" if site.deployments else "there are no deployments"
        reasons.append(f"no deployment is left for it: {', '.join(nearly)}" if nearly else none)
        return PxeDecision(
            "abort", tuple(reasons), device=name, known=known, unknown=unknown, last_offer=last
        )
    reasons += nearly
    # Documented: a boot image of the computer's own architecture goes before a compatible one; among those
    # the deployment with the highest id counts.
    exact = [pair for pair in fit if _architecture(site, pair[1]) == architecture]
    deployment, image = (exact or fit)[0]
    others = ", ".join(one.id for one, _ in fit if one != deployment)
    reasons.append(f"{deployment.id} is chosen" + (f" before {others}" if others else ""))
    compatible = "" if exact else f", which an {architecture} CPU with a BIOS starts, too"
    reasons.append(f"its boot image {image} is {_architecture(site, image)}{compatible}")
    # Guess: whether it starts without being asked is the chosen deployment's purpose.
    mandatory = deployment.purpose == "required"
    return PxeDecision("boot", tuple(reasons), deployment.id, image, mandatory, name, known, unknown, last)


def _elsewhere(deployments: Iterable[Deployment], who: str) -> str:
    """All that are made to others, in one reason: a site has many of them, and the reason that counts is
    another."""
    unknown = ALL_UNKNOWN.casefold()
    told = [
        f"{one.id} (for unknown computers, and {who} is known)"
        if one.collection.casefold() == unknown
        else f"{one.id} (to '{one.collection}')"
        for one in deployments
    ]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return f"not deployed to {who}: {', '.join(told[:_NAMED])}{more}"


def _ran(deployment: Deployment, ran: Iterable[str]) -> str:
    if deployment.purpose != "required" or deployment.id.casefold() not in {one.casefold() for one in ran}:
        return ""
    return "it is required and was offered already; clear the required PXE deployments to offer it again"


def _image(
    site: SiteObjects, deployment: Deployment, request: PxeRequest, points: Iterable[DistributionPoint]
) -> tuple[str, str]:
    """(why not, boot image): whether the boot image of a deployment's sequence can be handed out."""
    sequence = site.sequence(deployment.sequence)
    wanted = sequence.boot_image if sequence else ""
    if not wanted:
        return "its sequence has no boot image", ""
    image = site.package(wanted)
    if image is None:
        return f"boot image {wanted} was deleted", ""
    if image.kind != "boot-image":
        return f"{image.id} is no boot image", ""
    if not image.pxe:
        return f"boot image {image.id} is not enabled for PXE", ""
    where = {name.casefold(): state for name, state in image.distributed.items()}
    states = [where[point.name.casefold()] for point in points if point.name.casefold() in where]
    if not states:
        return f"boot image {image.id} is not on a distribution point that answers PXE requests", ""
    if set(states) == {"missing"}:
        return f"the files of boot image {image.id} are gone from the distribution point", ""
    firmware, _ = CLIENT_SYSTEMS[request.client_system]
    cpu = request.architecture or "x64"
    if starts(image.architecture, firmware, cpu):
        return "", image.id
    return f"boot image {image.id} is {image.architecture}, the computer {cpu} with {firmware.upper()}", ""


def starts(image: Architecture, firmware: Firmware, cpu: Architecture) -> bool:
    """Whether a boot image is offered to such a computer (documented): UEFI wants its own architecture; a
    BIOS with a 64-bit CPU also starts an x86 one."""
    return image == cpu or (firmware == "bios" and cpu == "x64" and image == "x86")


def _architecture(site: SiteObjects, package: str) -> str:
    image = site.package(package)
    return image.architecture if image else ""
