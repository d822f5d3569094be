"""The in-memory hypervisor: machines that are modelled, not run.

Ships with the product: the simulator and tests use it where no machine is needed. It keeps the whole contract
of ``protocol`` (one suite runs on it and on the embedded one). What a machine does while it has power is told
by a ``program``, called with the inside of the machine (``MemoryGuest``) at each power-on and each reset.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from lab.hypervisor.errors import ChannelClosed, HypervisorError, machine_error
from lab.hypervisor.keys import chord
from lab.hypervisor.naming import check_name
from lab.hypervisor.png import encode
from lab.hypervisor.protocol import BlockReader, Capability, Channel, Machine, MachineSpec, PowerState

_CHUNK = 1 << 16
SCREEN = (720, 400)


class MemoryDisk:
    """A sparse disk of ``size`` bytes; what was never written reads as zeros."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._chunks: dict[int, bytearray] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Like a file: past the end there are fewer bytes."""
        if offset < 0 or size < 0:
            raise ValueError(f"cannot read {size} bytes at {offset}")
        size = min(size, max(0, self.size - offset))
        parts = []
        while size:
            number, start = divmod(offset, _CHUNK)
            length = min(size, _CHUNK - start)
            chunk = self._chunks.get(number)
            parts.append(bytes(chunk[start : start + length]) if chunk else bytes(length))
            offset, size = offset + length, size - length
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Raises ValueError when it would go past the end."""
        if offset < 0 or offset + len(data) > self.size:
            raise ValueError(f"cannot write {len(data)} bytes at {offset} of a disk of {self.size}")
        rest = memoryview(data)
        while rest:
            number, start = divmod(offset, _CHUNK)
            length = min(len(rest), _CHUNK - start)
            self._chunks.setdefault(number, bytearray(_CHUNK))[start : start + length] = rest[:length]
            offset, rest = offset + length, rest[length:]


class MemoryDiskReader:
    """A BlockReader on a MemoryDisk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk: MemoryDisk | None = disk
        self._size = disk.size

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        if self._disk is None:
            raise HypervisorError("the disk is closed")
        return self._disk.read(offset, size)

    def close(self) -> None:
        self._disk = None


class _Pipe:
    """Bytes in one direction, with an end."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bytes = bytearray()
        self._closed = False
        self._news = threading.Condition()

    def put(self, data: bytes) -> None:
        with self._news:
            if self._closed:
                raise ChannelClosed(f"channel {self._label} is closed")
            self._bytes += data
            self._news.notify_all()

    def get(self, timeout: float) -> bytes:
        with self._news:
            self._news.wait_for(lambda: self._bytes or self._closed, timeout)
            data = bytes(self._bytes)
            self._bytes.clear()
            if not data and self._closed:
                raise ChannelClosed(f"channel {self._label} is closed")
            return data

    def close(self) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()


class MemoryChannel:
    """One end of a byte channel; ``peer`` gives the other. Both ends end together, at a power cut."""

    def __init__(self, label: str, incoming: _Pipe | None = None, outgoing: _Pipe | None = None) -> None:
        self._label = label
        self._incoming = incoming or _Pipe(label)
        self._outgoing = outgoing or _Pipe(label)

    def receive(self, timeout: float) -> bytes:
        return self._incoming.get(timeout)

    def send(self, data: bytes) -> None:
        self._outgoing.put(data)

    def peer(self) -> MemoryChannel:
        return MemoryChannel(self._label, self._outgoing, self._incoming)

    def close(self) -> None:
        self._incoming.close()
        self._outgoing.close()


class MemoryGuest:
    """The inside of a memory machine: what a program, or a test, does in the guest's place.

    ``disks``: writable. ``keys``: names of the keys pressed since power-on; ``on_key`` is called with each.
    ``starts``: how often the machine has started, resets included. ``colour``: the screen's, as RGB.
    """

    def __init__(self, machine: MemoryMachine, disks: tuple[MemoryDisk, ...]) -> None:
        self._machine = machine
        self.disks = disks
        self.keys: list[str] = []
        self.on_key: Callable[[str], None] | None = None
        self.starts = 0
        self.colour = (0, 0, 0)

    def write_console(self, data: bytes) -> None:
        self._machine.console_bytes.extend(data)

    def channel(self, name: str) -> MemoryChannel:
        """The guest's end of a channel. Raises HypervisorError when the machine is off or has none such."""
        return self._machine.guest_channel(name)

    def power_off(self) -> None:
        self._machine.end("stopped")

    def crash(self) -> None:
        self._machine.end("crashed")

    def pause(self, paused: bool = True) -> None:
        self._machine.pause(paused)

    def reset(self) -> None:
        self._machine.reset()


class MemoryHypervisor:
    """Machines without a machine. ``program`` is what each of them does at power-on and after a reset."""

    def __init__(self, program: Callable[[MemoryGuest], None] | None = None) -> None:
        self._program = program
        self._machines: dict[str, MemoryMachine] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        self._closed = False

    @property
    def name(self) -> str:
        return "memory"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(Capability) - {Capability.PXE}

    def create(self, spec: MachineSpec) -> Machine:
        check_name(spec)
        if self._closed:
            raise machine_error(spec.name, "create", "the hypervisor is closed")
        if spec.name in self._machines:
            raise machine_error(spec.name, "create", "the name is taken")
        machine = MemoryMachine(spec, self._program, self._tell)
        self._machines[spec.name] = machine
        return machine

    def guest(self, machine: Machine) -> MemoryGuest:
        """The inside of one of this hypervisor's machines."""
        return self._machines[machine.spec.name].inside

    def on_lifecycle(self, listener: Callable[[str, str], None]) -> None:
        self._listeners.append(listener)

    def close(self) -> None:
        self._closed = True
        for machine in self._machines.values():
            machine.destroy()

    def _tell(self, machine: str, word: str) -> None:
        for listener in list(self._listeners):
            listener(machine, word)


class MemoryMachine:
    """A modelled machine. Made by MemoryHypervisor.create; see ``protocol.Machine``."""

    def __init__(
        self,
        spec: MachineSpec,
        program: Callable[[MemoryGuest], None] | None,
        tell: Callable[[str, str], None],
    ) -> None:
        self._spec = spec
        self._program = program
        self._tell = tell
        self._state = PowerState.OFF
        self._destroyed = False
        self._lock = threading.RLock()
        self._disks = tuple(MemoryDisk(disk.size) for disk in spec.disks)
        self._channels: dict[str, MemoryChannel] = {}
        self.console_bytes = bytearray()
        self.inside = MemoryGuest(self, self._disks)

    @property
    def spec(self) -> MachineSpec:
        return self._spec

    def power_on(self) -> None:
        with self._lock:
            self._require_alive("power_on")
            if self._state is not PowerState.OFF:
                raise machine_error(self._spec.name, "power_on", "it is not off")
            self._state = PowerState.RUNNING
            self._channels = {
                name: MemoryChannel(f"'{name}' of machine '{self._spec.name}'")
                for name in self._spec.channels
            }
            self.inside.keys.clear()
            self._tell(self._spec.name, "started")
            self._start()

    def cut_power(self) -> None:
        self.end("stopped")

    def state(self) -> PowerState:
        return self._state

    def console(self, offset: int) -> bytes:
        if offset < 0:
            raise ValueError(f"console offset {offset}")
        return bytes(self.console_bytes[offset:])

    def channel(self, name: str) -> Channel:
        self._require_alive("channel")
        return self._channel(name)

    def screenshot(self) -> bytes:
        self._require_running("screenshot")
        width, height = SCREEN
        return encode(width, height, bytes(self.inside.colour) * (width * height))

    def send_keys(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            chord(key)
        self._require_running("send_keys")
        for key in keys:
            self.inside.keys.append(key)
            if self.inside.on_key is not None:
                self.inside.on_key(key)

    def disk(self, index: int) -> BlockReader:
        if not 0 <= index < len(self._disks):
            raise machine_error(self._spec.name, "disk", f"it has no disk {index}")
        if self._state is not PowerState.OFF:
            raise machine_error(self._spec.name, "disk", "it is not off")
        return MemoryDiskReader(self._disks[index])

    def definition(self) -> str:
        self._require_alive("definition")
        return f"<!-- in memory -->\n<domain type='memory'>\n  <name>{self._spec.name}</name>\n</domain>\n"

    def destroy(self) -> None:
        with self._lock:
            if self._destroyed:
                return
            self._destroyed = True
            self.end("stopped")
            self._channels = {}

    def end(self, word: str) -> None:
        """Off, in the way of ``word``: "stopped" or "crashed". Nothing when it is off already."""
        with self._lock:
            if self._state is PowerState.OFF:
                return
            self._state = PowerState.OFF
            for channel in self._channels.values():
                channel.close()
            self._tell(self._spec.name, word)

    def reset(self) -> None:
        with self._lock:
            self._require_running("reset")
            self._tell(self._spec.name, "reset")
            self._start()

    def pause(self, paused: bool) -> None:
        with self._lock:
            self._require_running("pause")
            self._state = PowerState.PAUSED if paused else PowerState.RUNNING

    def guest_channel(self, name: str) -> MemoryChannel:
        self._require_running("channel")
        return self._channel(name).peer()

    def _start(self) -> None:
        self.inside.starts += 1
        self.inside.on_key = None
        if self._program is not None:
            self._program(self.inside)

    def _channel(self, name: str) -> MemoryChannel:
        if name not in self._spec.channels:
            raise machine_error(self._spec.name, "channel", f"it has no channel '{name}'")
        if name not in self._channels:
            raise machine_error(self._spec.name, "channel", "it has not been powered on yet")
        return self._channels[name]

    def _require_alive(self, call: str) -> None:
        if self._destroyed:
            raise machine_error(self._spec.name, call, "it is destroyed")

    def _require_running(self, call: str) -> None:
        self._require_alive(call)
        if self._state is PowerState.OFF:
            raise machine_error(self._spec.name, call, "it is off")
