"""The judge on what the site decided and was told, on starts that came to nothing, on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lab.judge.evidence import Evidence, evidence
from lab.judge.judging import judge
from lab.judge.seen import RecordSeen
from lab.judge.verdict import Verdict
from lab.scenario.expectations import expectations
from lab.scenario.schema import Scenario
from lab.yamlio import parse_document
from tests.story import Story, final_state, good_run

HEAD = "scenario: t\nmachine: m\nsequence: s\nexpect:\n  "
REASONS = ["the site has no record of it: an unknown computer", "LAB20001: it is for known ones"]


def verdicts(expect: str, found: Evidence, machine: str = "") -> list[Verdict]:
    return judge(expectations(parse_document(HEAD + expect, "s.yaml", Scenario), machine=machine), found)


def pxe(story: Story, start: str, **more: Any) -> None:
    told = {"deployment": "LAB20001", "boot_image": "LAB00002", "mandatory": False, "known": True,
            "device": "PC-1", "reasons": ["PC-1 is known"]}  # fmt: skip
    story.say("site", "pxe", mac="52:54:00:00:00:01", start=start, **{"action": "boot", **told, **more})


def refused() -> Story:
    story = Story()
    pxe(story, "1", action="ignore", deployment="", boot_image="", known=False, device="", reasons=REASONS)
    story.say("lab", "not-started", reason=f"the site's PXE decision is ignore: {REASONS[-1]}")
    return story


def twice(end: bool = True) -> Story:
    story = Story()
    pxe(story, "1", mandatory=True)
    pxe(story, "1", mandatory=True)  # asked again within one start
    messages = [{"id": 11140, "text": "began"}, {"id": 11135, "step": 2, "action": "Apply", "code": 1}]
    story.say("site", "status", mac="52:54:00:00:00:01", start="1", messages=messages)
    pxe(story, "2", action="abort", deployment="", boot_image="")
    if end:
        story.say("lab", "unfinished", reason="it is offered nothing any more")
    return story


LOST, TWICE, CUT = (evidence(story.events, {}) for story in (refused(), twice(), twice(end=False)))


@pytest.mark.parametrize(
    ("expect", "found", "said"),
    [
        ("result: not-started", LOST, "held"),
        ("result: unfinished", LOST, "falsified"),
        ("result: not-started", TWICE, "falsified"),
        ("result: unfinished", TWICE, "held"),
        ("result: not-started", CUT, "no-evidence"),
        ("result: success", LOST, "falsified"),
        ("steps_not_run: [Apply]", LOST, "held"),
        ("log: [{contains: x, absent: true}]", LOST, "held"),
        ("pxe: ignore", LOST, "held"),
        ("pxe: abort", LOST, "falsified"),
        ("pxe: {known: false, deployment: ''}", LOST, "held"),
        ("pxe: {known: true}", LOST, "falsified"),
        ("pxe: boot", TWICE, "falsified"),  # of every start
        ("pxe: {device: pc-1}", TWICE, "held"),
        ("pxe: {device: pc-2}", TWICE, "falsified"),
        ("pxe: [{mandatory: false}, abort]", TWICE, "falsified held held"),
        ("pxe: {device: pc-1}", CUT, "no-evidence"),  # another start may come
        ("pxe: [{mandatory: true, boot_image: lab00002}, abort]", TWICE, "held held held"),
        ("pxe: [boot]", TWICE, "held falsified"),
        ("pxe: [boot, abort, abort]", TWICE, "held held falsified falsified"),
        ("pxe: [boot, boot]", TWICE, "held falsified held"),
        ("pxe: [boot, abort]", CUT, "held held no-evidence"),
        ("status: 11140", TWICE, "held"),
        ("status: 11143", TWICE, "falsified"),
        ("status: 11143", CUT, "no-evidence"),
        ("status: [{id: 11135, contains: Apply, count: 1}, {contains: began}]", TWICE, "held held"),
        ("status: {id: 11135, contains: Format}", TWICE, "falsified"),
        ("status: {id: 11143, absent: true}", TWICE, "held"),
        ("status: {id: 11140, absent: true}", CUT, "falsified"),
        ("status: 11140", LOST, "falsified"),
    ],
)
def test_what_the_site_shows_is_judged(expect: str, found: Evidence, said: str) -> None:
    assert [verdict.status for verdict in verdicts(expect, found)] == said.split()


def test_a_decision_that_was_not_expected_says_what_the_site_decided_and_why() -> None:
    lines = [RecordSeen(0, "", "SMSPXE", text, "info", number) for number, text in enumerate((
        "52:54:00:00:00:09, A: device is in the database.",
        "52:54:00:00:00:01, B: device is not in the database.",
        "52:54:00:00:00:01, B: Not serviced.",
    ), 1)]  # fmt: skip
    found = evidence(refused().events, {}, pxe_records=tuple(lines))
    (verdict,) = verdicts("pxe: {action: boot, boot_image: LAB00002, mandatory: true}", found)
    assert verdict.expected == (
        "at a start from the network, the site lets the machine boot with boot image LAB00002, at once"
    )
    assert verdict.seen == "the site did not answer an unknown machine"
    assert [cause.text for cause in verdict.causes] == [f"the site: {reason}" for reason in REASONS]
    assert (verdict.file, verdict.line) == ("SMSPXE.log", 3)
    (verdict,) = verdicts("result: success", found)
    assert verdict.seen == f"no sequence began: the site's PXE decision is ignore: {REASONS[1]}"
    assert [cause.text for cause in verdict.causes][1:] == [  # the reason is told once
        f"the site: {REASONS[1]}", "the site did not answer an unknown machine", "no sequence began",
    ]  # fmt: skip


def test_a_site_that_offers_nothing_is_told_once_with_its_reasons_as_the_cause() -> None:
    story = Story()
    reasons = ["PC-1 is known", "none is left"]
    pxe(story, "1", action="abort", deployment="", boot_image="", reasons=reasons)
    story.say("lab", "not-started", reason="the site's PXE decision is abort: PC-1 is known; none is left")
    first, second = verdicts("result: success\n  pxe: boot", evidence(story.events, {}))
    assert first.seen == "no sequence began: the site sent PC-1 on to its next boot device"
    assert [cause.text for cause in first.causes] == ["the site: PC-1 is known", "the site: none is left"]
    assert second.causes == first.causes  # the screen says "as above", where nothing else stands between


def test_of_several_starts_the_one_that_is_wrong_is_shown() -> None:
    (verdict,) = verdicts("pxe: boot", TWICE)
    assert verdict.seen == "the site sent PC-1 on to its next boot device"
    assert verdict.evidence == (TWICE.decisions[1].seq,)


def test_a_sequence_that_should_not_have_begun_is_the_sites_doing() -> None:
    story = Story()
    pxe(story, "1", mandatory=True)
    story.begin()
    story.step("Apply", "failed", 5)
    story.end("failed", 0x80004005, "Apply", 5)
    (verdict,) = verdicts("result: not-started", evidence(story.events, {}))
    assert [cause.text for cause in verdict.causes] == [
        "the site: PC-1 is known", "the site gave PC-1 boot image LAB00002 at once, for deployment LAB20001",
    ]  # fmt: skip


def test_a_variable_that_is_not_as_expected_says_who_set_it() -> None:
    story = Story()
    story.begin()
    story.instruction("Of a start that came to nothing")
    story.say("engine", "variable", name="Place", value="gone", secret=False)
    pxe(story, "2", reasons=["its address is PC-1's", "LAB20001 is chosen"])
    story.say("site", "policy", device="PC-1", deployment="LAB20001", secrets=[])
    story.say("agent", "wizard-done", page="choose", chosen="LAB20001")
    story.say("agent", "wizard-done", page="variable", name="Asked")
    story.begin()
    story.say("engine", "variable", name="_SMSTSMachineName", value="PC-1", secret=False)
    story.instruction("Set Role")
    story.say("engine", "variable", name="ROLE", value="till", secret=False)
    story.finish_step("Set Role")
    story.say("engine", "variable", name="_SMSTSLastActionRetCode", value="0", secret=False)
    story.end()
    story.say("agent", "variables", Place="Bern", Role="till", Asked="typed", _SMSTSMachineName="PC-1")
    found, known = evidence(story.events, {}), "the site: its address is PC-1's"
    policy = "no step set it; the policy of PC-1 for deployment LAB20001"
    for name, causes in {
        "Role": ["step 'Set Role' was the last to set it"],
        "_SMSTSMachineName": [known, "the engine set it, and no step"],
        "_SMSTSLastActionRetCode": ["the engine keeps it, anew at every step"],
        "_SMSTSNextInstructionPointer": ["the engine keeps it, anew at every step"],
        "Asked": [known, "the wizard set it, and no step"],
        "Place": [known, f"{policy} gave it"],
        "Nowhere": [known, f"{policy} did not give it"],
    }.items():
        (verdict,) = verdicts(f"variables: {{{name}: other}}", found)
        assert (verdict.status, [cause.text for cause in verdict.causes]) == ("falsified", causes)
    (held,) = verdicts("variables: {Role: till}", found)
    assert held.causes == ()


@pytest.mark.parametrize("expect", ["LocalAdmin: null", "LocalAdmin: x"])
def test_of_a_secret_variable_of_the_policy_nobody_knows_whether_it_is_there(expect: str) -> None:
    story = good_run()
    story.say("site", "policy", secrets=["localadmin"])
    (verdict,) = verdicts(f"variables: {{{expect}}}", evidence(story.events, {"PC-1": final_state()}))
    assert verdict.status == "no-evidence" and "is secret" in verdict.seen


def test_each_start_is_shown_where_the_log_ends_it_however_many_records_it_has() -> None:
    said = (
        "device is in the database.", "SMSID= OfferID=LAB20001", "found mandatory advertisement LAB20001",
        "device is in the database.", "SMSID= OfferID=", "no advertisements found",
        "No boot action. Aborted.", "Not serviced.",
    )  # fmt: skip
    lines = tuple(
        RecordSeen(0, "", "SMSPXE", f"52:54:00:00:00:01, A: {text}", "info", number)
        for number, text in enumerate(said, 1)
    )
    found = evidence(twice().events, {}, pxe_records=lines)
    assert [verdict.line for verdict in verdicts("pxe: [ignore, ignore]", found)][:2] == [3, 8]


@pytest.mark.parametrize(
    ("expect", "status"),
    [("Not serviced", "held"), ("{contains: nonsense, file: SMSPXE.log}", "falsified")],
)
def test_the_sites_own_log_is_a_log(expect: str, status: str) -> None:
    record = RecordSeen(0, "", "SMSPXE", "Not serviced.", "info", 7)
    found = evidence(refused().events, {}, pxe_records=(record,))
    text = expect if expect.startswith("{") else f"{{contains: {expect}, file: SMSPXE.log}}"
    (verdict,) = verdicts(f"log: [{text}]", found)
    assert verdict.status == status and verdict.file == "SMSPXE.log"
    (without,) = verdicts(f"log: [{text}]", LOST)
    assert (without.status, without.seen) == ("no-evidence", "the run has no SMSPXE.log")


def together(*stories: Story) -> Sequence[Any]:
    events = sorted((event for story in stories for event in story.events), key=lambda event: event.time)
    return [type(event)(**{**event.__dict__, "seq": number}) for number, event in enumerate(events, 1)]


def test_each_machine_is_judged_by_what_it_did_itself() -> None:
    well = good_run()
    other = Story("PC-2")
    pxe(other, "1", action="ignore", reasons=REASONS)
    other.say("lab", "not-started", reason="PXE: ignore: nothing is deployed to it")
    found = evidence(together(well, other), {"PC-1": final_state()})
    (first,) = verdicts("result: success", found, "PC-1")
    (second,) = verdicts("result: success", found, "PC-2")
    assert (first.status, second.status) == ("held", "falsified")
    assert second.wanted == "PC-2: the sequence succeeds"
    (third,) = verdicts("steps_not_run: [Apply Operating System]", found, "PC-2")
    assert third.status == "held", "it ran on the other one"
    (disk,) = verdicts("disk: {style: GPT}", found, "PC-2")
    assert disk.status == "no-evidence", "the disk of the other one is no evidence"
    (nobody,) = verdicts("result: success", found, "PC-3")
    assert nobody.status == "no-evidence"


def test_content_that_cannot_be_had_is_told_with_where_the_site_looked_and_how_often() -> None:
    story = Story()
    story.begin()
    story.instruction("Get the tools")
    point, why = {"package": "LAB00061", "distribution_point": "DP1"}, "nobody may read it"
    for _ in range(3):
        story.say("site", "location", package="LAB00061", known=True, distribution_points=["DP1", "DP2"])
        story.say("site", "denied", **point, file="setup.exe", reason=why)
        story.say("http", "request", path="/content/LAB00061/setup.exe", status=401)
    story.finish_step("Get the tools", "failed", 0x80070002)
    story.end("failed", 0x80004005, "Get the tools", 0x80070002)
    (one,) = verdicts("result: success", evidence(story.events, {}))
    assert [cause.text for cause in one.causes][:3] == [
        "the management point named DP1 and DP2 for LAB00061 (3 times)",
        "DP1 did not let the machine read setup.exe of LAB00061: nobody may read it (3 times)",
        "the distribution point answered 401 for LAB00061 (3 times)",
    ]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (True, "the management point answered that no distribution point has LAB00061"),
        (False, "the management point answered that the site has no LAB00061"),
    ],
)
def test_a_package_without_a_place_is_another_thing_than_one_that_was_deleted(known: bool, said: str) -> None:
    story = Story()
    pxe(story, "1")
    story.say("site", "location", package="LAB00061", known=known, version=0, distribution_points=[])
    if known:
        story.begin()
        story.instruction("Get the tools")
        story.say("site", "location", package="LAB00061", known=True, version=1, distribution_points=[])
        story.effect("DownloadContent", "real", 0x80040102)
        story.finish_step("Get the tools", "failed", 0x80040102)
        story.end("failed", 0x80004005, "Get the tools", 0x80040102)
    else:
        story.say("lab", "not-started", reason="the task sequence refers to LAB00061")
    (one,) = verdicts("result: success", evidence(story.events, {}))
    assert said in [cause.text for cause in one.causes]
