"""The reference image's description, and the hives made of it as another reader sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from regipy.registry import RegistryHive

from lab.errors import LabFault
from lab.pe import windows_shape as shape
from lab.pe.reference import hives
from lab.pe.regf import Value, build_hive


def read_back(hive: bytes, folder: Path) -> dict[str, dict[str, tuple[str, object]]]:
    place = folder / "hive"
    place.write_bytes(hive)
    registry = RegistryHive(str(place))
    return {
        key.path.strip("\\"): {value.name: (value.value_type, value.value) for value in key.values}
        for key in registry.recurse_subkeys(registry.root, fetch_values=True)
    }


@pytest.mark.parametrize("name", sorted(shape.HIVES))
def test_a_hive_holds_what_the_shape_says(name: str, tmp_path: Path) -> None:
    found = read_back(hives()[f"hive:{name}"], tmp_path)
    for path, values in shape.HIVES[name].items():
        wanted = {value or "(default)": (kind, data) for value, (kind, data) in values.items()}
        assert found[path] == wanted, path


def test_a_large_hive_has_all_its_keys_in_order(tmp_path: Path) -> None:
    keys: dict[str, dict[str, Value]] = {
        f"Many\\Key{n:04}": {"v": ("REG_SZ", "x" * (n % 200))} for n in range(600)
    }
    found = read_back(build_hive("SYSTEM", keys), tmp_path)
    for n in range(600):
        assert found[f"Many\\Key{n:04}"]["v"][1] == "x" * (n % 200)


def test_the_same_tree_gives_the_same_hive() -> None:
    assert hives() == hives()


def test_a_value_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(LabFault, match="REG_LINK"):
        build_hive("SYSTEM", {"A": {"b": ("REG_LINK", "c")}})


def test_every_artifact_of_the_shape_is_known_and_every_hive_has_its_file() -> None:
    artifacts = {file.artifact for file in shape.FILES if file.artifact}
    assert artifacts == {
        "loader",
        "bios-kernel",
        "bios-initrd",
        "bios-config",
        "root",
        "setup",
        *(f"hive:{name}" for name in shape.HIVES),
    }
    folders = {folder.lower() for folder in shape.FOLDERS}
    for file in shape.FILES:
        parent = file.path.rsplit("\\", 1)[0].lower()
        assert parent in folders or any(folder.startswith(parent + "\\") for folder in folders), file.path
