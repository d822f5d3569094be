"""A site for a sequence that is simulated without a scenario: one device, one deployment, one distribution
point with every package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from lab.hypervisor.protocol import MachineSpec
from lab.sequence.codec import to_json
from lab.sequence.model import TaskSequence
from lab.simulation.site import SimContent
from lab.site.managementpoint import ManagementPoint, MemoryStore
from lab.site.model import (
    Account,
    Collection,
    Deployment,
    Device,
    Purpose,
    SiteObjects,
    SitePackage,
    SiteSequence,
)
from lab.site.pxe import PxeDecision, PxeRequest
from lab.site.smspxe import lines
from lab.timeline import Timeline

MakePoint = Callable[..., ManagementPoint]
Tell = Callable[[str, dict[str, Any]], None]

DEPLOYMENT = "LAB20000"
#: The package of a sequence that has none.
_SEQUENCE = "LAB10000"
#: The boot image where none is named.
_LABPE = "LAB00002"
_ACCOUNT = Account("LAB\\naa", "alone")
#: Variables of a sequence's start that the site makes of its objects.
_BOOT_IMAGE, _CLIENT = "_SMSTSBootImageID", "_SMSTSClientPackageID"


def pxe_log(objects: SiteObjects, tell: Tell, log: list[str], wall: Callable[[], float]) -> Tell:
    """``tell`` that puts the records of SMSPXE.log into ``log``, too. ``wall``: UTC seconds since 1970."""
    asks, decides = (tuple(item.name for item in fields(kind)) for kind in (PxeRequest, PxeDecision))

    def both(kind: str, data: dict[str, Any]) -> None:
        if kind == "pxe":
            request = PxeRequest(**{name: data[name] for name in asks})
            decision = PxeDecision.from_json({name: data[name] for name in decides})
            log.extend(lines(objects, request, decision, wall()))
        tell(kind, data)

    return both


def telling(timeline: Timeline, machines: Mapping[str, str]) -> Tell:
    """Puts what a site does on the timeline. ``machines``: MAC (lower case) -> name."""

    def tell(kind: str, data: dict[str, Any]) -> None:
        timeline.append("site", kind, machine=machines.get(str(data.get("mac")), ""), details=data)

    return tell


def offered(
    sequence: TaskSequence,
    spec: MachineSpec,
    *,
    variables: Mapping[str, str],
    secrets: Sequence[str],
    contents: Mapping[str, SimContent],
    policy: Mapping[str, Any],
    purpose: Purpose,
    timeline: Timeline,
    address: str,
    kind: MakePoint = ManagementPoint,
) -> ManagementPoint:
    """The management point of such a site. ``variables``: the device's, and the ids of boot image and client
    under their variables' names."""
    mac = spec.nics[0].mac.lower() if spec.nics else ""
    own = {name: value for name, value in variables.items() if name not in (_BOOT_IMAGE, _CLIENT)}
    boot_image, client = variables.get(_BOOT_IMAGE) or _LABPE, variables.get(_CLIENT, "")
    identifier = sequence.package_id or _SEQUENCE
    packages = {boot_image: SimContent(), **contents}
    site = SiteObjects(
        "LAB",
        devices=(Device(spec.name, mac, spec.uuid.lower(), own, tuple(secrets)),),
        collections=(Collection("Machines", (spec.name,)),),
        packages=tuple(
            SitePackage(
                package,
                kind="boot-image" if package == boot_image else "package",
                distributed={"DP1": content.distributed},
            )
            for package, content in packages.items()
        ),
        sequences=(SiteSequence(identifier, sequence.name, boot_image),),
        deployments=(Deployment(DEPLOYMENT, identifier, "Machines", purpose),),
        account=_ACCOUNT,
    )
    base = {"sequence": to_json(sequence), "client_package": client, "boot_image": boot_image, **policy}
    if client:
        base["variables"] = {_CLIENT: client}
    return kind(
        site,
        policies={identifier: base},
        machines={mac: {}},
        contents={package: content.to_json() for package, content in contents.items()},
        address=address,
        store=MemoryStore(),
        tell=telling(timeline, {mac: spec.name}),
    )
