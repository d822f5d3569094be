"""WMI as conditions ask it: namespaces, classes, instances. For the guest, the simulator and the linter.

Engine room: pure. What a class has here is what conditions and scripts of real sequences ask for, not all
that Windows has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.sequence import wmihardware, wmisystem
from lab.sequence.machinefacts import MachineFacts

Row = dict[str, Any]

INVALID_NAMESPACE = 0x8004100E
INVALID_CLASS = 0x80041010


class WmiError(Exception):
    """WMI refuses the question. ``code`` as in ``effects.QueryWmi``."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def namespace_of(text: str) -> str:
    """A namespace in one spelling: lower case, backslashes, without a machine's name."""
    parts = [part for part in text.replace("/", "\\").casefold().split("\\") if part]
    if parts and parts[0] != "root" and "root" in parts[1:2]:
        parts = parts[1:]
    return "\\".join(parts)


def known_class(namespace: str, class_name: str) -> bool | None:
    """Whether the lab has this class; None when it does not even know the namespace."""
    classes = NAMESPACES.get(namespace_of(namespace))
    return None if classes is None else class_name.casefold() in classes


def instances(machine: MachineFacts, namespace: str, class_name: str) -> list[Row]:
    """All instances of a class. Raises WmiError."""
    classes = NAMESPACES.get(namespace_of(namespace))
    if classes is None:
        raise WmiError(f"there is no namespace {namespace}", INVALID_NAMESPACE)
    build = classes.get(class_name.casefold())
    if build is None:
        raise WmiError(f"the lab knows no class {class_name} in {namespace}", INVALID_CLASS)
    return build(machine)


Builder = Callable[[MachineFacts], list[Row]]


def _folded(classes: dict[str, Builder]) -> dict[str, Builder]:
    return {name.casefold(): build for name, build in classes.items()}


#: Namespace -> class in lower case -> how its instances come about. Without an entry: there is no such class.
NAMESPACES: dict[str, dict[str, Builder]] = {
    "root\\cimv2": _folded(
        {
            "Win32_ComputerSystem": wmihardware.computer_system,
            "Win32_ComputerSystemProduct": wmihardware.product,
            "Win32_BIOS": wmihardware.bios,
            "Win32_BaseBoard": wmihardware.base_board,
            "Win32_SystemEnclosure": wmihardware.enclosure,
            "Win32_Processor": wmihardware.processors,
            "Win32_PhysicalMemory": wmihardware.memory,
            "Win32_Battery": wmihardware.battery,
            "Win32_PortableBattery": wmihardware.battery,
            "Win32_VideoController": wmihardware.video,
            "Win32_NetworkAdapter": wmihardware.adapters,
            "Win32_NetworkAdapterConfiguration": wmihardware.configurations,
            "Win32_PnPEntity": wmihardware.pnp_entities,
            "Win32_DiskDrive": wmisystem.disk_drives,
            "Win32_DiskPartition": wmisystem.disk_partitions,
            "Win32_LogicalDisk": wmisystem.logical_disks,
            "Win32_Volume": wmisystem.volumes,
            "Win32_CDROMDrive": wmisystem.none,
            "Win32_Printer": wmisystem.none,
            # Asked by name, see ``expressions``.
            "CIM_DataFile": wmisystem.none,
            "CIM_Directory": wmisystem.none,
            "Win32_Directory": wmisystem.none,
            # A base class has the instances of its classes.
            "CIM_ComputerSystem": wmihardware.computer_system,
            "CIM_BIOSElement": wmihardware.bios,
            "CIM_Chassis": wmihardware.enclosure,
            "CIM_Processor": wmihardware.processors,
            "CIM_PhysicalMemory": wmihardware.memory,
            "CIM_Battery": wmihardware.battery,
            "CIM_DiskDrive": wmisystem.disk_drives,
            "CIM_LogicalDisk": wmisystem.logical_disks,
            "CIM_OperatingSystem": wmisystem.operating_system,
            "Win32_OperatingSystem": wmisystem.operating_system,
            "Win32_Service": wmisystem.services,
            "Win32_Process": wmisystem.processes,
            "Win32_QuickFixEngineering": wmisystem.hot_fixes,
            "Win32_Environment": wmisystem.environment,
        }
    ),
    "root\\cimv2\\security\\microsofttpm": _folded({"Win32_Tpm": wmihardware.tpm}),
    "root\\cimv2\\security\\microsoftvolumeencryption": _folded({"Win32_EncryptableVolume": wmisystem.none}),
    "root\\standardcimv2": _folded({"MSFT_NetAdapter": wmihardware.net_adapters}),
    "root\\microsoft\\windows\\storage": _folded(
        {"MSFT_Disk": wmisystem.msft_disks, "MSFT_PhysicalDisk": wmisystem.physical_disks}
    ),
    "root\\wmi": _folded(
        {"MS_SystemInformation": wmihardware.system_information, "BatteryStatus": wmisystem.none}
    ),
}

#: Classes in lower case whose instances need the machine's disks.
OF_DISKS = frozenset(
    name
    for classes in NAMESPACES.values()
    for name, build in classes.items()
    if build
    in (
        wmisystem.disk_drives,
        wmisystem.disk_partitions,
        wmisystem.logical_disks,
        wmisystem.volumes,
        wmisystem.msft_disks,
        wmisystem.physical_disks,
    )
)
