"""Every kind of partition, really made and read back, and the simulator held against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.run.compare import run_differences, run_fingerprint
from tests.vm.conftest import ROOT, osdlab_run

pytestmark = [pytest.mark.vm, pytest.mark.matrix]


def test_two_disks_with_every_kind_of_partition(tmp_path: Path) -> None:
    scenario = ROOT / "scenarios" / "partitions-bios.yaml"
    real = osdlab_run(tmp_path / "vm", scenario)
    assert real.code == 0, real.out + real.err
    modelled = osdlab_run(tmp_path / "sim", scenario, "--fidelity", "sim")
    assert modelled.code == 0, modelled.out + modelled.err
    found = run_fingerprint(real.folder)
    assert [found[f"disk/0/partition/{number}/type"] for number in (3, 5, 6, 7)] == [
        "Extended",
        *["Logical"] * 3,
    ]
    assert [str(item) for item in run_differences(real.folder, modelled.folder)] == []
