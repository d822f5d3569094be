"""Apply Operating System Image and Apply Data Image: OSDApplyOS.exe with /image, /install or /data."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import ApplyImage, Effect, InstallBootFiles, Outcome, ReadFile, WriteFile
from lab.sequence.effects_imaging import ListImages
from lab.sequence.references import accesses_directly
from lab.sequence.steps.content import download

_BANNER = "==============================[ OSDApplyOS.exe ]=============================="
_OPTION = re.compile(r'"?/(\w+):([^"\s]*)"?|"/(\w+):([^"]*)"')
#: Where Windows looks for its answer file.
UNATTEND = r"Windows\panther\unattend\unattend.xml"
#: The folder that a wipe always spares (documented).
DATA_FOLDER = "_SMSTaskSequence"


def options(action: str) -> dict[str, str]:
    """The ``/name:value`` options of an action line, by folded name."""
    return {
        (found.group(1) or found.group(3)).casefold(): found.group(2) or found.group(4) or ""
        for found in _OPTION.finditer(action)
    }


def given_options(context: StepContext) -> dict[str, str]:
    """The options of the step's action, their values expanded: a value may hold spaces that way."""
    return {name: context.expand(value) for name, value in options(context.step.action).items()}


@dataclass(frozen=True)
class _Image:
    """A WIM file's image that is on the machine; ``code`` says why there is none."""

    code: int
    path: str = ""
    index: int = 0


def apply_operating_system(context: StepContext) -> Behaviour:
    """Download the image package, apply the image to the target volume, put the boot files in place.

    Documented: without a target it is the next volume that no such step has used yet; the destination may be
    a letter, "disk,partition", or a variable that holds one; the user's answer file is laid down first. Of an
    install package (/install) the install.wim is applied.
    """
    context.record(_BANNER, file="applyos.cpp:500")
    given = given_options(context)
    install = "install" in given
    package, _, index = given.get("install" if install else "image", "").partition(",")
    package = package or context.argument("InstallPackageID" if install else "ImagePackageID")
    index = index or context.value("OSDInstallEditionIndex" if install else "OSDImageIndex", "1")
    volume = _target(context, given)
    if not volume:
        return codes.PATH_NOT_FOUND
    image = yield from _fetch(context, package, index, install=install)
    if image.code:
        return image.code
    context.record(f"Applying image {image.index} of {image.path} to {volume}", file="installimage.cpp:400")
    applied = yield ApplyImage(image.path, image.index, volume, _kept(context, volume))
    # Whatever came of it, the volume was emptied.
    context.remember(hook=False)
    if not applied.ok:
        return context.fail(f"Failed to apply image {image.index} of {image.path}", applied.code)
    architecture = str(applied.value.get("architecture") or context.facts.get("architecture") or "x64")
    context.remember(targets=(*context.memory.targets, volume), architecture=architecture)
    text = f"Successfully applied image {image.index} of {package} to {volume}"
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


def apply_data_image(context: StepContext) -> Behaviour:
    """Download the image package and apply the image to the target volume, which is wiped unless
    OSDWipeDestinationPartition is false. "Next available" counts operating systems and data together."""
    context.record(_BANNER, file="applyos.cpp:500")
    given = given_options(context)
    package, _, index = given.get("data", "").partition(",")
    package = package or context.argument("ImagePackageID")
    index = index or context.value("OSDDataImageIndex", "1")
    wipe = context.value("OSDWipeDestinationPartition", "true").strip().casefold() != "false"
    volume = _target(context, given)
    if not volume:
        return codes.PATH_NOT_FOUND
    image = yield from _fetch(context, package, index)
    if image.code:
        return image.code
    context.record(
        f"Applying data image {image.index} of {image.path} to {volume}", file="installimage.cpp:400"
    )
    applied = yield ApplyImage(image.path, image.index, volume, _kept(context, volume), wipe)
    if wipe and volume == context.variables.value("OSDTargetSystemDrive"):
        context.remember(hook=False)
    if not applied.ok:
        return context.fail(f"Failed to apply image {image.index} of {image.path}", applied.code)
    context.remember(targets=(*context.memory.targets, volume))
    context.record(f"Successfully applied data image {image.index} of {package} to {volume}")
    return 0


def _fetch(
    context: StepContext, package: str, index: str, *, install: bool = False
) -> Generator[Effect, Outcome, _Image]:
    """Get the package and find the image that ``index`` names: a number, an edition or an image's name."""
    index = index.strip()
    if not package or not index:
        return _Image(context.fail(f"Image '{package}', index '{index}'", codes.INVALID_PARAMETER))
    content = yield from download(context, package, direct=accesses_directly(context.step))
    if content.code:
        return _Image(content.code)
    names = [name for name in content.files if name.casefold().endswith(".wim")]
    if install:
        # Beside it an install package holds its own boot.wim. One that was repacked may have one file.
        named = [name for name in names if re.search(r"(^|[\\/])install\.wim$", name, re.IGNORECASE)]
        names = named or names[:1]
    if not names:
        return _Image(context.fail(f"Package {package} has no image file", codes.FILE_NOT_FOUND))
    path = f"{content.folder}\\{names[0]}".replace("/", "\\")
    number = int(index) if index.isascii() and index.isdigit() and len(index) < 9 else 0
    if number and not install:
        return _Image(0, path, number)
    listed = yield ListImages(path)
    if not listed.ok:
        return _Image(context.fail(f"Failed to read the images of {path}", listed.code))
    images: list[dict[str, Any]] = list(listed.value.get("images") or ())
    image = next((image for image in images if _named(image, index, number)), None)
    if image is None:
        text = f"Package {package} has no image or edition '{index}'"
        return _Image(context.fail(text, codes.INVALID_PARAMETER))
    if install and context.facts.get("architecture") == "x86" and image.get("architecture") == "x64":
        # Documented: setup of a 64-bit system does not run in a 32-bit Windows PE.
        text = f"Image {image['index']} of {path} is x64, Windows PE is x86"
        return _Image(context.fail(text, codes.NOT_SUPPORTED))
    return _Image(0, path, int(image["index"]))


def _named(image: dict[str, Any], index: str, number: int) -> bool:
    if number:
        return int(image["index"]) == number
    wanted = index.casefold()
    return wanted in (str(image.get("edition")).casefold(), str(image.get("name")).casefold())


def _kept(context: StepContext, volume: str) -> tuple[str, ...]:
    """The folders at the volume's root that a wipe spares: the sequence's data and the user state."""
    state = context.variables.value("_SMSTSUserStatePath").strip()
    root = state[2:].strip("\\/").replace("/", "\\").split("\\")[0] if state[:2].upper() == volume else ""
    return (DATA_FOLDER, root) if root and root.casefold() != DATA_FOLDER.casefold() else (DATA_FOLDER,)


def _target(context: StepContext, given: dict[str, str]) -> str:
    """The letter of the volume that the step wants; "" and a record when there is none."""
    target = given.get("target") or context.value(context.argument("DestinationVariable") or "-")
    volume = volume_of(context, target)
    if volume:
        context.record(f"The image is applied to volume {volume}", file="applyos.cpp:520")
    else:
        context.fail(f"There is no volume '{target or 'next available'}'", codes.PATH_NOT_FOUND)
    return volume


def volume_of(context: StepContext, target: str) -> str:
    """The letter of the wanted volume (a letter, "disk,partition", "": the next that is free), or ""."""
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
