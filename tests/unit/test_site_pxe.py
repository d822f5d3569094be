"""The PXE decision: who is asked about, which deployment, which boot image, and why."""

from __future__ import annotations

import json
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
    Settings,
    SiteObjects,
    SitePackage,
    SiteSequence,
)  # fmt: skip
from lab.site.policy import assignments
from lab.site.pxe import CLIENT_SYSTEMS, PxeDecision, PxeRequest, decide, offer_key, refused, starts

UUID, MAC = "aaaaaaaa-0000-4000-8000-000000000001", "52:54:00:00:00:01"
OTHER, OTHER_MAC = "aaaaaaaa-0000-4000-8000-000000000002", "52:54:00:00:00:02"
UEFI = PxeRequest(MAC, UUID, 7)
BIOS = PxeRequest(MAC, UUID, 0)
STRANGER = PxeRequest("52:54:00:00:00:99", "bbbbbbbb-0000-4000-8000-000000000099", 7)


def image(package: str, architecture: str = "x64", **changes: object) -> SitePackage:
    one = SitePackage(package, "Boot image", "boot-image", 1, {"DP1": "there"}, architecture=architecture)  # type: ignore[arg-type]
    return replace(one, **changes)  # type: ignore[arg-type]


SITE = SiteObjects(
    "LAB",
    devices=(Device("PC-1", MAC, UUID),),
    collections=(Collection("Office", ("PC-1",)), Collection("Staff", users=True)),
    packages=(image("LAB00002"), image("LAB00004", "x86"), image("LAB00005", "arm64")),
    sequences=(SiteSequence("LAB00010", "Sixty-four", "LAB00002"),
               SiteSequence("LAB00011", "Thirty-two", "LAB00004"),
               SiteSequence("LAB00012", "Arm", "LAB00005")),
    deployments=(Deployment("LAB20001", "LAB00010", "Office", "required"),),
)  # fmt: skip


def answer(request: PxeRequest, **changes: object) -> PxeDecision:
    return decide(replace(SITE, **changes), request)  # type: ignore[arg-type]


def test_a_known_device_gets_the_boot_image_of_its_deployment() -> None:
    found = answer(UEFI)
    assert (found.action, found.deployment, found.boot_image) == ("boot", "LAB20001", "LAB00002")
    assert found.mandatory and found.known and (found.device, found.unknown) == ("PC-1", "")
    assert found.reasons == (
        f"SMBIOS GUID {UUID} is that of PC-1", "LAB20001 is chosen", "its boot image LAB00002 is x64",
    )  # fmt: skip
    assert PxeDecision.from_json(json.loads(json.dumps(found.to_json()))) == found


def office(**changes: object) -> tuple[Deployment, ...]:
    return (replace(SITE.deployments[0], **changes),)  # type: ignore[arg-type]


@pytest.mark.rule("R40", shown="sim")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"deployments": ()}, "there are no deployments"),
        ({"deployments": office(collection="Nobody")}, "no collection 'Nobody'"),
        ({"deployments": office(collection="Staff")}, "'Staff' is one of users"),
        ({"deployments": office(collection=ALL_UNKNOWN)}, "for unknown computers, and PC-1 is known"),
        ({"collections": (Collection("Office", ("PC-2",)),)}, "not deployed to PC-1: LAB20001 (to 'Office')"),
        ({"deployments": office(sequence="LAB00099")}, "task sequence LAB00099 was deleted"),
        ({"sequences": (replace(SITE.sequences[0], disabled=True),)}, "LAB00010 is disabled"),
        ({"sequences": (replace(SITE.sequences[0], boot_image=""),)}, "has no boot image"),
        ({"deployments": office(available_to="clients")}, "to clients only"),
        ({"deployments": office(available_to="media and PXE (hidden)")}, "it is hidden"),
        ({"devices": (Device("PC-1", MAC, UUID, last_pxe="lab20001"),)}, "was offered already"),
        ({"packages": ()}, "boot image LAB00002 was deleted"),
        ({"packages": (replace(image("LAB00002"), kind="package"),)}, "LAB00002 is no boot image"),
        ({"packages": (image("LAB00002", pxe=False),)}, "not enabled for PXE"),
        ({"packages": (image("LAB00002", distributed={}),)}, "not on a distribution point"),
        ({"packages": (image("LAB00002", distributed={"DP2": "there"}),)}, "not on a distribution point"),
        ({"packages": (image("LAB00002", distributed={"DP1": "missing"}),)}, "are gone"),
        ({"packages": (image("LAB00002", "x86"),)}, "is x86, the computer x64 with UEFI"),
    ],
)
def test_what_is_not_for_it_sends_it_to_its_next_boot_device_and_says_why(
    changes: dict[str, object], why: str
) -> None:
    found = answer(UEFI, **changes)
    assert found.action == "abort" and found.known
    assert any(why in reason for reason in found.reasons), found.reasons


def test_the_last_reason_tells_what_keeps_a_deployment_that_is_for_it() -> None:
    devices = (Device("PC-1", MAC, UUID, last_pxe="LAB20001"),)
    stranger = Deployment("LAB20009", "LAB00010", "Nobody")
    found = answer(UEFI, devices=devices, deployments=(*SITE.deployments, stranger))
    said = refused(found.action, found.reasons)
    assert "LAB20001: it is required and was offered already" in said and "LAB20009" not in said


@pytest.mark.rule("R40", shown="sim")
@pytest.mark.parametrize(
    ("request_", "stands_as", "sequence"),
    [
        (STRANGER, "x64 Unknown Computer", "LAB00010"),
        (replace(STRANGER, client_system=0, cpu="x64"), "x64 Unknown Computer", "LAB00010"),
        (replace(STRANGER, client_system=0, cpu="x86"), "x86 Unknown Computer", "LAB00011"),
        (replace(STRANGER, client_system=6), "x86 Unknown Computer", "LAB00011"),
        (replace(STRANGER, client_system=9), "x64 Unknown Computer", "LAB00010"),
        (replace(STRANGER, client_system=11), "arm64 Unknown Computer", "LAB00012"),
    ],
)
def test_an_unknown_computer_stands_as_the_object_of_what_its_cpu_is_able_to_run(
    request_: PxeRequest, stands_as: str, sequence: str
) -> None:
    everywhere = tuple(
        Deployment(f"LAB2000{n}", one.package, ALL_UNKNOWN) for n, one in enumerate(SITE.sequences)
    )
    found = answer(request_, deployments=everywhere)
    assert (found.action, found.known, found.unknown) == ("boot", False, stands_as)
    assert found.deployment == next(one.id for one in everywhere if one.sequence == sequence)
    own = (Collection("Strangers", (stands_as,)),)
    direct = (Deployment("LAB20009", sequence, "Strangers"),)
    assert answer(request_, collections=own, deployments=direct).action == "boot"
    assert answer(UEFI, collections=own, deployments=direct).action == "abort", "a known one is not in it"
    others = (Collection("Strangers", ("x86 Unknown Computer",)),)
    bios = replace(STRANGER, client_system=0)
    found = answer(bios, collections=others, deployments=(Deployment("D", "LAB00011", "Strangers"),))
    assert found.action == "abort", "an x64 CPU is none that is able to run x86 only"


def test_what_the_distribution_points_are_set_to() -> None:
    unknown = (Deployment("LAB20002", "LAB00010", ALL_UNKNOWN),)
    known_only = (DistributionPoint("DP1", unknown_computers=False),)
    assert answer(STRANGER, deployments=unknown).boot_image == "LAB00002"
    assert answer(STRANGER).action == "abort"
    found = answer(STRANGER, deployments=unknown, distribution_points=known_only)
    assert found.action == "ignore" and "answers unknown computers" in found.reasons[-1]
    assert answer(UEFI, distribution_points=known_only).action == "boot"
    silent = answer(UEFI, distribution_points=(DistributionPoint("DP1", pxe=False),))
    assert silent.action == "ignore" and silent.device == "PC-1" and "PXE" in silent.reasons[-1]
    second = (*known_only, DistributionPoint("DP2"))
    found = answer(STRANGER, deployments=unknown, distribution_points=second)
    assert found.action == "abort", "the one that would answer has no boot image"
    both = (image("LAB00002", distributed={"DP1": "there", "DP2": "there"}),)
    assert answer(STRANGER, deployments=unknown, distribution_points=second, packages=both).action == "boot"
    lost = (image("LAB00002", distributed={"DP1": "missing", "DP2": "there"}),)
    points = (DistributionPoint("DP1"), DistributionPoint("DP2"))
    assert answer(UEFI, distribution_points=points, packages=lost).action == "boot", "one of them has it"


def test_an_exact_architecture_goes_before_a_higher_deployment_id() -> None:
    both = (Deployment("LAB20009", "LAB00011", "Office"), Deployment("LAB20001", "LAB00010", "Office"))
    assert answer(BIOS, deployments=both).deployment == "LAB20001"
    assert answer(replace(BIOS, cpu="x86"), deployments=both).deployment == "LAB20009"
    only_x86 = answer(BIOS, deployments=both[:1])
    assert (only_x86.boot_image, only_x86.mandatory) == ("LAB00004", False)
    assert "an x64 CPU with a BIOS starts" in only_x86.reasons[-1]
    assert answer(UEFI, deployments=both[:1]).action == "abort", "UEFI wants its own architecture"
    three = tuple(Deployment(one, "LAB00010", "Office") for one in ("LAB20009", "LAB2000A", "LAB20001"))
    found = answer(UEFI, deployments=three)
    assert found.deployment == "LAB2000A", "compared as text"
    assert "LAB2000A is chosen before LAB20009, LAB20001" in found.reasons
    cases = tuple(Deployment(one, "LAB00010", "Office") for one in ("lab2000a", "LAB2000B"))
    assert answer(UEFI, deployments=cases).deployment == "LAB2000B", "case does not count"


@pytest.mark.parametrize(
    ("devices", "who", "why"),
    [
        ((Device("A", MAC, ""),), "A", f"MAC address {MAC} is that of A"),
        ((Device("A", "", UUID.upper()),), "A", f"SMBIOS GUID {UUID} is that of A"),
        ((Device("B", MAC, ""), Device("A", "", UUID)), "A", "is that of B: the GUID goes before it"),
        ((Device("A", MAC, OTHER),), "A", f"A has another SMBIOS GUID ({OTHER}): the address counts"),
        ((Device("B", OTHER_MAC, UUID), Device("A", MAC, UUID)), "A", "B has the same GUID: A has its MAC"),
        ((Device("A", OTHER_MAC, UUID), Device("B", "", UUID)), "A", "B has the same GUID: A is the first"),
        ((Device("A", MAC, OTHER), Device("B", MAC, "")), "A", "B has the same address: A is the first"),
        ((Device("Unknown", MAC, UUID),), "Unknown", "left over from a start that came to no end"),
        ((Device("B", OTHER_MAC, OTHER),), "", "an unknown computer"),
        ((Device("B", "", ""),), "", "an unknown computer"),
    ],
)
def test_who_it_is(devices: tuple[Device, ...], who: str, why: str) -> None:
    everybody = Deployment("D", "LAB00010", ALL_SYSTEMS)  # unknown computers are in it, too (documented)
    found = answer(UEFI, devices=devices, deployments=(everybody,))
    assert (found.device, found.known, found.action) == (who, bool(who), "boot")
    assert any(why in reason for reason in found.reasons), found.reasons


def test_a_leftover_record_keeps_a_computer_from_the_deployments_for_unknown_ones() -> None:
    unknown = (Deployment("LAB20002", "LAB00010", ALL_UNKNOWN),)
    left = answer(UEFI, devices=(Device("Unknown", "", UUID),), deployments=unknown)
    assert left.action == "abort" and "delete it" in left.reasons[1]
    assert answer(UEFI, devices=(), deployments=unknown).action == "boot", "deleted, it is unknown again"


def test_a_computer_that_is_assigned_to_another_site_is_not_served() -> None:
    other = answer(UEFI, devices=(replace(SITE.devices[0], site="ABC"),))
    assert other.action == "abort" and other.known
    assert refused(other.action, other.reasons).endswith(
        "PC-1 is assigned to site ABC, so no policy of LAB is visible to it"
    )
    assert answer(UEFI, devices=(replace(SITE.devices[0], site="lab"),)).action == "boot"
    assert assignments(SITE, SITE.devices[0])
    assert assignments(SITE, replace(SITE.devices[0], site="ABC")) == ()


def test_identifiers_that_many_computers_have() -> None:
    unknown = (Deployment("LAB20002", "LAB00010", ALL_UNKNOWN),)
    new_laptop = replace(UEFI, uuid=OTHER)
    trapped = answer(new_laptop, deployments=unknown)
    assert trapped.action == "abort" and trapped.device == "PC-1", "the docking station's address is PC-1's"
    free = answer(new_laptop, deployments=unknown, settings=Settings(shared_macs=(MAC.upper(),)))
    assert free.action == "boot" and not free.known and "duplicate identifiers" in free.reasons[0]
    shared = answer(UEFI, devices=(Device("B", "", UUID),), settings=Settings(shared_uuids=(UUID,)))
    assert not shared.known
    excluded = answer(UEFI, settings=Settings(ignored_macs=(MAC.upper(),)))
    assert excluded.action == "ignore" and "get no answer" in excluded.reasons[0]
    assert answer(replace(UEFI, client_system=99)).action == "ignore"


def test_a_required_deployment_is_offered_once_and_an_available_one_each_time() -> None:
    key = offer_key(SITE, SITE.devices[0], MAC, UUID)
    assert decide(SITE, UEFI, {key: ("LAB20001",)}).action == "abort"
    assert decide(SITE, UEFI, {"PC-2": ("LAB20001",)}).action == "boot"
    changed = replace(SITE, deployments=office(purpose="available"))
    assert decide(changed, UEFI, {key: ("LAB20001",)}).action == "boot", "it is available now"
    later = replace(SITE, deployments=(*SITE.deployments, Deployment("LAB20000", "LAB00010", "Office")))
    second = decide(later, UEFI, {key: ("LAB20001",)})
    assert (second.deployment, second.mandatory) == ("LAB20000", False)
    assert decide(SITE, UEFI, {key: ("LAB20003", "LAB20001")}).last_offer == "LAB20001"
    unknown = replace(SITE, deployments=office(collection=ALL_UNKNOWN))
    assert decide(unknown, STRANGER).mandatory
    ran = {offer_key(SITE, None, STRANGER.mac, STRANGER.uuid): ("LAB20001",)}
    assert decide(unknown, STRANGER, ran).action == "abort"


ARCHITECTURES = st.sampled_from(["x86", "x64", "arm64"])


@given(st.sampled_from(sorted(CLIENT_SYSTEMS)), ARCHITECTURES, ARCHITECTURES)
def test_nothing_is_offered_that_cannot_start(system: int, cpu: str, built: str) -> None:
    firmware, told = CLIENT_SYSTEMS[system]
    request = replace(UEFI, client_system=system, cpu=cpu)  # type: ignore[arg-type]
    found = answer(request, packages=(image("LAB00002", built),))
    assert (found.action == "boot") == starts(built, firmware, told or cpu)  # type: ignore[arg-type]
    assert found.reasons


@given(st.permutations(["LAB20001", "LAB2000A", "LAB20009", "lab2000b"]), ARCHITECTURES)
def test_the_order_in_which_a_site_lists_its_deployments_does_not_count(order: list[str], cpu: str) -> None:
    sequences = {
        "LAB20001": "LAB00010",
        "LAB2000A": "LAB00011",
        "LAB20009": "LAB00010",
        "lab2000b": "LAB00012",
    }
    made = tuple(Deployment(one, sequences[one], "Office") for one in order)
    found = answer(replace(BIOS, cpu=cpu), deployments=made)  # type: ignore[arg-type]
    assert found.deployment == {"x86": "LAB2000A", "x64": "LAB20009", "arm64": "lab2000b"}[cpu]
