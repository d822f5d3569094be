"""The first sample, simulated and judged: green as it is, red with any of its expectations turned round."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.guest.doubles import Double
from lab.judge.evidence import Evidence, evidence
from lab.judge.judging import judge
from lab.judge.run_checks import check_failed_step
from lab.judge.verdict import Outcome, outcome
from lab.scenario.expectations import FailedStepExpected, expectations
from lab.scenario.loader import load_scenarios
from lab.scenario.schema import Scenario, machine_spec
from lab.sequence.model import TaskSequence
from lab.sequence.xmlformat import read_sequence
from lab.simulation.alone import simulate_alone
from lab.simulation.disks import Blob
from lab.simulation.reference import reference_image
from lab.simulation.run import simulate
from lab.simulation.site import SimContent
from lab.timeline import Timeline
from lab.yamlio import Place, parse_document
from tests.unit.sequence_world import command, reboot

SAMPLE = Path(__file__).parents[2] / "scenarios" / "bare-metal.yaml"
TEXT = SAMPLE.read_text(encoding="utf-8")


def _package(name: str, size: int, *images: object) -> SimContent:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return SimContent.listed([{"name": name, "size": size, "sha256": digest}], images=images)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> Evidence:
    (loaded,) = load_scenarios([SAMPLE])
    clock = VirtualClock()
    timeline = Timeline(clock)
    image = reference_image({"loader": Blob(9_000_000, "ab" * 32)})
    run = simulate(
        read_sequence(loaded.sequence_path.read_bytes(), str(loaded.sequence_path)),
        machine_spec(loaded.template, "PC-1", "52:54:00:11:22:33", "7b1f2f5e-1111-4222-8333-444455556666"),
        variables=dict(loaded.scenario.values),
        doubles=[Double.from_json(double.to_json()) for double in loaded.scenario.doubles],
        contents={
            "LAB00001": _package("reference.wim", 60_000_000, image),
            "LAB00002": _package("labpe-x64.efi", 45_000_000),
            "LAB00003": _package("client.zip", 100_000),
        },
        timeline=timeline,
        clock=clock,
    )  # fmt: skip
    assert run.fault is None
    return evidence(timeline.events, {"PC-1": run.final_state})


def judged(text: str, found: Evidence) -> tuple[Outcome, list[int]]:
    """The outcome, and the lines of the expectations that are not held."""
    verdicts = judge(expectations(parse_document(text, "s.yaml", Scenario)), found)
    return outcome(verdicts, found), [v.place.line for v in verdicts if v.status != "held"]


def test_it_is_green_as_it_is(found: Evidence) -> None:
    assert judged(TEXT, found) == (Outcome.PASSED, [])
    assert found.counts["doubled"] == 4 and found.counts["modelled"] > 10 and found.counts["real"] == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("result: success\n  code: 0\n", "code: 0\n  result: failed\n"),
        ("Partition Disk 0 - UEFI: success", "Partition Disk 0 - UEFI: failed"),
        ("Only for refreshed computers: skipped", "Only for refreshed computers: success"),
        ("code: 1605}", "code: 1606}"),
        ("at_least: 3", "at_least: 4"),
        ("OSDSetupWindows, count: 1", "OSDSetupWindows, count: 2"),
        ("Failed to run the last action", "Process completed"),
        ("Successfully installed the client, after", "Installing setup hook, after"),
        ("DeploymentState: complete", "DeploymentState: done"),
        ("NeverSet: null", "_SMSTSMachineName: null"),
        ("content: LAB00003, status: 200", "content: LAB00003, status: 404"),
        ("style: GPT", "style: MBR"),
        ("type: MSR, size: 128", "type: MSR, size: 16"),
        ("label: Windows", "label: OSDisk"),
        ("path: EFI:\\EFI\\Microsoft\\Boot\\bootmgfw.efi", "path: C:\\Windows\\Boot\\EFI\\bootmgfw.efi"),
        ("C:\\lab-pe.txt: absent", "C:\\lab-pe.txt: exists"),
        ("contains: in the new system", "contains: in the old system"),
        ("C:\\_SMSTaskSequence\\: absent", "C:\\_SMSTaskSequence\\: exists"),
        ("Hostname: LAB-PC1", "Hostname: PC-1"),
        ("SetupType: 0", "SetupType: 2"),
        ('CmdLine: ""', "CmdLine: null"),
    ],
)
def test_an_expectation_turned_round_is_red_at_its_own_line(right: str, wrong: str, found: Evidence) -> None:
    assert TEXT.count(right) == 1
    changed = TEXT.replace(right, wrong)
    line = TEXT[: TEXT.index(right)].count("\n") + 1
    line += right.startswith("result:")  # two keys changed places
    line -= right.startswith("path:")  # the place is that of the key above
    assert judged(changed, found) == (Outcome.FAILED, [line])


def test_a_restart_that_cannot_be_made_has_its_reason_as_the_cause() -> None:
    """The step that asked for it has succeeded, and a failure that the sequence survived is not to blame."""
    (loaded,) = load_scenarios([SAMPLE])
    spec = machine_spec(loaded.template, "PC-1", "52:54:00:11:22:33", "7b1f2f5e-1111-4222-8333-444455556666")
    survived = command("Survived", continue_on_error=True)
    sequence = TaskSequence("Test", children=(survived, reboot("HD")))
    alone = simulate_alone(sequence, spec, start="pxe", fails={0: 5}, records=True)
    seen = evidence(alone.events, {"PC-1": alone.run.final_state})
    item = FailedStepExpected(Place("test", 1, 1), "Another")
    verdict = check_failed_step(item, seen)
    said = [cause.text for cause in verdict.causes]
    assert verdict.status == "falsified" and alone.failed_step == "Restart"
    assert "There is no formatted volume" in said[0] and not any("Survived" in text for text in said)
