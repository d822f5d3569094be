"""The hypervisor contract on the embedded hypervisor, and what is true of that one only.

Not collected by itself: ``test_hypervisor_embedded`` runs it inside the sandbox.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.hypervisor.embedded import EmbeddedHypervisor
from lab.hypervisor.errors import ChannelClosed, HypervisorError
from lab.hypervisor.protocol import Machine, PowerState
from tests.contract.contract_guest import boot_disk
from tests.contract.hypervisor_contract import (
    CHANNELS,
    HypervisorContract,
    Subject,
    contract_spec,
    wait_for,
    wait_for_start,
)

# /run is the sandbox's own; sockets need short paths. A process has one libvirt root.
BASE = Path("/run/contract")


def hypervisor_in(folder: Path) -> EmbeddedHypervisor:
    return EmbeddedHypervisor(BASE / "libvirt", BASE / folder.name, folder, cache=folder.parent / "cache")


def subject_of(hypervisor: EmbeddedHypervisor, folder: Path) -> Subject:
    def load(machine: Machine, script: bytes) -> None:
        source = folder / "boot.bin"
        source.write_bytes(boot_disk(script))
        disk = folder / machine.spec.name / "disk0.qcow2"
        subprocess.run(
            ["qemu-io", "-f", "qcow2", "-c", f"write -s {source} 0 1024", disk],
            check=True,
            capture_output=True,
        )

    return Subject(hypervisor, load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def embedded(folder: Path) -> Iterator[EmbeddedHypervisor]:
    hypervisor = hypervisor_in(folder)
    yield hypervisor
    hypervisor.close()


@pytest.fixture
def subject(embedded: EmbeddedHypervisor, folder: Path) -> Subject:
    return subject_of(embedded, folder)


@pytest.fixture
def own_embedded(tmp_path: Path) -> Iterator[EmbeddedHypervisor]:
    hypervisor = hypervisor_in(tmp_path)
    yield hypervisor
    hypervisor.close()


@pytest.fixture
def own_subject(own_embedded: EmbeddedHypervisor, tmp_path: Path) -> Subject:
    return subject_of(own_embedded, tmp_path)


class TestEmbedded(HypervisorContract):
    pass


def test_uefi_says_what_it_does_and_keeps_its_variables(embedded: EmbeddedHypervisor, folder: Path) -> None:
    machine = embedded.create(replace(contract_spec("uefi"), firmware="uefi", memory=256))
    nvram = folder / "uefi" / "nvram.fd"
    blank = nvram.read_bytes()
    machine.power_on()
    wait_for(lambda: b"BdsDxe" in machine.console(0), "the firmware's boot attempt", machine)
    machine.cut_power()
    first = nvram.read_bytes()
    assert len(first) == len(blank)
    assert first != blank
    machine.power_on()
    assert nvram.read_bytes()[:4096] == first[:4096]
    machine.destroy()


def test_the_command_line_is_what_qemu_got(subject: Subject, embedded: EmbeddedHypervisor) -> None:
    machine = subject.machine()
    with pytest.raises(HypervisorError, match="not been powered on"):
        embedded.command_line(machine)
    machine.power_on()
    words = shlex.split(embedded.command_line(machine))
    assert f"guest={machine.spec.name},debug-threads=on" in words
    assert words == qemu_arguments(machine)


def test_the_record_shows_what_libvirt_made(subject: Subject) -> None:
    machine = subject.machine()
    before = machine.definition()
    machine.power_on()
    assert "<name>" in before
    assert "<alias name=" not in before
    assert "<alias name=" in machine.definition()


def test_a_killed_qemu_is_a_crash(subject: Subject) -> None:
    machine = subject.machine()
    machine.power_on()
    wait_for_start(machine, 1)
    channel = machine.channel(CHANNELS[0])
    os.kill(qemu_process(machine), signal.SIGKILL)
    wait_for(lambda: machine.state() is PowerState.OFF, "the crash", machine)
    with pytest.raises(ChannelClosed):
        channel.receive(60.0)
    wait_for(lambda: len(subject.words(machine)) == 2, "lifecycle events", machine)
    assert subject.words(machine) == ["started", "crashed"]
    disk = machine.disk(0)
    assert disk.read(512, 1) == b"\x01"
    disk.close()


def test_a_machine_that_cannot_start_says_why_and_stays_off(embedded: EmbeddedHypervisor) -> None:
    spec = contract_spec("no-tap")
    machine = embedded.create(replace(spec, nics=(replace(spec.nics[0], tap="absent0"),)))
    with pytest.raises(HypervisorError, match=r"no-tap.*power_on.*'absent0'"):
        machine.power_on()
    assert machine.state() is PowerState.OFF
    machine.disk(0).close()


def test_libvirt_says_nothing_on_standard_error(
    embedded: EmbeddedHypervisor, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    machine = embedded.create(contract_spec("quiet"))
    (folder / "quiet" / "disk1.qcow2").unlink()
    with pytest.raises(HypervisorError, match=r"quiet.*power_on.*disk1.qcow2.*libvirt error \d+"):
        machine.power_on()
    assert machine.state() is PowerState.OFF
    assert tuple(capfd.readouterr()) == ("", "")


def test_probed_capabilities_are_kept_for_the_next_run(subject: Subject, folder: Path) -> None:
    subject.machine().power_on()
    kept = list((folder.parent / "cache" / "libvirt-capabilities").iterdir())
    assert [path.suffix for path in kept] == [".xml"]
    assert "<qemuCaps>" in kept[0].read_text()


def test_disks_of_another_run_are_not_overwritten(embedded: EmbeddedHypervisor, folder: Path) -> None:
    there = folder / "second-hand" / "disk1.qcow2"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"evidence")
    with pytest.raises(HypervisorError, match=r"disk1.qcow2.*there already"):
        embedded.create(contract_spec("second-hand"))
    assert there.read_bytes() == b"evidence"
    assert not there.with_name("disk0.qcow2").exists()


def test_long_socket_paths_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="bytes; at most 107"):
        EmbeddedHypervisor(Path("/run") / ("x" * 90), tmp_path, tmp_path)


def test_close_leaves_no_qemu(own_subject: Subject) -> None:
    machine = own_subject.machine()
    machine.power_on()
    process = qemu_process(machine)
    assert Path(f"/proc/{process}").exists()
    own_subject.hypervisor.close()
    assert not Path(f"/proc/{process}").exists()


def qemu_process(machine: Machine) -> int:
    return int(Path(f"/run/contract/libvirt/run/qemu/{machine.spec.name}.pid").read_text())


def qemu_arguments(machine: Machine) -> list[str]:
    return Path(f"/proc/{qemu_process(machine)}/cmdline").read_text().rstrip("\0").split("\0")
