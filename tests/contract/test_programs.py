"""Programs of a build have a deadline, and leave nothing behind; a disk that is really full is an ERROR."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.clock import SystemClock, wait_until
from lab.errors import PhaseTimeout
from lab.pe.programs import run

ROOT = Path(__file__).parents[2]


def test_a_program_that_never_ends_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"echo starting >&2; sleep 3600 & echo $! > {pid}; wait"
    for seconds in (1, 10, 100):  # a busy host may not come to the start of it in the first
        with pytest.raises(PhaseTimeout) as caught:
            run(["sh", "-c", script], what="testing", seconds=seconds)
        if pid.exists() and pid.read_text():
            break
    assert f"waited {seconds} s for testing: sh to end; last seen: starting" in str(caught.value)
    grandchild = Path("/proc") / pid.read_text().strip() / "stat"

    def gone() -> bool:
        try:
            return grandchild.read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_until(gone, waited_for="its child to be gone", seconds=120, clock=SystemClock())


def test_a_program_gets_its_input_and_gives_its_output() -> None:
    assert run(["sh", "-c", "cat; echo unheard >&2"], what="testing", text_in="abc\n", seconds=120) == "abc\n"


@pytest.mark.parametrize("blocks", [4, 24])
def test_a_disk_that_fills_up_during_a_run_is_an_error_that_names_it(tmp_path: Path, blocks: int) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    osdlab = f'{sys.executable} -c "from lab.cli import main; main()"'
    script = (
        f"mount -t tmpfs -o size={blocks * 4}k none {reports} && "
        f"exec {osdlab} run scenarios/bare-metal.yaml --fidelity sim"
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OSDLAB_REPORTS": str(reports)},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the disk is full" in done.stderr and str(reports) in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
