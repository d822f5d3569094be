"""From PXE to a verdict on a real virtual machine, and the simulator held against it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.run.compare import run_differences, run_fingerprint
from lab.run.front import run_scenario
from lab.scenario.loader import load_scenarios
from lab.sequence import effects
from lab.sequence.effects import Outcome
from lab.settings import Settings
from lab.simulation.bench import Bench
from lab.simulation.performer import LOADER_PLACES, ModelPerformer
from lab.timeline import read_timeline
from tests.smsts_log import records
from tests.vm.conftest import SAMPLE, Done, osdlab_run

pytestmark = pytest.mark.vm


def test_the_sample_passes_on_a_real_machine(sample_on_vm: Done) -> None:
    assert sample_on_vm.code == 0, sample_on_vm.out + sample_on_vm.err
    assert "PASSED" in sample_on_vm.out
    record = json.loads((sample_on_vm.folder / "run.json").read_text())
    assert record["outcome"] == "PASSED"
    assert record["counts"]["real"] >= 15
    assert record["counts"]["modelled"] == 0


def test_the_timeline_has_every_source_and_no_gap(sample_on_vm: Done) -> None:
    events = list(read_timeline(sample_on_vm.folder / "timeline.jsonl"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    seen = {event.source for event in events}
    assert seen >= {
        "lab",
        "hypervisor",
        "console",
        "dhcp",
        "tftp",
        "http",
        "agent",
        "engine",
        "smsts",
        "screen",
    }
    phases = [event.phase for event in events if event.machine]
    for phase in ("firmware", "dhcp", "boot-file", "pe-kernel", "pe-hello", "step", "restart", "disk-boot",
                  "os-hello", "finished"):  # fmt: skip
        assert phase in phases, phase


def test_it_booted_by_pxe_and_by_nothing_else(sample_on_vm: Done) -> None:
    machine = ElementTree.fromstring((sample_on_vm.folder / "PC-1" / "domain.xml").read_text())
    assert machine.find("os/kernel") is None
    assert machine.find("os/initrd") is None
    memory = machine.find("memory")
    assert memory is not None and int(memory.text or 0) <= 768 * 1024
    events = list(read_timeline(sample_on_vm.folder / "timeline.jsonl"))
    fetched = [event.data["path"] for event in events if event.source == "http"]
    assert any(path.startswith("/boot/labpe-x64.efi") for path in fetched)
    assert any(path.startswith("/content/LAB00001/") for path in fetched)


def test_the_log_came_to_the_host_as_the_machine_wrote_it(sample_on_vm: Done) -> None:
    streamed = records((sample_on_vm.folder / "PC-1" / "smsts.log").read_bytes())
    told = [
        event
        for event in read_timeline(sample_on_vm.folder / "timeline.jsonl")
        if event.source == "smsts" and event.kind == "record"
    ]
    assert len(streamed) == len(told) > 200
    assert any(record.component == "OSDDiskPart" for record in streamed)


def test_simulator_and_machine_leave_the_same_behind(sample_on_vm: Done, sample_in_sim: Done) -> None:
    assert sample_in_sim.code == 0, sample_in_sim.out + sample_in_sim.err
    assert len(run_fingerprint(sample_on_vm.folder)) > 200
    assert [str(item) for item in run_differences(sample_on_vm.folder, sample_in_sim.folder)] == []


def _clean_up_leaves_the_data_path(performer: ModelPerformer, effect: effects.CleanUp) -> Outcome:
    return Outcome(how="modelled")


def _forgets_the_fallback_loader(performer: ModelPerformer, effect: effects.InstallBootFiles) -> Outcome:
    outcome = INSTALL_BOOT_FILES(performer, effect)
    system = performer._machine.system_partition(effect.volume)
    assert system is not None
    system.files.remove(LOADER_PLACES[1])
    return outcome


def _mislabels(performer: ModelPerformer, effect: effects.PartitionDisk) -> Outcome:
    wrong = tuple(replace(item, label=item.label.lower()) for item in effect.partitions)
    return PARTITION(performer, replace(effect, partitions=wrong))


def _sets_no_registry(performer: ModelPerformer, effect: effects.SetRegistry) -> Outcome:
    return Outcome(how="modelled")


def _writes_another_line_ending(bench: Bench, path: str, text: str) -> tuple[int, str]:
    return WRITE(bench, path, text.replace("\r\n", "\n"))


INSTALL_BOOT_FILES = ModelPerformer._install_boot_files
PARTITION = ModelPerformer._partition
WRITE = Bench.write


@pytest.mark.parametrize(
    ("part", "method", "bug"),
    [
        (ModelPerformer, "_clean_up", _clean_up_leaves_the_data_path),
        (ModelPerformer, "_install_boot_files", _forgets_the_fallback_loader),
        (ModelPerformer, "_partition", _mislabels),
        (ModelPerformer, "_set_registry", _sets_no_registry),
        (Bench, "write", _writes_another_line_ending),
    ],
)
def test_a_bug_planted_in_one_performer_turns_the_comparison_red(
    sample_on_vm: Done,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: type,
    method: str,
    bug: Callable[..., Any],
) -> None:
    monkeypatch.setattr(part, method, bug)
    settings = replace(Settings.from_environment(), reports=tmp_path)
    (loaded,) = load_scenarios([SAMPLE])
    record = run_scenario(loaded, settings, fidelity="sim")
    assert record.outcome is not None
    assert run_differences(sample_on_vm.folder, (tmp_path / "latest").resolve()) != []


def test_a_wrong_expectation_is_falsified_with_evidence_and_place(
    sample_in_sim: Done, tmp_path: Path
) -> None:
    text = SAMPLE.read_text().replace("label: Windows}", "label: Fenster}")
    assert text != SAMPLE.read_text()
    scenario = tmp_path / "wrong.yaml"
    scenario.write_text(
        text.replace("sequence: bare-metal.xml", f"sequence: {SAMPLE.parent}/sequences/bare-metal.xml")
    )
    done = osdlab_run(tmp_path / "reports", scenario, "--fidelity", "sim")
    assert done.code == 1
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "Fenster" in line)
    assert "FAILED" in done.out
    assert "Fenster" in done.out and "Windows" in done.out
    assert f"wrong.yaml:{line}" in done.out


def test_a_missing_image_is_an_error_of_the_lab(tmp_path: Path) -> None:
    text = SAMPLE.read_text().replace(
        "sequence: bare-metal.xml", f"sequence: {SAMPLE.parent}/sequences/bare-metal.xml"
    )
    scenario = tmp_path / "missing.yaml"
    scenario.write_text(text + "\ncontent:\n  LAB00001: no-such-image.wim\n")
    done = osdlab_run(tmp_path / "reports", scenario)
    assert done.code == 4, done.out + done.err
    assert "ERROR" in done.out + done.err
    assert "LAB00001" in done.out + done.err
