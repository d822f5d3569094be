"""The performer of the simulator: does to the modelled machine what each effect asks for.

Shares no code with the performer of LabPE, so that comparing the two says something. Codes are those that
``lab.sequence.effects`` documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.errors import LabFault
from lab.sequence import effects
from lab.sequence.effects import Effect, Outcome
from lab.simulation import imaging, software
from lab.simulation.bench import PATH_NOT_FOUND, Bench
from lab.simulation.content import DAMAGED, download
from lab.simulation.disks import Blob, Content, Files, Growing
from lab.simulation.facts import ModelFacts
from lab.simulation.machine import (
    BIOS_LOADER,
    BIOS_NOTHING_YET,
    BIOS_PLACES,
    BIOS_SOURCE,
    BIOS_STAGED,
    LOADER_PLACES,
    LOADER_SOURCE,
    STAGED_PLACE,
    Entry,
    join,
)
from lab.simulation.site import SimImage

FILE_NOT_FOUND = 0x80070002
INVALID_PARAMETER = 0x80070057
INVALID_DATA = 0x8007000D

#: Where smsts.log is (documented, reference logs section 2).
LOG_BEFORE_DISK = "X:\\Windows\\temp\\smstslog"
LOG_OF_CLIENT = "C:\\Windows\\CCM\\Logs\\smstslog"

_HIVE_NAMES = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY")

#: Plausible seconds that an effect takes, besides what its own data tell.
SECONDS = {
    "GatherFacts": 0.5,
    "PartitionDisk": 4.0,
    "ApplyImage": 8.0,
    "InstallBootFiles": 1.0,
    "StageBootImage": 2.0,
    "SetRegistry": 0.2,
    "CleanUp": 0.5,
    "CaptureImage": 8.0,
}


class ModelPerformer:
    """Performs effects on the bench's machine."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._machine = bench.machine
        self._site = bench.site
        self._clock = bench.clock
        self._phase = bench.phase
        self._facts = ModelFacts(bench.machine, bench.site.site, bench.name, bench.wall)

    def perform(self, effect: Effect) -> Outcome:
        """Carry one effect out. Raises LabFault."""
        self._clock.pause(SECONDS.get(effect.kind, 0.0))
        match effect:
            case effects.GatherFacts():
                return self._gather_facts()
            case effects.PartitionDisk():
                return self._partition(effect)
            case effects.DownloadContent():
                return self._download(effect)
            case effects.ApplyImage():
                return self._apply(effect)
            case effects.InstallBootFiles():
                return self._install_boot_files(effect)
            case effects.StageBootImage():
                return self._stage(effect)
            case effects.WriteFile():
                return _modelled(*self._bench.write(effect.path, effect.text))
            case effects.ReadFile():
                return self._read(effect)
            case effects.SetRegistry():
                return self._set_registry(effect)
            case effects.Restart():
                self._phase("restart")
                self._clock.pause(effect.delay)
                return _modelled()
            case effects.CleanUp():
                return self._clean_up(effect)
            case effects.QueryWmi():
                return self._facts.query(effect)
            case effects.ReadRegistry():
                return self._facts.read_registry(effect)
            case effects.FileFacts():
                return self._facts.look_at(effect)
        handler = software.HANDLERS.get(type(effect)) or imaging.HANDLERS.get(type(effect))
        if handler is None:
            raise LabFault(f"the simulator cannot perform {effect.kind}")
        return handler(effect, self._bench)

    def _gather_facts(self) -> Outcome:
        machine = self._machine
        data_path = machine.data_path()
        log_path = join(data_path, "Logs\\smstslog") if data_path else LOG_BEFORE_DISK
        system = machine.files("C:")
        if not machine.in_winpe and system is not None and system.is_folder("Windows\\CCM"):
            log_path = LOG_OF_CLIENT
        spec = machine.spec
        return _modelled(
            value={
                "in_winpe": machine.in_winpe,
                "uefi": spec.firmware == "uefi",
                "machine_name": self._bench.name(),
                "mac": spec.nics[0].mac.lower() if spec.nics else "",
                "uuid": spec.uuid.lower(),
                "architecture": {"x86_64": "x64", "aarch64": "arm64", "i686": "x86"}[spec.architecture],
                "disks": [
                    {"index": disk.index, "sectors": disk.size // 512, "sector_size": 512}
                    for disk in machine.disks
                ],
                "log_path": log_path,
                "data_path": data_path,
                "volumes": self._volumes(),
                "launch_mode": machine.launch_mode,
                "bootable": bool(data_path),
                "tpm": False,
            }
        )

    def _volumes(self) -> dict[str, dict[str, int]]:
        return {
            letter: {"disk": volume.disk, "partition": volume.partition}
            for letter, volume in sorted(self._machine.letters.items())
        }

    def _partition(self, effect: effects.PartitionDisk) -> Outcome:
        machine = self._machine
        if not 0 <= effect.disk < len(machine.disks):
            return _modelled(FILE_NOT_FOUND, f"there is no disk {effect.disk}")
        disk = machine.disks[effect.disk]
        end = max((item.start + item.sectors for item in effect.partitions), default=0)
        if end * 512 > disk.size:
            return _modelled(INVALID_PARAMETER, f"the partitions reach beyond the end of disk {effect.disk}")
        machine.repartition(disk, effect.style, effect.partitions)
        return _modelled(value={"volumes": self._volumes()})

    def _download(self, effect: effects.DownloadContent) -> Outcome:
        self._phase("content")
        try:
            return download(effect, self._bench)
        finally:
            self._phase("step")

    def _apply(self, effect: effects.ApplyImage) -> Outcome:
        machine = self._machine
        volume = machine.letters.get(effect.volume.upper())
        if volume is None or volume.file_system != "NTFS":
            return _modelled(PATH_NOT_FOUND, f"there is no NTFS volume {effect.volume}")
        place = machine.locate(effect.image)
        content = place[0].get(place[1]) if place else None
        if content is None:
            return _modelled(FILE_NOT_FOUND, f"there is no file {effect.image}")
        if isinstance(content, Blob) and content.sha256 == DAMAGED:
            return _modelled(INVALID_DATA, f"{effect.image} is damaged")
        images: Sequence[SimImage] = content.data if isinstance(content, Blob) and content.data else ()
        if not images:
            raise LabFault(
                f"the simulator does not know what is in {effect.image}",
                hint="simulate with the lab's reference image, or run on a virtual machine",
            )
        if not 1 <= effect.index <= len(images):
            return _modelled(INVALID_PARAMETER, f"{effect.image} has no image {effect.index}")
        image = images[effect.index - 1]
        if effect.wipe:
            volume.files.keep_only(effect.keep)
            volume.registry.clear()
        for path in image.folders:
            volume.files.make_folder(path)
        for path, data in image.files.items():
            volume.files.put(path, data)
            self._clock.pause(0.005)
        for key, values in image.registry.items():
            volume.set_values(key, values)
        return _modelled(value={"image_name": image.name, "architecture": image.architecture})

    def _install_boot_files(self, effect: effects.InstallBootFiles) -> Outcome:
        if self._machine.spec.firmware == "bios":
            return self._install_bios_files(effect)
        files = self._machine.files(effect.volume)
        loader = files.get(LOADER_SOURCE) if files else None
        if loader is None:
            return _modelled(FILE_NOT_FOUND, f"there is no {effect.volume}\\{LOADER_SOURCE}")
        system = self._machine.system_partition(effect.volume)
        if system is None:
            return _modelled(
                PATH_NOT_FOUND, f"there is no EFI system partition on the disk of {effect.volume}"
            )
        for path in LOADER_PLACES:
            system.files.put(path, loader)
        self._machine.first = Entry(system.disk, system.partition, LOADER_PLACES[0])
        return _modelled()

    def _install_bios_files(self, effect: effects.InstallBootFiles) -> Outcome:
        files = self._machine.files(effect.volume)
        found = {}
        for name, place in BIOS_PLACES.items():
            content = files.get(f"{BIOS_SOURCE}\\{name}") if files else None
            if content is None:
                return _modelled(FILE_NOT_FOUND, f"there is no {effect.volume}\\{BIOS_SOURCE}\\{name}")
            found[place] = content
        system = self._machine.system_partition(effect.volume)
        if system is None:
            return _modelled(PATH_NOT_FOUND, f"there is no active partition on the disk of {effect.volume}")
        for place, content in found.items():
            system.files.put(place, content)
        for place in BIOS_LOADER:
            system.files.put(place, Blob(1))
        return _modelled()

    def _stage(self, effect: effects.StageBootImage) -> Outcome:
        place = self._machine.locate(effect.folder)
        inside = sorted(place[0].under(place[1]), key=lambda item: item[0]) if place else []
        images = [data for name, data in inside if name.casefold().endswith(".efi") and "\\" not in name]
        if not images:
            return _modelled(
                FILE_NOT_FOUND, f"boot image {effect.package} has no EFI executable in {effect.folder}"
            )
        bios = self._machine.spec.firmware == "bios"
        system = self._machine.system_partition(effect.folder[:2])
        if system is None:
            kind = "active" if bios else "EFI system"
            return _modelled(
                PATH_NOT_FOUND, f"there is no {kind} partition on the disk of {effect.folder[:2]}"
            )
        if bios:
            for path in (*BIOS_LOADER, *BIOS_STAGED):
                system.files.put(path, Blob(1))
            if BIOS_PLACES["extlinux.conf"] not in system.files:
                system.files.put(BIOS_PLACES["extlinux.conf"], BIOS_NOTHING_YET)
            self._machine.next_start = Entry(system.disk, system.partition, BIOS_STAGED[0])
            return _modelled()
        system.files.put(STAGED_PLACE, images[0])
        self._machine.next_start = Entry(system.disk, system.partition, STAGED_PLACE)
        return _modelled()

    def _read(self, effect: effects.ReadFile) -> Outcome:
        place = self._machine.locate(effect.path)
        content = place[0].get(place[1]) if place else None
        if isinstance(content, Growing):
            content = content.whole()
        if content is None:
            return _modelled(FILE_NOT_FOUND, f"there is no file {effect.path}")
        if isinstance(content, Blob):
            raise LabFault(
                f"the simulator does not know the text of {effect.path}",
                hint="give the simulated content the file's bytes, or run on a virtual machine",
            )
        return _modelled(value={"text": content.decode("utf-8-sig", "replace")})

    def _set_registry(self, effect: effects.SetRegistry) -> Outcome:
        parts = effect.key.split("\\")
        known = parts[0].upper() in ("HKLM", "HKEY_LOCAL_MACHINE")
        if not known or len(parts) < 2 or parts[1].upper() not in _HIVE_NAMES:
            return _modelled(INVALID_PARAMETER, f"'{effect.key}' is in no registry hive")
        for kind, _ in effect.values.values():
            if kind not in ("REG_SZ", "REG_DWORD"):
                return _modelled(INVALID_PARAMETER, f"registry type '{kind}' is not supported")
        volume = self._machine.letters.get(effect.volume.upper())
        key = "\\".join(("HKLM", *parts[1:]))
        if volume is None or not volume.has_hive(key):
            return _modelled(FILE_NOT_FOUND, f"there is no hive {parts[1]} on {effect.volume}")
        volume.set_values(key, effect.values)
        return _modelled()

    def _clean_up(self, effect: effects.CleanUp) -> Outcome:
        """The loop has moved smsts.log already; other logs follow it."""
        place = self._machine.locate(effect.data_path) if effect.data_path else None
        if place is None:
            return _modelled()
        files, data = place
        target = self._machine.locate(effect.log_folder) if effect.log_folder else None
        kept = files.under(f"{data}\\Logs")
        if target is not None:
            files.remove(data)
            _put_all(target[0], target[1], [(path.rpartition("\\")[2], log) for path, log in kept])
        else:
            had_logs = files.is_folder(f"{data}\\Logs")
            files.remove(data)
            files.make_folder(data)
            if had_logs:
                files.make_folder(f"{data}\\Logs")
            _put_all(files, f"{data}\\Logs", kept)
        return _modelled()


def _put_all(files: Files, folder: str, items: list[tuple[str, Content]]) -> None:
    for path, content in items:
        files.put(f"{folder}\\{path}", content)


def _modelled(code: int = 0, message: str = "", value: dict[str, Any] | None = None) -> Outcome:
    return Outcome(code, "modelled", message, value or {})
