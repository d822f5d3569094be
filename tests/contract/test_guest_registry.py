"""Registry conditions: real hives and the real hivexsh, held against the simulator's model of the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.clock import SystemClock
from lab.guest.facts import Facts
from lab.guest.runner import SystemRunner
from lab.guest.volumes import Volumes
from lab.hypervisor.protocol import DiskSpec, MachineSpec
from lab.pe import windows_shape as shape
from lab.pe.regf import build_hive
from lab.sequence.effects import Partition, QueryWmi, ReadRegistry
from lab.simulation.facts import ModelFacts
from lab.simulation.machine import Machine
from lab.simulation.reference import reference_image
from lab.simulation.site import SimSite

KEYS = [
    "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
    "hkey_local_machine\\software\\MICROSOFT\\windows nt\\currentversion\\winlogon\\",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment",
    "HKLM\\SYSTEM\\Select", "HKLM\\SYSTEM\\MountedDevices", "HKLM\\SOFTWARE", "HKLM\\SYSTEM",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName",
    "HKCU\\Control Panel\\International", "HKLM\\SAM\\SAM\\Domains\\Account", "HKLM\\SECURITY\\Policy",
    "HKLM\\SYSTEM\\CurrentControlSet\\Control\\MiniNT", "HKLM\\SOFTWARE\\Contoso\\Agent", "HKCR\\.txt",
    "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup", "HKLM\\BCD00000000", "nonsense", "",
]  # fmt: skip


@pytest.mark.parametrize("view", [64, 32])
def test_guest_and_simulator_read_the_same_registry(tmp_path: Path, view: int) -> None:
    if shutil.which("hivexsh") is None:
        pytest.skip("hivexsh is not installed: apt-get install libhivex-bin")
    config = tmp_path / "c/Windows/System32/config"
    config.mkdir(parents=True)
    for name, keys in shape.HIVES.items():
        (config / name).write_bytes(build_hive(name, keys))
    (tmp_path / "mounts").touch()
    drives = {"C:": str(tmp_path / "c")}
    volumes = Volumes(
        SystemRunner(), SystemClock(), drives, root=str(tmp_path), mounts=str(tmp_path / "mounts")
    )
    identity = {"machine_name": "x", "uefi": True, "architecture": "x64"}
    nothing = str(tmp_path / "nothing")
    real = Facts("os", identity, SystemRunner(), volumes, sys=nothing, proc=nothing, lease=nothing)

    machine = Machine.blank(MachineSpec("PC-1", "u", "uefi", 768, (DiskSpec(1 << 30),), ()))
    machine.repartition(
        machine.disks[0], "GPT", (Partition(1, "Primary", 2048, 1 << 20, "NTFS", letter="C:"),)
    )
    image = reference_image()
    volume = machine.letters["C:"]
    for path, content in image.files.items():
        volume.files.put(path, content)
    for key, values in image.registry.items():
        volume.set_values(key, values)
    machine.in_winpe = False
    modelled = ModelFacts(machine, SimSite(), lambda: "x", lambda: 0.0)

    found = 0
    for key in KEYS:
        effect = ReadRegistry(key, 32 if view == 32 else 64)
        left, right = real.read_registry(effect), modelled.read_registry(effect)
        assert (left.code, left.value) == (right.code, right.value), key
        found += left.ok
    assert found == len(KEYS) - 6
    query = QueryWmi("root\\cimv2", "Win32_OperatingSystem")
    names = ("Caption", "Version", "BuildNumber", "ProductType", "OperatingSystemSKU", "CSName")
    (left_row,), (right_row,) = (asked.query(query).value["instances"] for asked in (real, modelled))
    assert [left_row[name] for name in names] == [right_row[name] for name in names]
    assert left_row["Version"] == "10.0.19045"
