"""Finds the host's UEFI firmware for virtual machines: code and variables, with or without Secure Boot.

First by the firmware descriptors that distributions install (documented: QEMU's docs/interop/firmware.json),
then by the paths Debian 12 and Ubuntu 24.04 are known to use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.hypervisor.errors import HypervisorError

#: Searched in this order; a file in an earlier folder hides one of the same name in a later one (documented).
DESCRIPTOR_FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
KNOWN_FOLDERS = (Path("/usr/share/OVMF"), Path("/usr/share/edk2/x64"), Path("/usr/share/edk2/ovmf"))
_KNOWN_NAMES = {
    False: (("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd")),
    True: (("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"), ("OVMF_CODE.secboot.fd", "OVMF_VARS.ms.fd")),
}


@dataclass(frozen=True)
class Firmware:
    """UEFI flash images on the host: ``code`` is shared and read-only, ``variables`` the template to copy.

    ``secure``: needs system management mode and enforces Secure Boot with the keys in ``variables``.
    """

    code: Path
    variables: Path
    secure: bool = False


def find_firmware(
    secure_boot: bool,
    *,
    descriptors: Sequence[Path] = DESCRIPTOR_FOLDERS,
    known: Sequence[Path] = KNOWN_FOLDERS,
) -> Firmware:
    """The x86-64 UEFI firmware of this host. Raises HypervisorError when there is none."""
    for data in _descriptions(descriptors):
        found = _from_descriptor(data, secure_boot)
        if found is not None:
            return found
    for folder in known:
        for code, variables in _KNOWN_NAMES[secure_boot]:
            if (folder / code).is_file() and (folder / variables).is_file():
                return Firmware(folder / code, folder / variables, secure_boot)
    kind = "UEFI firmware with Secure Boot keys" if secure_boot else "UEFI firmware"
    raise HypervisorError(f"no {kind} for x86_64 on this host", hint="install the package ovmf")


def _descriptions(folders: Sequence[Path]) -> Iterator[Any]:
    files: dict[str, Path] = {}
    for folder in folders:
        for path in folder.glob("*.json"):
            files.setdefault(path.name, path)
    for name in sorted(files):
        try:
            yield json.loads(files[name].read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # an empty file masks the one below it (documented); a broken one is not ours to judge


def _from_descriptor(data: Any, secure_boot: bool) -> Firmware | None:
    try:
        mapping, features = data["mapping"], data["features"]
        fits = (
            "uefi" in data["interface-types"]
            and mapping["device"] == "flash"
            and any(
                target["architecture"] == "x86_64" and any("q35" in name for name in target["machines"])
                for target in data["targets"]
            )
            and ("secure-boot" in features) == secure_boot
            and ("enrolled-keys" in features) == secure_boot
        )
        code, variables = mapping["executable"], mapping["nvram-template"]
        if not fits or {code["format"], variables["format"]} != {"raw"}:
            return None
        found = Firmware(Path(code["filename"]), Path(variables["filename"]), secure_boot)
    except (KeyError, TypeError):
        return None
    return found if found.code.is_file() and found.variables.is_file() else None
