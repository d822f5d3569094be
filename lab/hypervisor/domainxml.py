"""The machine as libvirt's domain XML: a pure function of the specification and the paths.

Minimal, for a quick boot and few surprises: no USB, balloon, sound, tablet, graphics server. Choices, with
what stands behind them (times under TCG, QEMU 7.2):

- **q35, devices on the root bus at fixed slots.** The firmware's time to its first boot attempt is the same
  on pc and q35 (4 to 6 s of CPU, scatter larger than the difference); q35 is what Secure Boot needs and what
  current hardware looks like. libvirt's default of one root port per device only adds bridges to enumerate,
  and fixed slots keep the firmware's stored boot entries valid over power-ons.
- **Disk cache "unsafe"** skips only the host's fsync. A guest's flush still writes QEMU's metadata into the
  file, and the file's pages belong to the host, so after a power cut (QEMU ended, host alive) the image is
  the same as with "writeback", at no cost in disk syncs. It would differ only if the host itself lost power,
  and then there is no run to judge. Either mode is kinder than a real disk: what the guest wrote without a
  flush is there as well. A cut that loses unflushed writes needs a disk outside QEMU (nbdkit).
- **CPU under TCG: Nehalem** (x86-64-v2, which current distributions ask for; no slower than qemu64, and
  without the wide vector units of "max", which TCG can only emulate slowly). Under KVM the host's own. A
  32-bit machine has a Pentium III: no long mode, with either.
- **PXE by IPv4 only** in UEFI: IPv6 would be tried for nothing.
- **A card without tap** has its cable unplugged: it must not find a network the lab did not make.
- **BIOS** says what it does on port 0x402; that goes into the console file. UEFI uses the serial port itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from lab.hypervisor.errors import machine_error
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec

#: Slots on the root bus. 0x1f is q35's own (LPC, SATA, SMBus).
_VIDEO, _SERIAL_BUS, _RNG, _FIRST_DISK, _FIRST_NIC = 0x01, 0x02, 0x03, 0x04, 0x10
MAX_DISKS = 6  # also the number of SATA ports
MAX_NICS = 8


@dataclass(frozen=True)
class DomainPaths:
    """Where a machine's things are on the host, as absolute paths.

    ``disks``: qcow2 files in the specification's order. ``channels``: channel name -> unix socket (at most
    107 bytes). ``code`` and ``nvram``: UEFI flash images, the latter the machine's own; "" for BIOS.
    """

    console: str
    disks: tuple[str, ...]
    channels: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    nvram: str = ""


def domain_xml(spec: MachineSpec, paths: DomainPaths) -> str:
    """The domain XML of a machine. Raises HypervisorError for a specification this hypervisor cannot make."""
    _check(spec)
    order = _boot_order(spec)
    domain = ET.Element("domain", type="kvm" if spec.accelerator == "kvm" else "qemu")
    _text(domain, "name", spec.name)
    _text(domain, "uuid", spec.uuid)
    _text(domain, "memory", str(spec.memory), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus), placement="static")
    _system_information(domain, spec)
    _operating_system(domain, spec, paths)
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if spec.secure_boot:
        ET.SubElement(features, "smm", state="on")
    _processor(domain, spec)
    ET.SubElement(domain, "clock", offset="utc")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    devices = ET.SubElement(domain, "devices")
    for index, (disk, path) in enumerate(zip(spec.disks, paths.disks, strict=True)):
        _disk(devices, index, disk, path, order.get(("disk", index)))
    ET.SubElement(devices, "controller", type="usb", model="none")
    if spec.channels:
        _slot(ET.SubElement(devices, "controller", type="virtio-serial", index="0"), _SERIAL_BUS)
    for index, nic in enumerate(spec.nics):
        _nic(devices, index, nic, order.get(("nic", index)))
    _console(devices, spec, paths.console)
    for port, name in enumerate(spec.channels, start=1):
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "source", mode="bind", path=paths.channels[name])
        ET.SubElement(channel, "target", type="virtio", name=name)
        ET.SubElement(channel, "address", type="virtio-serial", controller="0", bus="0", port=str(port))
    video = ET.SubElement(devices, "video")
    ET.SubElement(video, "model", type="vga", vram="16384")
    _slot(video, _VIDEO)
    ET.SubElement(devices, "memballoon", model="none")
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    _slot(rng, _RNG)
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _check(spec: MachineSpec) -> None:
    reason = ""
    if spec.architecture == "i686" and spec.firmware != "bios":
        reason = "a 32-bit processor needs BIOS firmware: there is no 32-bit UEFI here"
    elif spec.architecture not in ("x86_64", "i686"):
        reason = f"architecture '{spec.architecture}' is not supported by the embedded hypervisor yet"
    elif spec.secure_boot and spec.firmware != "uefi":
        reason = "Secure Boot needs UEFI firmware"
    elif len(spec.disks) > MAX_DISKS:
        reason = f"{len(spec.disks)} disks; at most {MAX_DISKS} are possible"
    elif len(spec.nics) > MAX_NICS:
        reason = f"{len(spec.nics)} network cards; at most {MAX_NICS} are possible"
    elif len(set(spec.channels)) != len(spec.channels):
        reason = "two channels have the same name"
    if reason:
        raise machine_error(spec.name, "create", reason)


def _boot_order(spec: MachineSpec) -> dict[tuple[str, int], int]:
    """Device -> place in the boot order, from 1. A card that shall not boot has no place: it does not ask."""
    wanted: list[tuple[str, int]] = []
    for kind in spec.boot_order:
        if kind == "disk":
            wanted += [("disk", index) for index in range(len(spec.disks))]
        else:
            wanted += [("nic", index) for index, nic in enumerate(spec.nics) if nic.pxe]
    return {device: place for place, device in enumerate(dict.fromkeys(wanted), start=1)}


def _system_information(domain: ET.Element, spec: MachineSpec) -> None:
    sysinfo = ET.SubElement(domain, "sysinfo", type="smbios")
    says = spec.smbios.of(spec.serial_number, spec.uuid)
    parts = {
        "bios": {"vendor": says.bios_vendor, "version": says.bios_version, "date": says.bios_date},
        "system": {
            "manufacturer": says.manufacturer, "product": says.product, "version": says.version,
            "serial": says.serial, "uuid": spec.uuid, "sku": says.sku, "family": says.family,
        },
        "baseBoard": {
            "manufacturer": says.board_manufacturer, "product": says.board_product,
            "version": says.board_version, "serial": says.board_serial,
        },
        "chassis": {
            "manufacturer": says.chassis_manufacturer, "serial": says.chassis_serial, "asset": says.asset_tag,
        },
    }  # fmt: skip
    for part, entries in parts.items():
        element = ET.SubElement(sysinfo, part)
        for name, text in entries.items():
            if text:
                _text(element, "entry", text, name=name)
    if spec.firmware == "uefi":
        settings = ET.SubElement(domain, "sysinfo", type="fwcfg")
        _text(settings, "entry", "no", name="opt/org.tianocore/IPv6PXESupport")


def _operating_system(domain: ET.Element, spec: MachineSpec, paths: DomainPaths) -> None:
    system = ET.SubElement(domain, "os")
    # A 32-bit machine is a 64-bit one's with a processor that has no long mode: one QEMU for all.
    _text(system, "type", "hvm", arch="x86_64", machine="q35")
    if spec.firmware == "uefi":
        secure = {"secure": "yes"} if spec.secure_boot else {}
        # Named files instead of libvirt's choice, which took the Secure Boot firmware unasked (observed).
        _text(system, "loader", paths.code, readonly="yes", type="pflash", **secure)
        _text(system, "nvram", paths.nvram)
    ET.SubElement(system, "bootmenu", enable="no")
    ET.SubElement(system, "smbios", mode="sysinfo")


def _processor(domain: ET.Element, spec: MachineSpec) -> None:
    if spec.architecture == "i686":
        cpu = ET.SubElement(domain, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", "pentium3", fallback="forbid")
    elif spec.accelerator == "kvm":
        ET.SubElement(domain, "cpu", mode="host-passthrough")
    else:
        cpu = ET.SubElement(domain, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", "Nehalem", fallback="forbid")


def _disk(devices: ET.Element, index: int, disk: DiskSpec, path: str, order: int | None) -> None:
    element = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(element, "driver", name="qemu", type="qcow2", cache="unsafe")
    ET.SubElement(element, "source", file=path)
    letter = "abcdef"[index]
    name = f"vd{letter}" if disk.bus == "virtio" else f"sd{letter}"
    ET.SubElement(element, "target", dev=name, bus=disk.bus)
    _boot(element, order)
    if disk.bus == "virtio":
        _slot(element, _FIRST_DISK + index)


def _nic(devices: ET.Element, index: int, nic: NicSpec, order: int | None) -> None:
    element = ET.SubElement(devices, "interface", type="ethernet" if nic.tap else "user")
    ET.SubElement(element, "mac", address=nic.mac)
    if nic.tap:
        ET.SubElement(element, "target", dev=nic.tap, managed="no")
    else:
        ET.SubElement(element, "link", state="down")
    ET.SubElement(element, "model", type=nic.model)
    if nic.model == "virtio":
        ET.SubElement(element, "driver", name="qemu")  # vhost would make the host a part of the machine
    _boot(element, order)
    if not nic.option_rom:
        ET.SubElement(element, "rom", enabled="no")
    _slot(element, _FIRST_NIC + index)


def _console(devices: ET.Element, spec: MachineSpec, path: str) -> None:
    serial = ET.SubElement(devices, "serial", type="file")
    ET.SubElement(serial, "source", path=path, append="on")
    ET.SubElement(ET.SubElement(serial, "target", type="isa-serial", port="0"), "model", name="isa-serial")
    if spec.firmware == "bios":
        debug = ET.SubElement(devices, "serial", type="file")
        ET.SubElement(debug, "source", path=path, append="on")
        target = ET.SubElement(debug, "target", type="isa-debug", port="1")
        ET.SubElement(target, "model", name="isa-debugcon")
        ET.SubElement(debug, "address", type="isa", iobase="0x402")


def _boot(element: ET.Element, order: int | None) -> None:
    if order is not None:
        ET.SubElement(element, "boot", order=str(order))


def _slot(element: ET.Element, slot: int) -> None:
    ET.SubElement(
        element, "address", type="pci", domain="0x0000", bus="0x00", slot=f"0x{slot:02x}", function="0x0"
    )


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
