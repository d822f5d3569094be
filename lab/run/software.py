"""What a machine's policy says of software, from a scenario; its sequence with children and doubles."""

from __future__ import annotations

from typing import Any

from lab.errors import InputError, Problem, UsageError
from lab.scenario.finding import sequence_file
from lab.scenario.loader import LoadedScenario
from lab.scenario.software import Application, Child, Share
from lab.sequence.doubled import double_steps
from lab.sequence.model import TaskSequence
from lab.sequence.nested import EndlessSequence, child_id, children_of, expand, found_in
from lab.site.exports import read_file


def software_policy(loaded: LoadedScenario) -> dict[str, Any]:
    """The policy's sections ``packages``, ``applications``, ``children``, ``shares`` and ``settings``; pure.

    An application stands under its name and under its model name. What the export holds counts where the
    scenario says nothing.
    """
    scenario = loaded.scenario
    applications: dict[str, Any] = {}
    packages: dict[str, Any] = {}
    for export in loaded.exports:
        applications |= export.software.applications
        packages |= export.software.packages
    site = loaded.site
    told_by_site = site.applications if site is not None else {}
    for name, application in {**told_by_site, **scenario.applications}.items():
        told = _application(name, application)
        applications[name] = told
        if application.model:
            applications[application.model] = told
    return {
        "packages": {
            **packages,
            **{
                key.upper(): package.model_dump()
                for programs in (site.programs if site is not None else {}, scenario.packages)
                for key, package in programs.items()
            },
        },
        "applications": applications,
        "children": {
            key.upper(): {"disabled": child.disabled}
            for key, child in scenario.children.items()
            if isinstance(child, Child)
        },
        "shares": {
            path: share.model_dump() if isinstance(share, Share) else share
            for path, share in scenario.shares.items()
        },
        "settings": {
            "pe_components": list(scenario.pe_components),
            "updates": [update.model_dump() for update in scenario.updates],
        },
    }


def _application(name: str, application: Application) -> dict[str, Any]:
    return {
        "name": name,
        "model": application.model,
        "content": application.content or "",
        "install": application.install,
        "detection": [rule.to_json() for rule in application.detection],
        "requirements": [rule.to_json() for rule in application.requirements],
        "return_codes": dict(application.return_codes),
        "dependencies": list(application.dependencies),
        "timeout": application.timeout,
        "allow_task_sequence": application.allow_task_sequence,
    }


def complete(loaded: LoadedScenario, sequence: TaskSequence) -> TaskSequence:
    """The sequence with its children in their places, and the steps marked that doubles answer.

    A child that the scenario says nothing of is taken from the same export. Raises InputError for one that
    cannot be read, runs itself, or is known to neither.
    """
    patterns = [double.step for double in loaded.scenario.doubles if double.step]
    problems: list[Problem] = []
    children: dict[str, TaskSequence] = {}
    for package, child in loaded.scenario.children.items():
        if isinstance(child, Child):
            read = _child(loaded, package, child, problems)
            if read is not None and not child.disabled:
                children[package] = double_steps(read, patterns)
    if problems:
        raise InputError(problems)
    offered = [found.sequence for export in loaded.exports for _, found in export.found]
    said = {package.upper() for package in loaded.scenario.children}
    marked = double_steps(sequence, patterns)
    of_export = found_in(marked, children, offered)
    children |= {
        package: double_steps(child, patterns)
        for package, child in of_export.items()
        if package.upper() not in said
    }
    try:
        whole = expand(marked, children)
    except EndlessSequence as error:
        place = sequence.position
        raise InputError([Problem(place.path, place.line, place.column, str(error))]) from error
    for step in children_of(whole):
        if child_id(step).upper() not in said:
            problems.append(_unknown_child(child_id(step), step.name, step.position))
    if problems:
        raise InputError(problems)
    return whole


def _unknown_child(package: str, name: str, place: Any) -> Problem:
    hint = f"say 'children: {{{package}: {{sequence: FILE}}}}', or 'missing', or give the step a double"
    text = f"step '{name}' runs the task sequence {package}, which is not known"
    return Problem(place.path, place.line, place.column, text, hint)


def _child(
    loaded: LoadedScenario, package: str, child: Child, problems: list[Problem]
) -> TaskSequence | None:
    found = sequence_file(child.sequence, loaded.path)
    if found is None:
        place = loaded.document.place("children", package)
        problems.append(place.problem(f"there is no task sequence '{child.sequence}'"))
        return None
    try:
        export = read_file(found)
        return export.choose(package if len(export.found) > 1 else "")[1].sequence
    except InputError as error:
        problems.extend(error.problems)
    except UsageError as error:
        problems.append(loaded.document.place("children", package).problem(error.message, error.hint))
    return None
