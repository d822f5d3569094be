"""The site of a scenario that names none: it knows the machines and deploys the sequence to all. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.scenario.machines import LoadedMachine
from lab.site.model import (
    Account,
    Collection,
    Deployment,
    Device,
    Distributed,
    PackageKind,
    Purpose,
    SiteObjects,
    SitePackage,
    SiteSequence,
)  # fmt: skip

SITE_CODE, DISTRIBUTION_POINT, COLLECTION, DEPLOYMENT = "LAB", "DP1", "Machines", "LAB20000"
ACCOUNT = "LAB\\naa"
_KINDS: dict[str, PackageKind] = {"reference-image": "os-image", "boot-image": "boot-image"}


def account(known_by: str) -> Account:
    """The Network Access Account of a run; its password is the same at every run of the scenario."""
    return Account(ACCOUNT, hashlib.sha256(f"{known_by}/naa".encode()).hexdigest()[:24])


def implied_site(
    machines: Iterable[LoadedMachine],
    packages: Mapping[str, str | Path],
    *,
    known: Iterable[str],
    distributed: Mapping[str, Distributed],
    sequence: tuple[str, str],
    purpose: Purpose,
    account: Account | None,
) -> SiteObjects:
    """``packages``: id -> what its content is; ``known``: ids that the site has without any location;
    ``distributed``: how one lies on the distribution point where it is not whole; ``sequence``: (package,
    name)."""
    devices = tuple(
        Device(machine.name, machine.mac, machine.uuid, dict(machine.variables), machine.secrets)
        for machine in machines
    )
    made = [
        SitePackage(
            package,
            kind=_KINDS.get(str(source), "package"),
            distributed={DISTRIBUTION_POINT: distributed.get(package, "there")},
            share=True,
        )
        for package, source in packages.items()
    ]
    bare = dict.fromkeys(package for package in known if package not in packages)
    boot = next((package for package, source in packages.items() if source == "boot-image"), "")
    return SiteObjects(
        code=SITE_CODE,
        devices=devices,
        collections=(Collection(COLLECTION, tuple(device.name for device in devices)),),
        packages=(*made, *(SitePackage(package) for package in bare)),
        sequences=(SiteSequence(*sequence, boot_image=boot),),
        deployments=(Deployment(DEPLOYMENT, sequence[0], COLLECTION, purpose),),
        account=account,
    )
