"""SMSPXE.log: what a PXE-enabled distribution point writes about one request, in CMTrace's format. Pure.

Documented ("Advanced troubleshooting for PXE boot issues"): the replies of the management point, the client's
identity, ``device is in the database``, ``no advertisements found``, ``No boot action. Aborted.`` and
``Not serviced.``. Guesses, from what public posts quote: ``found optional advertisement``, ``found mandatory
advertisement``, ``Looking for bootImage``, the line of an unknown computer, and that a computer that gets no
answer is ``Not serviced.``. Why a computer gets what it gets stands in the decision: the product's log does
not say it.
"""

from __future__ import annotations

from html import escape

from lab.sequence.smsts import format_record, stamp
from lab.site.model import UNKNOWN_COMPUTERS, SiteObjects
from lab.site.policy import listed
from lab.site.pxe import PxeDecision, PxeRequest

COMPONENT = "SMSPXE"

#: Item keys of the unknown computer objects (observed: x86 and x64; arm64 is a guess).
_UNKNOWN_KEYS = dict(zip(UNKNOWN_COMPUTERS.values(), (2046820352, 2046820353, 2046820354), strict=True))
#: What the first device's key is (observed: keys of resources count up from here).
_FIRST_KEY = 16777220
_INFORMATION, _WARNING = 1, 2


def lines(site: SiteObjects, request: PxeRequest, decision: PxeDecision, wall: float) -> list[str]:
    """The records of one request as they stand in the file, each with its line end. ``wall``: seconds UTC."""
    time, date = stamp(wall)
    return [
        format_record(text, component=COMPONENT, time=time, date=date, type=severity, thread=1, file="")
        for severity, text in _messages(site, request, decision)
    ]


def _messages(site: SiteObjects, request: PxeRequest, decision: PxeDecision) -> list[tuple[int, str]]:
    """(severity, message)."""
    who = f"{request.mac.upper()}, {request.uuid.upper()}"
    told: list[str] = []
    place = site.places.get(decision.device)
    key = 0 if place is None else _FIRST_KEY + place
    if decision.known or decision.unknown:  # else its address or its client system was enough
        told += _lookup(site, request, decision, who, key)
    if decision.action != "ignore":
        told += _action(site, request, decision, who, key)
    ends: tuple[str, ...] = ()
    if decision.action == "boot":
        kind = "mandatory" if decision.mandatory else "optional"
        told.append(f"{who}: found {kind} advertisement {decision.deployment}")
        told.append(f"Looking for bootImage {decision.boot_image}")
    elif decision.action == "abort":
        ends = ("no advertisements found", "No boot action. Aborted.", "Not serviced.")
    else:
        ends = ("Not serviced.",)
    warned = ((_WARNING, f"{who}: {text}") for text in ends)
    return [*((_INFORMATION, text) for text in told), *warned]


def _lookup(site: SiteObjects, request: PxeRequest, decision: PxeDecision, who: str, key: int) -> list[str]:
    identity = _identity(site, request, decision, key)
    where = "is in the database" if decision.known else "is not in the database"
    return [
        f"Client lookup reply: <ClientIDReply>{identity}</ClientIDReply>",
        f"MP_LookupDevice succeeded: {key} {int(decision.known)} {key} {int(decision.known)} 0",
        f"{who}: device {where}.",
    ]


def _identity(site: SiteObjects, request: PxeRequest, decision: PxeDecision, key: int) -> str:
    """The element that tells who the management point takes it for. ``key``: its item key; an unknown
    computer has 0 until its boot action is asked for (observed)."""
    machine = f"<NetbiosName>{escape(decision.device)}</NetbiosName>" if decision.known else "<NetbiosName/>"
    return (
        f'<Identification Unknown="{int(not decision.known)}"'
        f' DuplicateSMBIOS="{int(listed(site.settings.shared_uuids, request.uuid))}"'
        f' DuplicateMACAddress="{int(listed(site.settings.shared_macs, request.mac))}"'
        f' ItemKey="{key}" ServerName=""><Machine><ClientID/>{machine}</Machine></Identification>'
    )


def _action(site: SiteObjects, request: PxeRequest, decision: PxeDecision, who: str, key: int) -> list[str]:
    deployment = site.deployment(decision.deployment) if decision.deployment else None
    package = deployment.sequence if deployment else ""
    mandatory = str(int(decision.mandatory)) if deployment else ""
    found = []
    if decision.unknown:
        key = _UNKNOWN_KEYS[decision.unknown]
        found.append(f"Getting boot action for unknown machine: item key: {key}")
    identity = _identity(site, request, decision, key)
    found.append(
        f"Client boot action reply: <ClientIDReply>{identity}<PXEBootAction"
        f' LastPXEAdvertisementID="{decision.last_offer}" LastPXEAdvertisementTime=""'
        f' OfferID="{decision.deployment}" OfferIDTime="" PkgID="{package}" PackageVersion="" packagePath=""'
        f' BootImageID="{decision.boot_image}" Mandatory="{mandatory}"/></ClientIDReply>'
    )
    found.append("Client Identity:")
    found.append(
        f"{who}: SMSID= OfferID={decision.deployment}, PackageID={package}, PackageVersion=, "
        f"BootImageID={decision.boot_image}, PackagePath=, Mandatory={int(decision.mandatory)}"
    )
    return found
