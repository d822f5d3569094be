"""What the site of a run is and tells its machines: its objects, and the policy of each sequence. Pure.

The site that a scenario names, with what the scenario says over it; or the implied one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lab.errors import InputError, Problem
from lab.run.software import software_policy
from lab.scenario.implied import account, implied_site
from lab.scenario.loader import LoadedScenario
from lab.scenario.machines import LoadedMachine
from lab.sequence.codec import to_json
from lab.sequence.model import TaskSequence
from lab.sequence.references import child_sequences, needed
from lab.site.model import Account, Device, Distributed, SiteObjects, SitePackage
from lab.site.policy import find_device


def site_objects(loaded: LoadedScenario, sequences: Mapping[str, TaskSequence]) -> SiteObjects:
    """The objects of the run's site. ``sequences`` as ``read_checked_sequences`` gives them.

    Raises InputError for variables of a machine that the site does not know, or takes for another one, too.
    """
    scenario = loaded.scenario
    if loaded.site is not None:
        return _named(loaded, loaded.site.objects)
    ((package, sequence),) = sequences.items()
    referred = [name for name in references(loaded, sequence) if not _deleted(loaded, name)]
    declared = [name.upper() for name in scenario.content if not _deleted(loaded, name)]
    return implied_site(
        loaded.machines,
        loaded.packages,
        known=(*declared, *referred, *(name.upper() for name in scenario.packages)),
        distributed=distributed(loaded),
        sequence=(package, sequence.name),
        purpose=scenario.deployment.purpose,
        account=_account(loaded, account(loaded.identity)),
    )


def policy_bases(loaded: LoadedScenario, sequences: Mapping[str, TaskSequence]) -> dict[str, dict[str, Any]]:
    """Sequence's package -> what its policy says, whichever machine asks (docs/architecture.md)."""
    return {package: policy_base(loaded, sequence) for package, sequence in sequences.items()}


def policy_base(loaded: LoadedScenario, sequence: TaskSequence) -> dict[str, Any]:
    """What the policy of one sequence says, whichever machine asks."""
    client = next((package for package, source in loaded.packages.items() if source == "client"), "")
    return {
        "sequence": to_json(sequence),
        "doubles": [double.to_json() for double in loaded.scenario.doubles],
        "drivers": [driver.to_json() for driver in loaded.scenario.drivers],
        **software_policy(loaded),
        "variables": {"_SMSTSClientPackageID": client} if client else {},
        "client_package": client,
        "references": list(references(loaded, sequence)),
    }


def references(loaded: LoadedScenario, sequence: TaskSequence) -> tuple[str, ...]:
    """The packages that the enabled steps need, upper case: what is checked before the first step (R60).

    Child sequences are none: they stand in their steps' places, or their step says that they are not there.
    """
    children = child_ids(loaded, sequence)
    names = (item.package.upper() for item in needed(sequence) if item.package)
    return tuple(dict.fromkeys(name for name in names if name not in children))


def child_ids(loaded: LoadedScenario, sequence: TaskSequence) -> set[str]:
    """Ids, upper case, that the sequence may refer to and that are no content."""
    known = {*child_sequences(sequence), *(package.upper() for package in loaded.scenario.children)}
    return known | {
        found.sequence.package_id.upper() for export in loaded.exports for _, found in export.found
    }


def distributed(loaded: LoadedScenario) -> dict[str, Distributed]:
    """Package -> how it lies on the distribution points, where the scenario says that it is not whole."""
    content = loaded.scenario.content
    return {
        package.upper(): told.distribution_point
        for package, told in content.items()
        if told.distribution_point != "there"
    }


def _deleted(loaded: LoadedScenario, package: str) -> bool:
    told = {name.upper(): content for name, content in loaded.scenario.content.items()}.get(package.upper())
    return told is not None and told.source == "deleted"


def _account(loaded: LoadedScenario, given: Account | None) -> Account | None:
    said = loaded.scenario.network_access_account
    if said == "none":
        return None
    return replace(given, valid=False) if given is not None and said == "wrong" else given


def _named(loaded: LoadedScenario, site: SiteObjects) -> SiteObjects:
    problems: list[Problem] = []
    devices = {device.name: device for device in site.devices}
    whose: dict[str, LoadedMachine] = {}
    for machine in loaded.machines:
        if not machine.variables:
            continue
        device, _ = find_device(site, machine.mac, machine.uuid)
        if device is None:
            said = f"the site does not know machine '{machine.name}', so it has no variables of its own"
            hint = "give them to the collection 'All Unknown Computers', or make the machine a device"
            problems.append(_variables_place(loaded, machine).problem(said, hint))
        elif (first := whose.setdefault(device.name, machine)).variables != machine.variables:
            said = f"machine '{machine.name}' is the record '{device.name}' to the site, as '{first.name}' is"
            hint = "one record has one set of variables"
            problems.append(_variables_place(loaded, machine).problem(said, hint))
        else:
            devices[device.name] = _with_variables(device, machine)
    if problems:
        raise InputError(problems)
    return replace(
        site,
        devices=tuple(devices.values()),
        packages=tuple(_packages(loaded, site)),
        account=_account(loaded, site.account),
    )


def _variables_place(loaded: LoadedScenario, machine: LoadedMachine) -> Any:
    own = loaded.scenario.machines.get(machine.name)
    keys = ("machines", machine.name, "variables") if own and own.variables else ("variables",)
    return loaded.document.key_place(*keys)


def _with_variables(device: Device, machine: LoadedMachine) -> Device:
    said = {name.casefold() for name in machine.variables}
    values = {name: value for name, value in device.variables.items() if name.casefold() not in said}
    secrets = [name for name in device.secrets if name.casefold() not in said]
    return replace(device, variables={**values, **machine.variables}, secrets=(*secrets, *machine.secrets))


def _packages(loaded: LoadedScenario, site: SiteObjects) -> Iterator[SitePackage]:
    """The site's packages as the scenario has them, and those that it adds."""
    states, known = distributed(loaded), {package.id.upper() for package in site.packages}
    told = {name.upper(): content for name, content in loaded.scenario.content.items()}
    for package in site.packages:
        said = told.get(package.id.upper())
        if said is None:
            yield package
        elif said.source == "missing":
            yield replace(package, distributed={})
        elif said.source != "deleted":
            where = package.distributed or [point.name for point in site.distribution_points]
            state = states.get(package.id.upper(), "there")
            yield replace(package, distributed=dict.fromkeys(where, state))
    for name, said in told.items():
        if name not in known and said.source not in (None, "deleted"):
            points = site.distribution_points if name in loaded.content else ()
            lies = {point.name: states.get(name, "there") for point in points}
            yield SitePackage(name, distributed=lies, share=True)
