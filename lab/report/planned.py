"""A plan for people: the machines, the site with its deployments, the content, what is expected. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.judge.evidence import evidence
from lab.judge.judging import judge
from lab.run.hidden import masked
from lab.scenario.loader import LoadedScenario
from lab.sequence.variables import MASK, Variables
from lab.site.model import Device, SiteObjects
from lab.site.policy import find_device, variables


def without_secrets(plan: Mapping[str, Any], secrets: tuple[str, ...]) -> dict[str, Any]:
    """A plan's JSON as it may be shown. ``secrets``: values that nobody may see."""
    site = dict(plan["site"])
    for kind in ("devices", "collections"):
        site[kind] = [
            {**item, "variables": _shown(item["variables"], item["secrets"])} for item in site[kind]
        ]
    if site["account"]:
        site["account"] = {**site["account"], "password": MASK}
    return dict(masked({**plan, "site": site}, secrets))


def _shown(values: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    known = Variables(values, secrets)
    return {name: known.shown(name) for name in values}


def plan_lines(loaded: LoadedScenario, plan: Mapping[str, Any]) -> list[str]:
    """``plan``: as ``without_secrets`` gives it."""
    site = SiteObjects.from_json(plan["site"])
    lines = [loaded.title]
    for machine in plan["machines"]:
        lines += _machine(machine["spec"], site)
    lines += _site(site)
    for package, entry in loaded.sequences.items():
        lines.append(f"  sequence  {package}: {entry.path}{f', {entry.name!r}' if entry.name else ''}")
    for package, files in plan["content"].items():
        lines.append(f"  content   {package}: {', '.join(files.values())}")
    # Judged on nothing at all, each expectation says at least what it wants.
    lines += [f"  expects   {verdict.wanted}" for verdict in judge(loaded.expectations, evidence([], {}))]
    return lines


def _machine(spec: Mapping[str, Any], site: SiteObjects) -> Iterator[str]:
    sizes = ", ".join(f"{disk['size'] // 2**30} GiB" for disk in spec["disks"])
    mac, identifier = spec["nics"][0]["mac"], spec["uuid"]
    yield (
        f"  machine   {spec['name']}: {spec['firmware']}, {spec['memory']} MiB, "
        f"{spec['vcpus']} CPU, disks {sizes}, MAC {mac}, UUID {identifier}"
    )
    device, _ = find_device(site, mac, identifier)
    yield f"  device    {spec['name']}: {_known(device)}"
    told = variables(site, device)
    for name, value in told.values.items():
        yield f"  variable  {name} = {value}"
    for name in told.unset:
        yield f"  variable  {name} is asked for by the wizard"


def _known(device: Device | None) -> str:
    return f"known to the site as {device.name}" if device is not None else "not known to the site"


def _site(site: SiteObjects) -> Iterator[str]:
    points = ", ".join(point.name for point in site.distribution_points)
    account = "no Network Access Account"
    if site.account is not None:
        account = f"Network Access Account {site.account.user}"
        account += "" if site.account.valid else ", whose password is wrong"
    yield f"  site      {site.code}: distribution points {points}; {account}"
    for deployment in site.deployments:
        sequence = site.sequence(deployment.sequence)
        name = f" '{sequence.name}'" if sequence is not None else ", which is not there"
        boot = f", boot image {sequence.boot_image or 'none'}" if sequence is not None else ""
        yield (
            f"  deploys   {deployment.id}: {deployment.sequence}{name} to '{deployment.collection}', "
            f"{deployment.purpose}, {deployment.available_to}{boot}"
        )
    for package in site.packages:
        lies = {where: state for where, state in package.distributed.items() if state != "there"}
        told = ", ".join(f"{state} on {where}" for where, state in lies.items())
        if told or not package.distributed:
            yield f"  package   {package.id}: {told or 'on no distribution point'}"
