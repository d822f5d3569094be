"""High-risk deployments (R41): required ones of a sequence that installs an operating system. Pure.

Source: "Settings to manage high-risk deployments" (documented). Sizes count when the deployment is made,
which here is when the site is read. Site system servers in a collection are not modelled: no site has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lab.sequence.model import Group, Step, TaskSequence
from lab.site.model import ALL_SYSTEMS, ALL_UNKNOWN, Deployment, SiteObjects

#: Steps that put a system onto the machine.
_INSTALLING = frozenset(
    {"SMS_TaskSequence_ApplyOperatingSystemAction", "SMS_TaskSequence_UpgradeOperatingSystemAction"}
)


class Risk(NamedTuple):
    """``refused`` false: a warning, which the console asks to acknowledge."""

    deployment: str
    text: str
    refused: bool
    hint: str = ""


def installs_os(sequence: TaskSequence) -> bool:
    """Whether a sequence has a step that installs a system and is not disabled."""
    return any(step.type in _INSTALLING for step in _enabled(sequence.children))


def problems(site: SiteObjects, installing: Mapping[str, bool]) -> list[Risk]:
    """What is wrong with the site's deployments. ``installing``: sequence's package id -> ``installs_os``."""
    installs = {package.casefold() for package, does in installing.items() if does}
    dangerous = (
        one for one in site.deployments if one.purpose == "required" and one.sequence.casefold() in installs
    )
    return [risk for one in dangerous if (risk := _risk(site, one)) is not None]


def _risk(site: SiteObjects, deployment: Deployment) -> Risk | None:
    name = deployment.collection.casefold()
    if name == ALL_UNKNOWN.casefold():
        return None
    if name == ALL_SYSTEMS.casefold():
        text = f"a required deployment that installs an operating system is not made to '{ALL_SYSTEMS}'"
        hint = "deploy it to another collection, or say 'purpose: available'"
        return Risk(deployment.id, text, True, hint)
    collection = site.collection(deployment.collection)
    size = len(collection.members) if collection else 0
    settings = site.settings
    what = f"installs an operating system on {size} computers"
    if settings.maximum_size and size > settings.maximum_size:
        text = f"required deployment {deployment.id} {what}; the maximum is {settings.maximum_size}"
        return Risk(deployment.id, text, True, "see 'maximum_size' of the settings")
    if settings.default_size and size > settings.default_size:
        text = f"required deployment {deployment.id} {what}, more than {settings.default_size}"
        return Risk(deployment.id, text, False, "see 'default_size' of the settings")
    return None


def _enabled(items: tuple[Group | Step, ...]) -> Iterator[Step]:
    for item in items:
        if item.disabled:
            continue
        if isinstance(item, Group):
            yield from _enabled(item.children)
        else:
            yield item
