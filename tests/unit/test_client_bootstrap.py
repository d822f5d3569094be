"""From PXE to the first step: which sequence, which variables, which content, and when nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.client import wizard
from lab.client.bootstrap import (
    NO_TASK_SEQUENCES,
    Answered,
    AskAssignments,
    AskLocations,
    AskPolicy,
    Begin,
    Nothing,
    Say,
    Show,
    bootstrap,
)
from lab.sequence.codec import to_json
from lab.sequence.codes import NO_LOCATION
from lab.sequence.xmlformat import read_sequence


def deployment(identifier: str, name: str = "Install", purpose: str = "available") -> dict[str, Any]:
    return {"deployment": identifier, "sequence": "LAB00009", "name": name, "purpose": purpose}


@dataclass
class Site:
    """Answers what the bootstrap asks, and notes what it said and showed."""

    assignments: Any = field(default_factory=lambda: [deployment("LAB20001")])
    policy: dict[str, Any] | None = field(default_factory=dict)
    locations: Mapping[str, Any] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    shown: list[wizard.Page] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    log: list[tuple[int, str]] = field(default_factory=list)

    def answer(self, request: object) -> Any:
        if isinstance(request, AskAssignments):
            if isinstance(self.assignments, str):
                return {"no_deployment": self.assignments}
            return {"assignments": self.assignments, "device": "PC1", "known": True}
        if isinstance(request, AskPolicy):
            self.asked.append(request.deployment)
            return self.policy
        if isinstance(request, AskLocations):
            self.asked.append(request.package)
            return self.locations.get(request.package, {"package": request.package, "known": False})
        if isinstance(request, Show):
            self.shown.append(request.page)
            return self.typed.pop(0)
        if isinstance(request, Answered):
            self.told.append(request.told)
        if isinstance(request, Say):
            self.log.append((request.record["type"], request.record["message"]))
        return None

    def run(self) -> Begin | Nothing:
        client = bootstrap()
        answer = None
        try:
            while True:
                answer = self.answer(client.send(answer))
        except StopIteration as stop:
            result: Begin | Nothing = stop.value
            return result


def found(package: str, *points: str) -> dict[str, Any]:
    places = [{"distribution_point": point, "url": f"http://{point}/", "share": None} for point in points]
    return {"package": package, "known": True, "version": 3, "locations": places}


def test_one_available_deployment_runs_without_a_page() -> None:
    site = Site(policy={"variables": {"Color": "blue"}, "secrets": ["Pin"]})
    result = site.run()
    assert isinstance(result, Begin)
    assert site.asked == ["LAB20001"]
    assert site.shown == []
    assert result.variables == {"Color": "blue"}
    assert result.secrets == ("Pin",)


def test_no_assignment_is_nothing_to_run() -> None:
    site = Site(assignments="no deployment for this device")
    assert site.run() == Nothing("no deployment for this device")
    assert (3, NO_TASK_SEQUENCES) in site.log
    assert site.asked == []


def test_a_required_deployment_is_not_asked_for_and_the_highest_id_runs() -> None:
    site = Site(
        assignments=[
            deployment("LAB20001", purpose="required"),
            deployment("LAB20009"),
            deployment("LAB2000A", purpose="required"),
        ]
    )
    assert isinstance(site.run(), Begin)
    assert site.asked == ["LAB2000A"]
    assert site.shown == []


def test_of_several_available_ones_the_wizard_asks_until_the_answer_is_one() -> None:
    site = Site(
        assignments=[deployment("LAB20001", "First"), deployment("LAB20002", "Second")], typed=["3", "", "2"]
    )
    assert isinstance(site.run(), Begin)
    page, again, _ = site.shown
    assert [(item.number, item.name) for item in page.items] == [(1, "Second"), (2, "First")]
    assert page.refused == ""
    assert "'3'" in again.refused
    assert site.asked == ["LAB20001"]
    assert site.told == [{"page": "choose", "chosen": "LAB20001"}]


@pytest.mark.rule("R12")
def test_variables_left_empty_are_asked_for_and_their_values_never_told() -> None:
    site = Site(
        policy={"variables": {"Color": "blue"}, "unset": ["Room", "Pin", "Floor"], "secrets": ["PIN"]},
        typed=["B 12", "hunter2", ""],
    )
    result = site.run()
    assert isinstance(result, Begin)
    assert result.variables["Room"] == "B 12"
    assert result.variables["Pin"] == "hunter2"
    assert "Floor" not in result.variables
    assert [(page.name, page.secret) for page in site.shown] == [
        ("Room", False),
        ("Pin", True),
        ("Floor", False),
    ]
    assert [page.later for page in site.shown] == [("Pin", "Floor"), ("Floor",), ()]
    assert ["not shown" in page.prompt for page in site.shown] == [False, True, False]
    assert "hunter2" not in repr((site.told, site.log)) and "B 12" not in repr((site.told, site.log))


def test_a_value_over_the_limit_is_asked_for_again() -> None:
    site = Site(policy={"unset": ["Room"]}, typed=["x" * 4001, "x" * 4000])
    result = site.run()
    assert isinstance(result, Begin)
    assert len(result.variables["Room"]) == 4000
    assert "4000" in site.shown[1].refused


@pytest.mark.rule("R60")
def test_every_package_is_checked_before_the_first_step_and_a_missing_one_is_its_steps_error() -> None:
    site = Site(
        policy={"references": ["LAB00001", "LAB00004"], "naa": {"user": "LAB\\naa", "password": "x"}},
        locations={"LAB00001": found("LAB00001", "DP1"), "LAB00004": found("LAB00004")},
    )
    assert isinstance(site.run(), Begin)
    assert site.asked == ["LAB20001", "LAB00001", "LAB00004"]
    assert (1, "Content location request for LAB00001:3 succeeded.") in site.log
    assert (2, "Content location request for LAB00004:3 failed. (Code 0x80040102)") in site.log


@pytest.mark.rule("R68")
def test_a_deleted_package_lets_the_sequence_not_run() -> None:
    site = Site(
        policy={"references": ["LAB00001", "LAB00004"]}, locations={"LAB00001": found("LAB00001", "DP1")}
    )
    result = site.run()
    assert isinstance(result, Nothing)
    assert result.code == NO_LOCATION
    assert "LAB00004" in result.reason and "LAB00001" not in result.reason
    assert (3, "Failed to resolve selected task sequence dependencies. Code(0x80040102)") in site.log


@pytest.mark.rule("R68")
def test_a_deleted_package_is_told_with_the_steps_that_need_it() -> None:
    text = """<sequence><group name="Tools">
<step name="Fetch"><action>smsswd.exe /run:LAB00004 setup.exe</action></step></group>
<referenceList><reference package="LAB00004"/></referenceList></sequence>"""
    sequence = to_json(read_sequence(text.encode(), "install.xml"))
    result = Site(policy={"references": ["LAB00004"], "sequence": sequence}).run()
    assert isinstance(result, Nothing)
    assert result.reason == (
        "the task sequence refers to LAB00004, which the site does not know; "
        "LAB00004 is named by step 'Tools / Fetch' (install.xml:2:1)"
    )


@pytest.mark.rule("R72")
def test_a_site_without_an_account_is_told_of_before_the_content_fails() -> None:
    site = Site(policy={"references": ["LAB00001"], "naa": None}, locations={"LAB00001": found("LAB00001")})
    assert isinstance(site.run(), Begin)
    assert (2, "Network Access Account is not set") in site.log


def test_a_policy_that_is_gone_is_nothing_to_run() -> None:
    result = Site(policy=None).run()
    assert isinstance(result, Nothing)
    assert "LAB20001" in result.reason


def test_a_page_reads_as_its_user_needs() -> None:
    page = wizard.choice([deployment("LAB20002", "Windows 11"), deployment("LAB20001", "Wipe")])
    assert page.lines() == [
        "Select a task sequence to run",
        "",
        "   1  Windows 11 (LAB20002)",
        "   2  Wipe (LAB20001)",
        "",
    ]
    assert wizard.take(page, " lab20001 ") == "LAB20001"
    assert page.to_json()["items"][1] == {"number": 2, "name": "Wipe", "deployment": "LAB20001"}
    assert wizard.variable("Room", False).to_json() == {
        "page": "variable",
        "title": "Edit task sequence variables",
        "name": "Room",
        "secret": False,
        "later": [],
        "refused": "",
    }
