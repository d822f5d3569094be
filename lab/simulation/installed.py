"""A modelled machine with a Windows and the client on its disk: where a sequence that an installed client
starts begins."""

from __future__ import annotations

from lab.hypervisor.protocol import MachineSpec
from lab.sequence.effects import Partition
from lab.simulation import windows
from lab.simulation.disks import Blob
from lab.simulation.machine import (
    BIOS_LOADER,
    BIOS_PLACES,
    BIOS_SOURCE,
    LOADER_PLACES,
    LOADER_SOURCE,
    Entry,
    Machine,
)
from lab.simulation.site import SimImage

#: The installed client's folder below C:, which the hook of the modelled Windows names.
_CLIENT = "Windows\\CCM"
_MIB_SECTORS = 2048


def installed_machine(spec: MachineSpec, image: SimImage) -> Machine:
    """The machine after a deployment of ``image`` long ago. Its first disk must hold some GiB."""
    machine = Machine.blank(spec)
    machine.launch_mode = "SMS"
    disk, uefi = machine.disks[0], spec.firmware == "uefi"
    first = Partition(1, "EFI" if uefi else "Primary", _MIB_SECTORS, 500 * _MIB_SECTORS,
                      "FAT32" if uefi else "NTFS", bootable=not uefi)  # fmt: skip
    start = first.start + first.sectors
    rest = disk.size // 512 - start - _MIB_SECTORS
    system = Partition(2, "Primary", start, rest, "NTFS", "Windows")
    machine.repartition(disk, "GPT" if uefi else "MBR", (first, system))
    boot, volume = disk.volumes
    for folder in image.folders:
        volume.files.make_folder(folder)
    for path, content in image.files.items():
        volume.files.put(path, content)
    for key, values in image.registry.items():
        volume.set_values(key, values)
    if uefi:
        for path in LOADER_PLACES:
            boot.files.put(path, volume.files.get(LOADER_SOURCE) or Blob(1))
        machine.first = Entry(0, 1, LOADER_PLACES[0])
    else:
        for name, path in BIOS_PLACES.items():
            boot.files.put(path, volume.files.get(f"{BIOS_SOURCE}\\{name}") or Blob(1))
        for path in BIOS_LOADER:
            boot.files.put(path, Blob(1))
    # As if the deployment were over: Setup has run, and the client is there and starts with the system.
    windows.first_start(volume, "PC-1")
    volume.files.put(f"{_CLIENT}\\client.zip", Blob(1))
    volume.files.put(windows.SCRIPT, f"osdsetuphook.exe /execute /client:C:\\{_CLIENT}\r\n".encode())
    return machine
