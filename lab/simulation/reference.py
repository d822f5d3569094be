"""The lab's reference image, modelled: from the same description that the real one is built of."""

from __future__ import annotations

from collections.abc import Mapping

from lab.pe import windows_shape as shape
from lab.simulation.disks import Blob, Content, Registry
from lab.simulation.site import SimImage

_ROOTS = {"DEFAULT": "HKU\\.DEFAULT"}


def reference_image(artifacts: Mapping[str, Blob] | None = None) -> SimImage:
    """The image that is in the reference WIM.

    ``artifacts``: size and hash of what is built for it, by the shape's names, as far as they are known.
    """
    known = artifacts or {}
    files: dict[str, Content] = {
        file.path: known.get(file.artifact, Blob(0)) if file.artifact else file.text.encode()
        for file in shape.FILES
    }
    registry: Registry = {}
    for hive, keys in shape.HIVES.items():
        root = _ROOTS.get(hive, f"HKLM\\{hive}")
        registry[root] = {}
        for key, values in keys.items():
            registry[f"{root}\\{key}"] = {name: list(value) for name, value in values.items()}
    return SimImage(shape.NAME, "x64", files, shape.FOLDERS, registry)
