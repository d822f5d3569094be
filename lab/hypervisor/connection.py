"""libvirt's QEMU driver inside this process: configuration, event loop, capability cache, error texts.

One embedded root per process (observed: a second one is refused), and no daemon. Needs to run as root of some
user namespace, with a writable /run and an account ``libvirt-qemu`` (the lab's sandbox sees to both).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.hypervisor.errors import HypervisorError, machine_error

#: What the embedded driver must be told; each line was found by running without it.
QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
"""


_CAPABILITIES = Path("cache/qemu/capabilities")


class Connection:
    """The connection to ``qemu:///embed?root=<root>``. Raises HypervisorError when it cannot be opened.

    ``cache``: folder where the probed capabilities of QEMU stay between runs (they save about a second);
    libvirt itself checks whether they still hold. ``listener`` gets (domain name, word) from the thread that
    runs libvirt's events.
    """

    def __init__(self, root: Path, cache: Path | None, listener: Callable[[str, str], None]) -> None:
        self._root = root
        self._cache = cache / "libvirt-capabilities" if cache else None
        self._listener = listener
        self._callbacks: list[int] = []
        (root / "etc").mkdir(parents=True, exist_ok=True)
        (root / "etc" / "qemu.conf").write_text(QEMU_CONF, encoding="utf-8")
        (root / "log").mkdir(exist_ok=True)
        if self._cache is not None and self._cache.is_dir():
            _copy_new(self._cache, root / _CAPABILITIES)
        # libvirt takes its log settings from the environment, once, when it is loaded; otherwise its
        # warnings go to standard error, which belongs to the lab's own messages.
        os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", f"3:file:{root / 'log' / 'libvirt.log'}")
        import libvirt

        self.libvirt: Any = libvirt
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        self._loop = _EventLoop(libvirt)
        try:
            self.handle: Any = libvirt.open(f"qemu:///embed?root={root}")
        except libvirt.libvirtError as error:
            self._loop.stop()
            raise HypervisorError(
                f"libvirt's embedded QEMU driver did not start: {error}",
                hint="it has to run inside the lab's sandbox, one per process",
            ) from error
        register = self.handle.domainEventRegisterAny
        self._callbacks = [
            register(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._changed, None),
            register(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reset, None),
        ]

    @contextmanager
    def calling(self, machine: str, call: str) -> Iterator[None]:
        """Turn libvirt's errors inside into HypervisorError naming the machine and the call."""
        try:
            yield
        except self.libvirt.libvirtError as error:
            hint = ""
            if "libvirt-qemu" in str(error):
                hint = "the account 'libvirt-qemu' is missing; the lab has to run inside its sandbox"
            reason = f"{error.get_error_message()} (libvirt error {error.get_error_code()})"
            raise machine_error(machine, call, reason, hint=hint) from error

    def is_gone(self, error: BaseException) -> bool:
        """Whether a libvirt error says that the domain has ended: transient ones are then forgotten."""
        return (
            isinstance(error, self.libvirt.libvirtError)
            and error.get_error_code() == self.libvirt.VIR_ERR_NO_DOMAIN
        )

    def keep_capabilities(self) -> None:
        """Put what libvirt probed into the cache."""
        if self._cache is not None:
            _copy_new(self._root / _CAPABILITIES, self._cache)

    def close(self) -> None:
        """Close the connection and end the event thread. Idempotent."""
        handle, self.handle = self.handle, None
        if handle is None:
            return
        try:
            for callback in self._callbacks:
                handle.domainEventDeregisterAny(callback)
            handle.close()
        except self.libvirt.libvirtError as error:
            raise HypervisorError(f"libvirt did not close: {error}") from error
        finally:
            self._loop.stop()

    def _changed(self, _connection: Any, domain: Any, event: int, detail: int, _data: Any) -> None:
        lib = self.libvirt
        if event == lib.VIR_DOMAIN_EVENT_STARTED:
            self._listener(domain.name(), "started")
        elif event == lib.VIR_DOMAIN_EVENT_STOPPED:
            # "failed" is what libvirt says when QEMU went away without a word.
            bad = (lib.VIR_DOMAIN_EVENT_STOPPED_CRASHED, lib.VIR_DOMAIN_EVENT_STOPPED_FAILED)
            self._listener(domain.name(), "crashed" if detail in bad else "stopped")
        elif event == lib.VIR_DOMAIN_EVENT_CRASHED:
            self._listener(domain.name(), "crashed")

    def _reset(self, _connection: Any, domain: Any, _data: Any) -> None:
        self._listener(domain.name(), "reset")


class _EventLoop:
    """The thread that runs libvirt's event loop; without it no domain's end is ever noticed."""

    _registered = False

    def __init__(self, libvirt: Any) -> None:
        self._libvirt = libvirt
        self._stopping = threading.Event()
        if not _EventLoop._registered:
            libvirt.virEventRegisterDefaultImpl()
            _EventLoop._registered = True
        self._thread = threading.Thread(target=self._run, name="libvirt events", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # One iteration waits for something to happen; this timer bounds it, so that stop() is heard.
        timer = self._libvirt.virEventAddTimeout(500, lambda _timer, _data: None, None)
        while not self._stopping.is_set():
            self._libvirt.virEventRunDefaultImpl()
        self._libvirt.virEventRemoveTimeout(timer)

    def stop(self) -> None:
        self._stopping.set()
        self._libvirt.virEventRemoveTimeout(self._libvirt.virEventAddTimeout(0, lambda _t, _d: None, None))
        self._thread.join(5.0)


def _copy_new(source: Path, target: Path) -> None:
    """Copy files that differ in size or time; each appears whole or not at all, labs may do it at once."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.xml"):
        there = target / path.name
        try:
            old, new = there.stat() if there.exists() else None, path.stat()
            if old and (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
                continue
            with tempfile.NamedTemporaryFile(dir=target, prefix=".new-", delete=False) as stream:
                pass
            shutil.copy2(path, stream.name)
            os.replace(stream.name, there)
        except OSError:
            continue  # only a cache: without it the probe is made again
