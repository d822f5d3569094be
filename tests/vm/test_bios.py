"""BIOS machines: the same sequences from PXE to a verdict, and the simulator held against them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.run.compare import run_differences, run_fingerprint
from lab.timeline import read_timeline
from tests.vm.conftest import ROOT, osdlab_run

pytestmark = [pytest.mark.vm(takes="7m"), pytest.mark.matrix]


@pytest.mark.parametrize("name", ["bare-metal-bios", "restart-to-pe-bios"])
def test_a_bios_machine_passes_and_the_simulator_tells_the_same(name: str, tmp_path: Path) -> None:
    scenario = ROOT / "scenarios" / f"{name}.yaml"
    real = osdlab_run(tmp_path / "vm", scenario)
    assert real.code == 0, real.out + real.err
    events = list(read_timeline(real.folder / "timeline.jsonl"))
    assert not [event for event in events if event.kind == "unexpected-reset"]
    loaders = [event for event in events if event.source == "console" and "SYSLINUX" in event.data["text"]]
    assert len(loaders) == sum(event.kind == "restart" for event in events) > 0, "each restart from the disk"
    modelled = osdlab_run(tmp_path / "sim", scenario, "--fidelity", "sim")
    assert modelled.code == 0, modelled.out + modelled.err
    assert len(run_fingerprint(real.folder)) > 60
    assert [str(item) for item in run_differences(real.folder, modelled.folder)] == []
