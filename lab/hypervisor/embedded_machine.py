"""One machine of the embedded hypervisor: a QEMU process while it has power, files in its folder always."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.clock import Clock, wait_until
from lab.errors import PhaseTimeout
from lab.hypervisor.channel import SocketChannel
from lab.hypervisor.connection import Connection
from lab.hypervisor.domainxml import DomainPaths, domain_xml
from lab.hypervisor.errors import HypervisorError, machine_error
from lab.hypervisor.firmware import find_firmware
from lab.hypervisor.keys import chord
from lab.hypervisor.naming import NVRAM, disk_name
from lab.hypervisor.png import from_image
from lab.hypervisor.protocol import BlockReader, Channel, MachineSpec, PowerState
from lab.hypervisor.qcow import QcowReader

#: Seconds to connect a channel of a machine that libvirt says has started.
CONNECT_LIMIT = 60.0
#: Seconds for the last bytes of a channel after its machine ended.
DRAIN_LIMIT = 15.0
#: Milliseconds a key is held down.
KEY_HOLD = 50


class EmbeddedMachine:
    """One machine of QEMU. Made by EmbeddedHypervisor.create; see ``protocol.Machine``."""

    def __init__(
        self, connection: Connection, spec: MachineSpec, folder: Path, sockets: dict[str, Path], clock: Clock
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._folder = folder
        self._sockets = sockets
        self._clock = clock
        self._power = threading.RLock()
        self._domain: Any = None
        self._channels: dict[str, SocketChannel] = {}
        self._destroyed = False
        self._disk_files = tuple(folder / disk_name(index) for index in range(len(spec.disks)))
        firmware = find_firmware(spec.secure_boot) if spec.firmware == "uefi" else None
        self._xml = domain_xml(
            spec,
            DomainPaths(
                console=str(self._console_file),
                disks=tuple(str(path) for path in self._disk_files),
                channels={name: str(path) for name, path in sockets.items()},
                code=str(firmware.code) if firmware else "",
                nvram=str(folder / NVRAM) if firmware else "",
            ),
        )
        self._definition = self._xml
        made: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for path, disk in zip(self._disk_files, spec.disks, strict=True):
                if path.exists():
                    raise machine_error(spec.name, "create", f"'{path}' is there already")
                made.append(path)
                self._make_disk(path, disk.size)
            if firmware:
                shutil.copyfile(firmware.variables, folder / NVRAM)
        except BaseException:
            for path in made:
                path.unlink(missing_ok=True)
            raise

    @property
    def spec(self) -> MachineSpec:
        return self._spec

    @property
    def _console_file(self) -> Path:
        return self._folder / "console.log"

    def power_on(self) -> None:
        with self._power:
            self._require_alive("power_on")
            if self.state() is not PowerState.OFF:
                raise machine_error(self._spec.name, "power_on", "it is not off")
            lib = self._connection.libvirt
            self._require_taps()
            for path in self._sockets.values():
                path.unlink(missing_ok=True)
            with self._connection.calling(self._spec.name, "power_on"):
                # Paused, so that the channels are connected before the guest can write to them: QEMU throws
                # away what is written to a port that nobody has open.
                self._domain = self._connection.handle.createXML(self._xml, lib.VIR_DOMAIN_START_PAUSED)
            try:
                self._channels = {name: self._connect(name, path) for name, path in self._sockets.items()}
                with self._connection.calling(self._spec.name, "power_on"):
                    self._domain.resume()
                    self._definition = self._domain.XMLDesc(0)
            except BaseException:
                with suppress(HypervisorError):
                    self.cut_power()
                raise
            self._connection.keep_capabilities()

    def cut_power(self) -> None:
        with self._power:
            domain = self._domain
            if domain is None:
                return
            with self._connection.calling(self._spec.name, "cut_power"):
                try:
                    domain.destroy()
                except self._connection.libvirt.libvirtError as error:
                    if not self._connection.is_gone(error) and self.state() is not PowerState.OFF:
                        raise
            self._domain = None

    def state(self) -> PowerState:
        domain = self._domain
        if domain is None:
            return PowerState.OFF
        lib = self._connection.libvirt
        try:
            with self._connection.calling(self._spec.name, "state"):
                number = domain.state()[0]
        except HypervisorError as error:
            if error.__cause__ is not None and self._connection.is_gone(error.__cause__):
                return PowerState.OFF
            raise
        # A domain on its way out still has its QEMU process and its disks: not off yet.
        return PowerState.PAUSED if number == lib.VIR_DOMAIN_PAUSED else PowerState.RUNNING

    def console(self, offset: int) -> bytes:
        if offset < 0:
            raise ValueError(f"console offset {offset}")
        try:
            with self._console_file.open("rb") as stream:
                stream.seek(offset)
                return stream.read()
        except FileNotFoundError:
            return b""

    def channel(self, name: str) -> Channel:
        """The channel of the newest power-on; one that ended still gives the bytes left in it."""
        self._require_alive("channel")
        if name not in self._sockets:
            raise machine_error(self._spec.name, "channel", f"it has no channel '{name}'")
        if name not in self._channels:
            raise machine_error(self._spec.name, "channel", "it has not been powered on yet")
        return self._channels[name]

    def screenshot(self) -> bytes:
        domain = self._running("screenshot")
        image = bytearray()

        def receive(_stream: Any, data: bytes, _opaque: Any) -> None:
            image.extend(data)

        with self._connection.calling(self._spec.name, "screenshot"):
            stream = self._connection.handle.newStream()
            domain.screenshot(stream, 0)
            stream.recvAll(receive, None)
            stream.finish()
        return from_image(bytes(image))

    def send_keys(self, keys: tuple[str, ...]) -> None:
        codes = [chord(key) for key in keys]
        domain = self._running("send_keys")
        with self._connection.calling(self._spec.name, "send_keys"):
            for held in codes:
                domain.sendKey(self._connection.libvirt.VIR_KEYCODE_SET_LINUX, KEY_HOLD, held, len(held))

    def disk(self, index: int) -> BlockReader:
        if not 0 <= index < len(self._disk_files):
            raise machine_error(self._spec.name, "disk", f"it has no disk {index}")
        with self._power:
            if self.state() is not PowerState.OFF:
                raise machine_error(self._spec.name, "disk", "it is not off")
            return QcowReader(self._disk_files[index])

    def definition(self) -> str:
        """The domain XML: as libvirt completed it at the newest power-on, before that as it will be given."""
        self._require_alive("definition")
        return self._definition

    def destroy(self) -> None:
        with self._power:
            if self._destroyed:
                return
            self._destroyed = True
            try:
                self.cut_power()
            finally:
                for channel in self._channels.values():
                    channel.finish(DRAIN_LIMIT)
                self._channels = {}
                for path in self._sockets.values():
                    path.unlink(missing_ok=True)

    def _running(self, call: str) -> Any:
        self._require_alive(call)
        domain = self._domain
        if domain is None or self.state() is PowerState.OFF:
            raise machine_error(self._spec.name, call, "it is off")
        return domain

    def _require_alive(self, call: str) -> None:
        if self._destroyed:
            raise machine_error(self._spec.name, call, "it is destroyed")

    def _require_taps(self) -> None:
        for tap in [nic.tap for nic in self._spec.nics if nic.tap]:
            try:
                socket.if_nametoindex(tap)
            except OSError as error:  # libvirt would say so as well, but not of which
                raise machine_error(
                    self._spec.name, "power_on", f"there is no network device '{tap}' in the lab's namespace"
                ) from error

    def _connect(self, name: str, path: Path) -> SocketChannel:
        connection = socket.socket(socket.AF_UNIX)
        last: list[OSError] = []

        def connected() -> bool:
            try:
                connection.connect(str(path))
            except OSError as error:
                last[:] = [error]
                return False
            return True

        try:
            wait_until(
                connected,
                waited_for=f"channel '{name}' of machine '{self._spec.name}'",
                seconds=CONNECT_LIMIT,
                clock=self._clock,
                last_seen=lambda: str(last[0]) if last else "",
            )
        except PhaseTimeout as error:
            connection.close()
            raise machine_error(self._spec.name, "power_on", error.message) from error
        return SocketChannel(connection, f"'{name}' of machine '{self._spec.name}'", clock=self._clock)

    def _make_disk(self, path: Path, size: int) -> None:
        try:
            # A plain name in its folder: qemu-img takes what stands before a colon for a protocol.
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", path.name, str(size)],
                cwd=path.parent, capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise machine_error(
                self._spec.name, "create", "no qemu-img on this host", hint="install the package qemu-utils"
            ) from error
        except subprocess.CalledProcessError as error:
            raise machine_error(self._spec.name, "create", f"qemu-img: {error.stderr.strip()}") from error
        except subprocess.TimeoutExpired as error:
            raise machine_error(self._spec.name, "create", "qemu-img did not end in 60 s") from error
