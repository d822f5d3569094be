"""Finding the UEFI firmware in the layouts of several distributions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.hypervisor.errors import HypervisorError
from lab.hypervisor.firmware import find_firmware


def descriptor(
    folder: Path, name: str, features: list[str], *, code: str, variables: str, **other: Any
) -> None:
    flash = {
        "device": "flash",
        "executable": {"filename": code, "format": other.get("format", "raw")},
        "nvram-template": {"filename": variables, "format": "raw"},
    }
    data = {
        "interface-types": ["uefi"],
        "mapping": flash,
        "targets": [{"architecture": other.get("architecture", "x86_64"), "machines": ["pc-q35-*"]}],
        "features": features,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(data))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    found = {}
    for name in ("code", "vars", "code-sb", "vars-sb"):
        (tmp_path / name).write_bytes(b"flash")
        found[name] = str(tmp_path / name)
    return found


def test_descriptors_tell_secure_boot_apart(tmp_path: Path, files: dict[str, str]) -> None:
    folder = tmp_path / "firmware"
    keys = ["secure-boot", "enrolled-keys", "requires-smm"]
    descriptor(folder, "40.json", keys, code=files["code-sb"], variables=files["vars-sb"])
    descriptor(folder, "50.json", ["secure-boot"], code=files["code-sb"], variables=files["vars"])
    descriptor(folder, "55.json", [], code=files["code"], variables=files["vars"], architecture="aarch64")
    descriptor(folder, "56.json", [], code=files["code"], variables=files["vars"], format="qcow2")
    descriptor(folder, "57.json", [], code="/absent", variables=files["vars"])
    (folder / "58.json").write_text('{"mapping": {"device": "memory"}}')
    descriptor(folder, "60.json", ["amd-sev"], code=files["code"], variables=files["vars"])
    plain = find_firmware(False, descriptors=[folder], known=[])
    assert (str(plain.code), str(plain.variables), plain.secure) == (files["code"], files["vars"], False)
    secure = find_firmware(True, descriptors=[folder], known=[])
    assert (str(secure.code), str(secure.variables), secure.secure) == (
        files["code-sb"],
        files["vars-sb"],
        True,
    )


def test_an_empty_file_masks_the_one_below(tmp_path: Path, files: dict[str, str]) -> None:
    first, second = tmp_path / "etc", tmp_path / "usr"
    descriptor(second, "60.json", [], code=files["code"], variables=files["vars"])
    first.mkdir()
    (first / "60.json").write_text("")
    with pytest.raises(HypervisorError, match="no UEFI firmware"):
        find_firmware(False, descriptors=[first, second], known=[])


@pytest.mark.parametrize(
    ("secure", "names"),
    [
        (False, ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")),
        (False, ("OVMF_CODE.fd", "OVMF_VARS.fd")),
        (True, ("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd")),
    ],
)
def test_known_paths_serve_without_descriptors(tmp_path: Path, secure: bool, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"flash")
    found = find_firmware(secure, descriptors=[], known=[tmp_path / "absent", tmp_path])
    assert (found.code.name, found.variables.name) == names


def test_a_host_without_firmware_is_told_the_package(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="Secure Boot") as caught:
        find_firmware(True, descriptors=[tmp_path], known=[tmp_path])
    assert "ovmf" in caught.value.hint
