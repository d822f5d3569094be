"""The embedded hypervisor: QEMU machines through libvirt's QEMU driver inside this process.

Layout: ``disks/<machine>/`` holds disk<n>.qcow2, console.log and nvram.fd (over all power-ons, and after
destroy); ``runtime`` the channels' sockets; ``root`` what libvirt writes. ``root`` and ``runtime`` must be
short paths (a socket's path has at most 107 bytes) and may vanish with the process. A process can have one
``root`` only, and open it some fifteen times (observed: libvirt registers its driver anew each time).
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path

from lab.clock import Clock, SystemClock, wait_until
from lab.errors import PhaseTimeout
from lab.hypervisor.connection import Connection
from lab.hypervisor.embedded_machine import EmbeddedMachine
from lab.hypervisor.errors import HypervisorError, machine_error
from lab.hypervisor.naming import check_name
from lab.hypervisor.protocol import Capability, Machine, MachineSpec

SOCKET_PATH_LIMIT = 107

_log = logging.getLogger(__name__)


class EmbeddedHypervisor:
    """Machines of QEMU, one process each, children of this process's PID namespace.

    ``root``: libvirt's own folder, private to this process. ``runtime``: folder for sockets. ``disks``: the
    run's folder, one folder per machine below it. ``cache``: the lab's cache, keeps what libvirt probed of
    QEMU between runs. Raises HypervisorError when libvirt does not start or a path is too long.
    """

    def __init__(
        self, root: Path, runtime: Path, disks: Path, *, cache: Path | None = None, clock: Clock | None = None
    ) -> None:
        self._root, self._runtime, self._disks = root.absolute(), runtime.absolute(), disks.absolute()
        self._clock = clock or SystemClock()
        self._machines: dict[str, EmbeddedMachine] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        #: Machines whose end has not been told yet; touched by the event thread only, and read by close().
        self._up: set[str] = set()
        self._lock = threading.Lock()
        self._closed = False
        # The longest socket libvirt makes below its root; it cuts a domain's name to 20 characters there.
        self._check_socket(self._root / "lib/qemu/domain-1234-12345678901234567890/monitor.sock")
        self._runtime.mkdir(parents=True, exist_ok=True)
        self._connection = Connection(self._root, cache, self._tell)

    @property
    def name(self) -> str:
        return "embedded"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(Capability)

    def create(self, spec: MachineSpec) -> Machine:
        """Make the machine's blank disks and define it; it is off.

        Raises HypervisorError when the name is taken (also by a destroyed machine, whose disks and console
        still answer), when its disks are there already, or when the specification cannot be made.
        """
        check_name(spec)
        with self._lock:
            if self._closed:
                raise machine_error(spec.name, "create", "the hypervisor is closed")
            if spec.name in self._machines:
                raise machine_error(spec.name, "create", "the name is taken")
            folder = self._disks / spec.name
            sockets = {
                channel: self._runtime / f"m{len(self._machines)}c{index}.sock"
                for index, channel in enumerate(spec.channels)
            }
            for path in sockets.values():
                self._check_socket(path)
            machine = EmbeddedMachine(self._connection, spec, folder, sockets, self._clock)
            self._machines[spec.name] = machine
            return machine

    def on_lifecycle(self, listener: Callable[[str, str], None]) -> None:
        """Call ``listener(machine, "started"|"stopped"|"reset"|"crashed")`` from libvirt's event thread."""
        self._listeners.append(listener)

    def command_line(self, machine: Machine) -> str:
        """The QEMU command line libvirt made for the machine's newest power-on, as one line of shell words.

        File descriptors in it (tap, sockets, console) are libvirt's own. Raises HypervisorError before the
        first power-on.
        """
        name = machine.spec.name
        log = self._root / "log" / "qemu" / f"{name}.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        started = text.rpartition(": starting up")[2]
        # Environment and arguments stand on lines joined by backslashes, after a line of libvirt's own.
        command = re.search(r"^(?:[^\n]* \\\n)+[^\n]*", started, re.MULTILINE)
        if not command:
            raise machine_error(name, "command_line", "it has not been powered on yet")
        lines = command[0].split(" \\\n")
        return " ".join(dropwhile(lambda line: re.match(r"[A-Z_]+=", line), lines))

    def close(self) -> None:
        """Destroy every machine, close libvirt. Idempotent; goes on after an error, raises it at the end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            machines = list(self._machines.values())
        errors: list[HypervisorError] = []
        for machine in machines:
            try:
                machine.destroy()
            except HypervisorError as error:
                errors.append(error)
        with suppress(PhaseTimeout):
            # libvirt tells of an end a moment after it; listeners shall hear of every one.
            wait_until(
                lambda: not self._up, waited_for="the last lifecycle events", seconds=15.0, clock=self._clock
            )
        try:
            self._connection.keep_capabilities()
            self._connection.close()
        except HypervisorError as error:
            errors.append(error)
        if errors:
            first = errors[0]
            raise HypervisorError(f"closing the hypervisor: {first.message}", causes=errors) from first

    def _tell(self, machine: str, word: str) -> None:
        if machine not in self._machines:
            return  # all connections of a process share one driver and hear of each other's machines
        if word == "started":
            self._up.add(machine)
        for listener in list(self._listeners):
            try:
                listener(machine, word)
            except Exception:  # libvirt's thread must go on, or no machine's end would be seen any more
                _log.exception("a lifecycle listener failed on '%s' of machine '%s'", word, machine)
        if word in ("stopped", "crashed"):
            self._up.discard(machine)

    @staticmethod
    def _check_socket(path: Path) -> None:
        length = len(bytes(path))
        if length > SOCKET_PATH_LIMIT:
            raise HypervisorError(
                f"the socket path '{path}' has {length} bytes; at most {SOCKET_PATH_LIMIT} are possible",
                hint="use short folders for libvirt and for sockets, for instance below /run",
            )
