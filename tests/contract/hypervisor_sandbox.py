"""Runs pytest on a module inside the namespaces the embedded hypervisor needs, and reports what came of it.

The child has its own network, PID and mount namespaces (and user namespace, unless root calls), an init that
reaps, a private /run, and an account ``libvirt-qemu``. When this process ends, all of it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]

#: Runs as root of the namespaces: $1 is a private folder, the rest the command.
_PREPARE = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/user/0
for file in passwd group; do cp /etc/$file "$1/$file"; done
getent passwd libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >> "$1/passwd"
getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >> "$1/group"
getent group kvm >/dev/null || echo 'kvm:x:64054:' >> "$1/group"
for file in passwd group; do mount --bind "$1/$file" /etc/$file; done
export XDG_RUNTIME_DIR=/run/user/0
shift
exec "$@"
"""


@dataclass(frozen=True)
class InnerRun:
    """What a pytest inside said. ``tests``: how many ran (skipped ones included)."""

    code: int
    tests: int
    skipped: int
    output: str


def run_inside(module: Path, work: Path, arguments: Sequence[str] = (), *, seconds: float = 1200) -> InnerRun:
    """Run ``pytest module arguments`` inside; ``work`` holds its files. Kills it after ``seconds``."""
    work.mkdir(parents=True, exist_ok=True)
    report = work / "report.xml"
    mapping = [] if os.geteuid() == 0 else ["--map-root-user", "--map-auto"]
    command = [
        "setpriv", "--pdeathsig", "KILL",
        "unshare", *mapping, "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc",
        "tini", "-s", "--", "sh", "-c", _PREPARE, "sh", str(work),
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
        "--basetemp", str(work / "tmp"), f"--junitxml={report}", str(module), *arguments,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"pytest inside did not end in {seconds:.0f} s: {error.output!r}") from error
    suites = ET.parse(report).getroot().iter("testsuite") if report.exists() else []
    counts = [(int(suite.get("tests", "0")), int(suite.get("skipped", "0"))) for suite in suites]
    return InnerRun(
        done.returncode,
        sum(tests for tests, _ in counts),
        sum(skipped for _, skipped in counts),
        done.stdout + done.stderr,
    )


def must_pass(run: InnerRun, *, at_least: int) -> None:
    """Raises AssertionError with the child's output unless ``at_least`` tests ran and all of them passed."""
    assert run.code == 0, f"pytest inside ended with {run.code}\n{run.output}"
    assert run.tests - run.skipped >= at_least, (
        f"only {run.tests} tests ({run.skipped} skipped)\n{run.output}"
    )
