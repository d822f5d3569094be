"""What the modelled machine answers to conditions: WMI, registry, files.

Gathers from the model; only what the facts mean (``lab.sequence.wmi``, ``winpe``) is the guest's own, too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lab.guest.versioninfo import file_version
from lab.sequence import registrykeys, winpe, wmi
from lab.sequence.effects import FileFacts, Outcome, QueryWmi, ReadRegistry
from lab.sequence.machinefacts import DiskFacts, MachineFacts, NicFacts, PartitionFacts, SystemFacts
from lab.simulation.disks import Blob, Growing, Volume
from lab.simulation.machine import Machine, below
from lab.simulation.site import SimSite

FILE_NOT_FOUND = 0x80070002
_CARDS = {"virtio": (0x1AF4, 0x1000), "e1000": (0x8086, 0x100E), "e1000e": (0x8086, 0x10D3)}
#: What QEMU's VGA card and its Nehalem call themselves.
_VIDEO = (0x1234, 0x1111)
_PROCESSOR = "Intel Core i7 9xx (Nehalem Class Core i7)"
#: MHz, as QEMU's SMBIOS has it.
_CLOCK = 2000
_WOW64 = "Windows\\SysWOW64"


class ModelFacts:
    """Answers for one start of ``machine``. ``name``: the machine's own name in PE; ``wall``: UTC seconds
    since 1970, the date of every file here."""

    def __init__(
        self, machine: Machine, site: SimSite, name: Callable[[], str], wall: Callable[[], float]
    ) -> None:
        self._machine = machine
        self._site = site
        self._name = name
        self._wall = wall

    def query(self, effect: QueryWmi) -> Outcome:
        try:
            rows = wmi.instances(self._facts(), effect.namespace, effect.class_name)
        except wmi.WmiError as error:
            return Outcome(error.code, "modelled", str(error))
        return Outcome(0, "modelled", value={"instances": rows})

    def read_registry(self, effect: ReadRegistry) -> Outcome:
        key = registrykeys.resolve(effect.key)
        facts = self._facts()
        values: dict[str, Any] | None
        if self._machine.in_winpe:
            values = registrykeys.find(winpe.registry(facts), key)
        else:
            windows = self._machine.files("C:")
            stored = self._stored()
            if effect.view == 32 and registrykeys.find(stored, registrykeys.NODE) is not None:
                key = registrykeys.in_32_bit_view(key)
            found = registrykeys.find(stored, key) if windows else None
            live = registrykeys.find(winpe.volatile(facts), key)
            values = None if found is None and live is None else {**(found or {}), **(live or {})}
        if values is None:
            return Outcome(FILE_NOT_FOUND, "modelled", f"there is no key {effect.key}")
        return Outcome(0, "modelled", value={"values": values})

    def look_at(self, effect: FileFacts) -> Outcome:
        machine, path = self._machine, effect.path
        system = machine.files("C:")
        if effect.view == 32 and not machine.in_winpe and system and system.is_folder(_WOW64):
            path = registrykeys.file_in_32_bit_view(path)
        kind, version = "", ""
        place = machine.locate(path)
        if place is not None:
            files, name = place
            content = files.get(name)
            if not name or (name in files and content is None):
                kind = "folder"
            elif content is not None:
                kind = "file"
                version = file_version(content) if isinstance(content, bytes) else ""
            elif machine.in_winpe and path[:2].upper() == "X:":
                kind = winpe.holds(below(path))
        now = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y%m%d%H%M%S")
        value = {"kind": kind, "version": version, "modified": now if kind else ""}
        return Outcome(0, "modelled", value=value)

    def _stored(self) -> dict[str, dict[str, list[Any]]]:
        """The hives of the Windows that runs."""
        volume = self._machine.letters.get("C:")
        return dict(volume.registry.values()) if volume else {}

    def _facts(self) -> MachineFacts:
        machine, spec = self._machine, self._machine.spec
        return MachineFacts(
            smbios=spec.smbios.of(spec.serial_number, spec.uuid),
            system=self._system(),
            uefi=spec.firmware == "uefi",
            secure_boot=spec.secure_boot,
            architecture={"x86_64": "x64", "aarch64": "arm64", "i686": "x86"}[spec.architecture],
            memory=(spec.memory << 20,),
            processors=(_PROCESSOR,) * spec.vcpus,
            processor_vendor="GenuineIntel",
            clock=_CLOCK,
            disks=tuple(
                DiskFacts(
                    disk.index, disk.size, disk.style, spec.disks[disk.index].bus, 512, self._parts(disk)
                )
                for disk in machine.disks
            ),
            nics=tuple(
                NicFacts(nic.mac.lower(), *_CARDS[nic.model], *(() if index else self._address()))
                for index, nic in enumerate(spec.nics)
            ),
            video=(_VIDEO,),
        )

    def _address(self) -> tuple[Any, ...]:
        """The first card's lease: addresses, gateways, DNS, DHCP server."""
        return ((self._site.client, "255.255.255.0"),), (), (), self._site.address

    def _parts(self, disk: Any) -> tuple[PartitionFacts, ...]:
        letters = {
            (volume.disk, volume.partition): (letter, volume)
            for letter, volume in self._machine.letters.items()
        }
        found = []
        for part in disk.partitions:
            letter, volume = letters.get((disk.index, part.number), ("", None))
            size = part.sectors * 512
            free = max(0, size - _used(volume)) if volume else None
            kind = "Primary" if part.type == "Hidden" else part.type
            label = part.label if part.file_system else ""
            found.append(
                PartitionFacts(
                    part.number, kind, part.start * 512, size, part.file_system, label, letter,
                    part.bootable, free,
                )
            )  # fmt: skip
        return tuple(found)

    def _system(self) -> SystemFacts:
        if self._machine.in_winpe:
            return winpe.system(self._name())
        stored = self._stored()
        return winpe.installed(lambda key: registrykeys.find(stored, key))


def _used(volume: Volume) -> int:
    used = 0
    for _, content in volume.files.items():
        if isinstance(content, Blob):
            used += content.size
        elif isinstance(content, Growing):
            used += sum(map(len, content.lines))
        else:
            used += len(content or b"")
    return used
