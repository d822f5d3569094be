"""What the simulator does for the effects of ``lab.sequence.effects_imaging``, on the modelled machine.

``HANDLERS`` has one function for each effect: (effect, bench) -> outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.guest.catalogue import match_drivers
from lab.sequence import effects_imaging as effects
from lab.sequence.effects import Effect, Outcome
from lab.simulation.bench import Bench
from lab.simulation.disks import Blob, Content, Files, Growing, Volume, resolve
from lab.simulation.site import SimImage

FILE_NOT_FOUND = 0x80070002
PATH_NOT_FOUND = 0x80070003

#: What the modelled hardware is called on its bus: by card model, and by disk bus.
_NIC_IDS = {
    "virtio": "PCI\\VEN_1AF4&DEV_1041",
    "e1000": "PCI\\VEN_8086&DEV_100E",
    "e1000e": "PCI\\VEN_8086&DEV_10D3",
}
_DISK_IDS = {"virtio": "PCI\\VEN_1AF4&DEV_1042", "sata": "PCI\\VEN_8086&DEV_2922"}


def list_images(effect: effects.ListImages, bench: Bench) -> Outcome:
    place = bench.machine.locate(effect.image)
    content = place[0].get(place[1]) if place else None
    if content is None:
        return _modelled(FILE_NOT_FOUND, f"there is no file {effect.image}")
    images = content.data if isinstance(content, Blob) and content.data else ()
    listed = [
        {"index": number, "name": image.name, "edition": _edition(image), "architecture": image.architecture}
        for number, image in enumerate(images, 1)
    ]
    return _modelled(value={"images": listed})


def _edition(image: SimImage) -> str:
    values = image.registry.get("HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", {})
    return str(values.get("EditionID", ("", ""))[1])


def capture_image(effect: effects.CaptureImage, bench: Bench) -> Outcome:
    machine, site = bench.machine, bench.site
    place = machine.locate(effect.destination)
    if place is None:
        return _modelled(PATH_NOT_FOUND, f"there is no drive {effect.destination[:2]}")
    volumes = []
    for letter in effect.volumes:
        volume = machine.letters.get(letter.upper())
        if volume is None:
            return _modelled(PATH_NOT_FOUND, f"there is no volume {letter}")
        volumes.append(volume)
    architecture = {"x86_64": "x64", "aarch64": "arm64", "i686": "x86"}[machine.spec.architecture]
    images = tuple(
        _captured(volume, name, effect.exclude, architecture if volume.holds_windows else "")
        for volume, name in zip(volumes, effect.names, strict=True)
    )
    size = sum(_size(content) for image in images for content in image.files.values())
    place[0].put(place[1], Blob(size, "", images))
    if effect.destination.startswith("\\\\"):
        site.put(effect.destination, size)
    return _modelled(value={"images": len(images), "size": size})


def _captured(volume: Volume, name: str, exclude: tuple[str, ...], architecture: str) -> SimImage:
    left_out = {folder.casefold() for folder in exclude}
    kept = [
        (path, content)
        for path, content in volume.files.items()
        if path.split("\\")[0].casefold() not in left_out
    ]
    return SimImage(
        name,
        architecture,
        {path: _still(content) for path, content in kept if content is not None},
        tuple(path for path, content in kept if content is None),
        {key: dict(values) for key, values in volume.registry.values()},
    )


def copy_tree(effect: effects.CopyTree, bench: Bench) -> Outcome:
    machine, site = bench.machine, bench.site
    source, target = machine.locate(effect.source), machine.locate(effect.destination)
    if source is None or not (source[1] == "" or source[0].is_folder(source[1])):
        return _modelled(PATH_NOT_FOUND, f"there is no folder {effect.source}")
    if target is None:
        return _modelled(PATH_NOT_FOUND, f"there is no drive {effect.destination[:2]}")
    skipped = {name.casefold() for name in effect.skip}
    copied = [
        (path, _still(content))
        for path, content in _inside(source[0], source[1])
        if path.split("\\")[0].casefold() not in skipped
    ]
    if machine.is_far(effect.source):
        site.listing(effect.source)
    target[0].make_folder(target[1])
    for path, content in copied:
        target[0].put(f"{target[1]}\\{path}".lstrip("\\"), content)
        for folder, request in ((effect.source, site.get), (effect.destination, site.put)):
            if machine.is_far(folder):
                request(f"{folder}\\{path}", _size(content))
    size = sum(_size(content) for _, content in copied)
    return _modelled(value={"files": len(copied), "size": size})


def _inside(files: Files, folder: str) -> list[tuple[str, Content]]:
    if folder:
        return sorted(files.under(folder), key=lambda item: item[0].casefold())
    return [(path, content) for path, content in files.items() if content is not None]


def remove_files(effect: effects.RemoveFiles, bench: Bench) -> Outcome:
    for path in effect.paths:
        place = bench.machine.locate(path)
        if place is None:
            return _modelled(PATH_NOT_FOUND, f"there is no drive {path[:2]}")
        place[0].remove(place[1])
    return _modelled()


def read_hive(effect: effects.ReadHive, bench: Bench) -> Outcome:
    volume = bench.machine.letters.get(effect.volume.upper())
    key = resolve(effect.key)
    if volume is None or not volume.has_hive(key):
        return _modelled(FILE_NOT_FOUND, f"there is no hive for {effect.key} on {effect.volume}")
    start = key.casefold() + "\\"
    keys = [name for known, (name, _) in volume.registry.items() if known.startswith(start)]
    if key.casefold() not in volume.registry and not keys:
        return _modelled(FILE_NOT_FOUND, f"there is no key {effect.key}")
    depth = key.count("\\") + 1
    names = {name.split("\\")[depth].casefold(): name.split("\\")[depth] for name in keys}
    values = {name: list(value) for name, value in volume.get_values(key).items()}
    return _modelled(value={"values": values, "keys": sorted(names.values(), key=str.casefold)})


def find_drivers(effect: effects.FindDrivers, bench: Bench) -> Outcome:
    spec = bench.machine.spec
    ids = [_NIC_IDS[nic.model] for nic in spec.nics] + [_DISK_IDS[disk.bus] for disk in spec.disks]
    found = match_drivers(bench.policy.get("drivers", ()), ids, effect.categories, best=effect.best_match)
    return _modelled(value={"drivers": found})


def intend(effect: effects.Intent, bench: Bench) -> Outcome:
    return _modelled(message=f"intent only: {effect.action}")


HANDLERS: Mapping[type[Effect], Callable[[Any, Bench], Outcome]] = {
    effects.ListImages: list_images,
    effects.CaptureImage: capture_image,
    effects.CopyTree: copy_tree,
    effects.RemoveFiles: remove_files,
    effects.ReadHive: read_hive,
    effects.FindDrivers: find_drivers,
    effects.Intent: intend,
}


def _modelled(code: int = 0, message: str = "", value: dict[str, Any] | None = None) -> Outcome:
    return Outcome(code, "modelled", message, value or {})


def _still(content: Content) -> Content:
    """A copy's content: a log that is copied does not grow."""
    return content.whole() if isinstance(content, Growing) else content


def _size(content: Content) -> int:
    content = _still(content)
    return content.size if isinstance(content, Blob) else len(content)  # type: ignore[arg-type]
