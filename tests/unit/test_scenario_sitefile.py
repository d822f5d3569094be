"""Site files: what becomes of them, and every problem of one at its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import InputError
from lab.scenario.sitefile import LoadedSite, read_site, site_of_nodes
from lab.scenario.siteschema import SiteFile
from lab.sequence.model import Group, Step, TaskSequence
from lab.site.highrisk import installs_os
from lab.site.model import SiteObjects, Window
from lab.site.policy import variables
from lab.yamlio import json_schema, read_nodes
from tests.golden_file import check_golden

SITES = Path(__file__).parents[2] / "scenarios" / "sites"
SEQUENCE = (
    '<sequence version="3.10"><step type="SMS_TaskSequence_RebootAction" name="R"><action/></step></sequence>'
)
INSTALLS = SEQUENCE.replace("RebootAction", "ApplyOperatingSystemAction")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sequences: one that installs a system, one that does not."""
    (tmp_path / "vm-templates").mkdir()
    (tmp_path / "restart.xml").write_text(SEQUENCE)
    (tmp_path / "install.xml").write_text(INSTALLS)
    return tmp_path


def site(text: str, folder: Path) -> LoadedSite:
    return site_of_nodes(read_nodes(text, "site.yaml"), folder / "site.yaml")


def problems(text: str, folder: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        site(text, folder)
    return [str(problem) for problem in caught.value.problems]


def test_the_examples_are_whole() -> None:
    for path in sorted(SITES.glob("*.yaml")):
        loaded = read_site(path)
        assert loaded.warnings == (), path
        assert SiteObjects.from_json(json.loads(json.dumps(loaded.objects.to_json()))) == loaded.objects


def test_of_a_value_of_the_wrong_shape_nothing_is_told_but_its_shape(folder: Path) -> None:
    said = problems("site: {network_access_account: {user: LAB\\naa, password: Hidden-1}}", folder)
    assert said == ["site.yaml:1:7: a mapping is not a site code; three letters and digits: LAB"]
    said = problems("site: LAB\ndevices: {PC-1: {mac: [a], uuid: }}", folder)
    assert [one.partition(";")[0] for one in said] == [
        "site.yaml:2:23: a list is not a MAC address", "site.yaml:2:33: an empty value is not an SMBIOS GUID",
    ]  # fmt: skip


def test_a_site_with_everything() -> None:
    loaded = read_site(SITES / "contoso.yaml")
    objects = loaded.objects
    members = {one.name: one.members for one in objects.collections}
    assert members == {
        "Bern": ("PC-1", "PC-2"), "Pilot": ("PC-1",), "Not yet": ("PC-2",), "Staff": ("CONTOSO\\ada",),
        "All Unknown Computers": ("x86 Unknown Computer", "x64 Unknown Computer", "arm64 Unknown Computer"),
    }  # fmt: skip
    assert objects.code == "LAB" and objects.account is not None and objects.account.valid
    images = {one.id: one for one in objects.packages}
    assert images["LAB00002"].kind == "boot-image" and images["LAB00001"].kind == "os-image"
    assert images["LAB00004"].distributed == {"DP1": "there", "DP2": "there"}
    assert images["LAB00004"].version == 3
    assert {key: str(value) for key, value in loaded.content.items() if key != "LAB00004"} == {
        "LAB00001": "reference-image", "LAB00002": "boot-image", "LAB00003": "client",
    }  # fmt: skip
    assert isinstance(loaded.content["LAB00004"], Path) and loaded.content["LAB00004"].is_dir()
    assert loaded.sequences["LAB00010"].path.name == "bare-metal.xml"
    pilot = objects.collection("Pilot")
    assert pilot is not None
    assert pilot.windows == (Window("Night", "2026-11-22 01:00", 240, "day", True),)
    found = variables(objects, objects.device("PC-2"))
    assert found.unset == ("AssetTag",) and found.values == {"Place": "Bern"}


def test_what_is_not_said_has_its_default(folder: Path) -> None:
    text = """
site: lab
packages:
  lab00005:
  LAB00006: {distribution_points: []}
boot_images: {LAB00002: {architecture: x86}}
sequences: {LAB00010: {sequence: restart.xml, boot_image: lab00002}}
"""
    loaded = site(text, folder)
    objects = loaded.objects
    assert objects.code == "LAB" and [one.name for one in objects.distribution_points] == ["DP1"]
    assert [(one.id, dict(one.distributed)) for one in objects.packages] == [
        ("LAB00005", {"DP1": "there"}), ("LAB00006", {}), ("LAB00002", {"DP1": "there"}),
    ]  # fmt: skip
    assert loaded.content == {"LAB00002": "boot-image"} and not loaded.programs["LAB00005"].content
    assert objects.sequences[0].name == "restart" and objects.sequences[0].boot_image == "LAB00002"
    assert objects.account is None


WRONG = """
site: LABS
network_access_account: {user: naa, password: x}
distribution_points: {DP1: {pxe: maybe}, DP2: }
distribution_point_groups: {All: [DP1, DP3]}
devices:
  PC-1: {mac: 52:54:00:12:34, uuid: 12345}
  PC-2: {mac: 52:54:00:00:00:02, last_pxe: LAB20009, variables: {_Mine: x}}
  pc-1: {mac: 52-54-00-00-00-03}
  A-name-that-is-far-too-long: {mac: 52:54:00:00:00:04}
collections:
  Office: {members: [PC-1, PC-9], include: [Ofice], rules: [{}]}
  House: {include: [Bern], maintenance_windows: {Night: {start: tomorrow, length: 24h}}}
  Bern: {include: [Town], members: [PC-2]}
  Town: {exclude: [Bern], priority: 12}
  Ring: {include: [Back]}
  Back: {include: [Ring]}
  Staff: {users: true}
  All Systems: {members: [PC-2]}
packages:
  LAB00005: {content: missing, state: {DP2: gone}}
  LAB00006: {distribution_points: [DP1], state: {DP2: missing, DP4: denied}}
  LAB0000X: {}
  LAB00007: {programs: {Install: {comand: x}}}
os_images:
  lab00006: {name: twice}
boot_images: {LAB00002: {architecture: x46}}
applications:
  Editor: {install: setup.exe, content: LAB00099, dependencies: [Editr]}
sequences:
  LAB00010: {sequence: restrat.xml, boot_image: LAB00003}
  LAB00011: {sequence: install.xml, boot_image: LAB00006}
deployments:
  LAB20001: {sequence: LAB00010, collection: Staff}
  LAB20002: {sequence: LAB00019, collection: Ofice}
  LAB20003: {sequence: LAB00011, collection: Back, download: all before start}
  LAB20004: {sequence: LAB00011, collection: All Systems, purpose: required}
  LAB20005: {sequence: LAB00011, collection: Back, deadline: 2026-01-01 00:00}
  DEP1: {sequence: LAB00011, collection: Back}
settings: {default_size: 100, maximum_size: 50, ignored_macs: [nonsense]}
sites: {}
"""


@pytest.mark.rule("R40", shown="sim")
@pytest.mark.rule("R41", shown="sim")
def test_everything_wrong_is_told_at_once_with_places_and_hints(folder: Path) -> None:
    check_golden("site/problems.txt", "\n".join(problems(WRONG, folder)) + "\n")


@pytest.mark.rule("R40", shown="sim")
def test_a_collection_of_users_is_refused_where_it_stands(folder: Path) -> None:
    text = """site: LAB
collections: {Staff: {users: true}, All: {include: [Staff]}}
boot_images: {LAB00002: }
sequences: {LAB00010: {sequence: restart.xml, boot_image: LAB00002}}
deployments:
  LAB20001: {sequence: LAB00010, collection: staff}
"""
    assert problems(text, folder) == [
        "site.yaml:2:53: 'Staff' is a collection of users",
        "site.yaml:6:46: 'staff' is a collection of users; "
        "a task sequence is deployed to collections of devices",
    ]
    allowed = text.replace("collection: staff", "collection: All Unknown Computers").replace("[Staff]", "[]")
    assert site(allowed, folder).objects.deployments[0].collection == "All Unknown Computers"


def test_rules_ask_for_what_a_record_has(folder: Path) -> None:
    text = """site: LAB
devices:
  PC-1: {mac: 52:54:00:00:00:01, uuid: aaaaaaaa-0000-4000-8000-000000000001}
  PC-2: {mac: 52:54:00:00:00:02}
  LT-1: {mac: 52:54:00:00:01:01}
collections:
  By address: {rules: [{mac: '52:54:00:00:00:*'}]}
  By GUID: {rules: [{uuid: 'AAAAAAAA-*'}]}
  Both: {rules: [{name: 'PC-*', mac: '*:02'}, {name: lt-*}]}
  Strangers: {members: [X64 unknown computer], include: [By GUID], exclude: [Both]}
  Left over: {include: [All Systems], exclude: [Both, x64]}
  x64: {members: [x64 Unknown Computer]}
"""
    members = {one.name: one.members for one in site(text, folder).objects.collections}
    assert members == {
        "By address": ("PC-1", "PC-2"), "By GUID": ("PC-1",), "Both": ("PC-2", "LT-1"),
        "Strangers": ("PC-1", "x64 Unknown Computer"),
        "Left over": ("PC-1", "x86 Unknown Computer", "arm64 Unknown Computer"),
        "x64": ("x64 Unknown Computer",),
    }  # fmt: skip


def test_where_content_is_and_how(folder: Path) -> None:
    text = """site: LAB
distribution_points: {DP1: {anonymous: true}, DP2: , DP3: {unknown_computers: false}}
distribution_point_groups: {Far: [dp2, DP3]}
packages:
  LAB00005: {distribution_points: [Far], state: {dp3: denied}}
  LAB00006: {state: {DP1: damaged, DP2: missing}, content: ./tools}
"""
    (folder / "tools").write_text("x")
    loaded = site(text, folder)
    assert [dict(one.distributed) for one in loaded.objects.packages] == [
        {"DP2": "there", "DP3": "denied"}, {"DP1": "damaged", "DP2": "missing", "DP3": "there"},
    ]  # fmt: skip
    assert loaded.content == {"LAB00006": folder / "tools"}
    assert [one.anonymous for one in loaded.objects.distribution_points] == [True, False, False]
    assert [one.unknown_computers for one in loaded.objects.distribution_points] == [True, True, False]


def test_content_that_is_not_there_is_told_with_what_is(folder: Path) -> None:
    (folder / "Tools" / "x64").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "out" / "link").symlink_to(folder / "restart.xml")
    long = "a" * 300
    text = f"""site: LAB
packages:
  LAB00005: {{content: tols/x46}}
  LAB00006: {{content: 'Tools\\x64'}}
  LAB00007: {{content: Tools/x64}}
  LAB00008: {{content: out}}
  LAB00009: {{content: ./../{folder.name}/Tools}}
  LAB0000A: {{content: '\\\\srv\\source$\\7-Zip'}}
  LAB0000B: {{content: D:\\Sources\\7-Zip}}
  LAB0000C: {{content: restart.xml/7-Zip}}
os_images: {{LAB00001: {{content: refrence-image}}}}
boot_images: {{LAB00002: {{content: Tools/zzz}}}}
driver_packages: {{LAB00003: {{content: {long}}}}}
"""
    copy = "copy what stands there to this computer, and say where, relative to this file"
    holds = "the folder holds Tools, install.xml, out, restart.xml, vm-templates"
    assert problems(text, folder) == [
        "site.yaml:3:23: there is no file or folder 'tols/x46'; did you mean 'Tools/x64'?",
        "site.yaml:4:23: there is no file or folder 'Tools\\x64'; did you mean 'Tools/x64'?",
        f"site.yaml:5:23: 'Tools/x64' is no content: folder '{folder}/Tools/x64' is empty",
        f"site.yaml:6:23: 'out' is no content: '{folder}/out/link' leads out of the package's folder",
        f"site.yaml:7:23: './../{folder.name}/Tools' is no content: "
        f"folder '{folder}/../{folder.name}/Tools' is empty",
        f"site.yaml:8:23: there is no file or folder '\\\\srv\\source$\\7-Zip'; {copy}",
        f"site.yaml:9:23: there is no file or folder 'D:\\Sources\\7-Zip'; {copy}",
        "site.yaml:10:23: there is no file or folder 'restart.xml/7-Zip'; 'restart.xml' is a file",
        "site.yaml:11:33: there is no file or folder 'refrence-image'; did you mean 'reference-image'?",
        "site.yaml:12:35: there is no file or folder 'Tools/zzz'; 'Tools' holds x64",
        f"site.yaml:13:39: there is no file or folder '{long[:59]}…'; {holds}",
    ]


def test_sequences_of_an_export_and_what_is_wrong_with_one(folder: Path) -> None:
    (folder / "broken.xml").write_text("<sequence><step>")
    text = """site: LAB
sequences:
  LAB00010: {sequence: restart.xml, sequence_name: Restrat}
  LAB00011: {sequence: broken.xml}
  LAB00012: {sequence: broken.xml}
settings: {default_size: 100, maximum_size: 50}
"""
    found = problems(text, folder)
    assert [one for one in found if one.startswith("site.yaml")] == [
        f"site.yaml:3:52: {folder / 'restart.xml'} holds no sequence 'Restrat'; "
        "say by sequence_name which: restart",
        "site.yaml:6:11: maximum_size must be greater than default_size (100); 0 switches it off",
    ]
    assert len([one for one in found if "broken.xml" in one]) == 1


@pytest.mark.rule("R41", shown="sim")
def test_what_installs_a_system() -> None:
    applies = Step("SMS_TaskSequence_ApplyOperatingSystemAction", "Apply")
    assert installs_os(TaskSequence("T", children=(Group("G", children=(applies,)),)))
    assert not installs_os(TaskSequence("T", children=(Group("G", disabled=True, children=(applies,)),)))
    assert not installs_os(TaskSequence("T", children=(replace(applies, disabled=True),)))


RISKY = """site: LAB
devices: {PC-1: {mac: 52:54:00:00:00:01}, PC-2: {mac: 52:54:00:00:00:02}}
collections: {Some: {rules: [{name: 'pc-?'}]}}
boot_images: {LAB00002: }
sequences: {LAB00010: {sequence: FILE, boot_image: LAB00002}}
settings: {default_size: DEFAULT, maximum_size: MAXIMUM}
deployments:
  LAB20001: {sequence: LAB00010, collection: WHERE, purpose: PURPOSE}
"""


@pytest.mark.rule("R41", shown="sim")
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "warned"),
        ({"FILE": "restart.xml"}, ""),
        ({"PURPOSE": "available"}, ""),
        ({"DEFAULT": "2"}, ""),
        ({"DEFAULT": "0"}, ""),
        ({"DEFAULT": "0", "MAXIMUM": "1"}, "refused"),
        ({"DEFAULT": "0", "MAXIMUM": "2"}, ""),
        ({"WHERE": "All Systems", "DEFAULT": "0"}, "refused"),
        ({"WHERE": "All Systems", "PURPOSE": "available"}, ""),
        ({"WHERE": "All Unknown Computers"}, ""),
    ],
)
def test_high_risk_deployments(said: dict[str, str], told: str, folder: Path) -> None:
    usual = {"FILE": "install.xml", "DEFAULT": "1", "MAXIMUM": "0", "WHERE": "Some", "PURPOSE": "required"}
    text = RISKY
    for key, value in (usual | said).items():
        text = text.replace(key, value)
    if told == "refused":
        [problem] = problems(text, folder)
        assert problem.startswith("site.yaml:8:46: ")
    else:
        loaded = site(text, folder)
        assert [(one.line, one.column) for one in loaded.warnings] == ([(8, 46)] if told else [])


def test_editors_get_a_schema() -> None:
    schema = json_schema(SiteFile)
    assert schema["required"] == ["site"] and "deployments" in schema["properties"]


def test_secret_and_empty_variables(folder: Path) -> None:
    text = """site: LAB
devices:
  PC-1: {mac: 52:54:00:00:00:01, variables: {A: {value: s3, secret: true}, B: , C: '', D: {secret: true}}}
"""
    found = variables(site(text, folder).objects, site(text, folder).objects.devices[0])
    assert (found.values, found.secrets, found.unset) == ({"A": "s3"}, ("A", "D"), ("B", "C", "D"))


NAMES = ["A", "B", "C", "D"]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2), min_size=1))
def test_rings_of_collections_are_found_and_nothing_else_is_one(graph: dict[str, list[str]]) -> None:
    lines = [f"  {name}: {{include: [{', '.join(graph.get(name, []))}]}}" for name in NAMES]
    text = "\n".join(["site: LAB", "collections:", *lines])

    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph.get(start, []))
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += graph.get(one, [])
        return seen

    ring = any(name in reaches(name) for name in NAMES)
    try:
        site(text, Path("nowhere"))
    except InputError as error:
        assert ring and all("depends on itself" in one.message for one in error.problems)
    else:
        assert not ring


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from(["", "~", "[]", "{}", "x", "[x, {y: z}]", "{DP1: {a: {}}}", "-1"])
)
def test_no_damage_to_a_file_is_more_than_a_problem(seed: int, put: str) -> None:
    """Whatever stands in place of one value of a good file: it is read, or refused with places."""
    lines = (SITES / "contoso.yaml").read_text("utf-8").splitlines()
    at = seed % len(lines)
    head, colon, _ = lines[at].partition(":")
    lines[at] = f"{head}{colon} {put}"
    try:
        site("\n".join(lines) + "\n", SITES)
    except InputError as error:
        assert error.problems and all(one.path for one in error.problems)
