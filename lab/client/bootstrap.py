"""What TSMBootstrap does from PXE, up to the first step: policy, wizard, check of the content.

Pure: a generator that yields what it wants to know or to say; who drives it (the guest's agent, the
simulator) sends each answer in. Wording as observed where the lab knows it; what is a guess is marked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.client import wizard
from lab.client.wizard import Page, Refused
from lab.sequence.codec import from_json
from lab.sequence.codes import E_FAIL, NO_LOCATION
from lab.sequence.references import referring

#: Observed: what a machine says that has no deployment.
NO_TASK_SEQUENCES = "There are no task sequences available for this computer."

_BOOTSTRAP, _PXE = "TSMBootstrap", "TSPxe"
_WIZARD = "tsmediawizardcontrol.cpp"
_MESSAGING = "libsmsmessaging.cpp"


@dataclass(frozen=True)
class AskAssignments:
    """Wanted: the JSON of ``GET /policy/<mac>``."""


@dataclass(frozen=True)
class AskPolicy:
    """Wanted: the JSON of ``GET /policy/<mac>/<deployment>``, or None when the site has none."""

    deployment: str


@dataclass(frozen=True)
class AskLocations:
    """Wanted: the JSON of ``GET /locations/<package>``."""

    package: str


@dataclass(frozen=True)
class Show:
    """Wanted: the line that is typed while this page is on the screen."""

    page: Page


@dataclass(frozen=True)
class Answered:
    """A page was answered. No answer is wanted; ``told`` is the event ``wizard-done``."""

    told: dict[str, Any]


@dataclass(frozen=True)
class Say:
    """A record for smsts.log: component, message, type, file. No answer is wanted."""

    record: dict[str, Any]


Request = AskAssignments | AskPolicy | AskLocations | Show | Answered | Say


@dataclass(frozen=True)
class Begin:
    """The sequence begins: its policy, the variables it starts with, and which of them are secret."""

    policy: dict[str, Any]
    variables: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nothing:
    """No sequence runs, and why. Which code is a guess."""

    reason: str
    code: int = E_FAIL


#: What drives a part of it gets, and what comes out.
Driven = Generator[Request, Any, Begin | Nothing]


def bootstrap() -> Driven:
    """From the question for assignments to ``Begin`` or ``Nothing``.

    Documented: a required deployment runs without a question, variables left empty are asked for. A guess:
    of several required ones the highest id runs, as PXE chooses its boot image.
    """
    yield from _boots()
    yield _say("Retrieving Policy Assignments:", file=_MESSAGING, component=_PXE)
    answer = yield AskAssignments()
    assignments = list(answer.get("assignments") or ())
    if not assignments:
        yield _say(NO_TASK_SEQUENCES, 3)
        return Nothing(str(answer.get("no_deployment") or NO_TASK_SEQUENCES))
    chosen = yield from _chosen(assignments)
    policy = yield AskPolicy(chosen)
    if policy is None:
        reason = f"Failed to download policy {chosen} (Code 0x{E_FAIL:08X})."  # wording from public posts
        yield _say(reason, 3, _MESSAGING, _PXE)
        return Nothing(reason)
    variables = yield from _variables(policy)
    missing = yield from _dependencies(policy)
    if missing:
        code = f"Code(0x{NO_LOCATION:08X})"
        yield _say(f"Failed to resolve selected task sequence dependencies. {code}", 3, _WIZARD)
        return Nothing(f"the task sequence refers to {_named(policy, missing)}", NO_LOCATION)
    return Begin(policy, variables, tuple(policy.get("secrets") or ()))


def _boots() -> Generator[Request, Any, None]:
    """How the machine got here (observed)."""
    shell = "TSBootShell"
    yield _say(f"{'=' * 24}[ TSBootShell.exe ]{'=' * 24}", file="bootshell.cpp:1055", component=shell)
    yield _say("Booted from network (PXE)", file="configpath.cpp:198", component=shell)
    yield _say(f"{'=' * 30}[ TSMBootStrap.exe ]{'=' * 30}", file="tsmbootstrap.cpp:1165")
    yield _say("PXE Boot with Root = X:\\", file="tsmbootstrap.cpp:921")
    yield _say("Executing from PXE in WinPE", file="tsmbootstrap.cpp:936")


def _chosen(assignments: list[Mapping[str, Any]]) -> Generator[Request, Any, str]:
    """The deployment to run: a required one, the only one, or what the wizard is told."""
    assignments = sorted(assignments, key=lambda one: str(one["deployment"]).upper(), reverse=True)
    required = [one for one in assignments if one.get("purpose") == "required"]
    if required:
        yield _say("Running Wizard in Unattended mode", file=_WIZARD)  # wording by analogy
        return str(required[0]["deployment"])
    yield _say("Running Wizard in Interactive mode", file=_WIZARD)
    if len(assignments) == 1:
        return str(assignments[0]["deployment"])
    yield _say("Activating Welcome Page.", file="tsmediawelcomepage.cpp")
    return (yield from _asked(wizard.choice(assignments)))


def _asked(page: Page) -> Generator[Request, Any, str]:
    """What comes of a page, asked again until the line is an answer."""
    while True:
        text = yield Show(page)
        value = wizard.take(page, str(text))
        if not isinstance(value, Refused):
            yield Answered(page.done(value))
            return value
        page = replace(page, refused=value.reason)


def _variables(policy: Mapping[str, Any]) -> Generator[Request, Any, dict[str, str]]:
    """The variables that the run starts with: the site's, and what the wizard asked for."""
    values = {str(name): str(value) for name, value in (policy.get("variables") or {}).items()}
    secrets = {str(name).casefold() for name in policy.get("secrets") or ()}
    yield _say(f"Found {len(values)} collection variables.", file="tspolicy.cpp")
    unset = tuple(str(name) for name in policy.get("unset") or ())
    for at, name in enumerate(unset, 1):
        value = yield from _asked(wizard.variable(name, name.casefold() in secrets, unset[at:]))
        if value:
            values[name] = value
    return values


def _dependencies(policy: Mapping[str, Any]) -> Generator[Request, Any, tuple[str, ...]]:
    """Ask for the locations of every package that enabled steps need; those that the site has deleted.

    Documented: one without a location is the error of the step that needs it, one that is deleted lets the
    sequence not run.
    """
    references = [str(package) for package in policy.get("references") or ()]
    if references:
        yield _say("Resolving selected task sequence dependencies", file=_WIZARD)  # wording from public posts
        if not policy.get("naa"):
            yield _say("Network Access Account is not set", 2, "resolvesource.cpp")
    deleted = []
    for package in references:
        answer = yield AskLocations(package)
        if answer.get("locations"):
            text, type = f"Content location request for {package}:{answer.get('version', 1)} succeeded.", 1
        else:
            shown = f"{package}:{answer['version']}" if answer.get("version") else package
            text = f"Content location request for {shown} failed. (Code 0x{NO_LOCATION:08X})"
            type = 3 if not answer.get("known") else 2
        yield _say(text, type, _MESSAGING, _PXE)
        if not answer.get("known"):
            deleted.append(package)
    return tuple(deleted)


def _named(policy: Mapping[str, Any], missing: tuple[str, ...]) -> str:
    """What is deleted, with the steps that need it."""
    known = dict(policy.get("sequence") or {})
    told = ", ".join(missing) + ", which the site does not know"
    if not known:
        return told
    sequence = from_json(known)
    return told + "".join(f"; {one} is named by {referring(sequence, one)}" for one in missing)


def _say(message: str, type: int = 1, file: str = "tsmbootstrap.cpp", component: str = _BOOTSTRAP) -> Say:
    return Say({"component": component, "message": message, "type": type, "file": file})
