"""Parts of the in-memory hypervisor, PNG images and key names; the whole is held by the contract suite."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.hypervisor.errors import ChannelClosed, HypervisorError
from lab.hypervisor.keys import CODES, code
from lab.hypervisor.memory import MemoryDisk, MemoryGuest, MemoryHypervisor
from lab.hypervisor.png import encode, from_image
from lab.hypervisor.protocol import DiskSpec, MachineSpec, PowerState

SIZE = 3 * 65536 + 512


@given(st.lists(st.tuples(st.integers(0, SIZE - 1), st.binary(max_size=70000)), max_size=6))
def test_a_sparse_disk_is_a_flat_one(writes: list[tuple[int, bytes]]) -> None:
    disk, flat = MemoryDisk(SIZE), bytearray(SIZE)
    for offset, data in writes:
        data = data[: SIZE - offset]
        disk.write(offset, data)
        flat[offset : offset + len(data)] = data
    assert disk.read(0, SIZE + 1) == bytes(flat)
    assert disk.read(65530, 12) == bytes(flat[65530:65542])


def test_a_disk_does_not_grow() -> None:
    with pytest.raises(ValueError, match="cannot write"):
        MemoryDisk(1024).write(1020, b"12345")


def spec() -> MachineSpec:
    return MachineSpec("m", str(uuid4()), "uefi", 64, (DiskSpec(1024),), ())


def test_a_program_talks_through_the_channel_until_the_power_goes() -> None:
    def program(guest: MemoryGuest) -> None:
        guest.channel("org.osdlab.agent.0").send(b"hello from start %d" % guest.starts)

    hypervisor = MemoryHypervisor(program)
    machine = hypervisor.create(spec())
    guest = hypervisor.guest(machine)
    with pytest.raises(HypervisorError, match="off"):
        guest.channel("org.osdlab.agent.0")
    machine.power_on()
    channel = machine.channel("org.osdlab.agent.0")
    channel.send(b"and back")
    assert guest.channel("org.osdlab.agent.0").receive(0.0) == b"and back"
    machine.cut_power()
    # What came before the cut is there after it, and only then the end.
    assert channel.receive(0.0) == b"hello from start 1"
    with pytest.raises(ChannelClosed):
        channel.receive(0.0)


def test_crash_pause_and_screen_are_modelled() -> None:
    hypervisor = MemoryHypervisor()
    words: list[str] = []
    hypervisor.on_lifecycle(lambda _machine, word: words.append(word))
    machine = hypervisor.create(spec())
    machine.power_on()
    guest = hypervisor.guest(machine)
    guest.pause()
    assert machine.state() is PowerState.PAUSED
    guest.pause(False)
    guest.colour = (10, 20, 30)
    assert machine.screenshot() == encode(720, 400, bytes((10, 20, 30)) * (720 * 400))
    guest.crash()
    assert machine.state() is PowerState.OFF
    assert words == ["started", "crashed"]


def test_a_ppm_becomes_a_png_with_the_same_pixels() -> None:
    pixels = bytes(range(18))
    image = from_image(b"P6\n# a comment\n3 2\n255\n" + pixels)
    assert struct.unpack_from(">II", image, 16) == (3, 2)
    length = struct.unpack_from(">I", image, 33)[0]
    rows = zlib.decompress(image[41 : 41 + length])
    assert rows == b"\0" + pixels[:9] + b"\0" + pixels[9:]
    assert from_image(image) == image


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"P6", b"P6 3 2 255\n" + bytes(17), b"P6 3 2 65535\n" + bytes(36), b"P6 # cut"]
)
def test_no_image_is_an_error(data: bytes) -> None:
    with pytest.raises(HypervisorError, match="screenshot"):
        from_image(data)


def test_key_codes_are_the_kernels() -> None:
    some = {"ESC": 1, "1": 2, "Q": 16, "ENTER": 28, "A": 30, "Z": 44, "SPACE": 57, "F1": 59, "F10": 68,
            "F11": 87, "F12": 88, "UP": 103, "DOWN": 108, "DELETE": 111, "LEFTMETA": 125}  # fmt: skip
    assert {name: code(f"KEY_{name}") for name in some} == some
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.skipif(
    not Path("/usr/include/linux/input-event-codes.h").exists(), reason="no kernel headers on this host"
)
def test_key_codes_agree_with_the_header() -> None:
    header = Path("/usr/include/linux/input-event-codes.h").read_text()
    for name, number in CODES.items():
        assert any(line.split()[1:3] == [name, str(number)] for line in header.splitlines()), name
