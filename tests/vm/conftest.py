"""One real run of the sample scenario, shared by the tests that look at it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OSDLAB = Path(sys.executable).parent / "osdlab"
SAMPLE = ROOT / "scenarios" / "bare-metal.yaml"


@dataclass(frozen=True)
class Done:
    """A finished ``osdlab run``: exit code, both outputs, and the run's folder."""

    code: int
    out: str
    err: str
    folder: Path


def osdlab_run(reports: Path, *arguments: str | Path) -> Done:
    done = subprocess.run(
        [OSDLAB, "run", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OSDLAB_REPORTS": str(reports)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, (reports / "latest").resolve())


@pytest.fixture(scope="session")
def sample_on_vm(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The sample scenario on a real virtual machine, disks kept."""
    return osdlab_run(tmp_path_factory.mktemp("vm"), SAMPLE, "--keep", "always")


@pytest.fixture(scope="session")
def sample_in_sim(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The same scenario in the simulator."""
    return osdlab_run(tmp_path_factory.mktemp("sim"), SAMPLE, "--fidelity", "sim")
