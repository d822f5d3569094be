"""The hypervisor contract on the in-memory hypervisor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.hypervisor.memory import MemoryDiskReader, MemoryHypervisor, MemoryMachine, _Pipe
from lab.hypervisor.protocol import Machine
from tests.contract.contract_guest import boot_disk, modelled
from tests.contract.hypervisor_contract import HypervisorContract, Subject


@pytest.fixture
def subject() -> Iterator[Subject]:
    hypervisor = MemoryHypervisor(modelled)

    def load(machine: Machine, script: bytes) -> None:
        hypervisor.guest(machine).disks[0].write(0, boot_disk(script))

    yield Subject(hypervisor, load)
    hypervisor.close()


@pytest.fixture
def own_subject(subject: Subject) -> Subject:
    return subject


class TestMemory(HypervisorContract):
    pass


def _disk_of_a_running_machine(machine: MemoryMachine, index: int) -> MemoryDiskReader:
    return MemoryDiskReader(machine.inside.disks[index])


def _forgetful_power_on(machine: MemoryMachine) -> None:
    machine.console_bytes.clear()
    _POWER_ON(machine)


def _silence_after_the_end(pipe: _Pipe, timeout: float) -> bytes:
    return b""


def _close_without_destroying(hypervisor: MemoryHypervisor) -> None:
    hypervisor._closed = True


_POWER_ON = MemoryMachine.power_on


@pytest.mark.parametrize(
    ("owner", "name", "fault", "guard"),
    [
        (
            MemoryMachine,
            "disk",
            _disk_of_a_running_machine,
            "a_running_machine_refuses_power_on_and_its_disks",
        ),
        (MemoryMachine, "power_on", _forgetful_power_on, "power_on_runs_and_a_cut_leaves_what_was_written"),
        (_Pipe, "get", _silence_after_the_end, "channels_come_and_go_with_the_power"),
        (MemoryHypervisor, "close", _close_without_destroying, "close_destroys_every_machine_and_is_final"),
    ],
)
def test_the_contract_sees_a_fault(
    subject: Subject, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fault: object, guard: str
) -> None:
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        getattr(HypervisorContract(), f"test_{guard}")(subject)
