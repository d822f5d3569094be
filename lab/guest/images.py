"""ApplyImage: empty a volume and apply a WIM straight to its NTFS, so that Windows attributes survive."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable

from lab.guest import paths
from lab.guest.runner import Runner, ToolFailed, must
from lab.guest.volumes import Volume, Volumes
from lab.sequence.effects import ApplyImage, Outcome

#: ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_NOT_ENOUGH_MEMORY.
NO_IMAGE = 0x80070002
NO_VOLUME = 0x80070003
NO_MEMORY = 0x80070008
#: ERROR_INVALID_PARAMETER, and wimlib's exit code that says the same of an image's number.
NO_SUCH_INDEX = 0x80070057
_INVALID_IMAGE = 18

#: A folder in memory.
SCRATCH = "/tmp"

#: Bytes of memory to leave free when the image is copied to the RAM disk.
RESERVE = 64 << 20

#: wimlib's names of architectures -> ConfigMgr's.
ARCHITECTURES = {"x86_64": "x64", "x86": "x86", "arm64": "arm64", "aarch64": "arm64"}


def describe(listing: str) -> tuple[str, str]:
    """Name and architecture of an image from what ``wimlib-imagex info FILE INDEX`` says."""

    def value(name: str) -> str:
        found = re.search(rf"^{name}:[ \t]*(.*)$", listing, re.MULTILINE)
        return found[1].strip() if found else ""

    architecture = value("Architecture")
    return value("Name"), ARCHITECTURES.get(architecture.lower(), architecture)


def available_memory(meminfo: str) -> int:
    """Bytes of available memory from the text of /proc/meminfo."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def empty(folder: str, keep: Iterable[str]) -> None:
    """Remove all below a folder save the ``keep`` entries (no case) at its root."""
    kept = {name.casefold() for name in keep}
    with os.scandir(folder) as entries:
        doomed = [entry for entry in entries if entry.name.casefold() not in kept]
    for entry in doomed:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def apply_image(
    effect: ApplyImage,
    runner: Runner,
    volumes: Volumes,
    *,
    meminfo: str = "/proc/meminfo",
) -> Outcome:
    """Carry the effect out. An image on the volume itself is applied from a copy in memory.

    Raises ToolFailed, OSError and PathError; the volume is mounted again in any case.
    """
    volume = volumes.volumes.get(effect.volume.upper())
    if volume is None or volume.file_system != "NTFS":
        return Outcome(NO_VOLUME, message=f"there is no NTFS volume {effect.volume}")
    source = paths.to_linux(effect.image, volumes.drives)
    if not os.path.isfile(source):
        return Outcome(NO_IMAGE, message=f"there is no file {effect.image}")
    index = str(effect.index)
    command = ("wimlib-imagex", "info", source, index)
    info = runner.run(command, timeout=120)
    if info.code == _INVALID_IMAGE:
        return Outcome(NO_SUCH_INDEX, message=f"{effect.image} has no image {index}")
    if not info.ok:
        raise ToolFailed(command, info)
    name, architecture = describe(info.output)
    copy = ""
    try:
        if effect.wipe and source.startswith(volume.folder + "/"):
            with open(meminfo) as file:
                free = available_memory(file.read())
            size = os.path.getsize(source)
            if size + RESERVE > free:
                sizes = f"{size >> 20} MiB, {free >> 20} MiB of memory are free"
                return Outcome(NO_MEMORY, message=f"{effect.image} does not fit into memory: {sizes}")
            copy = f"{SCRATCH}/image.wim"
            shutil.copyfile(source, copy)
        if effect.wipe:
            empty(volume.folder, effect.keep)
            _apply(copy or source, index, volume, runner, volumes)
        else:
            # Onto what is there only the mounted volume will do; Windows' attributes are not set that way.
            must(runner, "wimlib-imagex", "apply", source, index, volume.folder, "--no-acls", timeout=7200)
    finally:
        if copy and os.path.exists(copy):
            os.unlink(copy)
    return Outcome(value={"image_name": name, "architecture": architecture})


def _apply(image: str, index: str, volume: Volume, runner: Runner, volumes: Volumes) -> None:
    volumes.unmount(volume)
    try:
        # wimlib writes to the unmounted volume: through a mount it would not set Windows attributes.
        must(runner, "wimlib-imagex", "apply", image, index, volume.device, timeout=7200)
    finally:
        volumes.mount(volume)
