"""The lab's namespaces from inside: the first thing a lab process does, before it has threads or open files.

After ``enter`` nothing outside the writable folders can be changed any more: every mount is read-only, the
host's /proc and /sys included, while /run and /tmp are private and empty. Then ``lay_network`` makes the
bridge and the taps. Only to be called in namespaces made by ``lab.network.sandbox``.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabFault

BRIDGE = "osdlab0"
ADDRESS = "10.77.0.1"
PREFIX = 24
ADDRESS6 = "fd77::1"

#: Where the lab's private places are: short, since a socket's path may have 108 bytes at most.
PRIVATE = Path("/run/osdlab")

_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV = 0x1000, 0x4000, 1 << 18, 2, 4
_SYS_MOUNT_SETATTR = 442  # the same on every architecture
_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_MOUNT_ATTR_RDONLY = 1

#: Accounts libvirt's QEMU driver looks up at its start, whatever its configuration says (observed).
_ACCOUNTS = {
    "passwd": {"libvirt-qemu": "libvirt-qemu:x:64055:{kvm}:Libvirt Qemu:/var/lib/libvirt:/usr/sbin/nologin"},
    "group": {"kvm": "kvm:x:64056:", "libvirt-qemu": "libvirt-qemu:x:64055:"},
}


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


@dataclass(frozen=True)
class PrivatePlaces:
    """Writable folders that vanish with the lab: ``runtime`` for sockets and process files."""

    runtime: Path
    home: Path


def enter(
    *,
    writable: Sequence[Path],
    readable: Sequence[Path] = (),
    environment: MutableMapping[str, str] | None = None,
) -> PrivatePlaces:
    """Shut the file system but for ``writable`` and give the process its private places.

    ``readable``: what must stay visible although it may lie below /run or /tmp (the project, the Python).
    Relative paths are refused. Sets HOME, XDG_RUNTIME_DIR, TMPDIR and PATH in ``environment`` (os.environ).
    Raises LabFault when the kernel refuses; the lab must not go on then.
    """
    env = os.environ if environment is None else environment
    keep = [(path, True) for path in writable] + [(path, False) for path in readable]
    for path, _ in keep:
        if not path.is_absolute():
            raise ValueError(f"'{path}' is not absolute")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # Held open, the folders stay reachable when a tmpfs hides what is above them.
    held = [(path.resolve(), os.open(path, os.O_PATH | os.O_DIRECTORY), write) for path, write in keep]
    held.sort(
        key=lambda item: (len(item[0].parts), item[2])
    )  # what is above first, or it hides what is below
    for place, mode in (("/run", "0755"), ("/tmp", "1777")):
        _mount("tmpfs", place, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode}")
    places = PrivatePlaces(runtime=PRIVATE / "r", home=PRIVATE / "home")
    for folder in (places.runtime, places.home):
        folder.mkdir(parents=True, mode=0o700)
    for path, handle, write in held:
        if write or _hidden(path):
            path.mkdir(parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{handle}", str(path), None, _MS_BIND)
        os.close(handle)
    for name, wanted in _ACCOUNTS.items():
        _complete_accounts(name, wanted)
    _set_attributes("/", set_=_MOUNT_ATTR_RDONLY, flags=_AT_RECURSIVE)
    for place in ("/run", "/tmp", *(str(path) for path, _, write in held if write)):
        _set_attributes(place, clear=_MOUNT_ATTR_RDONLY)
    env["HOME"] = str(places.home)
    env["XDG_RUNTIME_DIR"] = str(places.runtime)
    env["TMPDIR"] = "/tmp"
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        env.pop(name, None)
    env["PATH"] = _with_sbin(env.get("PATH", ""))
    os.chdir("/")
    return places


def tap_name(index: int) -> str:
    """The tap of the machine number ``index``, from 0."""
    return f"tap{index}"


def network_script(taps: Sequence[str]) -> str:
    """The input of ``ip -batch -`` that makes loopback, bridge and taps; pure."""
    lines = [
        "link set lo up",
        f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"addr add {ADDRESS}/{PREFIX} dev {BRIDGE}",
        f"addr add {ADDRESS6}/64 dev {BRIDGE} nodad",
        f"link set {BRIDGE} up",
    ]
    for tap in taps:
        lines += [f"tuntap add dev {tap} mode tap", f"link set {tap} master {BRIDGE} up"]
    return "\n".join(lines) + "\n"


def lay_network(
    taps: Sequence[str], run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
) -> None:
    """Make the private network. Raises LabFault with what ``ip`` said."""
    done = run(["ip", "-batch", "-"], input=network_script(taps), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabFault(
            f"the private network could not be made: {done.stderr.strip()}",
            hint="/dev/net/tun must be usable; see 'osdlab doctor'",
        )


def traffic(text: str, interface: str) -> int:
    """Bytes an interface has passed to its other side, from the text of /proc/net/dev; 0 when not there."""
    for line in text.splitlines():
        name, colon, counters = line.partition(":")
        if colon and name.strip() == interface:
            return int(counters.split()[8])
    return 0


def completed(text: str, wanted: dict[str, str], kvm: str) -> str | None:
    """An account file with the accounts it lacks, or None when it lacks none; pure."""
    there = {line.partition(":")[0] for line in text.splitlines()}
    missing = [line.format(kvm=kvm) for name, line in wanted.items() if name not in there]
    if not missing:
        return None
    return "\n".join([*text.splitlines(), *missing]) + "\n"


def _complete_accounts(name: str, wanted: dict[str, str]) -> None:
    original = Path("/etc") / name
    text = original.read_text(encoding="utf-8")
    group = Path("/etc/group").read_text(encoding="utf-8")
    kvm = next((line.split(":")[2] for line in group.splitlines() if line.startswith("kvm:")), "64056")
    new = completed(text, wanted, kvm)
    if new is None:
        return
    copy = PRIVATE / name
    copy.write_text(new, encoding="utf-8")
    _mount(str(copy), str(original), None, _MS_BIND)


def _hidden(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in ("/run", "/tmp"))


def _with_sbin(path: str) -> str:
    parts = [part for part in path.split(":") if part]
    return ":".join([*parts, *(p for p in ("/usr/sbin", "/usr/bin", "/sbin", "/bin") if p not in parts)])


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    code = _libc().mount(
        _bytes(source), target.encode(), _bytes(kind), ctypes.c_ulong(flags), _bytes(options or None)
    )
    if code != 0:
        _refused(f"mounting on '{target}'")


def _set_attributes(path: str, *, set_: int = 0, clear: int = 0, flags: int = 0) -> None:
    attributes = _MountAttr(attr_set=set_, attr_clr=clear)
    code = _libc().syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), path.encode(), ctypes.c_uint(flags),
        ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)),
    )  # fmt: skip
    if code != 0:
        _refused(f"making the mounts of '{path}' {'read-only' if set_ else 'writable'}")


def _refused(what: str) -> None:
    number = ctypes.get_errno()
    raise LabFault(
        f"{what} in the lab's namespace was refused: {os.strerror(number)}",
        hint="the kernel must be 5.12 or newer and permit mounts in a user namespace; see 'osdlab doctor'",
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
