"""What every hypervisor must do, as tests: run on the memory one and on the embedded one.

A module that runs the suite derives from ``HypervisorContract`` and gives two fixtures: ``subject`` (its
hypervisor may be shared by tests) and ``own_subject``, which a test may close.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol
from uuid import NAMESPACE_DNS, uuid5

import pytest

from lab.clock import SystemClock, wait_until
from lab.hypervisor.errors import ChannelClosed, HypervisorError
from lab.hypervisor.protocol import (
    Capability,
    DiskSpec,
    Hypervisor,
    Machine,
    MachineSpec,
    NicSpec,
    PowerState,
)

MIB = 1 << 20
CHANNELS = ("org.osdlab.agent.0", "org.osdlab.other.0")
_numbers = count(1)


def contract_spec(name: str = "") -> MachineSpec:
    name = name or f"machine-{next(_numbers)}"
    return MachineSpec(
        name=name,
        uuid=str(uuid5(NAMESPACE_DNS, name)),
        firmware="bios",
        memory=64,
        disks=(DiskSpec(8 * MIB), DiskSpec(4 * MIB, bus="sata")),
        nics=(NicSpec("52:54:00:00:00:01", pxe=False),),
        boot_order=("disk",),
        channels=CHANNELS,
        serial_number="CONTRACT-1",
    )


class Loader(Protocol):
    def __call__(self, machine: Machine, script: bytes) -> None: ...


@dataclass
class Subject:
    """A hypervisor under test. ``load`` puts the contract's guest on a machine's first disk while off."""

    hypervisor: Hypervisor
    load: Loader
    events: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hypervisor.on_lifecycle(lambda machine, word: self.events.append((machine, word)))

    def machine(self, script: bytes = b"h") -> Machine:
        machine = self.hypervisor.create(contract_spec())
        self.load(machine, script)
        return machine

    def words(self, machine: Machine) -> list[str]:
        return [word for name, word in self.events if name == machine.spec.name]


def wait_for(question: object, what: str, machine: Machine | None = None) -> None:
    wait_until(
        question,  # type: ignore[arg-type]
        waited_for=what,
        seconds=300,
        clock=SystemClock(),
        last_seen=lambda: repr(machine.console(0)[-300:]) if machine else "",
    )


def wait_for_start(machine: Machine, number: int) -> None:
    text = b"contract guest, start %d\n" % number
    wait_for(lambda: text in machine.console(0), f"start {number}", machine)


class HypervisorContract:
    """The suite. Each test makes its own machines."""

    def test_a_new_machine_is_off_with_blank_disks(self, subject: Subject) -> None:
        machine = subject.hypervisor.create(contract_spec())
        assert machine.state() is PowerState.OFF
        assert machine.console(0) == b""
        assert machine.spec.name in machine.definition()
        for index, size in ((0, 8 * MIB), (1, 4 * MIB)):
            disk = machine.disk(index)
            assert disk.size == size
            assert disk.read(0, size) == bytes(size)
            disk.close()
        machine.cut_power()
        assert machine.state() is PowerState.OFF

    def test_power_on_runs_and_a_cut_leaves_what_was_written(self, subject: Subject) -> None:
        machine = subject.machine()
        for start in (1, 2):
            machine.power_on()
            assert machine.state() is PowerState.RUNNING
            wait_for_start(machine, start)
            machine.cut_power()
            assert machine.state() is PowerState.OFF
            machine.cut_power()
            disk = machine.disk(0)
            assert disk.read(512, 2) == bytes([start]) + b"h"
            disk.close()
        wait_for(lambda: len(subject.words(machine)) == 4, "lifecycle events", machine)
        assert subject.words(machine) == ["started", "stopped"] * 2
        # The console goes on over power-ons, and an offset continues it.
        console = machine.console(0)
        assert console.index(b"start 1\n") < console.index(b"start 2\n")
        assert machine.console(len(console) - 8) == console[-8:]
        assert machine.console(len(console) + 5) == b""

    def test_a_running_machine_refuses_power_on_and_its_disks(self, subject: Subject) -> None:
        machine = subject.machine()
        machine.power_on()
        name = re.escape(machine.spec.name)
        with pytest.raises(HypervisorError, match=f"{name}.*power_on"):
            machine.power_on()
        with pytest.raises(HypervisorError, match=f"{name}.*disk"):
            machine.disk(0)
        assert machine.state() is PowerState.RUNNING

    def test_a_guest_can_power_itself_off_and_start_again(self, subject: Subject) -> None:
        machine = subject.machine(b"ph")
        machine.power_on()
        wait_for(lambda: machine.state() is PowerState.OFF, "the guest's power-off", machine)
        assert b"start 1\n" in machine.console(0)
        machine.power_on()
        wait_for_start(machine, 2)
        wait_for(lambda: len(subject.words(machine)) == 3, "lifecycle events", machine)
        assert subject.words(machine) == ["started", "stopped", "started"]

    def test_a_reset_is_no_power_off(self, subject: Subject) -> None:
        machine = subject.machine(b"rh")
        machine.power_on()
        wait_for_start(machine, 2)
        assert machine.state() is PowerState.RUNNING
        assert machine.channel(CHANNELS[0]).receive(0.0) == b""
        wait_for(lambda: len(subject.words(machine)) >= 2, "lifecycle events", machine)
        assert subject.words(machine)[0] == "started"
        assert set(subject.words(machine)[1:]) == {"reset"}

    def test_keys_reach_the_guest_in_order(self, subject: Subject) -> None:
        if Capability.SEND_KEYS not in subject.hypervisor.capabilities:
            pytest.skip("send-keys")
        machine = subject.machine(b"k")
        with pytest.raises(HypervisorError, match="send_keys"):
            machine.send_keys(("KEY_A",))
        machine.power_on()
        wait_for_start(machine, 1)
        machine.send_keys(("KEY_O", "KEY_S", "KEY_D"))
        wait_for(lambda: machine.console(0).endswith(b"osd"), "the keys", machine)
        machine.send_keys(("KEY_LEFTSHIFT+KEY_O", "KEY_S"))
        wait_for(lambda: machine.console(0).endswith(b"osdOs"), "keys held together", machine)
        with pytest.raises(HypervisorError, match="KEY_ENTRE") as caught:
            machine.send_keys(("KEY_D", "KEY_ENTRE"))
        assert "KEY_ENTER" in caught.value.hint
        assert machine.console(0).endswith(b"osdOs")  # nothing is pressed when one name is wrong

    def test_a_screenshot_is_a_png(self, subject: Subject) -> None:
        if Capability.SCREENSHOT not in subject.hypervisor.capabilities:
            pytest.skip("screenshot")
        machine = subject.machine()
        with pytest.raises(HypervisorError, match="screenshot"):
            machine.screenshot()
        machine.power_on()
        wait_for_start(machine, 1)
        width, height, pixels = png_pixels(machine.screenshot())
        assert width >= 640
        assert height >= 400
        assert len(pixels) >= height
        machine.cut_power()
        with pytest.raises(HypervisorError, match="screenshot"):
            machine.screenshot()

    def test_channels_come_and_go_with_the_power(self, subject: Subject) -> None:
        machine = subject.machine()
        with pytest.raises(HypervisorError, match="channel"):
            machine.channel(CHANNELS[0])
        machine.power_on()
        first, other = (machine.channel(name) for name in CHANNELS)
        with pytest.raises(HypervisorError, match="no-such"):
            machine.channel("no-such")
        clock = SystemClock()
        begin = clock.now()
        assert first.receive(0.2) == b""
        assert other.receive(0.0) == b""
        assert 0.15 < clock.now() - begin < 60
        first.send(b"nobody reads this yet")
        machine.cut_power()
        for ended in (first, other, machine.channel(CHANNELS[0])):
            with pytest.raises(ChannelClosed):
                ended.receive(60.0)
        with pytest.raises(ChannelClosed):
            first.send(b"x")
        machine.power_on()
        assert machine.channel(CHANNELS[0]).receive(0.05) == b""
        with pytest.raises(ChannelClosed):
            first.receive(0.0)

    def test_a_name_is_given_once(self, subject: Subject) -> None:
        machine = subject.hypervisor.create(contract_spec("twice"))
        with pytest.raises(HypervisorError, match=r"twice.*taken"):
            subject.hypervisor.create(contract_spec("twice"))
        machine.destroy()
        # Its disks and console still answer, so nobody else can have them.
        with pytest.raises(HypervisorError, match=r"twice.*taken"):
            subject.hypervisor.create(contract_spec("twice"))

    @pytest.mark.parametrize("name", ["../evil", "with space", "-dash", "a" * 64])
    def test_a_name_must_fit_everywhere(self, subject: Subject, name: str) -> None:
        with pytest.raises(HypervisorError, match="create"):
            subject.hypervisor.create(contract_spec(name))

    def test_a_disk_is_read_like_a_file(self, subject: Subject) -> None:
        machine = subject.machine(b"abc")
        with pytest.raises(HypervisorError, match="disk"):
            machine.disk(2)
        with pytest.raises(HypervisorError, match="disk"):
            machine.disk(-1)
        disk = machine.disk(0)
        assert disk.read(510, 6) == b"\x55\xaa\0abc"
        assert disk.read(8 * MIB - 4, 100) == bytes(4)
        assert disk.read(8 * MIB, 1) == b""
        with pytest.raises(ValueError, match="cannot read"):
            disk.read(-1, 1)
        disk.close()
        disk.close()
        with pytest.raises(HypervisorError, match="closed"):
            disk.read(0, 1)

    def test_after_destroy_only_disk_and_console_answer(self, subject: Subject) -> None:
        machine = subject.machine()
        machine.power_on()
        wait_for_start(machine, 1)
        channel = machine.channel(CHANNELS[0])
        machine.destroy()
        machine.destroy()
        machine.cut_power()
        assert machine.state() is PowerState.OFF
        assert b"start 1\n" in machine.console(0)
        disk = machine.disk(0)
        assert disk.read(512, 1) == b"\x01"
        disk.close()
        with pytest.raises(ChannelClosed):
            channel.receive(60.0)
        for call in (
            machine.power_on,
            machine.definition,
            machine.screenshot,
            lambda: machine.channel(CHANNELS[0]),
            lambda: machine.send_keys(("KEY_A",)),
        ):
            with pytest.raises(HypervisorError, match="destroyed"):
                call()

    def test_close_destroys_every_machine_and_is_final(self, own_subject: Subject) -> None:
        subject = own_subject
        running, off = subject.machine(), subject.machine()
        running.power_on()
        wait_for_start(running, 1)
        subject.hypervisor.close()
        assert subject.words(running) == ["started", "stopped"]
        assert subject.words(off) == []
        disk = running.disk(0)
        assert disk.read(512, 1) == b"\x01"
        disk.close()
        subject.hypervisor.close()
        with pytest.raises(HypervisorError, match="closed"):
            subject.hypervisor.create(contract_spec())
        with pytest.raises(HypervisorError, match="destroyed"):
            off.power_on()


def png_pixels(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and the inflated rows of a PNG whose every checksum is right."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, rows, size = 8, b"", (0, 0)
    while True:
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(kind + body)
        place += length + 12
        if kind == b"IHDR":
            size = struct.unpack_from(">II", body)
        if kind == b"IDAT":
            rows += body
        if kind == b"IEND":
            assert place == len(data)
            return size[0], size[1], zlib.decompress(rows)
