"""Effects of the steps that touch images, drivers, user state and settings; see ``lab.sequence.effects``.

Engine room: standard library only. A path may be a UNC path where that is said: every file server that a
sequence names is the lab's own site, which keeps what is written to it below the run's folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from lab.sequence.effects import Effect


@dataclass(frozen=True)
class ListImages(Effect):
    """Say what a WIM file holds. Outcome value: ``images`` [{"index": 1.., "name", "edition" ("" unknown),
    "architecture" ("x64", "" unknown)}]; code 0x80070002 when it is not there."""

    image: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class CaptureImage(Effect):
    """Capture volumes into a new WIM file, one image for each, in order; ``exclude`` folders at their roots
    are left out. ``destination``: a full path or a UNC path.

    ``names`` are those of the images; ``properties`` go into the XML of every image.
    Outcome value: ``images`` count, ``size`` bytes of the file. Codes: 0x80070003 no such volume or folder,
    0x80070035 the server does not answer, 0x80070008 no memory to keep the file meanwhile.
    """

    destination: str
    volumes: tuple[str, ...]
    names: tuple[str, ...]
    description: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ("_SMSTaskSequence",)
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class CopyTree(Effect):
    """Copy what is below ``source`` into ``destination``, either of them a full path or a UNC path; names of
    ``skip`` at the source's root are left out, files that are there are replaced.

    Outcome value: ``files`` count, ``size`` in bytes. Code 0x80070003 when the source is not there.
    """

    source: str
    destination: str
    skip: tuple[str, ...] = ()
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class RemoveFiles(Effect):
    """Remove files, and folders with all that is in them; what is not there is none the less removed."""

    paths: tuple[str, ...]
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class ReadHive(Effect):
    """Read a key of the Windows on ``volume``. Outcome value: ``values`` name -> [type, data] (REG_SZ and
    REG_EXPAND_SZ as str, REG_DWORD as int, others as hexadecimal text), ``keys`` the names of its subkeys;
    code 0x80070002 when hive or key is not there."""

    volume: str
    key: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class FindDrivers(Effect):
    """Ask the site for drivers that fit the machine's hardware. ``categories``: only those ("": all).

    Outcome value: ``drivers`` [{"package", "name", "device"}], best first for each device; with
    ``best_match`` one for each device.
    """

    categories: tuple[str, ...] = ()
    best_match: bool = True
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class Intent(Effect):
    """Something the product would do that the lab does not: it is written down with exact parameters, and
    its outcome is always "modelled". Secret values are ``***``."""

    action: str
    parameters: dict[str, str] = field(default_factory=dict)
    repeatable: ClassVar[bool] = True

    def told(self) -> dict[str, Any]:
        return {"intent": asdict(self)}
