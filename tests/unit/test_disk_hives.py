"""Hives: what was built into them is read, and damage is said."""

from __future__ import annotations

import random

import pytest

from lab.disk.hives import HIVE_FILES, DamagedHive, Hive, normalise
from lab.pe import windows_shape
from lab.pe.regf import build_hive
from lab.simulation.disks import Volume
from lab.simulation.reference import reference_image

SYSTEM = build_hive("SYSTEM", windows_shape.HIVES["SYSTEM"])


def test_the_reference_images_hives_read_as_the_simulator_models_them() -> None:
    """Both come from one description, by two ways: bytes through regipy, and values."""
    modelled = Volume(0, 3, "Primary", "NTFS", "Windows")
    for key, values in reference_image().registry.items():
        modelled.set_values(key, values)
    read: dict[str, dict[str, list[object]]] = {}
    for root, file in HIVE_FILES.items():
        read.update(Hive(root, build_hive(file, windows_shape.HIVES[file])).all())
    assert read == dict(modelled.registry.values())


def test_the_current_control_set_is_looked_up() -> None:
    found = Hive("HKLM\\SYSTEM", SYSTEM).get("currentcontrolset\\control\\ComputerName\\COMPUTERNAME")
    assert found is not None
    name, values = found
    assert name == "HKLM\\SYSTEM\\ControlSet001\\Control\\ComputerName\\ComputerName"
    assert values["ComputerName"] == ["REG_SZ", windows_shape.COMPUTER_NAME]
    assert Hive("HKLM\\SYSTEM", SYSTEM).get("Setup\\None") is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("HKEY_LOCAL_MACHINE\\system\\Setup", ("HKLM\\SYSTEM", "Setup")),
        ("hklm\\Software", ("HKLM\\SOFTWARE", "")),
        ("HKU\\.default\\Environment", ("HKU\\.DEFAULT", "Environment")),
        ("HKCU\\Software", None),
        ("HKLM", None),
    ],
)
def test_names_of_keys(key: str, expected: tuple[str, str] | None) -> None:
    assert normalise(key) == expected


def test_damage_is_said_and_never_a_hang() -> None:
    with pytest.raises(DamagedHive, match="not a registry hive"):
        Hive("HKLM\\SYSTEM", b"MZ")
    with pytest.raises(DamagedHive, match="damaged"):
        Hive("HKLM\\SYSTEM", SYSTEM[:4200])
    said = 0
    for seed in range(60):
        chance = random.Random(seed)
        data = bytearray(SYSTEM)
        for _ in range(20):
            data[chance.randrange(4096 + 32, len(data))] = chance.randrange(256)
        try:
            hive = Hive("HKLM\\SYSTEM", bytes(data))
            list(hive.all())
            hive.get("Setup")
        except DamagedHive:
            said += 1
    assert said > 10


def test_a_key_that_contains_itself_is_said() -> None:
    """The list of the root's subkeys is given to every key: walking it would never end."""
    data = bytearray(SYSTEM)
    places = [at for at in range(4096, len(data) - 80) if data[at : at + 2] == b"nk"]
    root = places[0]
    for place in places[1:]:
        data[place + 20 : place + 32] = data[root + 20 : root + 32]
    with pytest.raises(DamagedHive, match=r"contains itself|records"):
        list(Hive("HKLM\\SYSTEM", bytes(data)).all())
