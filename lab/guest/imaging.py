"""Effects of ``lab.sequence.effects_imaging``, done on the machine: capture, copies, registry, drivers.

``HANDLERS`` has one function for each effect: (effect, bench) -> outcome. They raise what ``LabPe.perform``
turns into outcomes: ToolFailed, OSError and PathError.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.guest import paths
from lab.guest.bench import Bench
from lab.guest.images import ARCHITECTURES, NO_MEMORY, RESERVE, SCRATCH, available_memory
from lab.guest.machine import architecture
from lab.guest.registry import keys_of, values_of
from lab.guest.runner import must
from lab.guest.shares import Share, is_unc
from lab.guest.volumes import Volume
from lab.sequence import effects_imaging as effects
from lab.sequence.effects import Effect, Outcome

FILE_NOT_FOUND = 0x80070002
PATH_NOT_FOUND = 0x80070003

#: What no capture holds (documented: the capture tool's own list).
_NEVER = (
    "$ntfs.log",
    "hiberfil.sys",
    "pagefile.sys",
    "swapfile.sys",
    "System Volume Information",
    "$RECYCLE.BIN",
)
MEMINFO = "/proc/meminfo"
#: PROCESSOR_ARCHITECTURE as a WIM's XML has it.
_WIM_ARCHITECTURES = {"x64": "9", "x86": "0", "arm64": "12"}


def list_images(effect: effects.ListImages, bench: Bench) -> Outcome:
    path = bench.local(effect.image)
    if not os.path.isfile(path):
        return Outcome(FILE_NOT_FOUND, message=f"there is no file {effect.image}")
    return Outcome(
        value={"images": listed_images(must(bench.runner, "wimlib-imagex", "info", path, timeout=120))}
    )


def listed_images(listing: str) -> list[dict[str, Any]]:
    """The images of what ``wimlib-imagex info FILE`` says."""
    found: list[dict[str, Any]] = []
    for name, value in re.findall(r"^([A-Z][A-Za-z ]*):[ \t]*(.*)$", listing, re.MULTILINE):
        text = value.strip()
        if name == "Index":
            found.append({"index": int(text), "name": "", "edition": "", "architecture": ""})
        elif found and name == "Name":
            found[-1]["name"] = text
        elif found and name == "Edition ID":
            found[-1]["edition"] = text
        elif found and name == "Architecture":
            found[-1]["architecture"] = ARCHITECTURES.get(text.lower(), text)
    return found


def capture_image(effect: effects.CaptureImage, bench: Bench) -> Outcome:
    volumes = [bench.volumes.volumes.get(letter.upper()) for letter in effect.volumes]
    if None in volumes:
        return Outcome(PATH_NOT_FOUND, message=f"one of the volumes {', '.join(effect.volumes)} is not there")
    chosen = [volume for volume in volumes if volume is not None]
    unc = is_unc(effect.destination)
    target = "" if unc else bench.local(effect.destination)
    # While a volume is captured it is not mounted: a file on it, or for a server, is kept in memory.
    staged = unc or any(target.startswith(volume.folder + "/") for volume in chosen)
    if staged:
        with open(MEMINFO) as file:
            free = available_memory(file.read())
        used = sum(_held(volume.folder, effect.exclude) for volume in chosen)
        if used + RESERVE > free:
            sizes = f"{used >> 20} MiB of files, {free >> 20} MiB of memory are free"
            return Outcome(
                NO_MEMORY, message=f"a capture to {effect.destination} goes through memory: {sizes}"
            )
    work = f"{SCRATCH}/capture.wim" if staged else f"{target}.part"
    try:
        if not staged:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        for number, (volume, name) in enumerate(zip(chosen, effect.names, strict=True)):
            _capture(effect, volume, name, work, bench, first=not number)
        size = os.path.getsize(work)
        if unc:
            _share(bench, effect.destination).put(work)
        elif staged:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(work, target)
        else:
            os.replace(work, target)
    finally:
        if os.path.exists(work):
            os.unlink(work)
    return Outcome(value={"images": len(chosen), "size": size})


def _held(folder: str, exclude: Sequence[str]) -> int:
    """Bytes of the files below a folder, without the excluded ones at its root."""
    left_out = {name.casefold() for name in (*exclude, *_NEVER)}
    total = 0
    for here, folders, files in os.walk(folder):
        if here == folder:
            folders[:] = [name for name in folders if name.casefold() not in left_out]
        total += sum(os.lstat(os.path.join(here, name)).st_size for name in files)
    return total


def _capture(
    effect: effects.CaptureImage, volume: Volume, name: str, work: str, bench: Bench, *, first: bool
) -> None:
    config = f"{SCRATCH}/capture.ini"
    with open(config, "w", encoding="utf-8") as file:
        file.write("[ExclusionList]\n" + "".join(f"\\{item}\n" for item in (*effect.exclude, *_NEVER)))
    properties = dict(effect.properties)
    if os.path.isdir(paths.below(volume.folder, ("Windows", "System32"))):
        properties["WINDOWS/ARCH"] = _WIM_ARCHITECTURES[architecture()]
    # NTFS is read from its device: through a mount Windows' attributes would be lost.
    ntfs = volume.file_system == "NTFS"
    if ntfs:
        bench.volumes.unmount(volume)
    try:
        must(
            bench.runner, "wimlib-imagex", "capture" if first else "append",
            volume.device if ntfs else volume.folder, work, name, effect.description,
            *(("--compress=fast",) if first else ()), "--threads=1", f"--config={config}",
            *(f"--image-property={key}={value}" for key, value in properties.items()),
            timeout=7200,
        )  # fmt: skip
    finally:
        if ntfs:
            bench.volumes.mount(volume)


def copy_tree(effect: effects.CopyTree, bench: Bench) -> Outcome:
    skipped = {name.casefold() for name in effect.skip}
    count = size = 0
    # All are listed before the first is copied: the destination may be a folder below the source.
    for names, source, scratch in list(_files(effect.source, bench)):
        if names[0].casefold() in skipped:
            continue
        path = source()
        try:
            if is_unc(effect.destination):
                _share(bench, paths.join(effect.destination, *names)).put(path)
            else:
                target = paths.below(bench.local(effect.destination), names)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(path, target)
            count, size = count + 1, size + os.path.getsize(path)
        finally:
            if scratch:
                os.unlink(path)
    if not is_unc(effect.destination):
        os.makedirs(bench.local(effect.destination), exist_ok=True)
    return Outcome(value={"files": count, "size": size})


def _share(bench: Bench, path: str) -> Share:
    return Share(bench.site(), path)


def _files(folder: str, bench: Bench) -> Iterator[tuple[tuple[str, ...], Callable[[], str], bool]]:
    """The files below a folder: names, what gives its local path, and whether that is only a copy.

    Raises FileNotFoundError and NotADirectoryError.
    """
    if is_unc(folder) and paths.share_of(folder) not in bench.volumes.drives:
        for file in _share(bench, folder).files():
            names = paths.parts_of(str(file["name"]))
            one = _share(bench, paths.join(folder, *names))
            yield names, partial(one.fetch, f"{SCRATCH}/shared"), True
        return
    root = bench.local(folder)
    if not os.path.isdir(root):
        raise NotADirectoryError(20, f"there is no folder {folder}")
    for here, folders, files in os.walk(root):
        folders.sort(key=str.casefold)
        for name in sorted(files, key=str.casefold):
            path = os.path.join(here, name)
            if not os.path.islink(path):
                yield tuple(os.path.relpath(path, root).split("/")), partial(str, path), False


def remove_files(effect: effects.RemoveFiles, bench: Bench) -> Outcome:
    for path in effect.paths:
        place = bench.local(path)
        if os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        elif os.path.lexists(place):
            os.unlink(place)
    return Outcome()


def read_hive(effect: effects.ReadHive, bench: Bench) -> Outcome:
    place = (effect.volume, effect.key, bench.runner, bench.volumes.drives)
    values = values_of(*place)
    if values is None:
        return Outcome(FILE_NOT_FOUND, message=f"there is no key {effect.key} on {effect.volume}")
    return Outcome(value={"values": values, "keys": keys_of(*place)})


def find_drivers(effect: effects.FindDrivers, bench: Bench) -> Outcome:
    from lab.guest.catalogue import match_drivers, pci_devices

    found = match_drivers(
        bench.policy.get("drivers") or (), pci_devices(), effect.categories, best=effect.best_match
    )
    return Outcome(value={"drivers": found})


def intend(effect: effects.Intent, _: Bench) -> Outcome:
    return Outcome(how="modelled", message=f"intent only: {effect.action}")


HANDLERS: Mapping[type[Effect], Callable[[Any, Bench], Outcome]] = {
    effects.ListImages: list_images,
    effects.CaptureImage: capture_image,
    effects.CopyTree: copy_tree,
    effects.RemoveFiles: remove_files,
    effects.ReadHive: read_hive,
    effects.FindDrivers: find_drivers,
    effects.Intent: intend,
}
