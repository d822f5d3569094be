"""Scenarios with a site and with several machines: what they are made of, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.errors import InputError, LabFault
from lab.run.hidden import secret_values
from lab.run.prepare import check_content, read_checked_sequences
from lab.run.siteplan import policy_bases, site_objects
from lab.scenario.finding import find_sequence, find_site
from lab.scenario.implied import account
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.site.model import SiteObjects
from lab.site.policy import assignments, find_device, variables
from lab.yamlio import Place, Scalar

SEQUENCE = """<sequence version="3.10"><step type="SMS_TaskSequence_ApplyOperatingSystemAction" name="Apply">
<action>x</action><defaultVarList>
<variable name="ImagePackageID" property="ImagePackageID">LAB00001</variable></defaultVarList></step>
<referenceList><reference package="LAB00001"/><reference package="LAB00009"/></referenceList></sequence>"""
SITE = """
site: LAB
network_access_account: {user: LAB\\naa, password: Hidden-Account-1}
devices:
  KNOWN:
    mac: 52:54:00:aa:00:01
    uuid: aaaaaaaa-0000-4000-8000-000000000001
    variables: {Place: site, Kept: device, Token: {value: Hidden-Token-1, secret: true}}
os_images: {LAB00001: {name: Image}}
boot_images: {LAB00002: {name: Boot}}
packages: {LAB00009: {name: Tools, content: client}}
sequences: {LAB00010: {sequence: s.xml, boot_image: LAB00002}}
deployments:
  LAB20001: {sequence: LAB00010, collection: All Systems}
  LAB20002: {sequence: LAB00010, collection: All Unknown Computers}
"""


def load(folder: Path, text: str) -> LoadedScenario:
    (folder / "sites").mkdir(exist_ok=True)
    (folder / "sites" / "site.yaml").write_text(SITE)
    (folder / "s.xml").write_text(SEQUENCE)
    (folder / "sites" / "s.xml").write_text(SEQUENCE)
    path = folder / "a.yaml"
    path.write_text("scenario: A\n" + text)
    (loaded,) = load_scenarios([path])
    return loaded


def objects(loaded: LoadedScenario) -> SiteObjects:
    return site_objects(loaded, read_checked_sequences(loaded))


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as raised:
        objects(load(folder, text))
    return [str(problem).removeprefix(f"{folder}/") for problem in raised.value.problems]


ONE = "machine: uefi-x64\nsequence: s.xml\nexpect: {result: success}\n"


def test_a_scenario_without_a_site_has_one_that_knows_its_machine_and_deploys_to_it(tmp_path: Path) -> None:
    text = (
        f"{ONE}variables: {{Room: '7'}}\ndeployment: {{purpose: required}}\ncontent: {{LAB00009: missing}}\n"
    )
    site = objects(load(tmp_path, text))
    (machine,) = load(tmp_path, text).machines
    device, _ = find_device(site, machine.mac, "")
    assert device is not None and device.name == "PC-1" and variables(site, device).values == {"Room": "7"}
    (deployment,) = assignments(site, device)
    assert (deployment.id, deployment.purpose) == ("LAB20000", "required")
    assert site.sequences[0].boot_image == "LAB00002"
    lies = {package.id: dict(package.distributed) for package in site.packages}
    assert lies["LAB00001"] == {"DP1": "there"} and lies["LAB00009"] == {}
    assert machine.answers == {"f12": True, "choose": None, "variables": {}}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("state", ["missing", "denied", "damaged"])
def test_content_says_how_a_package_lies_on_the_distribution_point(
    tmp_path: Path, state: str, named: bool
) -> None:
    head = "machine: uefi-x64\nsite: site.yaml\nexpect: {result: success}\n" if named else ONE
    others = "" if named else ", LAB00009: missing"
    text = f"{head}content: {{LAB00001: {{distribution_point: {state}}}{others}}}\n"
    site = objects(load(tmp_path, text))
    package = site.package("LAB00001")
    assert package is not None and dict(package.distributed) == {"DP1": state}
    assert load(tmp_path, text).packages["LAB00001"] == "reference-image", "it is there, to be found so"


def test_content_of_a_site_that_a_scenario_takes_away_stays_on_the_sites_own_points(tmp_path: Path) -> None:
    points = "distribution_points: {DP1: , DP2: }\nos_images: {LAB00001: {distribution_points: [DP2]}}"
    inside = SITE.replace("os_images: {LAB00001: {name: Image}}", points).replace("\n", "\n  ")
    head = f"machine: uefi-x64\nexpect: {{code: 0}}\nsite:{inside}\n"
    for content, lies in (
        ("LAB00001: missing", {}),
        ("LAB00001: {distribution_point: damaged}", {"DP2": "damaged"}),
        ("LAB00009: missing", {"DP2": "there"}),
    ):
        package = objects(load(tmp_path, f"{head}content: {{{content}}}\n")).package("LAB00001")
        assert package is not None and dict(package.distributed) == lies


@pytest.mark.rule("R60")
def test_what_only_a_disabled_step_needs_is_not_looked_up(tmp_path: Path) -> None:
    def needed() -> list[list[str]]:
        loaded = load(tmp_path, ONE)
        (tmp_path / "s.xml").write_text(text)
        sequences = read_checked_sequences(loaded)
        return [base["references"] for base in policy_bases(loaded, sequences).values()]

    text = SEQUENCE
    assert needed() == [["LAB00001", "LAB00009"]]
    text = SEQUENCE.replace('name="Apply"', 'name="Apply" disable="true"')
    assert needed() == [["LAB00009"]]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.rule("R68")
def test_a_deleted_package_is_needed_and_the_site_does_not_know_it(tmp_path: Path, named: bool) -> None:
    head = "machine: uefi-x64\nsite: site.yaml\nexpect: {result: success}\n" if named else ONE
    loaded = load(tmp_path, f"{head}content: {{LAB00009: deleted}}\n")
    sequences = read_checked_sequences(loaded)
    assert objects(loaded).package("LAB00009") is None
    assert [base["references"] for base in policy_bases(loaded, sequences).values()] == [
        ["LAB00001", "LAB00009"]
    ]


def test_the_account_can_be_none_or_wrong(tmp_path: Path) -> None:
    for head in (
        ONE + "content: {LAB00009: missing}\n",
        "site: site.yaml\nmachine: uefi-x64\nexpect: {code: 0}\n",
    ):
        good, none, wrong = (
            objects(load(tmp_path, f"{head}{line}\n")).account
            for line in ("", "network_access_account: none", "network_access_account: wrong")
        )
        assert good is not None and good.valid and none is None
        assert wrong is not None and not wrong.valid and wrong.password == good.password


def test_machines_of_a_site_are_its_devices_by_name_and_the_scenarios_variables_win(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "site: site.yaml\nmachine: uefi-x64\nwizard: {choose: LAB20001}\nmachines:\n"
        "  KNOWN: {variables: {place: scenario, Pin: {value: '1', secret: true}},"
        " wizard: {variables: {Asset: x}}, expect: {result: not-started}}\n"
        "  OTHER: {machine: bios-x64, f12: left}\n"
        "expect: {result: success, code: 0}\n",
    )
    known, other = loaded.machines
    assert (known.mac, known.uuid) == ("52:54:00:aa:00:01", "aaaaaaaa-0000-4000-8000-000000000001")
    assert other.mac != known.mac and loaded.hardware == "uefi-x64, bios-x64"
    assert known.answers == {"f12": True, "choose": "LAB20001", "variables": {"Asset": "x"}}
    assert other.answers["f12"] is False
    site = objects(loaded)
    device, _ = find_device(site, known.mac, known.uuid)
    told = variables(site, device)
    assert told.values == {"place": "scenario", "Pin": "1", "Kept": "device", "Token": "Hidden-Token-1"}
    assert {name.casefold() for name in told.secrets} == {"pin", "token"}
    assert find_device(site, other.mac, other.uuid)[0] is None
    said = [(item.machine, type(item).__name__, item.place.line) for item in loaded.expectations]
    assert said == [
        ("KNOWN", "CodeExpected", 8), ("KNOWN", "ResultExpected", 6),
        ("OTHER", "ResultExpected", 8), ("OTHER", "CodeExpected", 8),
    ]  # fmt: skip


def test_what_the_site_keeps_secret_is_hidden_everywhere(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "site: site.yaml\nmachine: uefi-x64\nmachines:\n  A:\n"
        "wizard: {variables: {token: Hidden-Typed-1, JoinPassword: Hidden-Typed-2, Plain: visible}}\n"
        "expect: {result: success}\n",
    )
    hidden = secret_values(loaded)
    assert {"Hidden-Account-1", "Hidden-Token-1", "Hidden-Typed-1", "Hidden-Typed-2"} <= set(hidden)
    assert "visible" not in hidden
    assert account("a.yaml").password in secret_values(load(tmp_path, ONE))


def test_what_is_wrong_with_sites_and_machines_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    text = (
        "site: sito.yaml\nsequence: s.xml\nmac: 52:54:00:00:00:01\nmachines:\n"
        "  A B: {machine: uefi-x46}\n  C: {uuid: zz}\n"
        "content: {LAB00001: {distribution_point: gone}}\n"
        "expect: {pxe: {}, status: [{}]}\n"
    )
    said = problems(tmp_path, text)
    assert [line.partition(": ")[0].removeprefix("a.yaml:") for line in said] == [
        "2:7", "3:1", "4:1", "6:3", "6:18", "7:3", "7:13", "8:42", "9:15", "9:28",
    ]  # fmt: skip
    assert "did you mean 'site.yaml'?" in said[0] and "'sequence' is the site's to say" in said[1]
    assert "is no computer's name" in said[3] and "did you mean 'uefi-x64'?" in said[4]
    assert "key 'machine' is missing" in said[5]


def test_an_unknown_machine_has_no_variables_and_two_cards_no_address_in_common(tmp_path: Path) -> None:
    head = "site: site.yaml\nmachine: uefi-x64\nexpect: {result: success}\n"
    (said,) = problems(tmp_path, f"{head}variables: {{A: b}}\n")
    assert said.startswith("a.yaml:5:1: the site does not know machine 'PC-1'")
    (said,) = problems(tmp_path, f"{head}machines: {{KNOWN: {{}}, B: {{mac: 52-54-00-AA-00-01}}}}\n")
    assert "machines 'KNOWN' and 'B' have the same MAC address" in said


def test_a_machines_own_variable_stands_in_place_of_the_one_above_whatever_its_case(tmp_path: Path) -> None:
    text = f"{ONE}variables: {{Place: above, Kept: yes}}\nmachines: {{A: {{variables: {{PLACE: own}}}}}}\n"
    (machine,) = load(tmp_path, text).machines
    assert machine.variables == {"Kept": "yes", "PLACE": "own"}


def test_two_machines_that_are_one_record_have_one_set_of_variables(tmp_path: Path) -> None:
    clones = (
        "site: site.yaml\nmachine: uefi-x64\nexpect: {result: success}\nmachines:\n"
        "  KNOWN: {variables: {Place: first}}\n"
        "  CLONE: {uuid: aaaaaaaa-0000-4000-8000-000000000001, variables: {Place: SECOND}}\n"
    )
    (said,) = problems(tmp_path, clones)
    assert said.startswith("a.yaml:7:55: machine 'CLONE' is the record 'KNOWN' to the site, as 'KNOWN' is")
    same = objects(load(tmp_path, clones.replace("SECOND", "first")))
    assert variables(same, same.devices[0]).values["Place"] == "first"


def test_the_site_can_stand_in_the_scenario(tmp_path: Path) -> None:
    inside = SITE.replace("\n", "\n  ")
    loaded = load(tmp_path, f"machine: uefi-x64\nexpect: {{result: success}}\nsite:{inside}\n")
    assert [one.id for one in objects(loaded).deployments] == ["LAB20001", "LAB20002"]
    assert json.dumps(objects(loaded).to_json())
    (said,) = problems(tmp_path, "machine: uefi-x64\nexpect: {code: 0}\nsite: {site: LAB, devises: {}}\n")
    assert said.startswith("a.yaml:4:19: unknown key 'devises'; did you mean 'devices'?")


def test_content_of_a_scenario_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    text = "site: site.yaml\ncontent: {LAB00009: nowhere}\nmachine: uefi-x64\nexpect: {result: success}\n"
    loaded = load(tmp_path, text)
    (sequence,) = read_checked_sequences(loaded).values()
    with pytest.raises(LabFault, match="package LAB00009 has no content") as raised:
        check_content(loaded, sequence)
    assert "a.yaml:3:21 names it; a path is relative to the scenario" in raised.value.hint


def test_a_site_may_have_the_name_of_its_scenario(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    scenario, site = tmp_path / "office.yaml", tmp_path / "sites/office.yaml"
    for file in (scenario, site):
        file.write_text("")
    written = Scalar(Place("office.yaml", 1, 7), "office")
    assert find_site(written, scenario, []) == site


def test_what_the_site_does_not_have_is_not_expected_of_its_decision(tmp_path: Path) -> None:
    text = (
        "site: site.yaml\nmachines: {NEW: {machine: uefi-x64}}\nexpect:\n"
        "  pxe: {deployment: LAB20009, boot_image: LAB00003, device: KNOW}\n"
    )
    assert problems(tmp_path, text) == [
        "a.yaml:5:3: the site has no boot image 'LAB00003'; did you mean 'LAB00002'?",
        "a.yaml:5:3: the site has no deployment 'LAB20009'; did you mean 'LAB20002'?",
        "a.yaml:5:3: the site has no device 'KNOW'; did you mean 'KNOWN'?",
    ]


def test_what_no_key_types_is_no_answer_to_the_wizard(tmp_path: Path) -> None:
    found = problems(tmp_path, ONE + "wizard: {variables: {Room: Büro}}\n")
    assert "the value of 'Room' cannot be typed" in found[0] and found[0].startswith("a.yaml:5:")


def test_a_sequence_beside_the_scenarios_is_the_sites_own_before_our_samples(tmp_path: Path) -> None:
    (tmp_path / "bare-metal.xml").write_text(SEQUENCE)
    (tmp_path / "sites").mkdir()
    found = find_sequence(Scalar(Place("x", 1, 1), "bare-metal.xml"), tmp_path / "sites" / "own.yaml", [])
    assert found == tmp_path / "bare-metal.xml"
