"""The domain XML against golden files, and what it must never contain."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from xml.etree import ElementTree as ET

import pytest

from lab.hypervisor.domainxml import DomainPaths, domain_xml
from lab.hypervisor.errors import HypervisorError
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from tests.golden_file import check_golden

SPEC = MachineSpec(
    name="PC-1",
    uuid="2f3a7c1e-5d0b-4e3f-9a51-0c1d2e3f4a5b",
    firmware="uefi",
    memory=768,
    disks=(DiskSpec(20 << 30),),
    nics=(NicSpec("52:54:00:12:34:56", tap="tap0"),),
    serial_number="LAB-0001",
)
PATHS = DomainPaths(
    console="/run-folder/PC-1/console.log",
    disks=("/run-folder/PC-1/disk0.qcow2",),
    channels={"org.osdlab.agent.0": "/run/osdlab/m0c0.sock"},
    code="/usr/share/OVMF/OVMF_CODE_4M.fd",
    nvram="/run-folder/PC-1/nvram.fd",
)
BIOS = replace(
    SPEC,
    firmware="bios",
    vcpus=2,
    accelerator="kvm",
    disks=(DiskSpec(20 << 30, bus="sata"), DiskSpec(1 << 30)),
    nics=(
        NicSpec("52:54:00:12:34:56", model="e1000e", tap="tap0", option_rom=False),
        NicSpec("52:54:00:12:34:57", pxe=False),
    ),
    boot_order=("network", "disk"),
    channels=("org.osdlab.agent.0", "org.osdlab.other.0"),
    serial_number="",
)
BIOS_PATHS = DomainPaths(
    console="/run-folder/PC-1/console.log",
    disks=("/run-folder/PC-1/disk0.qcow2", "/run-folder/PC-1/disk1.qcow2"),
    channels={"org.osdlab.agent.0": "/run/osdlab/a.sock", "org.osdlab.other.0": "/run/osdlab/b.sock"},
)


@pytest.mark.parametrize(
    ("golden", "spec", "paths"),
    [
        ("domain-uefi.xml", SPEC, PATHS),
        ("domain-uefi-secure-boot.xml", replace(SPEC, secure_boot=True), PATHS),
        ("domain-bios-kvm-two-disks.xml", BIOS, BIOS_PATHS),
    ],
)
def test_golden(golden: str, spec: MachineSpec, paths: DomainPaths) -> None:
    check_golden(golden, domain_xml(spec, paths))


def test_the_boot_order_counts_devices_and_leaves_out_what_shall_not_boot() -> None:
    devices = ET.fromstring(domain_xml(BIOS, BIOS_PATHS)).find("devices")
    assert devices is not None
    orders = [
        (element.tag, None if (boot := element.find("boot")) is None else boot.get("order"))
        for element in devices
        if element.tag in ("disk", "interface")
    ]
    assert orders == [("disk", "2"), ("disk", "3"), ("interface", "1"), ("interface", None)]


def test_text_cannot_break_out_of_the_document() -> None:
    evil = "x'/><devices>&\"<"
    domain = ET.fromstring(domain_xml(replace(SPEC, serial_number=evil), replace(PATHS, console=evil)))
    assert domain.findtext("sysinfo/system/entry[@name='serial']") == evil
    source = domain.find("devices/serial/source")
    assert source is not None
    assert source.get("path") == evil


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "aarch64"}, "architecture 'aarch64'"),
        ({"architecture": "i686"}, "a 32-bit processor needs BIOS firmware"),
        ({"firmware": "bios", "secure_boot": True}, "Secure Boot needs UEFI"),
        ({"disks": (DiskSpec(512),) * 7}, "7 disks; at most 6"),
        ({"nics": (NicSpec("52:54:00:00:00:01"),) * 9}, "9 network cards"),
        ({"channels": ("a", "a")}, "same name"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(change: dict[str, object], reason: str) -> None:
    with pytest.raises(HypervisorError, match=f"'PC-1'.*{reason}"):
        domain_xml(replace(SPEC, **change), PATHS)  # type: ignore[arg-type]


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_a_32_bit_machine_has_a_processor_without_the_long_mode(accelerator: Literal["tcg", "kvm"]) -> None:
    spec = replace(BIOS, architecture="i686", accelerator=accelerator)
    domain = ET.fromstring(domain_xml(spec, BIOS_PATHS))
    assert domain.findtext("cpu/model") == "pentium3"
    assert domain.find("cpu").get("mode") == "custom"  # type: ignore[union-attr]
