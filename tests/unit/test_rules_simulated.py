"""Rules of a task sequence, each shown by whole sequences that run in the simulator to their end."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.guest.doubles import Double
from lab.hypervisor.protocol import MachineSpec
from lab.scenario.machines import identity
from lab.scenario.schema import Template, machine_spec
from lab.sequence import beginnings
from lab.sequence.editing import add, add_condition, change, find, move, remove
from lab.sequence.model import Group, Step, StepVariable, TaskSequence
from lab.sequence.secrets import blank_secrets
from lab.sequence.validate import validate
from lab.sequence.variables import merge
from lab.sequence.xmlbuild import document_of
from lab.sequence.xmlformat import read_export
from lab.sequence.xmlwrite import write_document
from lab.simulation.alone import Alone, simulate_alone
from lab.yamlio import load_model
from tests.unit.sequence_world import command, group, reboot, sequence, set_variable, when

ROOT = Path(__file__).parents[2]
BEGINNINGS = {
    "install": beginnings.install_image("Install", image="LAB00001", client="LAB00003"),
    "build": beginnings.build_and_capture(
        "Build", image="LAB00001", client="LAB00003", destination=r"\\server\share\reference.wim"
    ),
    "custom": beginnings.custom("Custom"),
}
INSTALL = BEGINNINGS["install"]


def machine(template: str = "uefi-x64") -> MachineSpec:
    hardware = load_model(ROOT / "vm-templates" / f"{template}.yaml", Template)
    return machine_spec(hardware, "PC-1", *identity("rules"))


def run(*children: Group | Step, **more: Any) -> Alone:
    return simulate_alone(sequence(*children), machine(), **more)


def trace(alone: Alone) -> list[tuple[str, str]]:
    return [(entry.name, entry.status) for entry in alone.trace]


def packaged(name: str, package: str, **more: Any) -> Step:
    kind = "SMS_TaskSequence_RunCommandLineAction"
    return Step(kind, name, action=f"smsswd.exe /run:{package} setup.exe", **more)


def unattend(alone: Alone) -> str:
    files = alone.run.final_state.files
    return next(file.text or "" for path, file in files.items() if path.casefold().endswith("unattend.xml"))


@pytest.mark.rule("R07", shown="sim")
def test_groups_of_one_name_both_run_and_a_group_without_a_name_is_refused() -> None:
    alone = run(group("Same", command("a")), group("Same", command("b")))
    assert trace(alone) == [(name, "succeeded") for name in ("Same", "a", "Same", "b")]
    assert [problem.message for problem in validate(sequence(group(" ", command("a"))))] == [
        "a group has no name"
    ]


@pytest.mark.rule("R08", shown="sim")
@pytest.mark.rule("R60", shown="sim")
def test_content_that_no_distribution_point_has_is_the_error_of_the_step_that_needs_it() -> None:
    steps = command("first"), packaged("needs it", "LAB00077"), command("last")
    stopped = run(*steps, missing=["LAB00077"])
    assert trace(stopped) == [("first", "succeeded"), ("needs it", "failed")]
    assert (stopped.result, stopped.failed_step, stopped.step_code) == ("failed", "needs it", 0x80040102)
    goes_on = run(
        command("first"), packaged("needs it", "LAB00077", continue_on_error=True), command("last"),
        missing=["LAB00077"],
    )  # fmt: skip
    assert (goes_on.result, trace(goes_on)[-1]) == ("success", ("last", "succeeded"))
    never = run(packaged("needs it", "LAB00077", condition=when("A", "exists")), missing=["LAB00077"])
    assert never.result == "success"


@pytest.mark.rule("R63", shown="sim")
def test_an_image_that_its_step_accesses_directly_is_found_on_a_share_that_is_assumed() -> None:
    sample = (ROOT / "scenarios" / "sequences" / "bare-metal.xml").read_text()
    field = 'property="RunFromNet" hidden="true">'
    tree = read_export(sample.replace(f"{field}false", f"{field}true").encode(), "x.xml").found[0].sequence
    alone = simulate_alone(tree, machine())
    assert (alone.result, alone.step_code) == ("success", 0)


@pytest.mark.rule("R13", shown="sim")
def test_nothing_as_a_value_deletes_a_variable_in_each_of_the_five_ways() -> None:
    gone = command("gone", condition=when("A", "notExists"))
    assert trace(run(set_variable("A", "1"), set_variable("A", ""), gone))[-1] == ("gone", "succeeded")
    field = StepVariable("A", "A", "")
    assert trace(run(command("gone", variables=(field,), condition=when("A", "notExists")))) == [
        ("gone", "succeeded")
    ]
    ways: list[Mapping[str, Any]] = [
        {"builtin": {"A": "1"}, "collection": {"A": ""}},
        {"collection": {"A": "1"}, "device": {"A": ""}},
        {"device": {"A": "1"}, "media": {"A": ""}, "media_variables": "merge"},
    ]
    for layers in ways:
        assert trace(run(gone, variables=merge(**layers))) == [("gone", "succeeded")]
    assert trace(run(gone, variables={"A": "1"})) == [("gone", "skipped")]


@pytest.mark.rule("R15", shown="sim")
def test_a_variable_of_a_built_in_name_overrides_what_the_step_says() -> None:
    own = simulate_alone(INSTALL, machine())
    other = simulate_alone(INSTALL, machine(), variables={"osdtimezone": "Tokyo Standard Time"})
    assert "<TimeZone>UTC</TimeZone>" in unattend(own)
    assert "<TimeZone>Tokyo Standard Time</TimeZone>" in unattend(other)


@pytest.mark.rule("R16", shown="sim")
@pytest.mark.parametrize("name", ["MyVariable", "My_Variable", "My_Variable_2", "m-1", " MyVariable "])
def test_a_good_name_is_found_in_any_case(name: str) -> None:
    there = command("there", condition=when(name.strip().swapcase(), "equals", "1"))
    assert trace(run(set_variable(name, "1"), there))[-1] == ("there", "succeeded")


@pytest.mark.rule("R16", shown="sim")
@pytest.mark.parametrize("name", ["1Variable", "MyV@riable", "_MyVariable", "My Variable", "a" * 257])
def test_a_bad_name_is_refused_before_the_run_and_in_it(name: str) -> None:
    assert "sets variable" in validate(sequence(set_variable(name, "1")))[0].message
    alone = run(set_variable("%Name%", "1"), variables={"Name": name})
    assert (alone.result, alone.failed_step) == ("failed", "Set %Name%")
    assert alone.step_code == (0x80070005 if name.startswith("_") else 0x80070057)


@pytest.mark.rule("R17", shown="sim")
def test_a_read_only_name_is_read_and_never_set() -> None:
    alone = run(
        command("read", condition=when("_SMSTSInWinPE", "equals", "true")),
        command("script", "tamper"),
        command("after", condition=when("_SMSTSInWinPE", "equals", "true")),
        doubles=[Double(command="tamper", sets={"_SMSTSInWinPE": "false", "_Own": "1"})],
        start="pxe",
    )  # fmt: skip
    assert trace(alone) == [("read", "succeeded"), ("script", "succeeded"), ("after", "succeeded")]
    assert "_Own" not in alone.run.variables


@pytest.mark.rule("R18", shown="sim")
def test_a_value_has_4000_characters_at_most_and_keeps_its_case() -> None:
    fits = run(set_variable("Long", "%Half%%Half%"), variables={"Half": "x" * 2000})
    assert len(fits.run.variables["Long"]) == 4000
    long = run(set_variable("Long", "%Half%%Half%x"), variables={"Half": "x" * 2000})
    assert (long.result, long.step_code) == ("failed", 0x8007000D)
    case = run(set_variable("Case", "AbC"), command("any", condition=when("Case", "equals", "aBc")))
    assert trace(case)[-1] == ("any", "succeeded") and case.run.variables["Case"] == "AbC"


@pytest.mark.rule("R21", shown="sim")
def test_what_a_script_sets_by_its_environment_object_is_a_variable_and_what_it_may_not_set_is_not() -> None:
    script = Double(command="cscript*", sets={"MyCustomVariable": "varname", "_SMSTSLogPath": "D:\\"})
    alone = run(
        command("script", 'cscript "set.vbs" %_SMSTSLogPath%'),
        command(
            "uses it", "show %MyCustomVariable%", condition=when("MyCustomVariable", "equals", "varname")
        ),
        doubles=[script],
    )
    assert trace(alone) == [("script", "succeeded"), ("uses it", "succeeded")]
    assert [need.shown for need in alone.needs] == ["show varname"]
    assert alone.run.variables["_SMSTSLogPath"] != "D:\\"


@pytest.mark.rule("R22", shown="sim")
def test_one_sequence_runs_on_many_machines_at_a_time_each_with_its_own_values() -> None:
    one = sequence(
        command("own", "rename %OSDComputerName%", condition=when("OSDComputerName", "exists")),
        set_variable("Done", "%OSDComputerName%"),
    )
    names = [f"PC-{number}" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(
            lambda name: simulate_alone(one, machine(), variables={"OSDComputerName": name}), names
        ))  # fmt: skip
    assert [alone.run.variables["Done"] for alone in runs] == names
    assert [alone.needs[0].shown for alone in runs] == [f"rename {name}" for name in names]


@pytest.mark.rule("R23", shown="sim")
@pytest.mark.rule("R14", shown="sim")
def test_from_media_the_media_s_variables_are_there_and_those_of_device_and_collection_are_not() -> None:
    layers: dict[str, Any] = {"collection": {"A": "c", "C": "c"}, "device": {"A": "d", "D": "d"}}
    seen = command("seen", "show %A% %C% %D% %M%")
    for more, shown in (
        ({}, "show d c d %M%"),
        ({"media": {"A": "m", "M": "m"}}, "show m %C% %D% m"),
        ({"media": {"A": "m", "M": "m"}, "media_variables": "merge"}, "show m c d m"),
    ):
        assert run(seen, variables=merge(**layers, **more)).needs[0].shown == shown


@pytest.mark.rule("R30", shown="sim")
@pytest.mark.parametrize("template", ["uefi-x64", "bios-x64"])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_each_beginning_runs_to_its_end(name: str, template: str) -> None:
    again = read_export(write_document(document_of(BEGINNINGS[name])), "new.xml").found[0].sequence
    alone = simulate_alone(again, machine(template))
    assert (alone.result, alone.reason) == ("success", "")
    state = alone.run.final_state
    if name == "build":
        assert any(request["method"] == "PUT" for request in alone.run.requests), "the image on the share"
    if name == "custom":
        assert alone.trace == ()
    else:
        assert "C:\\Windows\\CCM\\Logs\\smsts.log" in state.files or name == "build"
        style = "GPT" if template == "uefi-x64" else "MBR"
        assert state.disks[0].style == style
        restarts = {"install": 1, "build": 2}[name]
        assert alone.run.starts - 1 == restarts


@pytest.mark.rule("R31", shown="sim")
def test_an_edited_sequence_runs_as_it_was_edited() -> None:
    first = sequence(group("One", command("a"), command("b")), command("c"))
    edited = move(first, (1,), (0,))
    edited = remove(edited, find(edited, "a")[0])
    edited = add(edited, (2,), command("d"))
    edited = change(edited, find(edited, "b")[0], continue_on_error=True)
    edited = add_condition(edited, find(edited, "d")[0], when("_SMSTSLastActionSucceeded", "equals", "false"))
    alone = simulate_alone(edited, machine(), doubles=[Double(command="b", exit=3)])
    assert trace(alone) == [
        ("c", "succeeded"), ("One", "succeeded"), ("b", "failed"), ("d", "succeeded"),
    ]  # fmt: skip


@pytest.mark.rule("R31", shown="sim")
def test_a_reference_that_points_nowhere_is_corrected_removed_or_its_step_disabled() -> None:
    broken = sequence(packaged("lost", "LAB00077"), command("after"))
    at = find(broken, "lost")[0]
    assert simulate_alone(broken, machine(), missing=["LAB00077"]).result == "failed"
    for mended in (
        change(broken, at, action="smsswd.exe /run:LAB00078 setup.exe"),
        remove(broken, at),
        change(broken, at, disabled=True),
    ):
        assert simulate_alone(mended, machine(), missing=["LAB00077"]).result == "success"


@pytest.mark.rule("R32", shown="sim")
def test_an_export_without_its_secrets_comes_back_and_runs_as_before() -> None:
    secret = set_variable("AdminPassword", "Not-For-Eyes-1")
    first = TaskSequence("Export", package_id="LAB00009", children=(secret, *INSTALL.children))
    export = read_export(write_document(document_of(first)), "export.xml")
    blanked = blank_secrets(export)
    text = write_document(export.document)
    assert blanked and b"Not-For-Eyes-1" not in text
    again = read_export(text, "import.xml").found[0].sequence
    assert [item.name for _, _, item in again.walk()] == [item.name for _, _, item in first.walk()]
    before, after = (simulate_alone(one, machine()) for one in (first, again))
    assert (after.result, trace(after)) == ("success", trace(before))


@pytest.mark.rule("R65", shown="sim")
def test_success_and_failure_stand_in_the_log_that_the_machine_keeps() -> None:
    after = command("after")
    good = TaskSequence("s", children=(*INSTALL.children, after))
    for code, said in (
        (0, "The task exeuction engine successfully completed the execution"),
        (5, "Task sequence execution failed with error code 80004005"),
    ):
        alone = simulate_alone(good, machine(), doubles=[Double(command="after", exit=code)], records=True)
        kept = alone.run.final_state.files[r"C:\Windows\CCM\Logs\smsts.log"].text or ""
        assert said in kept and alone.result == ("failed" if code else "success")


@pytest.mark.rule("R65", shown="sim")
def test_a_sequence_that_has_started_asks_nobody_whether_it_may_go_on() -> None:
    alone = simulate_alone(BEGINNINGS["build"], machine())
    asked = [request for request in alone.run.requests if request["path"].startswith("/policy/")]
    assert (alone.run.starts, len(asked)) == (3, 2), "assignments and one policy, before it began"


@pytest.mark.rule("R66", shown="sim")
def test_a_restart_without_a_formatted_disk_ends_it_whatever_the_error_handling_says() -> None:
    tolerant = group(
        "Tolerant", reboot("WinPE", continue_on_error=True), command("never"), continue_on_error=True
    )
    alone = run(tolerant, command("never either"), start="pxe")
    assert (alone.result, alone.code) == ("failed", 0x80004005)
    assert "never" not in dict(trace(alone)) and "never either" not in dict(trace(alone))


@pytest.mark.rule("R68", shown="sim")
def test_a_sequence_whose_child_was_deleted_does_not_run() -> None:
    field = StepVariable("TsPackageID", "TsPackageID", "LAB00020")
    child = Step("SMS_TaskSequence_SubTasksequence", "Child", variables=(field,))
    alone = run(command("first"), child, missing=["LAB00020"])
    assert (alone.result, alone.trace) == ("failed", ())
