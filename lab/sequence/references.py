"""What a sequence refers to, and which of its steps do.

Engine room: pure. A step names packages and applications in its variables and its command line; the export's
referenceList collects them (observed). A reference that only disabled steps use is not needed (R31).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.sequence.model import Group, Reference, Step, TaskSequence

CHILD_SEQUENCE = "SMS_TaskSequence_SubTasksequence"
#: A package id: three characters of the site and five hexadecimal digits.
PACKAGE_ID = re.compile(r"[A-Z0-9]{3}[0-9A-F]{5}", re.IGNORECASE)
_APPLICATION = re.compile(r"ScopeId_[0-9A-F-]{36}/(?:Required)?Application_[0-9A-F-]{36}", re.IGNORECASE)
#: Steps that a message names.
_STEPS_TOLD = 3
_WORD = re.compile(r"[A-Z0-9]+", re.IGNORECASE)
_PACKAGE_PROPERTIES = ("packageid", "driverpackageid", "configfilepackage", "imagepackageid", "packages")


def step_references(step: Step, listed: frozenset[str] = frozenset()) -> tuple[Reference, ...]:
    """The packages and applications that a step names, each with the step's position.

    ``listed``: the ids (upper case) of the sequence's referenceList: they are found in any of its values.
    """
    found: dict[tuple[str, str], None] = {}
    program = step.variable("ProgramName").strip()
    for variable in step.variables:
        name = (variable.property or variable.name).casefold()
        for application in _APPLICATION.findall(variable.value):
            found[("", application)] = None
        text = variable.value.strip()
        if name.endswith(_PACKAGE_PROPERTIES) and PACKAGE_ID.fullmatch(text):
            found[(text, "")] = None
        elif listed and len(text) < 4000:
            found.update({(word, ""): None for word in _WORD.findall(text) if word.upper() in listed})
    for word in _WORD.findall(step.action):
        if word.upper() in listed:
            found[(word, "")] = None
    seen: dict[str, Reference] = {}
    for package, application in found:
        of = program if package else ""
        seen.setdefault((package or application).upper(), Reference(package, of, application, step.position))
    return tuple(seen.values())


def accesses_directly(step: Step) -> bool:
    """Whether an image's step has the option "access content directly from the distribution point": it needs
    a package share and the Network Access Account, and no hash is looked at (documented)."""
    return step.run_from_net or step.variable("RunFromNet").strip().casefold() == "true"


def listed_ids(sequence: TaskSequence) -> frozenset[str]:
    """The ids of the referenceList's packages, in upper case."""
    return frozenset(item.package.upper() for item in sequence.references if item.package)


def active_steps(sequence: TaskSequence) -> Iterator[tuple[Step, bool]]:
    """Every step with whether it is enabled: itself, and all groups around it."""

    def below(items: tuple[Group | Step, ...], enabled: bool) -> Iterator[tuple[Step, bool]]:
        for item in items:
            if isinstance(item, Step):
                yield item, enabled and not item.disabled
            else:
                yield from below(item.children, enabled and not item.disabled)

    yield from below(sequence.children, True)


def referring(sequence: TaskSequence, package: str) -> str:
    """The enabled steps that name a package, for a message: each with the groups around it and its place; the
    referenceList where none does.
    """
    listed = listed_ids(sequence) | {package.upper()}
    found: list[str] = []

    def below(items: tuple[Group | Step, ...], above: tuple[str, ...]) -> None:
        for item in (one for one in items if not one.disabled):
            path = (*above, item.name)
            if isinstance(item, Group):
                below(item.children, path)
            elif any(one.package.upper() == package.upper() for one in step_references(item, listed)):
                found.append(f"step '{' / '.join(path)}' ({item.position})")

    below(sequence.children, ())
    if found:
        more = len(found) - _STEPS_TOLD
        return ", ".join(found[:_STEPS_TOLD]) + (f" and {more} more" if more > 0 else "")
    in_list = (one.position for one in sequence.references if one.package.upper() == package.upper())
    place = next((one for one in in_list if one.line), sequence.position)
    return f"the referenceList, and no step ({place})"


def child_sequences(sequence: TaskSequence) -> dict[str, Step]:
    """Package id (upper case) -> the first step that runs that child sequence."""
    found: dict[str, Step] = {}
    for step in sequence.steps():
        package = step.variable("TsPackageID").strip().upper()
        if step.type == CHILD_SEQUENCE and package:
            found.setdefault(package, step)
    return found


def needed(sequence: TaskSequence) -> tuple[Reference, ...]:
    """What must be there before the sequence may run: its referenceList without what only disabled steps use,
    and what enabled steps name beyond it."""
    listed = listed_ids(sequence)
    used: dict[str, bool] = {}
    first: dict[str, Reference] = {}
    for step, enabled in active_steps(sequence):
        for item in step_references(step, listed):
            key = (item.package or item.application).upper()
            used[key] = used.get(key, False) or enabled
            if enabled:
                first.setdefault(key, item)
    kept: dict[str, Reference] = {}
    for item in sequence.references:
        key = (item.package or item.application).upper()
        if key and used.get(key, True):
            kept.setdefault(key, item)
    return (*kept.values(), *(item for key, item in first.items() if key not in kept))
