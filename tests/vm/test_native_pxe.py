"""Starts from the network without iPXE's script: by TFTP alone, down to what the DHCP server's log says."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from lab.clock import SystemClock, wait_until
from lab.run.compare import run_differences
from lab.timeline import read_timeline
from tests.vm.conftest import ROOT, Done, osdlab_run

pytestmark = [pytest.mark.vm(takes="7m 30s"), pytest.mark.matrix]

PXELINUX = ["pxelinux.0", "ldlinux.c32", "pxelinux.cfg/default", "labpe-x64.krn", "labpe-x64.img"]


def sent(folder: Path) -> list[str]:
    """What the timeline says was sent by TFTP."""
    events = read_timeline(folder / "timeline.jsonl")
    return [event.data["file"] for event in events if (event.source, event.kind) == ("tftp", "sent")]


def passes_by_tftp_alone(name: str, tmp_path: Path, files: list[str]) -> Done:
    """Run a scenario for real and in the simulator, and look at the path that it took."""
    scenario = ROOT / "scenarios" / f"{name}.yaml"
    real = osdlab_run(tmp_path / "vm", scenario, "--keep", "always")
    assert real.code == 0, real.out + real.err
    assert sent(real.folder) == files
    log = (real.folder / "dnsmasq.log").read_text()
    assert f"/{files[-1]} to 10.77.0." in log and "boot.ipxe" not in log
    events = list(read_timeline(real.folder / "timeline.jsonl"))
    assert not [event for event in events if event.source == "http" and "/boot/" in event.data["path"]]
    last = max(event.seq for event in events if (event.source, event.kind) == ("tftp", "sent"))
    assert next(event.seq for event in events if event.phase == "pe-kernel") == last
    modelled = osdlab_run(tmp_path / "sim", scenario, "--fidelity", "sim")
    assert modelled.code == 0, modelled.out + modelled.err
    assert sent(modelled.folder) == files
    assert [str(item) for item in run_differences(real.folder, modelled.folder)] == []
    return real


def test_the_uefi_firmwares_own_pxe(tmp_path: Path) -> None:
    real = passes_by_tftp_alone("native-pxe", tmp_path, ["labpe-x64.efi"])
    machine = ElementTree.fromstring((real.folder / "PC-1" / "domain.xml").read_text())
    rom = machine.find("devices/interface/rom")
    assert rom is not None and rom.get("enabled") == "no"
    assert "iPXE" not in (real.folder / "dnsmasq.log").read_text()


def test_bios_by_pxelinux_and_the_finished_machine_stays_up(tmp_path: Path) -> None:
    real = passes_by_tftp_alone("native-pxe-bios", tmp_path, PXELINUX)
    console = tmp_path / "console.log"
    machine = subprocess.Popen(
        [
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem", "-machine", "q35", "-m", "768",
            "-display", "none", "-nic", "none", "-snapshot", "-no-reboot",
            "-drive", f"file={real.folder}/PC-1/disk0.qcow2,format=qcow2,if=virtio",
            "-serial", f"file:{console}",
        ],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    def said() -> str:
        return console.read_text(errors="replace") if console.exists() else ""

    try:
        wait_until(
            lambda: machine.poll() is not None or re.search("the system stays up|powering off", said()),
            waited_for="the deployed system to say what it does",
            seconds=900,
            clock=SystemClock(),
            every=0.2,
            last_seen=lambda: said()[-500:],
        )
        assert "no task sequence is going on; the system stays up" in said()
        assert machine.poll() is None
    finally:
        machine.kill()
        machine.wait()
