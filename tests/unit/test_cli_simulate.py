"""``osdlab sequence simulate``: an export alone, to its end."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from lab.cli import guarded, osdlab
from lab.scenario.machines import identity
from lab.scenario.schema import Template, machine_spec
from lab.sequence import xmlwrite
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.nested import expand
from lab.sequence.xmlbuild import document_of
from lab.simulation.alone import Start, simulate_alone
from lab.site.exports import ExportFile, read_file
from lab.yamlio import load_model
from tests.unit.sequence_world import command, fields, group, reboot, set_variable, when

ROOT = Path(__file__).parents[2]


class Told:
    def __init__(self, capsys: pytest.CaptureFixture[str], *words: object) -> None:
        arguments = ["sequence", "simulate", *map(str, words), "--json"]
        self.code = guarded(lambda: osdlab.main(arguments, standalone_mode=False))
        captured = capsys.readouterr()
        self.err = captured.err
        self.data: dict[str, Any] = json.loads(captured.out) if self.code == 0 else {}

    @property
    def trace(self) -> list[tuple[str, str, int | None]]:
        return [(entry["name"], entry["status"], entry["code"]) for entry in self.data["trace"]]


def written(folder: Path, *children: Group | Step, name: str = "Test", package: str = "LAB00009") -> Path:
    path = folder / f"{package}.xml"
    made = TaskSequence(name, children=children, package_id=package)
    path.write_bytes(xmlwrite.write_document(document_of(made)))
    return path


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSDLAB_REPORTS", str(tmp_path / "reports"))


def handled() -> tuple[Group, ...]:
    return (
        group("Work", command("One"), command("Two"), command("Three"), continue_on_error=True),
        group("Handler", command("Mend"), condition=when("_SMSTSLastActionSucceeded", "equals", "false")),
        group("Off", command("Never"), disabled=True),
    )


def test_the_trace_is_what_was_reached_in_running_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(capsys, written(tmp_path, *handled()), "--fail", "Two=5")
    assert told.data["result"] == "success"
    assert told.trace == [
        ("Work", "failed", None), ("One", "succeeded", 0), ("Two", "failed", 5),
        ("Handler", "succeeded", None), ("Mend", "succeeded", 0),
        ("Off", "disabled", None),
    ]  # fmt: skip
    assert [entry["kind"] for entry in told.data["trace"]] == [
        "group", "step", "step", "group", "step", "group",
    ]  # fmt: skip
    assert told.data["trace"][0]["continued"]
    assert [need["step"] for need in told.data["needs"]] == ["One", "Mend"]


def test_a_failed_simulation_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, written(tmp_path, command("One"), command("Two")), "--fail", "One=-2147024894")
    assert (told.code, told.data["result"], told.data["failed_step"]) == (0, "failed", "One")
    assert told.data["code"] == 0x80004005 and told.data["step_code"] == 0x80070002
    assert told.trace == [("One", "failed", 0x80070002)]


def test_a_step_is_named_by_its_groups_where_names_are_not_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, group("A", command("Do"), continue_on_error=True), group("B", command("Do")))
    one = Told(capsys, path, "--fail", "b/do=7")
    assert [code for name, _, code in one.trace if name == "Do"] == [0, 7]
    both = Told(capsys, path, "--fail", "Do=7")
    assert [code for name, _, code in both.trace if name == "Do"] == [7, 7]
    assert Told(capsys, path, "--fail", "Dou=7").code == 2


def test_variables_decide_and_what_nothing_set_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, command("If", condition=when("Phase", "equals", "two")))
    without = Told(capsys, path)
    assert without.trace == [("If", "skipped", None)]
    assert without.data["warnings"] == [
        "1 item was skipped by conditions on Phase, which nothing set: --set Phase=…"
    ]
    assert Told(capsys, path, "--set", "phase=two").trace == [("If", "succeeded", 0)]
    refused = Told(capsys, path, "--set", "_SMSTSInWinPE=false")
    assert refused.code == 2 and "--start" in refused.err


def test_a_sequence_begins_where_it_makes_sense_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, command("Here", run_in="FullOS"), reboot("HD"), command("After"))
    told = Told(capsys, path)
    assert told.data["start"] == {
        "environment": "full-os",
        "why": "no step lays down a disk or a system",
    }
    assert (told.data["result"], told.data["restarts"]) == ("success", 1)
    pe = Told(capsys, path, "--start", "pxe")
    assert pe.trace == [("Here", "failed", 0x80070032)]
    assert Told(capsys, ROOT / "scenarios/sequences/bare-metal.xml").data["start"]["environment"] == "pxe"


@pytest.mark.parametrize("template", ["uefi-x64", "bios-x64"])
def test_an_installed_system_restarts_into_windows_pe(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, reboot("WinPE", "To PE"), command("There", run_in="WinPE"))
    there = Told(capsys, path, "--template", template, "--start", "full-os")
    assert (there.data["result"], there.data["restarts"]) == ("success", 1)


def test_doubles_answer_and_strict_assumes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, set_variable("A", "1"), command("One"), command("Two"))
    doubles = tmp_path / "doubles.yaml"
    doubles.write_text("doubles:\n  - {command: one, exit: 3, sets: {B: '2'}}\n")
    told = Told(capsys, path, "--doubles", doubles)
    assert told.trace[-1] == ("One", "failed", 3)
    strict = Told(capsys, path, "--strict")
    assert (strict.code, strict.data["result"]) == (0, "needs-doubles")
    assert strict.trace == [("Set A", "succeeded", 0)]
    assert [need["pattern"] for need in strict.data["needs"]] == ["One", "Two"]
    doubles.write_text("doubles:\n  - {comand: one}\n")
    wrong = Told(capsys, path, "--doubles", doubles)
    assert wrong.code == 3 and "doubles.yaml:2:" in wrong.err


def test_an_unknown_step_type_is_told_and_assumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, written(tmp_path, Step("Vendor_Step", "Odd", action="vendor.exe")))
    assert told.trace == [("Odd", "succeeded", 0)]
    assert told.data["needs"] == [{"kind": "step", "step": "Odd", "shown": "Vendor_Step", "pattern": "Odd"}]
    assert "Vendor_Step" in told.data["warnings"][0]


@pytest.mark.rule("R30", shown="sim")
@pytest.mark.parametrize("beginning", ["install-image", "build-and-capture", "custom"])
def test_a_new_sequence_is_an_export_that_runs(
    beginning: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.xml"
    words = ["--destination", r"\\server\share\a.wim"] if beginning == "build-and-capture" else []
    words = ["sequence", "new", "--from", beginning, "--name", "Mine", *words, "-o", str(path)]
    assert guarded(lambda: osdlab.main(words, standalone_mode=False)) == 0
    told = Told(capsys, path)
    assert (told.data["result"], told.data["sequence"]["name"]) == ("success", "Mine")
    assert bool(told.trace) == (beginning != "custom")


def test_bad_input_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.xml"
    path.write_text("<sequence version='3.10'>\n <step name='a'\n</sequence>")
    told = Told(capsys, path)
    assert told.code == 3 and "x.xml:3:1" in told.err


@functools.cache
def field() -> list[ExportFile]:
    """Exports of other people, read where they are and never copied."""
    for checkout in (ROOT.resolve(), (ROOT / ".venv").resolve().parent):
        folder = checkout.parent / "shared" / "field" / "sequences"
        if folder.is_dir():
            files = sorted(path for path in folder.iterdir() if path.suffix in (".xml", ".zip"))
            return [read_file(path) for path in files]
    return []


@pytest.mark.parametrize("template", ["uefi-x64", "bios-x64"])
@pytest.mark.parametrize("start", [None, "pxe", "full-os"])
def test_every_real_sequence_comes_to_an_end(template: str, start: Start | None) -> None:
    if not field():
        pytest.skip("there is no '../shared/field/sequences' beside this checkout")
    hardware = load_model(ROOT / "vm-templates" / f"{template}.yaml", Template)
    spec = machine_spec(hardware, "PC-1", *identity("field"))
    for read in field():
        for _, found in read.found:
            others = {one.sequence.package_id: one.sequence for _, one in read.found if one is not found}
            alone = simulate_alone(expand(found.sequence, others), spec, start=start)
            top = [entry for entry in alone.trace if entry.depth == 0 and not entry.continued]
            if alone.result == "success":
                assert not [entry for entry in top if entry.status == "failed"], read.path
            else:
                assert alone.failed_step or alone.reason, read.path


def test_a_failure_says_what_the_log_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, written(tmp_path, reboot("HD")), "--start", "pxe")
    assert (told.data["failed_step"], told.data["step_code"]) == ("Restart", 0x80004005)
    assert told.data["reason"] == "There is no formatted volume on a local disk to restart from"


def test_a_script_of_a_package_is_there_however_its_path_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"OSDRunPowerShellScriptPackageID": "LAB00042", "OSDRunPowerShellScriptExecutionPolicy": "Bypass"}
    steps = [
        Step("SMS_TaskSequence_RunPowerShellScriptAction", name, action="OSDRunPowerShellScript.exe",
             variables=fields(**named, OSDRunPowerShellScriptScriptName=name))
        for name in ("One.ps1", "Scripts/Two.ps1", r".\Scripts\Three.ps1")
    ]  # fmt: skip
    told = Told(capsys, written(tmp_path, *steps))
    assert [status for _, status, _ in told.trace] == ["succeeded"] * 3
