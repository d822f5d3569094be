"""kill -9 of the front, of the lab process, of all: with a real machine running, nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab.clock import SystemClock, wait_until
from lab.timeline import Event, read_timeline
from tests.vm.conftest import OSDLAB, ROOT, SAMPLE

pytestmark = pytest.mark.vm


def processes() -> dict[int, tuple[int, str]]:
    """Process id -> (parent's, command line); what is dead and only not reaped yet does not count."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "status").read_text()
            words = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if "\nState:\tZ" in status:
            continue
        found[int(entry.name)] = (int(status.split("PPid:")[1].split()[0]), words)
    return found


def below(parent: int) -> dict[int, str]:
    """All that descends from a process: id -> command line."""
    everything = processes()
    family: dict[int, str] = {}
    grown = True
    while grown:
        new = {
            pid: words
            for pid, (above, words) in everything.items()
            if (above == parent or above in family) and pid not in family
        }
        family |= new
        grown = bool(new)
    return family


def events(reports: Path) -> list[Event]:
    path = reports / "latest" / "timeline.jsonl"
    return list(read_timeline(path)) if path.exists() else []


def mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ", 3)[3] for line in lines]


@pytest.mark.parametrize(("victim", "moment"), [("front", "firmware"), ("lab", "dhcp"), ("all", "step")])
def test_nothing_is_left(tmp_path: Path, victim: str, moment: str) -> None:
    before, reports = mounts(), tmp_path / "reports"
    temporary = tmp_path / "tmp"  # /tmp has files of other tests that run at the same time
    temporary.mkdir()
    front = subprocess.Popen(
        [OSDLAB, "run", SAMPLE],
        cwd=ROOT,
        env={**os.environ, "OSDLAB_REPORTS": str(reports), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: any(event.phase == moment for event in events(reports)),
            waited_for=f"the machine to come to phase {moment}",
            seconds=900,
            clock=SystemClock(),
            every=0.2,
            last_seen=lambda: str(events(reports)[-1:]) + f" front: {front.poll()}",
        )
        family = below(front.pid)
        assert any("qemu-system" in words for words in family.values()), family
        lab = next(pid for pid, words in family.items() if "lab.run.process" in words and "tini" not in words)
        space = os.readlink(f"/proc/{lab}/ns/net")
        seen = len(events(reports))
        targets = {"front": [front.pid], "lab": [lab], "all": [front.pid, *family]}[victim]
        for pid in targets:
            # The one before may have taken it along already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        front.wait(300)
        wait_until(
            lambda: not set(family) & set(processes()),
            waited_for="every process of the run to be gone",
            seconds=120,
            clock=SystemClock(),
            last_seen=lambda: str({pid: family[pid][:80] for pid in set(family) & set(processes())}),
        )
    finally:
        if front.poll() is None:
            front.kill()
    left = []
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            left += [str(entry)] if os.readlink(entry) == space else []
        except OSError:
            continue
    assert left == []
    assert mounts() == before
    assert list(temporary.iterdir()) == []
    told = events(reports)
    assert len(told) >= seen
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    if victim == "lab":
        assert front.returncode == 4
