"""What a record brings its computer: deployments, variables, places of content."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.site.model import (
    ALL_SYSTEMS,
    ALL_UNKNOWN,
    Collection,
    Deployment,
    Device,
    DistributionPoint,
    SiteObjects,
    SitePackage,
    SiteSequence,
)  # fmt: skip
from lab.site.policy import assignments, locations, variables

PC1 = Device("PC-1", variables={"Place": "desk", "pin": "7"}, secrets=("Pin",))
PC2 = Device("PC-2")
SITE = SiteObjects(
    "LAB",
    devices=(PC1, PC2),
    collections=(
        Collection("Office", ("pc-1", "PC-2"), variables={"PLACE": "office", "Floor": "2"}, priority=2),
        Collection("House", ("PC-1",), variables={"Floor": "1", "Town": "Bern"}),
        Collection("Staff", ("PC-1",), users=True, variables={"Staff": "1"}),
        Collection(ALL_SYSTEMS, variables={"Everywhere": "1"}),
        Collection(ALL_UNKNOWN, variables={"Place": "dock", "Owner": ""}),
    ),
    sequences=(
        SiteSequence("LAB00010", "Deploy", "LAB00002"),
        SiteSequence("LAB00011", "Old", disabled=True),
    ),
    packages=(
        SitePackage("LAB00005", version=4, distributed={"dp2": "there", "DP1": "denied"}, share=True),
        SitePackage("LAB00006"),
    ),
    distribution_points=(DistributionPoint("DP1"), DistributionPoint("DP2")),
)  # fmt: skip


@pytest.mark.rule("R12", shown="sim")
@pytest.mark.rule("R14", shown="sim")
@pytest.mark.rule("R22", shown="sim")
def test_a_device_beats_its_collections_and_a_higher_collection_a_lower_one() -> None:
    found = variables(SITE, PC1)
    assert found.values == {"Place": "desk", "pin": "7", "Floor": "2", "Town": "Bern", "Everywhere": "1"}
    assert found.secrets == ("pin",) and found.unset == ()
    assert variables(SITE, PC2).values == {"Everywhere": "1", "PLACE": "office", "Floor": "2"}


def test_a_password_is_secret_by_its_name() -> None:
    site = replace(SITE, devices=(replace(PC1, variables={"AdminPassword": "Horse-9"}),))
    assert variables(site, site.devices[0]).secrets == ("AdminPassword",)
    unset = replace(SITE, devices=(replace(PC1, variables={"AdminPassword": ""}, secrets=()),))
    assert variables(unset, unset.devices[0]).secrets == ("AdminPassword",)  # not shown while it is typed


def test_what_is_secret_in_one_place_is_so_wherever_else_it_is_set() -> None:
    office = replace(SITE.collections[0], secrets=("floor",))
    upper = Collection("Upper", ("PC-1",), variables={"Floor": "9"}, priority=3)
    found = variables(replace(SITE, collections=(office, upper)), replace(PC1, secrets=()))
    assert found.values["Floor"] == "9" and found.secrets == ("Floor",)


@pytest.mark.rule("R13", shown="sim")
def test_a_variable_left_empty_is_asked_for_and_is_not_set() -> None:
    emptied = replace(PC1, variables={"place": "", "Floor": "3"}, secrets=())
    found = variables(SITE, emptied)
    assert found.unset == ("place",) and "Place" not in found.values and "place" not in found.values
    filled = variables(replace(SITE, collections=(Collection("C", ("PC-1",), variables={"X": ""}),)),
                       replace(PC1, variables={"x": "1"}))  # fmt: skip
    assert filled.values == {"x": "1"} and filled.unset == ()


@pytest.mark.rule("R12", shown="sim")
def test_an_unknown_computer_has_what_its_collections_say() -> None:
    found = variables(SITE, None)
    assert found.values == {"Place": "dock", "Everywhere": "1"} and found.unset == ("Owner",)
    arm = Collection("Arm", ("arm64 Unknown Computer",), variables={"Cpu": "arm"}, priority=3)
    site = replace(SITE, collections=(*SITE.collections, arm))
    assert variables(site, None, "arm64 Unknown Computer").values["Cpu"] == "arm"
    assert "Cpu" not in variables(site, None, "x64 Unknown Computer").values


def numbered(number: int, sets: bool) -> Collection:
    return Collection(f"C{number}", ("PC-2",), variables={"N": str(number)} if sets else {}, priority=number)


@given(st.permutations(range(1, 6)), st.sets(st.integers(1, 5), min_size=1))
def test_priority_decides_whatever_the_order_of_the_collections(order: list[int], setting: set[int]) -> None:
    made = tuple(numbered(number, number in setting) for number in order)
    assert variables(replace(SITE, collections=made), PC2).values == {"N": str(max(setting))}


@pytest.mark.rule("R40", shown="sim")
def test_assignments_are_what_pe_sees_the_highest_id_first() -> None:
    made = (
        Deployment("LAB20001", "LAB00010", "Office"),
        Deployment("LAB20003", "LAB00010", "Office", "required", available_to="media and PXE"),
        Deployment("LAB20002", "LAB00010", ALL_SYSTEMS),
        Deployment("LAB20004", "LAB00011", "Office"),
        Deployment("LAB20005", "LAB00010", "Office", available_to="clients"),
        Deployment("LAB20006", "LAB00010", "Office", available_to="media and PXE (hidden)"),
        Deployment("LAB20007", "LAB00010", "Staff"),
        Deployment("LAB20008", "LAB00010", ALL_UNKNOWN, deadline="2020-01-01 00:00"),
    )
    site = replace(SITE, deployments=made)
    assert [one.id for one in assignments(site, PC1)] == ["LAB20003", "LAB20002", "LAB20001"]
    assert [one.id for one in assignments(site, None)] == ["LAB20008", "LAB20002"], "PE looks at no deadline"


@pytest.mark.rule("R60", shown="sim")
@pytest.mark.rule("R67", shown="sim")
@pytest.mark.rule("R68", shown="sim")
def test_locations_of_the_newest_version() -> None:
    found = locations(SITE, "lab00005")
    assert (found["package"], found["known"], found["version"]) == ("LAB00005", True, 4)
    assert found["locations"] == [
        {"distribution_point": "DP1", "url": "/content/LAB00005", "share": r"\\DP1\SMSPKGD$\LAB00005"},
        {"distribution_point": "DP2", "url": "/content/LAB00005", "share": r"\\DP2\SMSPKGD$\LAB00005"},
    ]
    plain = replace(SITE, packages=(replace(SITE.packages[0], share=False),))
    assert [place["share"] for place in locations(plain, "LAB00005")["locations"]] == ["", ""]
    assert locations(SITE, "LAB00006") == {
        "package": "LAB00006", "known": True, "version": 1, "locations": [],
    }  # fmt: skip
    assert locations(SITE, "LAB00099")["known"] is False, "a deleted object"
    assert locations(SITE, "LAB00010")["known"] is True, "a child sequence"
