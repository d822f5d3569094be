"""What a machine is, as values: gathered by each performer in its own way, read by ``wmi`` and ``livehive``.

Engine room: pure. Sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Smbios:
    """What the firmware says of the hardware (SMBIOS types 0 to 3)."""

    manufacturer: str = ""
    product: str = ""
    version: str = ""
    serial: str = ""
    uuid: str = ""
    sku: str = ""
    family: str = ""
    bios_vendor: str = ""
    bios_version: str = ""
    bios_date: str = ""  # mm/dd/yyyy
    board_manufacturer: str = ""
    board_product: str = ""
    board_version: str = ""
    board_serial: str = ""
    chassis_manufacturer: str = ""
    chassis_serial: str = ""
    asset_tag: str = ""
    chassis_type: int = 1


@dataclass(frozen=True)
class PartitionFacts:
    """``type`` as in ``effects.Partition``; bytes. ``letter`` "C:" or ""; ``free`` None: unknown."""

    number: int
    type: str
    start: int
    size: int
    file_system: str = ""
    label: str = ""
    letter: str = ""
    active: bool = False
    free: int | None = None


@dataclass(frozen=True)
class DiskFacts:
    """``style`` GPT, MBR or "" (blank); ``bus`` virtio, sata or other; ``size`` in bytes."""

    index: int
    size: int
    style: str = ""
    bus: str = "virtio"
    sector_size: int = 512
    partitions: tuple[PartitionFacts, ...] = ()


@dataclass(frozen=True)
class NicFacts:
    """A network card. ``vendor``, ``device``: its PCI numbers. Without ``addresses`` it is not set up."""

    mac: str
    vendor: int = 0
    device: int = 0
    addresses: tuple[tuple[str, str], ...] = ()  # address, netmask
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dhcp_server: str = ""
    wireless: bool = False


@dataclass(frozen=True)
class SystemFacts:
    """The system that runs. ``product_type`` 1 workstation, 2 domain controller, 3 server; ``drive`` "X:"."""

    in_winpe: bool = True
    caption: str = ""
    version: str = ""
    build: str = ""
    product_type: int = 1
    sku: int = 0
    language: int = 0x409
    computer_name: str = ""
    workgroup: str = "WORKGROUP"
    drive: str = "X:"
    owner: str = ""
    organization: str = ""
    hot_fixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MachineFacts:
    """Everything. ``memory``: bytes of each module; ``processors``: name of each socket's; ``clock`` MHz."""

    smbios: Smbios = Smbios()
    system: SystemFacts = SystemFacts()
    uefi: bool = True
    secure_boot: bool = False
    architecture: str = "x64"
    memory: tuple[int, ...] = ()
    processors: tuple[str, ...] = ()
    processor_vendor: str = ""
    clock: int = 0
    disks: tuple[DiskFacts, ...] = ()
    nics: tuple[NicFacts, ...] = ()
    video: tuple[tuple[int, int], ...] = ()  # PCI vendor, device
    battery: str = ""  # "" none, "mains" charging or full, "draining"
    tpm: str = ""  # "2.0", "1.2" or ""
