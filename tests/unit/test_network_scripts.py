"""What firmware is told, as text: iPXE's scripts and PXELINUX's configurations, against golden files."""

from __future__ import annotations

import re

import pytest

from lab.network import ipxe, pxelinux
from lab.network.ipxe import GAVE_UP, first_script, scripts
from tests.golden_file import FOLDER, check_golden

IMAGES: dict[str, ipxe.BootFiles] = {
    "LAB00002": {"uefi": "labpe-x64.efi", "bios": ["labpe-x64.krn", "labpe-x64.img"]}
}
LINE = "console=ttyS0 quiet"
MADE = scripts(IMAGES, LINE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("boot-0.ipxe", first_script(0)),
        ("boot-7.ipxe", first_script(7)),
        ("available-uefi.ipxe", MADE["prompt"] + MADE["boot"]["LAB00002"]["uefi"]),
        ("required-bios.ipxe", MADE["boot"]["LAB00002"]["bios"]),
        ("abort.ipxe", MADE["abort"]),
        ("pxelinux-required.cfg", pxelinux.start(LINE)),
        ("pxelinux-available.cfg", pxelinux.start(LINE, ask=True)),
        ("pxelinux-abort.cfg", pxelinux.leave("abort", "no deployment\nfor it")),
    ],
)
def test_golden(name: str, text: str) -> None:
    check_golden(name, text, FOLDER / "boot")


TEXTS = [first_script(0), MADE["boot"]["LAB00002"]["uefi"], MADE["boot"]["LAB00002"]["bios"]]


@pytest.mark.parametrize("text", TEXTS)
def test_a_failure_does_not_end_a_script_and_the_last_one_is_told(text: str) -> None:
    lines = text.splitlines()
    tries = [line for line in lines if re.match(r"(chain|kernel|imgfetch) ", line)]
    assert len(tries) == 4 and all("||" in line for line in tries)
    assert any(line.startswith(f"echo {GAVE_UP} http://10.77.0.1/") for line in lines)
    assert lines[-1] == "exit 1"


def test_every_jump_of_an_offer_has_its_place_and_only_one() -> None:
    """``goto`` looks for a label from the start of the script: two scripts in one must not share any."""
    for text in (MADE["prompt"] + MADE["boot"]["LAB00002"]["bios"], first_script(0)):
        labels = re.findall(r"^:(\w+)$", text, re.MULTILINE)
        assert len(labels) == len(set(labels)) and set(re.findall(r"goto (\w+)", text)) <= set(labels)


def test_only_a_bios_asks_its_processor() -> None:
    assert "cpuid --ext 29 || set cpu x86" in first_script(0)
    assert "cpuid" not in first_script(7)
    assert "client_system=7&cpu=${cpu}" in first_script(7)


def test_what_stands_for_the_reason_is_the_services_to_replace() -> None:
    assert MADE["abort"].count(ipxe.REASON) == MADE["ignore"].count(ipxe.REASON) == 1
    assert ipxe.REASON not in first_script(0) + MADE["prompt"] + str(MADE["boot"])


def test_no_reason_is_taken_for_a_line_of_pxelinux_own() -> None:
    said = pxelinux.leave("abort", "no, " * 1000).splitlines()[1]
    assert said.startswith("SAY osdlab: PXE: abort: no, no") and len(said) < 512
