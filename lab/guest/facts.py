"""What the machine answers to conditions: WMI, registry, files, looked up on the machine itself.

The hardware comes from SMBIOS, /sys and /proc; the system from the registry. PE's own registry and files are
those of ``lab.sequence.winpe``, as Linux has none.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.guest import gpt, machine, mbr, paths, smbios
from lab.guest.registry import values_of
from lab.guest.runner import Runner
from lab.guest.versioninfo import file_version
from lab.guest.volumes import Disk, Volumes, read_mbr, read_table, recognise
from lab.sequence import registrykeys, winpe, wmi
from lab.sequence.effects import FileFacts, Outcome, QueryWmi, ReadRegistry
from lab.sequence.machinefacts import DiskFacts, MachineFacts, NicFacts, PartitionFacts, SystemFacts

FILE_NOT_FOUND = 0x80070002

#: Files above this size are no programs whose version anybody asks for.
_LARGEST = 64 << 20

#: Partition types as ``effects.Partition`` has them; a hidden one is a data partition with attributes.
_GPT_NAMES = {kind: name for name, (kind, *_) in gpt.TYPES.items() if name != "Hidden"}
_MBR_NAMES = {kind: name for name in ("Primary", "Recovery", "Extended") for kind in mbr.TYPES[name]}


class Facts:
    """Answers for one boot. ``phase`` "pe" or "os"; the roots are the test's to change."""

    def __init__(
        self,
        phase: str,
        identity: Mapping[str, Any],
        runner: Runner,
        volumes: Volumes,
        *,
        sys: str = "/sys",
        proc: str = "/proc",
        lease: str = machine.LEASE,
    ) -> None:
        self._in_winpe = phase == "pe"
        self._identity = identity
        self._runner = runner
        self._volumes = volumes
        self._sys = sys
        self._proc = proc
        self._lease = lease
        self._same: MachineFacts | None = None

    def query(self, effect: QueryWmi) -> Outcome:
        """Raises OSError and ToolFailed."""
        try:
            machine = self.machine(disks=effect.class_name.casefold() in wmi.OF_DISKS)
            rows = wmi.instances(machine, effect.namespace, effect.class_name)
        except wmi.WmiError as error:
            return Outcome(error.code, message=str(error))
        return Outcome(value={"instances": rows})

    def read_registry(self, effect: ReadRegistry) -> Outcome:
        """Raises OSError and ToolFailed."""
        key = registrykeys.resolve(effect.key)
        if self._in_winpe:
            values = registrykeys.find(winpe.registry(replace(self._hardware(), system=self._system())), key)
        else:
            if effect.view == 32 and self._hive_key(registrykeys.NODE) is not None:
                key = registrykeys.in_32_bit_view(key)
            values = self._hive_key(key)
            live = registrykeys.find(winpe.volatile(self._hardware()), key)
            if live is not None:
                values = {**(values or {}), **live}
        if values is None:
            return Outcome(FILE_NOT_FOUND, message=f"there is no key {effect.key}")
        return Outcome(value={"values": values})

    def look_at(self, effect: FileFacts) -> Outcome:
        """Raises OSError."""
        path, drives = effect.path, self._volumes.drives
        if effect.view == 32 and os.path.isdir(f"{drives.get('C:', '/c')}/Windows/SysWOW64"):
            path = registrykeys.file_in_32_bit_view(path)
        kind, version, modified = "", "", time.time()
        place = ""
        with contextlib.suppress(paths.PathError):
            if self._in_winpe or path[:2].upper() != "X:":
                place = paths.to_linux(path, drives)
        if place and os.path.exists(place):
            kind = "folder" if os.path.isdir(place) else "file"
            modified = os.stat(place).st_mtime
            if kind == "file" and os.path.getsize(place) <= _LARGEST:
                with open(place, "rb") as file:
                    if file.read(2) == b"MZ":
                        file.seek(0)
                        version = file_version(file.read())
        elif place and self._in_winpe and path[:2].upper() == "X:":
            kind = winpe.holds(path[2:])
        date = time.strftime("%Y%m%d%H%M%S", time.gmtime(modified)) if kind else ""
        return Outcome(value={"kind": kind, "version": version, "modified": date})

    def _hive_key(self, key: str) -> dict[str, list[Any]] | None:
        """A key of the running Windows' hives; None when it is not there."""
        if key in ("HKLM", "HKU"):
            return {}
        return values_of("C:", key, self._runner, self._volumes.drives)

    # the machine

    def machine(self, *, disks: bool = True) -> MachineFacts:
        """Everything there is to ask; disks are slow to look at. Raises OSError and ToolFailed."""
        found = self._disks() if disks else ()
        return replace(self._hardware(), system=self._system(), disks=found, nics=self._nics())

    def _hardware(self) -> MachineFacts:
        """What stays the same while the machine is up."""
        if self._same is None:
            self._same = self._look_at_hardware()
        return self._same

    def _look_at_hardware(self) -> MachineFacts:
        hardware = smbios.read(_bytes(f"{self._sys}/firmware/dmi/tables/DMI"))
        processor = self._processor()
        memory = hardware.memory or (machine.memory_mib(self._proc) << 20,)
        return MachineFacts(
            smbios=hardware.smbios,
            uefi=bool(self._identity["uefi"]),
            secure_boot=self._secure_boot(),
            architecture=str(self._identity["architecture"]),
            memory=memory,
            processors=(processor.get("model name", ""),) * max(1, hardware.sockets),
            processor_vendor=processor.get("vendor_id", ""),
            clock=hardware.clock,
            video=self._video(),
            battery=self._battery(),
            tpm=self._tpm(),
        )

    def _system(self) -> SystemFacts:
        if self._in_winpe:
            return winpe.system(str(self._identity["machine_name"]))
        return winpe.installed(self._hive_key)

    def _processor(self) -> dict[str, str]:
        lines = _bytes(f"{self._proc}/cpuinfo").decode("utf-8", "replace").split("\n\n")[0].splitlines()
        pairs = (line.partition(":") for line in lines)
        return {name.strip(): value.strip() for name, _, value in pairs}

    def _secure_boot(self) -> bool:
        variable = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        return _bytes(f"{self._sys}/firmware/efi/efivars/{variable}")[4:5] == b"\1"

    def _video(self) -> tuple[tuple[int, int], ...]:
        """PCI devices of the display class."""
        folder = f"{self._sys}/bus/pci/devices"
        found = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if _hexadecimal(f"{folder}/{name}/class") >> 16 == 3:
                found.append(_card(f"{folder}/{name}"))
        return tuple(found)

    def _battery(self) -> str:
        folder = f"{self._sys}/class/power_supply"
        names = os.listdir(folder) if os.path.isdir(folder) else ()
        found = [name for name in names if _bytes(f"{folder}/{name}/type").strip() == b"Battery"]
        if not found:
            return ""
        draining = any(_bytes(f"{folder}/{name}/status").strip() == b"Discharging" for name in found)
        return "draining" if draining else "mains"

    def _tpm(self) -> str:
        version = _bytes(f"{self._sys}/class/tpm/tpm0/tpm_version_major").strip()
        return {b"2": "2.0", b"1": "1.2"}.get(version, "")

    def _nics(self) -> tuple[NicFacts, ...]:
        folder = f"{self._sys}/class/net"
        lease = machine.lease(self._lease) or {}
        found = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            device = f"{folder}/{name}/device"
            if not os.path.exists(device):
                continue
            # A virtio card hangs below its PCI device.
            place = device if os.path.exists(f"{device}/class") else f"{device}/.."
            mac = _bytes(f"{folder}/{name}/address").decode("ascii", "replace").strip().lower()
            mine = lease if lease.get("interface") == name else {}
            address = ((mine["ip"], _netmask(name)),) if mine.get("ip") else ()
            gateways, dns = (tuple(mine.get(key, "").split()) for key in ("router", "dns"))
            wireless = os.path.exists(f"{folder}/{name}/wireless")
            server = mine.get("serverid", "")
            found.append(NicFacts(mac, *_card(place), address, gateways, dns, server, wireless))
        return tuple(found)

    def _disks(self) -> tuple[DiskFacts, ...]:
        return tuple(self._disk(disk) for disk in self._volumes.disks())

    def _disk(self, disk: Disk) -> DiskFacts:
        bus = "virtio" if disk.name.startswith("vd") else "sata" if disk.name.startswith("sd") else "other"
        parts: list[PartitionFacts] = []
        style = ""
        if table := read_table(disk.device):
            style = "GPT"
            for item in table:
                kind = _GPT_NAMES.get(item.type, "Primary")
                parts.append(self._part(disk, item.number, kind, item.start, item.sectors, False))
        elif entries := read_mbr(disk.device):
            style = "MBR"
            for entry in entries:
                kind = "Logical" if entry.logical else _MBR_NAMES.get(entry.type, "Primary")
                parts.append(self._part(disk, entry.number, kind, entry.start, entry.sectors, entry.active))
        return DiskFacts(disk.index, disk.sectors * 512, style, bus, disk.sector_size, tuple(parts))

    def _part(
        self, disk: Disk, number: int, kind: str, start: int, sectors: int, active: bool
    ) -> PartitionFacts:
        known = [item for item in self._volumes.volumes.values() if item.disk.name == disk.name]
        volume = next((item for item in known if item.partition == number), None)
        free = None
        if volume is not None and volume.mounted:
            status = os.statvfs(volume.folder)
            free = status.f_bavail * status.f_frsize
        device = disk.partition(number)
        system = recognise(device)
        letter = volume.letter if volume else ""
        label = self._label(device, system) if system else ""
        return PartitionFacts(number, kind, start * 512, sectors * 512, system, label, letter, active, free)

    def _label(self, device: str, file_system: str) -> str:
        """A volume's label, as blkid reads it; "" when it cannot."""
        ran = self._runner.run(["blkid", device], timeout=20)
        _, found, rest = ran.output.partition(' LABEL="')
        return rest.partition('"')[0] if ran.ok and found else ""


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _hexadecimal(path: str) -> int:
    try:
        return int(_bytes(path).strip() or b"0", 16)
    except ValueError:
        return 0


def _card(folder: str) -> tuple[int, int]:
    return _hexadecimal(f"{folder}/vendor"), _hexadecimal(f"{folder}/device")


def _netmask(name: str) -> str:
    """Of the first address of a card; "" when it has none."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        try:
            answer = fcntl.ioctl(handle, 0x891B, struct.pack("256s", name.encode()[:15]))  # SIOCGIFNETMASK
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])
