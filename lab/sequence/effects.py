"""What the engine asks of the world, as values: effects, their outcomes, and the performer's port.

Engine room: standard library only, no I/O. An effect says everything the performer needs; paths are
Windows paths (``C:\\_SMSTaskSequence``), sizes are bytes or 512-byte sectors as named, times are seconds.
The three performers (LabPE and deployed system, simulator, replay) answer each effect with an Outcome.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args, get_origin, get_type_hints

#: How an outcome came about. "real": done on the machine; "modelled": by the simulator;
#: "doubled": answered by the scenario; "recorded": taken from a log.
How = Literal["real", "modelled", "doubled", "recorded"]

KINDS: dict[str, type[Effect]] = {}


@dataclass(frozen=True)
class Effect:
    """Base of all effects. ``repeatable``: may be performed again when it was interrupted."""

    repeatable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if cls.__name__ in KINDS:
            raise TypeError(f"there are two effects {cls.__name__}: a saved one could become the other")
        KINDS[cls.__name__] = cls

    @property
    def kind(self) -> str:
        return type(self).__name__

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    def told(self) -> dict[str, Any]:
        """What of the effect itself the timeline shows, besides its kind."""
        return {}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Effect:
        effect: Effect = _revived(
            KINDS[data["kind"]], {key: value for key, value in data.items() if key != "kind"}
        )
        return effect


def _revived(hint: Any, value: Any) -> Any:
    """A JSON value as the type that ``hint`` names: dataclasses and tuples, however deep."""
    if isinstance(value, dict) and isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{name: _revived(hints.get(name), item) for name, item in value.items()})
    if isinstance(value, list | tuple) and get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return tuple(_revived(inner, item) for item in value)
    return value


@dataclass(frozen=True)
class GatherFacts(Effect):
    """What the engine must know of the machine. First effect of a run and first after each restart.

    Outcome value: ``in_winpe`` bool, ``uefi`` bool, ``machine_name`` str, ``mac`` "52:54:..", ``uuid`` str,
    ``architecture`` "x64"|"x86"|"arm64", ``disks`` [{"index": 0, "sectors": int, "sector_size": 512}],
    ``log_path`` str (where smsts.log is now), ``data_path`` str or "" (``C:\\_SMSTaskSequence`` once a
    formatted volume exists), ``volumes`` {"C:": {"disk": 0, "partition": 3}}, ``launch_mode`` "PXE"|"SMS",
    ``bootable`` bool (a formatted local volume exists that can hold the state), ``tpm`` bool.
    """

    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class RunCommand(Effect):
    """Run a command line as Local System. ``timeout`` seconds or None.

    ``shown`` is the command line for messages and logs: secret values are ``***`` ("": show ``command``).
    Outcome: ``code`` is the exit code; value may hold ``output`` (str, last 1000 characters),
    ``sets`` {name: value}: variables a script set. In PE on Linux only doubles can answer.
    ``optional``: where no double answers it succeeded, as "modelled": the engine does what is known of it.
    """

    command: str
    working_directory: str = ""
    timeout: int | None = None
    shown: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Partition:
    """One partition of a computed layout, in sectors of 512 bytes.

    ``type``: EFI, MSR, Primary, Recovery, Hidden, Extended, Logical. ``file_system``: NTFS, FAT32 or "".
    ``letter``: "C:" or "" (none assigned). ``bootable``: active flag (MBR).
    """

    number: int
    type: str
    start: int
    sectors: int
    file_system: str = ""
    label: str = ""
    quick_format: bool = True
    bootable: bool = False
    letter: str = ""


@dataclass(frozen=True)
class PartitionDisk(Effect):
    """Wipe a disk, write its partition table, format its partitions. The engine computed the layout.

    Outcome value: ``volumes`` as in GatherFacts, after the change. From then on state and log survive there.
    """

    disk: int
    style: Literal["GPT", "MBR"]
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class DownloadContent(Effect):
    """Fetch a package from the distribution points that the site names, each in turn, into ``destination`` (a
    folder of the machine).

    Outcome value: ``path`` folder, ``files`` [{"name": relative, "size": int}], ``version`` of the package;
    of the location tried last ``location`` (URL), ``distribution_point``, ``status`` (HTTP, 0: no answer);
    ``tried`` has these three of every location. Codes: 0x80040102 no location, 0x80070002 none of them gives
    the content, 0x80070005 the Network Access Account may not read it, 0x80091007 hash mismatch.
    ``verify``: check the hash (a step that runs from the network does not: documented).
    ``direct``: nothing is fetched to a disk, ``path`` is the folder on the package share
    (``\\\\DP1\\SMSPKGC$\\LAB00001``); code 0x80070043 when the package is on no such share.
    """

    package: str
    destination: str
    verify: bool = True
    direct: bool = False
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class ApplyImage(Effect):
    """Empty ``volume`` (save ``keep`` folders at its root) and apply image ``index`` of a WIM file to it.

    Outcome value: ``image_name``, ``architecture`` of the image. The WIM may lie on that same volume below
    a kept folder. Without ``wipe`` nothing is removed, and what the image holds replaces what has its name.
    """

    image: str
    index: int
    volume: str
    keep: tuple[str, ...] = ("_SMSTaskSequence",)
    wipe: bool = True


@dataclass(frozen=True)
class InstallBootFiles(Effect):
    """Make ``volume`` (holding ``Windows\\Boot``) what the firmware starts, as bcdboot does.

    UEFI: the loader goes to ``\\EFI\\Microsoft\\Boot\\bootmgfw.efi`` and ``\\EFI\\Boot\\bootx64.efi`` of the
    EFI system partition of the volume's disk. BIOS: what is below ``\\Windows\\Boot\\PCAT`` goes to the
    active partition of that disk, with a boot sector.
    """

    volume: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class WriteFile(Effect):
    """Write a text file (UTF-8, the text as given). Folders are made as needed."""

    path: str
    text: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class ReadFile(Effect):
    """Read a text file. Outcome value: ``text``; code 0x80070002 when it is not there."""

    path: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class SetRegistry(Effect):
    """Set values in the registry of the Windows on ``volume`` (offline in PE, its own in the full OS).

    ``key`` like ``HKLM\\SYSTEM\\Setup``; ``values`` name -> [type, data], type REG_SZ or REG_DWORD, data str
    or int.
    """

    volume: str
    key: str
    values: dict[str, list[Any]] = field(default_factory=dict)
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class StageBootImage(Effect):
    """Put the boot image downloaded to ``folder`` on the local disk so that the next start goes into PE."""

    package: str
    folder: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class Restart(Effect):
    """Restart the machine. The loop saves the state first; the outcome is known only after the restart.

    Outcome code 0: it happened (another boot mark). ``target``: "HD" or "WinPE".
    """

    target: Literal["HD", "WinPE"]
    delay: int = 0
    message: str = ""


@dataclass(frozen=True)
class CleanUp(Effect):
    """The sequence is over: move the logs to ``log_folder`` (or leave them, ""), remove ``data_path``."""

    log_folder: str
    data_path: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class QueryWmi(Effect):
    """All instances of a WMI class, as the system that runs now has them.

    Outcome value: ``instances`` [{property: str, int, float, bool, None or a list}]. Codes: 0x8004100E there
    is no such namespace, 0x80041010 no such class.
    """

    namespace: str
    class_name: str
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class ReadRegistry(Effect):
    """A key of the registry of the system that runs now (Windows PE's own in PE, not an offline one).

    ``key`` like ``HKLM\\SOFTWARE\\Vendor``. ``view`` 32: as a 32-bit program sees it on a 64-bit Windows.
    Outcome value: ``values`` name -> [type, data], data str, int, list (REG_MULTI_SZ) or hexadecimal digits
    (REG_BINARY). Code 0x80070002: there is no such key.
    """

    key: str
    view: Literal[32, 64] = 64
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class FileFacts(Effect):
    """Whether a path is there, and what it is. ``view`` as in ReadRegistry.

    Outcome value: ``kind`` "file", "folder" or "" (not there, no such drive); ``modified`` "yyyymmddHHMMSS"
    in UTC; ``version`` "10.0.19041.1" of the file's version resource, or "".
    """

    path: str
    view: Literal[32, 64] = 64
    repeatable: ClassVar[bool] = True


@dataclass(frozen=True)
class Outcome:
    """What came of an effect. ``code`` 0 is success; otherwise a Win32 code or HRESULT, unsigned 32 bit."""

    code: int = 0
    how: How = "real"
    message: str = ""
    value: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code == 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Outcome:
        return Outcome(**data)


#: The outcome of an effect that was pending when the machine went down and may not be repeated.
INTERRUPTED = Outcome(code=0x800704C7, message="interrupted by a restart nobody asked for")


@dataclass(frozen=True)
class Finished:
    """The run is over. ``code`` is 0 or the sequence's error, normally 0x80004005."""

    result: Literal["success", "failed"]
    code: int
    failed_step: str = ""
    step_code: int = 0


@dataclass(frozen=True)
class EngineEvent:
    """Something the engine says happened; the loop stamps it with a time and passes it on.

    kind               data
    sequence-started   name, steps (count of enabled steps), instructions
    instruction        pointer, name, type ("group" for a group), depth, n (step number, 0 for groups)
    step-finished      pointer, name, type, result success|failed|skipped|disabled, code, reason, continued
    group-finished     pointer, name, result success|failed|skipped|disabled, reason, continued
    variable           name, value ("***" when secret), secret; only when the value is another one
    record             component, message, type (0 verbose, 1 info, 2 warning, 3 error), file
    status             id, what, name: a status message for the site
    sequence-finished  result, code, failed_step, step_code
    """

    kind: str
    data: dict[str, Any]


class Performer(Protocol):
    """Carries effects out. Raises lab.errors.LabFault when the lab, not the machine, is at fault
    (for instance a command that no double answers)."""

    def perform(self, effect: Effect) -> Outcome: ...
