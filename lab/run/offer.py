"""What to paste when packages have no content: what each is for is read from the steps that use it. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.scenario.keys import BUILT_IN_CONTENT
from lab.scenario.loader import LoadedScenario
from lab.sequence.model import Step, TaskSequence
from lab.sequence.steps.image import options

_APPLY_OS = "SMS_TaskSequence_ApplyOperatingSystemAction"
_SETUP = "SMS_TaskSequence_SetupWindowsAndSMSAction"
_UNKNOWN = "path/of/its/content"
#: The lab's reference image holds one image.
_INDEXES, _ONLY = ("OSDImageIndex", "OSDInstallEditionIndex"), "1"


def offer(
    packages: Sequence[str], sequence: TaskSequence, variables: Mapping[str, str], arguments: str
) -> str:
    """Lines that give ``packages`` content: the whole command (``arguments``: the one that was given), or
    keys of a scenario file when there was none. ``variables``: those that are set already.

    An image gets the lab's reference image, and the variable that chooses the only image in it where the
    sequence asks for another; the client's package gets the lab's client.
    """
    steps = list(sequence.steps())
    images = {_image(step).upper(): step for step in steps if step.type == _APPLY_OS}
    clients = {step.variable("_SMSClientPackageID").strip().upper() for step in steps if step.type == _SETUP}
    content, chosen = {}, {}
    known = {name.casefold() for name in variables}
    for package in packages:
        content[package] = _UNKNOWN
        if package.upper() in images:
            content[package] = "reference-image"
            for name in _INDEXES:
                if images[package.upper()].variable(name) not in ("", _ONLY) and name.casefold() not in known:
                    chosen[name] = _ONLY
        elif package.upper() in clients:
            content[package] = "client"
    if not arguments:
        keys = {"variables": chosen, "content": content}
        return "\n".join(
            f"{key}:\n" + "\n".join(f"  {name}: {value}" for name, value in values.items())
            for key, values in keys.items()
            if values
        )
    pairs = [("--content", content), ("--variable", chosen)]
    more = [part for option, values in pairs for name, value in values.items()
            for part in (option, f"{name}={value}")]  # fmt: skip
    return f"osdlab run {arguments} {shlex.join(more)}"


def as_scenario(loaded: LoadedScenario) -> str:
    """A scenario file that says what the command line said; doubles can be added to its end."""
    scenario = loaded.scenario
    content = {
        package: source if source in BUILT_IN_CONTENT else str(Path(source).absolute())
        for package, told in scenario.content.items()
        if (source := told.source) is not None
    }
    lines = [
        f"scenario: {json.dumps(loaded.title, ensure_ascii=False)}",
        f"machine: {json.dumps(scenario.machine)}",
        f"sequence: {json.dumps(str(loaded.sequence_path.absolute()), ensure_ascii=False)}",
    ]
    if scenario.sequence_name:
        lines.append(f"sequence_name: {json.dumps(scenario.sequence_name, ensure_ascii=False)}")
    for key, values in (("variables", scenario.values), ("content", content)):
        if values:
            lines.append(f"{key}:")
            lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join([*lines, "expect:", "  result: success"]) + "\n"


def _image(step: Step) -> str:
    given = options(step.action)
    package = (given.get("image") or given.get("install") or "").partition(",")[0]
    return package or step.variable("ImagePackageID") or step.variable("InstallPackageID")
