"""The management point: one answer per start, policies of one's own deployments, who may read content."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.site.managementpoint import ContentAnswer, ManagementPoint, MemoryStore, Store
from lab.site.model import (
    ALL_UNKNOWN,
    Account,
    Collection,
    Deployment,
    Device,
    DistributionPoint,
    Download,
    Settings,
    SiteObjects,
    SitePackage,
    SiteSequence,
)  # fmt: skip
from lab.site.pxe import PxeRequest

UUID, MAC = "aaaaaaaa-0000-4000-8000-000000000001", "52:54:00:00:00:01"
STRANGER, STRANGE_MAC = "aaaaaaaa-0000-4000-8000-000000000099", "52:54:00:00:00:99"
RIGHT = ("lab\\NAA", "Secret-1")
FILES = [{"name": "a/b.txt", "size": 3, "sha256": "00"}]
SITE = SiteObjects(
    "LAB",
    devices=(Device("PC-1", MAC, UUID, {"Place": "desk", "Pin": "4711", "Who": ""}, ("Pin",)),),
    collections=(Collection("Office", ("PC-1",)),
                 Collection("Arm", ("arm64 Unknown Computer",), variables={"Cpu": "arm"})),
    packages=(SitePackage("LAB00002", kind="boot-image", distributed={"DP1": "there"}),
              SitePackage("LAB00005", version=2, distributed={"DP1": "there", "DP2": "damaged"}),
              SitePackage("LAB00006", distributed={"DP1": "denied", "DP2": "missing"})),
    sequences=(SiteSequence("LAB00010", "Deploy", "LAB00002"), SiteSequence("LAB00011", "Other", "LAB00002")),
    deployments=(Deployment("LAB20001", "LAB00010", "Office", "required"),
                 Deployment("LAB20002", "LAB00011", ALL_UNKNOWN)),
    distribution_points=(DistributionPoint("DP1"), DistributionPoint("DP2"),
                         DistributionPoint("DP3", anonymous=True)),
    account=Account("LAB\\naa", "Secret-1"),
)  # fmt: skip


class Point(ManagementPoint):
    """A management point whose events are kept."""

    def __init__(self, site: SiteObjects = SITE, store: Store | None = None) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        base = {"sequence": {"name": "Deploy"}, "variables": {"_SMSTSClientPackageID": "LAB00003"}}
        super().__init__(
            site,
            policies={"LAB00010": base, "LAB00011": base},
            machines={MAC: {"name": "PC-1", "policy": {"at_end": "power-off"}}},
            contents={"LAB00005": FILES, "LAB00006": FILES, "LAB00099": FILES},
            address="10.77.0.1",
            store=store if store is not None else MemoryStore(),
            tell=lambda kind, data: self.events.append((kind, data)),
        )

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]


def test_a_start_has_one_decision_and_a_required_deployment_is_offered_once() -> None:
    point, asked = Point(), PxeRequest(MAC.upper(), UUID.upper(), 7)
    first = point.pxe(asked, "1")
    assert first.action == "boot" and first.mandatory
    assert point.pxe(asked, "1") == first, "the same start"
    assert [one["deployment"] for one in point.assignments(MAC, UUID, "1")["assignments"]] == ["LAB20001"]
    second = point.pxe(asked, "2")
    assert second.action == "abort" and "offered already" in " ".join(second.reasons)
    assert "earlier start" in point.assignments(MAC, UUID, "2")["no_deployment"]
    assert point.policy(MAC, UUID, "LAB20001") is None
    assert [event["start"] for event in point.told("pxe")] == ["1", "2"]
    assert point.told("pxe")[1]["reasons"] == list(second.reasons) and point.told("pxe")[0]["mac"] == MAC
    point.clear_required(MAC.upper(), UUID)
    assert point.told("cleared") == [{"mac": MAC, "device": "PC-1"}]
    assert point.pxe(asked, "3").action == "boot"


def test_only_what_is_required_counts_as_offered_and_an_unknown_computer_is_its_guid() -> None:
    store = MemoryStore()
    point, key = Point(store=store), f"unknown:{STRANGER}"
    assert point.pxe(PxeRequest(STRANGE_MAC, STRANGER, 7), "1").action == "boot"
    assert store.offered(key) == ()  # an available one is offered at every start
    required = replace(SITE, deployments=(replace(SITE.deployments[1], purpose="required"),))
    point = Point(required, store)
    assert point.pxe(PxeRequest(STRANGE_MAC, STRANGER, 7), "2").mandatory
    docked = PxeRequest("52:54:00:00:00:98", STRANGER, 7)
    assert store.offered(key) == ("LAB20002",) and point.pxe(docked, "3").action == "abort"
    point.clear_required(MAC, UUID)
    assert point.pxe(docked, "4").action == "abort", "that was another computer's"
    point.clear_required(docked.mac, STRANGER)
    assert point.pxe(docked, "5").mandatory


def test_computers_that_share_a_guid_are_each_offered_a_required_deployment() -> None:
    required = (replace(SITE.deployments[1], purpose="required"),)
    site = replace(SITE, deployments=required, settings=Settings(shared_uuids=(STRANGER.upper(),)))
    point, other = Point(site), "52:54:00:00:00:98"
    for mac in (STRANGE_MAC, other):
        assert point.pxe(PxeRequest(mac, STRANGER, 7), "1").mandatory
        assert "assignments" in point.assignments(mac, STRANGER, "1")
    assert point.pxe(PxeRequest(other, STRANGER, 7), "2").action == "abort", "but once each"


def test_no_other_required_deployment_runs_than_the_one_that_pxe_started_the_computer_for() -> None:
    arm = SitePackage("LAB00009", kind="boot-image", distributed={"DP1": "there"}, architecture="arm64")
    site = replace(
        SITE,
        packages=(*SITE.packages, arm),
        sequences=(*SITE.sequences, SiteSequence("LAB00012", "Arm", "LAB00009")),
        deployments=(*SITE.deployments, Deployment("LAB29999", "LAB00012", "Office", "required")),
    )
    point = Point(site)
    assert point.pxe(PxeRequest(MAC, UUID, 7), "1").deployment == "LAB20001"
    assert [one["deployment"] for one in point.assignments(MAC, UUID, "1")["assignments"]] == ["LAB20001"]


def test_a_sequence_in_another_boot_image_than_its_own_is_told() -> None:
    other = SitePackage("LAB00009", kind="boot-image", distributed={"DP1": "there"})
    site = replace(
        SITE,
        packages=(*SITE.packages, other),
        sequences=(SITE.sequences[0], SiteSequence("LAB00011", "Other", "LAB00009")),
        deployments=tuple(Deployment(f"LAB2000{n}", f"LAB0001{n}", "Office") for n in (0, 1)),
    )
    point = Point(site)
    assert point.pxe(PxeRequest(MAC, UUID, 7), "1").boot_image == "LAB00009"
    assert point.policy(MAC, UUID, "LAB20001") is not None and not point.told("boot-image")
    policy = point.policy(MAC, UUID, "LAB20000")
    assert policy is not None and policy["boot_image"] == "LAB00002"
    images = {"started": "LAB00009", "assigned": "LAB00002", "restaged": False}
    assert point.told("boot-image") == [{"mac": MAC, "deployment": "LAB20000", **images}]


def test_a_cleared_flag_of_the_record_itself() -> None:
    marked = replace(SITE, devices=(replace(SITE.devices[0], last_pxe="LAB20001"),))
    point, asked = Point(marked), PxeRequest(MAC, UUID, 7)
    assert point.pxe(asked, "1").action == "abort"
    point.clear_required(MAC, UUID)
    assert point.pxe(asked, "2").action == "boot"


@given(
    st.lists(st.tuples(st.sampled_from(["start", "again", "clear"]), st.sampled_from([7, 0])), max_size=12)
)
def test_whatever_happens_a_required_deployment_is_offered_once_between_two_clearings(
    happenings: list[tuple[str, int]],
) -> None:
    point, start, fresh, latest = Point(), 0, True, None
    for what, system in happenings:
        if what == "clear":
            point.clear_required(MAC, UUID)
            fresh = True
            continue
        again = what == "again" and start > 0
        start += not again
        decision = point.pxe(PxeRequest(MAC, UUID, system), str(start))
        if again:
            assert decision == latest
            continue
        assert (decision.action == "boot") == fresh
        assert ("assignments" in point.assignments(MAC, UUID, str(start))) == fresh
        latest, fresh = decision, False


def test_another_management_point_over_the_same_store_goes_on_where_the_first_one_was() -> None:
    store, asked = MemoryStore(), PxeRequest(MAC, UUID, 7)
    first = Point(store=store).pxe(asked, "1")
    again = Point(store=store)
    assert again.pxe(asked, "1") == first
    assert again.pxe(asked, "2").action == "abort"


@pytest.mark.rule("R12", shown="sim")
@pytest.mark.rule("R22", shown="sim")
def test_the_policy_is_the_sequence_with_the_values_of_one_computer() -> None:
    point = Point()
    policy = point.policy(MAC.upper(), UUID, "lab20001")
    assert policy is not None and json.loads(json.dumps(policy)) == policy
    assert policy["sequence"] == {"name": "Deploy"} and policy["at_end"] == "power-off"
    assert policy["variables"] == {
        "_SMSTSClientPackageID": "LAB00003", "_SMSTSAdvertID": "LAB20001", "_SMSTSPackageID": "LAB00010",
        "_SMSTSPackageName": "Deploy", "_SMSTSBootImageID": "LAB00002", "_SMSTSSiteCode": "LAB",
        "_SMSTSAssignedSiteCode": "LAB", "_SMSTSMP": "http://10.77.0.1", "_SMSTSDownloadOnDemand": "true",
        "Place": "desk", "Pin": "4711",
    }  # fmt: skip
    assert policy["secrets"] == ["Pin"] and policy["unset"] == ["Who"]
    assert policy["naa"] == {"user": "LAB\\naa", "password": "Secret-1"}
    assert policy["deployment"] == {"id": "LAB20001", "purpose": "required", "download": "when needed"}
    assert (policy["boot_image"], policy["machine_name"]) == ("LAB00002", "PC-1")
    assert "Secret-1" not in json.dumps(point.events) and "4711" not in json.dumps(point.events)


@pytest.mark.rule("R63")
@pytest.mark.rule("R62")
@pytest.mark.parametrize(
    ("download", "told"),
    [
        ("run from distribution point", {"_SMSTSRunFromDP": "true"}),
        ("when needed", {"_SMSTSDownloadOnDemand": "true"}),
        ("all before start", {}),
    ],
)
def test_the_deployment_says_how_content_comes(download: Download, told: dict[str, str]) -> None:
    site = replace(SITE, deployments=(replace(SITE.deployments[0], download=download),))
    policy = Point(site).policy(MAC, UUID, "LAB20001")
    assert policy is not None
    names = ("_SMSTSRunFromDP", "_SMSTSDownloadOnDemand")
    assert {name: value for name, value in policy["variables"].items() if name in names} == told


def test_a_computer_gets_the_policy_of_its_own_deployments_only() -> None:
    point = Point()
    assert point.policy(MAC, UUID, "LAB20002") is None
    assert point.policy(MAC, UUID, "../LAB20001") is None
    policy = point.policy(STRANGE_MAC, STRANGER, "LAB20002")
    assert policy is not None and policy["machine_name"] == "" and "Place" not in policy["variables"]
    assert point.policy(STRANGE_MAC, STRANGER, "LAB20001") is None
    assert point.assignments(STRANGE_MAC, STRANGER, "1")["known"] is False


def test_an_unknown_computer_is_in_policy_what_it_was_at_its_pxe_request() -> None:
    point = Point()
    point.pxe(PxeRequest(STRANGE_MAC, STRANGER, 11), "1")
    policy = point.policy(STRANGE_MAC, STRANGER, "LAB20002")
    assert policy is not None and policy["variables"]["Cpu"] == "arm"


def test_an_attempt_is_a_start_that_the_site_let_boot() -> None:
    point = Point()
    told = []
    for start, system in enumerate((11, 7, 7)):  # no boot image is for arm64
        point.pxe(PxeRequest(STRANGE_MAC, STRANGER, system), str(start))
        told.append(point.policy(STRANGE_MAC, STRANGER, "LAB20002")["attempt"])  # type: ignore[index]
    assert told == [1, 1, 2]


def test_nothing_to_run_says_so() -> None:
    point = Point(replace(SITE, deployments=()))
    assert "PC-1" in point.assignments(MAC, UUID, "1")["no_deployment"]
    assert point.told("assignments")[0]["deployments"] == []


@pytest.mark.rule("R67", shown="sim")
@pytest.mark.rule("R68", shown="sim")
def test_locations_come_with_the_files_of_the_newest_version() -> None:
    point = Point()
    found = point.locate(MAC, "LAB00005")
    assert found["version"] == 2 and found["files"] == FILES
    assert [place["url"] for place in found["locations"]] == ["http://10.77.0.1/content/LAB00005"] * 2
    gone = point.locate(MAC, "LAB00099")
    assert gone["known"] is False and gone["files"] == [] and gone["locations"] == []
    assert point.told("location")[1]["known"] is False


@pytest.mark.rule("R67", shown="sim")
def test_every_sequence_gets_the_newest_version_however_many_updates_there_were() -> None:
    for version in (3, 8):
        newest = tuple(replace(one, version=version) for one in SITE.packages)
        point = Point(replace(SITE, packages=newest))
        for mac, uuid, deployment in ((MAC, UUID, "LAB20001"), (STRANGE_MAC, STRANGER, "LAB20002")):
            assert point.policy(mac, uuid, deployment) is not None
            assert point.locate(mac, "LAB00005")["version"] == version


NOBODY = replace(SITE, account=None)
REVOKED = replace(SITE, account=Account("LAB\\naa", "Secret-1", valid=False))


@pytest.mark.rule("R72", shown="sim")
@pytest.mark.rule("R08", shown="sim")
@pytest.mark.parametrize(
    ("site", "package", "point", "credentials", "expected"),
    [
        (SITE, "LAB00005", "DP1", RIGHT, ContentAnswer(200)),
        (SITE, "lab00005", "", RIGHT, ContentAnswer(200)),
        (SITE, "LAB00005", "dp2", RIGHT, ContentAnswer(200, damaged=True)),
        (SITE, "LAB00005", "DP1", None, ContentAnswer(401)),
        (SITE, "LAB00005", "DP1", ("LAB\\naa", "secret-1"), ContentAnswer(401)),
        (SITE, "LAB00005", "DP1", ("LAB\\other", "Secret-1"), ContentAnswer(401)),
        (SITE, "LAB00006", "DP1", RIGHT, ContentAnswer(401)),
        (SITE, "LAB00006", "DP2", RIGHT, ContentAnswer(404)),
        (SITE, "LAB00006", "DP2", None, ContentAnswer(401)),
        (SITE, "LAB00005", "DP3", None, ContentAnswer(404)),
        (SITE, "LAB00005", "DP9", RIGHT, ContentAnswer(404)),
        (SITE, "LAB00099", "", RIGHT, ContentAnswer(404)),
        (NOBODY, "LAB00005", "DP1", None, ContentAnswer(401)),
        (NOBODY, "LAB00005", "DP1", RIGHT, ContentAnswer(401)),
        (REVOKED, "LAB00005", "DP1", RIGHT, ContentAnswer(401)),
    ],
)
def test_who_may_read_content(
    site: SiteObjects,
    package: str,
    point: str,
    credentials: tuple[str, str] | None,
    expected: ContentAnswer,
) -> None:
    made = Point(site)
    assert made.content(package, "a/b.txt", point, credentials, MAC) == expected
    assert len(made.told("denied")) == (expected.status == 401)
    assert "ecret-1" not in json.dumps(made.events)


@pytest.mark.rule("R72", shown="sim")
def test_an_anonymous_distribution_point_asks_nobody() -> None:
    there = SitePackage("LAB00005", distributed={"DP3": "there"})
    made = Point(replace(SITE, packages=(there,), account=None))
    assert made.content("LAB00005", "a/b.txt", "", None).status == 200
    assert made.content("LAB00005", "a/../../etc/passwd", "", None).status == 404
    denied = Point(replace(SITE, packages=(replace(there, distributed={"DP3": "denied"}),)))
    assert denied.content("LAB00005", "a/b.txt", "", None).status == 401


def test_status_messages_are_kept_once_and_make_the_history() -> None:
    point = Point()
    one = {"n": 1, "id": 11144, "time": "t1", "text": "began"}
    assert point.status(MAC.upper(), [one, one], "s1") == 2
    assert point.status(MAC, [one, {"n": 2, "id": 11141, "text": "failed"}], "s1") == 2
    point.status(MAC, [{**one, "time": "t2"}], "s2")
    assert point.status(MAC, [{**one, "time": "t2"}], "s2") == 1  # the answer was lost: posted again
    assert [(told["start"], [item["n"] for item in told["messages"]]) for told in point.told("status")] == [
        ("s1", [1]), ("s1", [2]), ("s2", [1])
    ]  # fmt: skip
    assert point.history(MAC) == [
        {"start": "s1", "began": "t1", "result": "failed"},
        {"start": "s2", "began": "t2", "result": ""},
    ]
    assert point.history(STRANGE_MAC) == []
