"""What a run left behind as one flat dictionary, and the differences between two of them.

Two performers (simulator and virtual machine) are honest when their fingerprints differ in nothing but the
listed noise. Keys:

    disk/0/style, disk/0/size, disk/0/partition/3/type (start, sectors, file_system, label, bootable)
    volume/C:
    file/c:\\windows\\x            "file" or "folder"; file/...|size and file/...|sha256 of files
    registry/hklm\\system\\setup   "key"; registry/...|value name -> "REG_SZ:text"
    variable/NAME                 value
    request/GET /policy/...       statuses in order, "404 200"

Paths, keys and names are in lower case, as Windows compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lab.disk.state import FinalState

Fingerprint = dict[str, str]


@dataclass(frozen=True)
class Noise:
    """Keys whose difference says nothing. ``pattern``: glob over keys (``[`` stands for itself)."""

    pattern: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        return fnmatchcase(difference.key, self.pattern.replace("[", "[[]"))


@dataclass(frozen=True)
class Difference:
    """One key of two fingerprints that differs; None where it is missing."""

    key: str
    left: str | None
    right: str | None

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.left)} / {_shown(self.right)}"


_LOG = "a log holds times, durations and sizes of its own run"
_HIVE = "a hive's bytes hold time stamps and free cells; its keys and values are compared one by one"

_BUILT = "an artifact of the lab's build, which the simulator does not build"
_STATE = "the run's saved state holds marks and times of its own run"

#: Files whose bytes are noise, and why. That they are there, and where, is compared.
_FILES = {
    "c:\\*\\smsts.log": _LOG,
    "*:\\smstslog\\smsts.log": _LOG,  # where the data path is on another volume
    "?:\\_smstasksequence\\tsenv.dat": _STATE,
    # On any volume: an image may be applied as data, too.
    "*:\\windows\\boot\\efi\\bootmgfw.efi": _BUILT,
    "*:\\windows\\system32\\osdlab\\root.squashfs": _BUILT,
    "*:\\windows\\system32\\osdlab\\setup.zip": _BUILT,
    **{
        f"{place}\\{name}": _BUILT
        for place, names in {
            "*:\\windows\\boot\\pcat": ("bootmgr", "bootmgr.img"),
            # The active volume is Windows' own where there is but one.
            **{volume: ("bootmgr",) for volume in ("system:", "c:")},
            **{f"{volume}\\boot": ("bootmgr.img", "ldlinux.*", "labpe.*") for volume in ("system:", "c:")},
        }.items()
        for name in names
    },
    "efi:\\efi\\microsoft\\boot\\bootmgfw.efi": _BUILT,
    "efi:\\efi\\boot\\bootx64.efi": _BUILT,
    "efi:\\efi\\osdlab\\labpe.efi": _BUILT,
    **{
        f"c:\\windows\\system32\\config\\{hive}": _HIVE
        for hive in ("system", "software", "sam", "security", "default")
    },
}

#: The noise between a simulated and a real run of one scenario.
NOISE: tuple[Noise, ...] = tuple(
    Noise(f"file/{path}|{what}", reason) for path, reason in _FILES.items() for what in ("size", "sha256")
)


def fingerprint(
    final: FinalState, variables: Mapping[str, str], requests: Iterable[Mapping[str, Any]]
) -> Fingerprint:
    """The fingerprint of a run.

    ``requests``: {"method", "path", "status"} each, in order (more keys are allowed and not looked at).
    """
    result: Fingerprint = {}
    for disk in final.disks:
        place = f"disk/{disk.index}"
        result[f"{place}/style"] = disk.style
        result[f"{place}/size"] = str(disk.size)
        for partition in disk.partitions:
            for name in ("type", "start", "sectors", "file_system", "label", "bootable"):
                result[f"{place}/partition/{partition.number}/{name}"] = str(getattr(partition, name))
    for volume, where in final.volumes.items():
        result[f"volume/{volume}"] = where
    for path, file in final.files.items():
        name = f"file/{path.casefold()}"
        if path.endswith("\\"):
            result[name] = "folder"
            continue
        result[name] = "file"
        result[f"{name}|size"] = str(file.size)
        if file.sha256:
            result[f"{name}|sha256"] = file.sha256
    for key, values in final.registry.items():
        name = f"registry/{key.casefold()}"
        result[name] = "key"
        for value, (kind, data) in values.items():
            shown = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
            result[f"{name}|{value.casefold()}"] = f"{kind}:{shown}"
    for variable, text in variables.items():
        result[f"variable/{variable.casefold()}"] = text
    for request in requests:
        name = f"request/{request['method']} {request['path']}"
        result[name] = f"{result[name]} {request['status']}" if name in result else str(request["status"])
    return result


def all_differences(left: Mapping[str, str], right: Mapping[str, str]) -> list[Difference]:
    """Every key that differs, noise included, sorted by key."""
    return [
        Difference(key, left.get(key), right.get(key))
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def differences(
    left: Mapping[str, str], right: Mapping[str, str], mask: Sequence[Noise] = NOISE
) -> list[Difference]:
    """The differences between two fingerprints that no entry of ``mask`` covers, sorted by key."""
    return [item for item in all_differences(left, right) if not any(noise.covers(item) for noise in mask)]


def _shown(value: str | None) -> str:
    if value is None:
        return "missing"
    return f"'{value[:80]}'" + ("..." if len(value) > 80 else "")
