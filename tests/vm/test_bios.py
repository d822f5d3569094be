"""BIOS machines start from their own disk. That the simulator tells the same is shown by the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.timeline import read_timeline
from tests.vm.conftest import ROOT, osdlab_run

pytestmark = [pytest.mark.vm(takes="1m 30s"), pytest.mark.matrix]


def test_each_restart_of_a_bios_machine_is_announced_and_comes_from_its_disk(tmp_path: Path) -> None:
    real = osdlab_run(tmp_path, ROOT / "scenarios" / "restart-to-pe-bios.yaml")
    assert real.code == 0, real.out + real.err
    events = list(read_timeline(real.folder / "timeline.jsonl"))
    assert not [event for event in events if event.kind == "unexpected-reset"]
    loaders = [event for event in events if event.source == "console" and "SYSLINUX" in event.data["text"]]
    assert len(loaders) == sum(event.kind == "restart" for event in events) > 0
