"""The secret values that a scenario and its sequence hold, and what is kept of a machine without them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.files import write_whole
from lab.scenario.implied import account
from lab.scenario.loader import LoadedScenario
from lab.scenario.software import Share
from lab.sequence.model import Step, TaskSequence
from lab.sequence.steps.dynamic import read_rules
from lab.sequence.steps.variable import assigned
from lab.sequence.unattend import hidden_password
from lab.sequence.variables import MASK, Variables, is_secret_name, mask
from lab.site.model import Collection, Device, SiteObjects

#: Shorter ones would black out what is none.
_SHORTEST = 4


def secret_values(loaded: LoadedScenario) -> tuple[str, ...]:
    """Longest first: of the machines' variables, the site and its shares, and of every sequence. What cannot
    be read has none."""
    scenario = loaded.scenario
    found = set(Variables(scenario.values, scenario.secrets).secret_values())
    for machine in loaded.machines:
        found |= set(Variables(machine.variables, machine.secrets).secret_values())
    found |= set(_of_site(loaded))
    found |= {share.password for share in scenario.shares.values() if isinstance(share, Share)}
    with contextlib.suppress(InputError):
        for export in loaded.exports:
            for _, one in export.found:
                found |= set(_of_sequence(one.sequence))
    found = {value for value in found if len(value) >= _SHORTEST}
    return tuple(sorted(found | {hidden_password(value) for value in found}, key=len, reverse=True))


def _of_site(loaded: LoadedScenario) -> Iterator[str]:
    """The account's password, the variables of devices and collections, and what is typed for secret ones."""
    yield account(loaded.identity).password
    holders: list[Device | Collection] = []
    if loaded.site is not None:
        objects: SiteObjects = loaded.site.objects
        holders += [*objects.devices, *objects.collections]
        if objects.account is not None:
            yield objects.account.password
    secret = {name for holder in holders for name in holder.secrets}
    secret |= {name for machine in loaded.machines for name in machine.secrets}
    for holder in (*holders, *loaded.machines):  # what is secret anywhere is secret everywhere
        yield from Variables(holder.variables, tuple(secret)).secret_values()
    for machine in loaded.machines:
        yield from Variables(machine.answers.get("variables", {}), tuple(secret)).secret_values()


def _of_sequence(sequence: TaskSequence) -> Iterator[str]:
    for variable in sequence.variables:
        if is_secret_name(variable.name):
            yield variable.value
    for step in sequence.steps():
        yield from _of_step(step)


def _of_step(step: Step) -> Iterator[str]:
    if step.type == "SMS_TaskSequence_SetVariableAction":
        name, value, secret = assigned(step)
        if secret or is_secret_name(name):
            yield value
    for variable in step.variables:
        if variable.property == "HiddenVariableValue" or is_secret_name(variable.name):
            yield variable.value
    rules = step.variable("OSDSetDynamicVariablesRules")
    try:
        for rule in read_rules(rules):
            yield from (item.value for item in rule.variables if item.secret or is_secret_name(item.name))
    except InputError:
        return


def hide(folder: Path, secrets: tuple[str, ...]) -> None:
    """Take the secrets out of what is kept of the machines' disks; judging comes before. Raises OSError."""
    for path in sorted(folder.glob("*/final-state.json")) if secrets else ():
        state = json.loads(path.read_text(encoding="utf-8"))
        write_whole(path, json.dumps(masked(state, secrets)))


def masked(value: Any, secrets: tuple[str, ...]) -> Any:
    """A JSON value without the secret texts."""
    if isinstance(value, str):
        return MASK if value in secrets else mask(value, secrets)
    if isinstance(value, list):
        return [masked(item, secrets) for item in value]
    if isinstance(value, dict):
        return {key: masked(item, secrets) for key, item in value.items()}
    return value
