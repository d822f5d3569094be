"""The accelerator probe: which of KVM and TCG is faster here, measured with a guest, not assumed.

/dev/kvm can exist, open, create a machine and even run a few instructions, and still be useless (a host that
emulates it), so a small firmware image runs a counting loop under each accelerator against a deadline. It
reports progress as it goes, so that an accelerator too slow to finish still gets a measured rate.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lab.clock import Clock, Deadline, SystemClock
from lab.files import write_whole
from lab.hypervisor.errors import HypervisorError

#: The host that phase limits were written on, and its loop iterations per second.
REFERENCE_HOST = "a 2-core cloud machine without KVM, QEMU 7.2 under TCG"
REFERENCE_RATE = 150e6

#: One report per INNER iterations: 25 a second at the slowest KVM seen (250 000 iterations per second).
INNER = 10_000
BLOCKS = 20_000
#: Seconds until a guest must have reported at all, and seconds of reports that are enough.
FIRST_REPORT = 10.0
ENOUGH = 1.2

#: Where Linux tells one boot of the host from the next.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_FORMAT = 1


@dataclass(frozen=True)
class Accelerator:
    """The choice and why. ``reason`` reads after the name: "TCG (KVM unusable here: 210 times slower)".

    ``factor``: how many times slower than REFERENCE_HOST the chosen one is, at least 1; limits scale with it.
    ``measured``: loop iterations per second by accelerator ("kvm", "tcg"; 0 when it never got going),
    "reference", and the QEMU version.
    """

    choice: Literal["kvm", "tcg"]
    reason: str
    factor: float
    measured: dict[str, Any] = field(default_factory=dict)


def firmware_image(blocks: int = BLOCKS, inner: int = INNER) -> bytes:
    """A 64 KiB firmware image: counts ``inner`` down ``blocks`` times, writes a dot to port 0xE9 after each,
    then 0x10 to isa-debug-exit at port 0x1F4, which ends QEMU with code 33."""
    code = bytearray(b"\xfa")  # cli
    code += b"\x66\xbb" + struct.pack("<I", blocks)  # mov ebx, blocks
    outer = len(code)
    code += b"\x66\xb9" + struct.pack("<I", inner)  # mov ecx, inner
    code += b"\x66\x49\x75\xfc"  # dec ecx; jnz back to dec
    code += b"\xb0\x2e\xe6\xe9"  # mov al, '.'; out 0xE9, al
    code += b"\x66\x4b"  # dec ebx
    code += b"\x75" + struct.pack("b", outer - len(code) - 2)  # jnz outer
    code += b"\xb0\x10\xba\xf4\x01\xee"  # mov al, 0x10; mov dx, 0x1F4; out dx, al
    code += b"\xf4\xeb\xfd"  # hlt for ever, should there be no such port
    image = bytearray(0x10000)
    image[: len(code)] = code
    image[0xFFF0:0xFFF5] = b"\xea\x00\x00\x00\xf0"  # reset vector: jmp F000:0000
    return bytes(image)


def rate(accelerator: str, *, qemu: str, clock: Clock) -> float:
    """Loop iterations per second of a guest under ``accelerator``; 0.0 when it never reported.

    Takes at most FIRST_REPORT + ENOUGH seconds. Raises HypervisorError when QEMU cannot be started.
    """
    image = os.memfd_create("loop")  # no file: nothing is left behind should the probe be killed
    try:
        os.write(image, firmware_image())
        # A guest under a useless KVM would count on for a quarter of an hour should the probe be killed.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [
            *guard, qemu, "-accel", accelerator, "-machine", "pc", "-m", "1",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-bios", f"/proc/self/fd/{image}",
            "-device", "isa-debug-exit,iobase=0x1f4,iosize=1",
            "-chardev", "stdio,id=dots", "-device", "isa-debugcon,iobase=0xe9,chardev=dots",
        ]  # fmt: skip
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[image],
            )
        except OSError as error:
            raise _no_qemu(qemu, error) from error
        try:
            assert process.stdout is not None
            return _read_rate(process.stdout.fileno(), clock)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
    finally:
        os.close(image)


def _read_rate(output: int, clock: Clock) -> float:
    """Count dots from the first read on, so that QEMU's own start is left out."""
    deadline = Deadline(FIRST_REPORT, clock)
    first = last = 0.0
    dots = 0
    started = False
    while not deadline.passed():
        if not select.select([output], [], [], deadline.left())[0]:
            continue
        data = os.read(output, 65536)
        if not data:
            break
        last = clock.now()
        if not started:
            started, first = True, last
            deadline = Deadline(ENOUGH, clock)
        else:
            dots += len(data)
    return dots * INNER / (last - first) if last > first else 0.0


def qemu_version(qemu: str) -> str:
    """First line of ``qemu --version``. Raises HypervisorError when it cannot be run."""
    try:
        done = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_qemu(qemu, error) from error
    return done.stdout.splitlines()[0].strip()


def kvm_access(device: Path) -> str:
    """ "" when the KVM device opens, else why it does not."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"no {device}"
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    return ""


def probe(
    cache: Path,
    boot_id: str = "",
    *,
    qemu: str = "qemu-system-x86_64",
    device: Path = Path("/dev/kvm"),
    clock: Clock | None = None,
    measure: Callable[[str], float] | None = None,
    version: str | None = None,
) -> Accelerator:
    """Choose the accelerator; at most about 23 seconds (3 where both run), milliseconds when remembered.

    ``cache``: the lab's cache folder; the answer stands in ``accelerator.json`` there and holds for one
    ``boot_id`` (of the running host, unless given), one QEMU version and one kind of access to ``device``.
    ``measure`` and ``version`` replace the real measurement (a guest under QEMU) and ``qemu --version``.
    Raises HypervisorError when QEMU is missing or its guest runs under neither.
    """
    real_clock = clock or SystemClock()
    version = version or qemu_version(qemu)
    measure = measure or (lambda name: rate(name, qemu=qemu, clock=real_clock))
    boot_id = boot_id or BOOT_ID.read_text(encoding="ascii").strip()
    access = kvm_access(device)
    key = {"format": _FORMAT, "boot_id": boot_id, "qemu": version, "access": access}
    file = cache / "accelerator.json"
    known = _remembered(file, key)
    if known is not None:
        return known
    measured = {"tcg": measure("tcg"), "kvm": 0.0 if access else measure("kvm")}
    found = choose(measured["tcg"], measured["kvm"], access, version)
    cache.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps({"key": key, "accelerator": asdict(found)}, indent=1))
    return found


def choose(tcg: float, kvm: float, access: str, version: str) -> Accelerator:
    """The verdict over two rates (iterations per second) and ``access`` ("" or why KVM was not tried)."""
    if max(tcg, kvm) <= 0:
        raise HypervisorError(
            "QEMU runs no guest here, neither under KVM nor under TCG", hint="run 'osdlab doctor'"
        )
    if kvm > tcg:
        choice: Literal["kvm", "tcg"] = "kvm"
        reason = f"{_times(kvm / tcg)} times faster than TCG" if tcg else "TCG runs no guest here"
    else:
        choice = "tcg"
        if access:
            reason = access
        elif kvm:
            reason = f"KVM unusable here: {_times(tcg / kvm)} times slower"
        else:
            reason = f"KVM unusable here: no progress in {FIRST_REPORT:.0f} s"
    factor = max(1.0, REFERENCE_RATE / max(tcg, kvm))
    measured = {
        "tcg": round(tcg), "kvm": round(kvm), "reference": round(REFERENCE_RATE),
        "reference_host": REFERENCE_HOST, "qemu": version,
    }  # fmt: skip
    return Accelerator(choice, reason, round(factor, 2), measured)


def _remembered(file: Path, key: dict[str, Any]) -> Accelerator | None:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return Accelerator(**stored["accelerator"]) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, or not ours to trust: measure again


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _no_qemu(qemu: str, error: Exception) -> HypervisorError:
    return HypervisorError(f"cannot run '{qemu}': {error}", hint="install the package qemu-system-x86")
