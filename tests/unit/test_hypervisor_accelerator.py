"""The accelerator's choice, its words and its memory; the measurement itself is a contract test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.hypervisor.accelerator import REFERENCE_RATE, choose, firmware_image, probe
from lab.hypervisor.errors import HypervisorError


@pytest.mark.parametrize(
    ("tcg", "kvm", "access", "choice", "reason"),
    [
        (210e6, 1e6, "", "tcg", "KVM unusable here: 210 times slower"),
        (210e6, 100e6, "", "tcg", "KVM unusable here: 2.1 times slower"),
        (210e6, 0.0, "", "tcg", "KVM unusable here: no progress in 10 s"),
        (210e6, 0.0, "no /dev/kvm", "tcg", "no /dev/kvm"),
        (200e6, 3e9, "", "kvm", "15 times faster than TCG"),
        (0.0, 3e9, "", "kvm", "TCG runs no guest here"),
    ],
)
def test_the_faster_one_is_chosen_and_says_why(
    tcg: float, kvm: float, access: str, choice: str, reason: str
) -> None:
    found = choose(tcg, kvm, access, "QEMU")
    assert (found.choice, found.reason) == (choice, reason)
    assert found.factor == 1.0


def test_the_factor_is_how_much_slower_than_the_reference_host() -> None:
    assert choose(REFERENCE_RATE / 3, 0.0, "no /dev/kvm", "QEMU").factor == 3.0
    assert choose(REFERENCE_RATE * 3, 0.0, "no /dev/kvm", "QEMU").factor == 1.0


def test_no_guest_at_all_is_a_fault() -> None:
    with pytest.raises(HypervisorError, match="runs no guest"):
        choose(0.0, 0.0, "", "QEMU")


class Meter:
    """Stands where QEMU would run; counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str) -> float:
        self.asked.append(name)
        return 200e6 if name == "tcg" else 1e6


def test_the_answer_holds_for_one_boot_one_qemu_and_one_kind_of_access(tmp_path: Path) -> None:
    meter = Meter()
    device = tmp_path / "kvm"
    cache = tmp_path / "cache"

    def ask(boot: str = "b1", version: str = "7.2") -> str:
        meter.asked.clear()
        return probe(cache, boot, device=device, measure=meter, version=version).reason

    absent = f"no {device}"
    assert ask() == absent
    assert meter.asked == ["tcg"]  # a device that is not there is not tried
    assert ask() == absent
    assert meter.asked == []
    device.write_bytes(b"")
    assert ask() == "KVM unusable here: 200 times slower"
    assert meter.asked == ["tcg", "kvm"]
    ask(boot="b2")
    assert meter.asked
    ask(boot="b2", version="8.2")
    assert meter.asked
    ask(boot="b2", version="8.2")
    assert meter.asked == []
    assert [path.name for path in cache.iterdir()] == ["accelerator.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}', "null"])
def test_a_broken_memory_is_measured_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "accelerator.json").write_text(content)
    meter = Meter()
    probe(tmp_path, "b1", device=tmp_path / "absent", measure=meter, version="7.2")
    assert meter.asked == ["tcg"]
    assert json.loads((tmp_path / "accelerator.json").read_text())["accelerator"]["choice"] == "tcg"


def test_the_firmware_image_begins_at_its_reset_vector() -> None:
    image = firmware_image(blocks=0x11223344, inner=0x55667788)
    assert len(image) == 0x10000
    assert image[0xFFF0:0xFFF5] == bytes.fromhex("ea000000f0")
    assert image.count(bytes.fromhex("44332211")) == image.count(bytes.fromhex("88776655")) == 1
