"""Apply Operating System Image: OSDApplyOS.exe with /image."""

from __future__ import annotations

import re
from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import ApplyImage, InstallBootFiles, ReadFile, WriteFile
from lab.sequence.steps.content import download

_BANNER = "==============================[ OSDApplyOS.exe ]=============================="
_OPTION = re.compile(r'"?/(\w+):([^"\s]*)"?|"/(\w+):([^"]*)"')
#: Where Windows looks for its answer file.
UNATTEND = r"Windows\panther\unattend\unattend.xml"


def options(action: str) -> dict[str, str]:
    """The ``/name:value`` options of an action line, by folded name."""
    return {
        (found.group(1) or found.group(3)).casefold(): found.group(2) or found.group(4) or ""
        for found in _OPTION.finditer(action)
    }


def apply_operating_system(context: StepContext) -> Behaviour:
    """Download the image package, apply the image to the target volume, put the boot files in place.

    Documented: without a target it is the next volume that no such step has used yet; the destination may be
    a letter, "disk,partition", or a variable that holds one; the user's answer file is laid down first.
    """
    context.record(_BANNER, file="applyos.cpp:500")
    given = options(context.expand(context.step.action))
    if "install" in given:
        return context.fail("Applying an operating system install package", codes.NOT_SUPPORTED)
    package, _, index = given.get("image", "").partition(",")
    package = package or context.argument("ImagePackageID")
    index = index or context.value("OSDImageIndex", "1")
    if not package or not index.isdigit():
        return context.fail(f"Image '{package}', index '{index}'", codes.INVALID_PARAMETER)
    target = given.get("target") or context.value(context.argument("DestinationVariable") or "-")
    volume = _volume(context, target)
    if not volume:
        return context.fail(f"There is no volume '{target or 'next available'}'", codes.PATH_NOT_FOUND)
    context.record(f"The image is applied to volume {volume}", file="applyos.cpp:520")
    content = yield from download(context, package)
    if content.code:
        return content.code
    image = next((name for name in content.files if name.casefold().endswith(".wim")), "")
    if not image:
        return context.fail(f"Package {package} has no image file", codes.FILE_NOT_FOUND)
    path = f"{content.folder}\\{image}".replace("/", "\\")
    context.record(f"Applying image {index} of {path} to {volume}", file="installimage.cpp:400")
    applied = yield ApplyImage(path, int(index), volume)
    # Whatever came of it, the volume was emptied.
    context.remember(hook=False)
    if not applied.ok:
        return context.fail(f"Failed to apply image {index} of {path}", applied.code)
    architecture = str(applied.value.get("architecture") or context.facts.get("architecture") or "x64")
    context.remember(targets=(*context.memory.targets, volume), architecture=architecture)
    text = f"Successfully applied image {index} of {package} to {volume}"
    context.record(text, file="installimage.cpp:450")
    code = yield from _answer_file(context, given.get("config", ""), volume)
    if code:
        return code
    boot = yield InstallBootFiles(volume)
    if not boot.ok:
        return context.fail(f"Failed to install the boot files for {volume}", boot.code)
    context.record(f"Installed boot files for {volume}", file="bootconfig.cpp:300")
    context.set("OSDTargetSystemDrive", volume)
    context.set("OSDTargetSystemRoot", f"{volume}\\Windows")
    return 0


def _volume(context: StepContext, target: str) -> str:
    """The letter of the wanted volume, or ""."""
    volumes: dict[str, Any] = context.facts.get("volumes") or {}
    target = target.strip().rstrip("\\").upper()
    if re.fullmatch(r"[A-Z]:?", target):
        letter = f"{target[0]}:"
        return letter if letter in volumes else ""
    found = re.fullmatch(r"(\d{1,4}),(\d{1,4})", target)
    if found:
        wanted = {"disk": int(found.group(1)), "partition": int(found.group(2))}
        matching = (
            letter for letter, place in volumes.items() if {key: place.get(key) for key in wanted} == wanted
        )
        return next(matching, "")
    if target:
        return ""
    free = (letter for letter in volumes if letter not in context.memory.targets and letter != "X:")
    return min(free, key=lambda letter: (volumes[letter]["disk"], volumes[letter]["partition"]), default="")


def _answer_file(context: StepContext, config: str, volume: str) -> Behaviour:
    package, _, name = config.partition(",")
    if not package:
        return 0
    name = name or context.value("OSDConfigFileName", "unattend.xml")
    content = yield from download(context, package)
    if content.code:
        return content.code
    read = yield ReadFile(f"{content.folder}\\{name}".replace("/", "\\"))
    if not read.ok:
        return context.fail(f"Package {package} has no answer file {name}", read.code)
    written = yield WriteFile(f"{volume}\\{UNATTEND}", str(read.value.get("text") or ""))
    if not written.ok:
        return context.fail(f"Failed to write the answer file to {volume}", written.code)
    context.record(f"Answer file {name} of {package} is in place", file="applyos.cpp:560")
    return 0
