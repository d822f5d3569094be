"""The judge: held, falsified, no evidence; every check is seen in each of the states it can have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.disk.state import DiskState, FileState, FinalState, PartitionState
from lab.errors import LabFault
from lab.judge.evidence import Evidence, evidence
from lab.judge.judging import judge
from lab.judge.verdict import Outcome, Verdict, exit_code, outcome
from lab.scenario.expectations import expectations
from lab.scenario.schema import Scenario
from lab.yamlio import parse_document
from tests.story import Story, bad_run, final_state, good_run

HEAD = "scenario: t\nmachine: m\nsequence: s\nexpect:\n  "


def verdicts(expect: str, found: Evidence) -> list[Verdict]:
    return judge(expectations(parse_document(HEAD + expect, "s.yaml", Scenario)), found)


def verdict(expect: str, found: Evidence) -> Verdict:
    (one,) = verdicts(expect, found)
    return one


def of(story: Story, final: FinalState | None = None) -> Evidence:
    return evidence(story.events, {"PC-1": final or final_state()})


GOOD = of(good_run())
BAD = of(bad_run())
CUT = evidence(good_run().events[:9], {})


def without_end() -> Story:
    """The machine restarts by itself in a step, and is offered nothing any more."""
    story = Story()
    story.begin()
    story.instruction("Update the firmware")
    story.effect("RunCommand", "doubled", message="it restarts the machine by itself")
    story.say("lab", "unfinished", reason="the required deployment has run on this machine already")
    return story


LOST = of(without_end())


@pytest.mark.parametrize(
    ("expect", "found", "status"),
    [
        ("result: success", GOOD, "held"),
        ("result: unfinished", LOST, "held"),
        ("result: unfinished", GOOD, "falsified"),
        ("result: unfinished", CUT, "no-evidence"),
        ("result: success", LOST, "falsified"),
        ("result: failed", LOST, "falsified"),
        ("code: 0x80004005", LOST, "falsified"),
        ("steps: {Update the firmware: unfinished}", LOST, "held"),
        ("steps: {Update the firmware: unfinished}", CUT, "no-evidence"),
        ("steps: {Apply Operating System: unfinished}", LOST, "falsified"),
        ("steps: {Apply Operating System: unfinished}", GOOD, "falsified"),
        ("steps: {Update the firmware: success}", LOST, "falsified"),
        ("steps_not_run: [Update the firmware]", LOST, "falsified"),
        ("steps_not_run: [Apply Operating System]", LOST, "held"),
        ("log: [{contains: x, absent: true}]", LOST, "held"),
        ("result: success", BAD, "falsified"),
        ("result: failed", BAD, "held"),
        ("result: failed", CUT, "no-evidence"),
        ("code: 0x80004005", BAD, "held"),
        ("code: 0x80070002", BAD, "falsified"),
        ("failed_step: Download drivers", BAD, "held"),
        ("failed_step: Format and Partition Disk", BAD, "falsified"),
        ("failed_step: X", GOOD, "falsified"),
        ("steps: {Apply Operating System: success}", GOOD, "held"),
        ("steps: {Apply Operating System: success}", BAD, "falsified"),
        ("steps: {Apply Operating System: success}", CUT, "no-evidence"),
        ("steps: {Format and Partition Disk: failed}", CUT, "falsified"),
        ("steps: {Optional: skipped}", GOOD, "held"),
        ("steps: {Optional: success}", GOOD, "falsified"),
        ("steps: {Download drivers: {result: failed, code: 0x80070002}}", BAD, "held"),
        ("steps: {Download drivers: {result: failed, code: 5}}", BAD, "falsified"),
        ("steps_not_run: [Apply Operating System]", BAD, "held"),
        ("steps_not_run: [Optional]", GOOD, "held"),
        ("steps_not_run: [Download drivers]", BAD, "falsified"),
        ("steps_not_run: [Reboot]", CUT, "no-evidence"),
        ("steps_not_run: [Apply Operating System]", CUT, "falsified"),  # it was begun
        ("log: [Execution complete.]", GOOD, "held"),
        ("log: [execution complete.]", GOOD, "falsified"),
        ("log: [Execution complete.]", CUT, "no-evidence"),
        ("log: [{matches: 'image \\d of', component: ApplyOperatingSystem, severity: info}]", GOOD, "held"),
        ("log: [{contains: Applied, component: TSManager}]", GOOD, "falsified"),
        ("log: [{contains: Applied, severity: error}]", GOOD, "falsified"),
        ("log: [{contains: e, count: 3}]", GOOD, "held"),
        ("log: [{contains: e, count: 2}]", GOOD, "falsified"),
        ("log: [{contains: e, at_least: 3}]", GOOD, "held"),
        ("log: [{contains: e, at_least: 4}]", GOOD, "falsified"),
        ("log: [{contains: Nonsense, absent: true}]", GOOD, "held"),
        ("log: [{contains: Nonsense, absent: true}]", CUT, "no-evidence"),
        ("log: [{contains: Applied, absent: true}]", GOOD, "falsified"),
        ("log: [{contains: engine, absent: true}]", CUT, "falsified"),
        ("log: [{contains: Execution complete, after: Applied}]", GOOD, "held"),
        ("log: [{contains: Execution complete, before: Applied}]", GOOD, "falsified"),
        ("log: [{contains: Execution complete, after: Nonsense}]", GOOD, "falsified"),
        ("log: [{contains: Nonsense, absent: true, after: Gone}]", GOOD, "falsified"),
        ("variables: {osdcomputername: PC-1}", GOOD, "held"),
        ("variables: {OSDComputerName: pc-1}", GOOD, "falsified"),
        ("variables: {OSDComputerName: {matches: '^PC-\\d$'}}", GOOD, "held"),
        ("variables: {OSDComputerName: null}", GOOD, "falsified"),
        ("variables: {Gone: null}", GOOD, "held"),
        ("variables: {Gone: null}", CUT, "no-evidence"),
        ("variables: {Empty: ''}", GOOD, "held"),
        ("variables: {OSDPassword: null}", GOOD, "no-evidence"),
        ("requests: [LAB00001]", GOOD, "held"),
        ("requests: [{content: lab00001, status: 404}]", GOOD, "falsified"),
        ("requests: [{content: LAB00009, status: 404, at_least: 1}]", BAD, "held"),
        ("requests: [{content: LAB00009, status: 404, at_least: 2}]", BAD, "falsified"),
        ("requests: [{path: '/content/*/install.wim', count: 1}]", GOOD, "held"),
        ("requests: [{content: LAB00009, absent: true}]", GOOD, "held"),
        ("requests: [{content: LAB00009, absent: true}]", CUT, "no-evidence"),
        ("requests: [{content: LAB00009, absent: true}]", BAD, "falsified"),
    ],
)
def test_what_the_run_showed(expect: str, found: Evidence, status: str) -> None:
    one = verdict(expect, found)
    assert one.status == status, one
    assert one.place.path == "s.yaml" and one.place.line == 5 and one.expected and one.seen


EMPTY = evidence(good_run().events, {"PC-1": FinalState(disks=(DiskState(0, 20 << 30, ""),))})
UNREAD = of(good_run(), final_state(notes=("volume 0,3 is damaged", "hive SYSTEM is damaged")))
CUT_WITH_DISK = evidence(good_run().events[:9], {"PC-1": final_state()})
NO_DISK = evidence(good_run().events, {})


@pytest.mark.parametrize(
    ("disk", "found", "status"),
    [
        ("unformatted", EMPTY, "held"),
        ("unformatted", GOOD, "falsified"),
        ("unformatted", NO_DISK, "no-evidence"),
        ("unformatted", evidence(good_run().events, {"PC-1": FinalState()}), "no-evidence"),
        ("{style: GPT}", GOOD, "held"),
        ("{style: MBR}", GOOD, "falsified"),
        ("{boot_loader: 'EFI:\\EFI\\Microsoft\\Boot\\bootmgfw.efi'}", GOOD, "held"),
        ("{boot_loader: 'EFI:\\EFI\\Boot\\bootx64.efi'}", GOOD, "falsified"),
        ("{boot_loader: 'C:\\Windows\\Boot\\EFI\\bootmgfw.efi'}", GOOD, "falsified"),
        ("{boot_loader: 'EFI:\\EFI\\Boot\\bootx64.efi'}", EMPTY, "falsified"),
        ("{C:\\windows\\boot\\efi\\BOOTMGFW.EFI: exists}", GOOD, "held"),
        ("{C:\\Windows: exists}", GOOD, "held"),
        ("{C:\\Windows\\: exists}", GOOD, "held"),
        ("{C:\\big.bin\\: exists}", GOOD, "falsified"),
        ("{C:\\: exists}", GOOD, "held"),
        ("{D:\\: exists}", GOOD, "falsified"),
        ("{C:\\none: exists}", GOOD, "falsified"),
        ("{C:\\none: absent}", GOOD, "held"),
        ("{C:\\none: absent}", UNREAD, "no-evidence"),
        ("{C:\\none: exists}", UNREAD, "no-evidence"),
        ("{C:\\none: absent}", NO_DISK, "no-evidence"),
        ("{C:\\big.bin: absent}", GOOD, "falsified"),
        ("{C:\\big.bin: exists}", CUT_WITH_DISK, "no-evidence"),
        ("{C:\\Windows\\Panther\\unattend.xml: {contains: <ComputerName>PC-1}}", GOOD, "held"),
        ("{C:\\Windows\\Panther\\unattend.xml: {contains: [<a>, PC-2]}}", GOOD, "falsified"),
        ("{C:\\Windows\\Panther\\unattend.xml: {matches: 'PC-\\d<'}}", GOOD, "held"),
        ('{C:\\Windows\\Panther\\unattend.xml: {equals: "<a>\\n<ComputerName>PC-1</ComputerName>"}}',
         GOOD, "held"),
        ("{C:\\Windows\\Panther\\unattend.xml: {equals: <a>}}", GOOD, "falsified"),
        ("{C:\\big.bin: {contains: x}}", GOOD, "no-evidence"),
        ("{C:\\big.bin: {same_as: C:\\Windows\\Boot\\EFI\\bootmgfw.efi}}", GOOD, "no-evidence"),
        ("{C:\\big.bin: {size: at least 1 GiB}}", GOOD, "held"),
        ("{C:\\big.bin: {size: 1 GiB}}", GOOD, "falsified"),
        ("{HKLM\\SYSTEM\\Setup: exists}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\Nothing: exists}", GOOD, "falsified"),
        ("{HKLM\\SYSTEM\\Nothing: absent}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\Nothing: absent}", UNREAD, "no-evidence"),
        ("{HKLM\\SYSTEM\\Setup: {cmdline: ''}}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\Setup: {CmdLine: x}}", GOOD, "falsified"),
        ("{HKEY_LOCAL_MACHINE\\SYSTEM\\Setup: {SetupType: 2}}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\Setup: {SetupType: 0x2}}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\Setup: {SetupType: 3}}", GOOD, "falsified"),
        ("{HKLM\\SYSTEM\\Setup: {Gone: null}}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\Setup: {CmdLine: null}}", GOOD, "falsified"),
        ("{HKLM\\SYSTEM\\Gone: {X: null}}", GOOD, "held"),
        ("{HKLM\\SYSTEM\\CurrentControlSet\\Control: {List: {contains: b}}}", GOOD, "held"),
    ],
)  # fmt: skip
def test_what_stands_on_the_disk(disk: str, found: Evidence, status: str) -> None:
    one = verdict(f"disk: {disk}", found)
    assert one.status == status, one


def test_other_disks_are_judged_by_their_number() -> None:
    final = GOOD.finals["PC-1"]
    second = DiskState(1, 8 << 30, "MBR", (PartitionState(1, "Primary", 2048, 4096, "NTFS", "Data"),))
    found = replace(GOOD, finals={"PC-1": replace(final, disks=(*final.disks, second))})
    text = "disks: {1: {style: %s, partitions: [{type: Primary, label: %s}]}}"
    assert [v.status for v in verdicts(text % ("MBR", "Data"), found)] == ["held"] * 3
    assert [v.status for v in verdicts(text % ("GPT", "Date"), found)] == ["falsified", "held", "falsified"]
    assert {v.status for v in verdicts(text % ("MBR", "Data"), GOOD)} == {"no-evidence"}
    told = verdicts(text % ("GPT", "Date"), found)
    assert told[0].expected.startswith("disk 1 ") and told[2].expected.startswith("partition 1 of disk 1 ")


def test_partitions_are_compared_one_by_one_and_counted() -> None:
    layout = [
        "{type: EFI, size: 500 MiB, file_system: FAT32}",
        "{type: MSR, size: 16 MiB, file_system: none}",
        "{type: Primary, label: Windows, file_system: NTFS, size: at least 10 GiB, bootable: false}",
    ]
    text = "disk: {partitions: [%s]}"
    assert [v.status for v in verdicts(text % ", ".join(layout), GOOD)] == ["held"] * 4
    assert [v.status for v in verdicts(text % ", ".join(layout[:2]), GOOD)] == ["falsified", "held", "held"]
    for wrong in ("{type: Recovery}", "{type: EFI, label: X}", "{type: EFI, size: 100 MiB}",
                  "{type: EFI, file_system: NTFS}", "{type: EFI, bootable: true}"):  # fmt: skip
        assert [v.status for v in verdicts(text % wrong, GOOD)] == ["falsified", "falsified"], wrong
    assert [v.status for v in verdicts(text % layout[0], EMPTY)] == ["falsified", "falsified"]


def test_a_boot_loader_must_be_the_one_of_the_image() -> None:
    text = "disk: {boot_loader: {path: 'EFI:\\EFI\\Microsoft\\Boot\\bootmgfw.efi', same_as: 'C:\\Windows\\Boot\\EFI\\bootmgfw.efi'}}"  # noqa: E501
    assert verdict(text, GOOD).status == "held"
    files = dict(final_state().files)
    files["EFI:\\EFI\\Microsoft\\Boot\\bootmgfw.efi"] = FileState(9, "cc")
    other = verdict(text, of(good_run(), final_state(files=files)))
    assert (other.status, other.seen) == (
        "falsified", "its content differs from C:\\Windows\\Boot\\EFI\\bootmgfw.efi",
    )  # fmt: skip
    files["EFI:\\EFI\\Microsoft\\Boot\\bootmgfw.efi"] = FileState(0, "aa")
    assert verdict(text, of(good_run(), final_state(files=files))).seen == "the file is empty"


def test_a_failure_comes_with_its_causes_in_the_order_of_time() -> None:
    one = verdict("steps: {Apply Operating System: success}", BAD)
    assert one.seen == (
        "step 'Apply Operating System' did not run; step 'Download drivers' before it failed, "
        "with 0x80070002 (The system cannot find the file specified.)"
    )
    assert [(cause.time, cause.text.partition(" (")[0]) for cause in one.causes] == [
        ("12:00:06", "the distribution point answered 404 for LAB00009"),
        ("12:00:07", "DownloadContent failed with 0x80070002"),
        ("12:00:08", "OSDDownloadContent logged 'Failed to resolve package source 'LAB00009''"),
        ("12:00:09", "step 'Download drivers' failed with 0x80070002"),
        ("12:00:11", "the sequence failed with 0x80004005"),
    ]
    assert [bad_run().events[cause.seq - 1].seq for cause in one.causes] == [
        cause.seq for cause in one.causes
    ]


def test_an_expected_failure_is_no_cause_of_something_else() -> None:
    both = verdicts("result: failed\n  disk: {C:\\none: exists}", BAD)
    assert [v.status for v in both] == ["held", "falsified"] and both[1].causes == ()
    assert verdict("disk: {C:\\none: exists}", BAD).causes != ()


def test_a_doubled_failure_is_told_as_the_scenarios_own() -> None:
    story = Story()
    story.begin()
    story.instruction("Run script")
    story.effect("RunCommand", "doubled", 5)
    story.finish_step("Run script", "failed", 5)
    story.end("failed", 0x80004005, "Run script", 5)
    causes = verdict("result: success", of(story)).causes
    assert causes[0].text == "a double of the scenario answered 5 (Access is denied.)"


def test_a_failed_group_is_told_by_the_step_that_failed_it() -> None:
    story = Story()
    story.begin()
    story.instruction("Drivers")
    story.instruction("Inject")
    story.finish_step("Inject", "failed", 2)
    story._pointer -= 1
    story.say(
        "engine",
        "group-finished",
        name="Drivers",
        pointer=1,
        result="failed",
        reason="Not found.",
        continued=True,
    )
    story.end()
    one = verdict("steps: {Drivers: success}", of(story))
    assert one.seen == "group 'Drivers' failed: Not found. (and the sequence continued)"
    assert [cause.text for cause in one.causes] == [
        "step 'Inject' failed with 2 (The system cannot find the file specified.)",
        "group 'Drivers' failed",
    ]


def test_a_failure_points_to_its_place_in_the_log() -> None:
    one = verdict("result: success", BAD)
    assert (one.file, one.line) == ("smsts.log", 1)


def test_a_skipped_step_says_that_its_condition_was_false() -> None:
    story = Story()
    story.begin()
    story.step("Optional", "skipped", reason="condition")
    story.end()
    assert verdict("steps: {Optional: success}", of(story)).seen == (
        "step 'Optional' was skipped: its condition was false"
    )


def test_the_clause_of_a_log_expectation_agrees_with_its_number() -> None:
    assert verdict("log: [{contains: e, count: 2}]", GOOD).expected.endswith(
        "records in smsts.log that contain 'e'"
    )
    assert verdict("log: [e]", GOOD).expected.endswith("record in smsts.log that contains 'e'")


def test_a_records_line_counts_the_lines_of_the_records_before_it() -> None:
    one = verdict("log: [Execution complete.]", GOOD)
    assert (one.file, one.line) == ("smsts.log", 4)  # the first record has two lines
    assert good_run().events[one.evidence[0] - 1].data["message"] == "Execution complete."


def test_effects_are_counted_by_how_they_came_about() -> None:
    assert GOOD.counts == {"real": 2, "modelled": 0, "doubled": 1, "recorded": 0}


def test_the_outcome_of_a_run() -> None:
    held, no, unknown = (
        verdict(t, f)
        for t, f in (("result: success", GOOD), ("result: success", BAD), ("result: success", CUT))
    )
    assert outcome([held], GOOD) is Outcome.PASSED
    assert outcome([held, no], GOOD) is Outcome.FAILED
    assert outcome([held, unknown], GOOD) is Outcome.ERROR
    assert outcome([no, unknown], GOOD) is Outcome.FAILED
    assert outcome([], GOOD) is Outcome.ERROR
    assert outcome([held], GOOD, LabFault("x")) is Outcome.ERROR
    for source, kind in (("agent", "lab-error"), ("lab", "broken")):
        story = good_run()
        story.say(source, kind, message="no double answers 'x'", hint="paste")
        assert outcome([held], of(story)) is Outcome.ERROR
    assert [
        exit_code(o) for o in ([], [Outcome.PASSED], [Outcome.PASSED, Outcome.FAILED], list(Outcome))
    ] == [0, 0, 1, 4]


@pytest.mark.parametrize("cut", range(len(good_run().events) + 1))
def test_a_run_cut_anywhere_is_never_green(cut: int) -> None:
    text = "result: success\n  log: [Execution complete.]\n  disk: {C:\\Windows: exists}"
    whole = good_run().events
    found = evidence(whole[:cut], {})
    assert outcome(verdicts(text, found), found) is not Outcome.PASSED
    found = evidence(whole, {"PC-1": final_state()})
    assert outcome(verdicts(text, found), found) is Outcome.PASSED


def test_a_step_that_goes_on_after_a_restart_is_one_step_with_all_its_causes() -> None:
    story = Story()
    story.begin()
    story.instruction("Setup Windows")
    story.request("/content/LAB00003/client.zip", 404)
    first = story.events[-1]
    story._pointer -= 1
    story.say("agent", "restart", "restart", target="HD")
    story.instruction("Setup Windows")
    story.finish_step("Setup Windows", "failed", 5)
    story.end("failed", 0x80004005, "Setup Windows", 5)
    causes = verdict("result: success", of(story)).causes
    assert causes[0].seq == first.seq


def test_a_sequence_without_an_end_says_what_took_it_down() -> None:
    texts = [cause.text for cause in verdict("result: success", LOST).causes]
    assert texts[0] == "step 'Update the firmware' was begun"
    assert "it restarts the machine by itself" in texts[1] and "already" in texts[2]
