"""What the lab asks of a hypervisor, and what it gives it: protocols, the machine's specification.

Nothing here, and nothing that uses it, may assume that a machine is local: disks, channels, consoles and
screens are reached through the handle only. Implementations: ``embedded`` (libvirt in process), ``memory``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from lab.sequence.machinefacts import Smbios


class PowerState(enum.Enum):
    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"


class Capability(enum.Enum):
    """What a hypervisor can do beyond the protocol's minimum; tests skip by name when it cannot."""

    UEFI = "uefi"
    BIOS = "bios"
    SCREENSHOT = "screenshot"
    SEND_KEYS = "send-keys"
    PXE = "pxe"


@dataclass(frozen=True)
class DiskSpec:
    """A blank disk. ``size`` in bytes. ``bus`` virtio or sata."""

    size: int
    bus: Literal["virtio", "sata"] = "virtio"


@dataclass(frozen=True)
class NicSpec:
    """A network card on the lab's network. ``tap``: host device made by the network room ("" when none).

    ``native``: it starts from the network by TFTP alone; the lab's DHCP gives it no iPXE script.
    """

    mac: str
    model: Literal["virtio", "e1000", "e1000e"] = "virtio"
    pxe: bool = True
    option_rom: bool = True
    tap: str = ""
    native: bool = False


@dataclass(frozen=True)
class SmbiosSpec:
    """What the machine's firmware says of its hardware; serial number and UUID are the machine's own."""

    manufacturer: str = "osdlab"
    product: str = "Lab Machine"
    version: str = "1.0"
    sku: str = ""
    family: str = "Virtual Machine"
    bios_vendor: str = "osdlab"
    bios_version: str = "1.0.0"
    bios_date: str = "01/01/2024"
    board_manufacturer: str = "osdlab"
    board_product: str = "Lab Board"
    asset_tag: str = ""

    def of(self, serial: str, uuid: str) -> Smbios:
        """As the machine with this serial number and UUID reports it. The chassis is "other" (1): QEMU gives
        no other type."""
        return Smbios(
            self.manufacturer, self.product, self.version, serial, uuid.upper(), self.sku, self.family,
            self.bios_vendor, self.bios_version, self.bios_date, self.board_manufacturer, self.board_product,
            self.version, serial, self.manufacturer, serial, self.asset_tag, 1,
        )  # fmt: skip


@dataclass(frozen=True)
class MachineSpec:
    """A machine, complete and hypervisor-neutral. ``memory`` in MiB. ``boot_order`` of "disk", "network".

    ``channels`` are names of guest-host byte channels (virtio-serial ports).
    """

    name: str
    uuid: str
    firmware: Literal["uefi", "bios"]
    memory: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...]
    architecture: Literal["x86_64", "aarch64", "i686"] = "x86_64"
    vcpus: int = 1
    secure_boot: bool = False
    boot_order: tuple[Literal["disk", "network"], ...] = ("disk", "network")
    channels: tuple[str, ...] = ("org.osdlab.agent.0",)
    serial_number: str = ""
    accelerator: Literal["kvm", "tcg"] = "tcg"
    smbios: SmbiosSpec = SmbiosSpec()


class BlockReader(Protocol):
    """A disk's raw content, read-only. ``size`` in bytes."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes: ...

    def close(self) -> None: ...


class Channel(Protocol):
    """A byte channel into the guest. Bytes the guest wrote before anybody read are kept."""

    def receive(self, timeout: float) -> bytes:
        """Bytes that came, or b"" after ``timeout`` seconds without any.

        Raises ChannelClosed when the other end is gone and every byte it sent was handed out.
        """
        ...

    def send(self, data: bytes) -> None: ...


class Machine(Protocol):
    """One machine. After ``destroy`` only ``disk`` and ``console`` still answer (and it is OFF).

    Raises HypervisorError (a LabFault) whose message names the machine and the call.
    """

    @property
    def spec(self) -> MachineSpec: ...

    def power_on(self) -> None:
        """Start from OFF. Raises when it is not off."""
        ...

    def cut_power(self) -> None:
        """Take the power away at once. No error when it is off already."""
        ...

    def state(self) -> PowerState: ...

    def console(self, offset: int) -> bytes:
        """Firmware and serial console output from byte ``offset`` on, over all power-ons."""
        ...

    def channel(self, name: str) -> Channel:
        """The channel of the newest power-on; each power-on has new ones, a reset keeps them.

        After a power-off it still gives the bytes left in it. Raises before the first power-on.
        """
        ...

    def screenshot(self) -> bytes:
        """The screen as a PNG. Raises HypervisorError when the machine is off or has no screen."""
        ...

    def send_keys(self, keys: tuple[str, ...]) -> None:
        """Press keys one after another; names of Linux input codes: KEY_A, KEY_ENTER, KEY_F12. Keys that are
        held down together are joined: KEY_LEFTSHIFT+KEY_A."""
        ...

    def disk(self, index: int) -> BlockReader:
        """The disk's content. Raises HypervisorError unless the machine is off. The caller closes it."""
        ...

    def definition(self) -> str:
        """The machine as the hypervisor was told (domain XML), for the record."""
        ...

    def destroy(self) -> None:
        """Power off and forget. Idempotent; releases even if it raises."""
        ...


class Hypervisor(Protocol):
    """Creates machines."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def create(self, spec: MachineSpec) -> Machine:
        """Make the machine's blank disks and define it; it is off.

        Raises when the name is taken; a destroyed machine keeps its name, as its disks still answer to it.
        """
        ...

    def on_lifecycle(self, listener: Callable[[str, str], None]) -> None:
        """Call ``listener(machine name, "started"|"stopped"|"reset"|"crashed")`` from any thread.

        One restart may be told as several resets (observed: five, with SeaBIOS).
        """
        ...

    def close(self) -> None:
        """Destroy every machine and leave. Idempotent."""
        ...
