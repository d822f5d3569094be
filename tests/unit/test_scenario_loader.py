"""Scenario files: problems with places, what is found where, and the single expectations that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import InputError
from lab.scenario.expectations import FileExpected, RegistryValueExpected, StepExpected
from lab.scenario.loader import LoadedScenario, check_steps, load_scenarios
from lab.scenario.schema import Double, Scenario, Template, machine_spec
from lab.sequence.model import Group, Step, TaskSequence
from lab.yamlio import json_schema, parse
from tests.golden_file import check_golden

TEMPLATE = "firmware: uefi\nmemory: 768 MiB\ndisks: [{size: 20 GiB}]\n"
HEAD = "scenario: A title\nmachine: uefi-x64\nsequence: first.xml\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    (tmp_path / "vm-templates").mkdir()
    (tmp_path / "vm-templates" / "uefi-x64.yaml").write_text(TEMPLATE)
    (tmp_path / "scenarios" / "sequences").mkdir(parents=True)
    (tmp_path / "scenarios" / "sequences" / "first.xml").write_text("<sequence/>")
    return tmp_path


def load(house: Path, text: str, name: str = "a.yaml") -> LoadedScenario:
    path = house / "scenarios" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_scenarios([path])[0]


def problems(house: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(house, text)
    return [str(problem).removeprefix(f"{house}/").partition("/")[2] for problem in caught.value.problems]


def test_what_is_secret_cannot_be_expected(tmp_path: Path) -> None:
    (tmp_path / "s.xml").write_text("<sequence/>")
    (tmp_path / "s.yaml").write_text(
        "scenario: a\nmachine: uefi-x64\nsequence: s.xml\nvariables:\n  Token: {value: x, secret: true}\n"
        "expect:\n  variables: {TOKEN: x}\n"
    )
    with pytest.raises(InputError, match="variable 'Token' is secret"):
        load_scenarios([tmp_path / "s.yaml"])


def test_a_first_scenario_needs_five_lines(house: Path) -> None:
    loaded = load(
        house,
        HEAD + "expect:\n  result: success\n  disk:\n    C:\\Windows\\System32\\config\\SYSTEM: exists\n",
    )
    assert loaded.title == "A title"
    assert loaded.sequence_path == house / "scenarios" / "sequences" / "first.xml"
    assert loaded.content == {"LAB00001": "reference-image", "LAB00002": "boot-image", "LAB00003": "client"}
    assert [item.place.line for item in loaded.expectations] == [5, 7]
    assert [item.place.column for item in loaded.expectations] == [3, 5]


def test_a_sequence_given_as_a_scenario_is_told_so(house: Path) -> None:
    path = house / "scenarios" / "sequences" / "first.xml"
    with pytest.raises(InputError) as caught:
        load_scenarios([path])
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: is no scenario; give a .yaml file that says 'sequence: first.xml'"
    ]


def test_a_misspelled_path_or_registry_key_is_told_how_to_write_it(house: Path) -> None:
    said = problems(house, HEAD + "expect:\n  disk:\n    C:foo: exists\n    HKXX\\foo: exists\n")
    assert [line.partition(": ")[0] for line in said] == ["a.yaml:6:5", "a.yaml:7:5"]
    assert "write it as C:\\" in said[0] and "write it as HKLM\\" in said[1]


def test_what_a_scenario_names_and_what_it_spells_wrong_come_together(house: Path) -> None:
    text = "scenario: x\nmachine: uefi-x46\nsequence: frist.xml\nexpect:\n  disc: unformatted\n"
    assert problems(house, text) == [
        "a.yaml:2:10: unknown template 'uefi-x46'; did you mean 'uefi-x64'?",
        "a.yaml:3:11: there is no task sequence 'frist.xml'; did you mean 'first.xml'?",
        "a.yaml:5:3: unknown key 'disc'; did you mean 'disk'?",
    ]


_WRONG = [
    "expect: {}",
    "expect: {result: succes}",
    "expect: {result: success, code: 5}",
    "expect: {code: 0x8007000Z}",
    "expect: {steps: {A: fails}}",
    "expect: {steps: {A: {result: skipped, code: 1}}}",
    "expect: {steps: {A: {result: failed, code: 0}}}",
    "expect: {log: [{contains: a, matches: b}]}",
    "expect: {log: [{contains: a, at_least: 0}]}",
    "expect: {log: [{contains: a, count: 1, absent: true}]}",
    "expect: {log: [{contains: a, absent: yes}]}",
    "expect: {log: ['']}",
    "expect: {log: [{matches: '('}]}",
    "expect: {variables: {A: {contains: ''}}}",
    "expect: {disk: formatted}",
    "expect: {disk: {}}",
    "expect: {disk: {stile: GPT}}",
    "expect: {disk: {files: {}}}",
    "expect: {disk: {C:\\a: {contain: x}}}",
    "expect: {disk: {C:\\a: {state: absent, size: 1 B}}}",
    "expect: {disk: {C:\\a: {sha256: abc}}}",
    "expect: {disk: {C:\\a/b: exists}}",
    "expect: {disk: {HKLM\\A\\: exists}}",
    "expect: {disk: {HKLM\\A: {}}}",
    "expect: {disk: {HKLM\\A: {V: {equals: a, matches: b}}}}",
    "expect: {disk: {partitions: [{type: EFO, size: 500}]}}",
    "expect: {disk: {boot_loader: \\EFI\\Boot}}",
    "expect: {requests: [{content: X}]}",
    "expect: {requests: [{content: LAB00001, path: /a}]}",
    "variables: {_A: x}",
    "variables: {a b: x}",
    "variables: {Abc: 1, aBC: 2}",
    f"variables: {{A: {'x' * 4001}}}",
    "variables: {A: null}",
    "content: {LAB00009: boot-imag}",
    "doubles: [{comand: x}]",
    "doubles: [{command: x, takes: 20}]",
    "doubles: [{command: '/(/'}]",
    "rules: [66]",
    "severity: grave",
    "limits: {time: soon}",
]


@pytest.mark.rule("R16")
@pytest.mark.rule("R17")
@pytest.mark.rule("R18")
def test_what_is_wrong_in_a_scenario_is_told_as_people_have_seen_it(house: Path) -> None:
    told = []
    for line in _WRONG:
        end = "" if line.startswith("expect:") else "expect: {result: success}\n"
        told += [line if len(line) < 99 else f"{line[:40]} …", *problems(house, f"{HEAD}{line}\n{end}"), ""]
    check_golden("scenario/problems.txt", "\n".join(told))


def test_content_can_be_a_file_missing_or_another_built_in(house: Path) -> None:
    (house / "scenarios" / "tools").mkdir()
    text = "content: {lab00009: tools, LAB00001: missing, ABC00002: client}\nexpect: {result: success}\n"
    loaded = load(house, HEAD + text)
    assert loaded.content == {
        "LAB00002": "boot-image", "LAB00003": "client", "ABC00002": "client",
        "LAB00009": house / "scenarios" / "tools",
    }  # fmt: skip


def test_content_that_is_not_there_is_no_fault_of_the_file(house: Path) -> None:
    """The lab has to notice it before it starts a machine, as ERROR (see check_content)."""
    loaded = load(house, HEAD + "content: {LAB00009: nowhere.wim}\nexpect: {result: success}\n")
    assert loaded.content["LAB00009"] == house / "scenarios" / "nowhere.wim"


def test_a_folder_stands_for_the_scenarios_below_it(house: Path) -> None:
    good = HEAD + "expect: {result: success}\n"
    load(house, good, "b.yaml")
    load(house, good, "deep/er/c.yaml")
    for folder in ("sites", "sequences"):
        (house / "scenarios" / folder).mkdir(exist_ok=True)
        (house / "scenarios" / folder / "no.yaml").write_text("not: a scenario")
    found = load_scenarios([house / "scenarios", house / "scenarios" / "b.yaml"])
    assert [item.path.name for item in found] == ["b.yaml", "c.yaml"]


def test_problems_of_all_files_come_at_once(house: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (house / "scenarios" / name).write_text(HEAD)
    with pytest.raises(InputError) as caught:
        load_scenarios(
            [
                house / "scenarios",
                house / "none.yaml",
            ]
        )
    text = str(caught.value)
    assert text.count("key 'expect' is missing") == 2 and "none.yaml: cannot be read" in text


def test_a_broken_template_is_told_at_its_own_place(house: Path) -> None:
    (house / "vm-templates" / "uefi-x64.yaml").write_text("firmware: efi\nmemory: 768\ndisks: []\n")
    found = problems(house, HEAD + "expect: {result: success}\n")
    assert [text.split(":")[:3] for text in found] == [
        ["uefi-x64.yaml", "1", "11"],
        ["uefi-x64.yaml", "2", "9"],
    ]


def test_each_expectation_has_its_place_and_asks_the_disk_its_questions(house: Path) -> None:
    text = HEAD + (
        "expect:\n"
        "  steps:\n"
        "    Apply OS: success\n"
        "    Restart: {result: failed, code: 0x80004005}\n"
        "  steps_not_run: [Later]\n"
        "  disk:\n"
        "    C:\\a.txt: {contains: x}\n"
        "    C:\\b.txt: exists\n"
        "    EFI:\\x.efi: {same_as: C:\\Windows\\x.efi}\n"
        "    HKEY_LOCAL_MACHINE\\SYSTEM\\Setup:\n"
        '      CmdLine: ""\n'
        "      Gone: null\n"
    )
    loaded = load(house, text)
    places = {type(item).__name__: item.place.line for item in loaded.expectations}
    assert places == {"StepExpected": 8, "FileExpected": 12, "RegistryValueExpected": 15}
    steps = [item for item in loaded.expectations if isinstance(item, StepExpected)]
    assert [(item.step, item.want.result, item.place.column) for item in steps] == [
        ("Apply OS", "success", 5), ("Restart", "failed", 5), ("Later", "not-run", 19),
    ]  # fmt: skip
    assert [i.want.absent for i in loaded.expectations if isinstance(i, RegistryValueExpected)] == [
        False,
        True,
    ]
    assert len([i for i in loaded.expectations if isinstance(i, FileExpected)]) == 3
    files, registry = loaded.machines[0].questions()
    assert files == ("C:\\a.txt", "EFI:\\x.efi", "C:\\Windows\\x.efi")
    assert registry == ("HKEY_LOCAL_MACHINE\\SYSTEM\\Setup",)


def test_an_expectation_on_a_step_that_the_sequence_does_not_have(house: Path) -> None:
    loaded = load(
        house, HEAD + "expect:\n  failed_step: Restrat\n  steps: {Install: success, Restart: success}\n"
    )
    sequence = TaskSequence("t", children=(Group("Install", children=(Step("SMS_X", "Restart"),)),))
    (problem,) = check_steps(loaded, sequence)
    assert (problem.line, problem.message, problem.hint) == (
        5, "the sequence has no step 'Restrat'", "did you mean 'Restart'?",
    )  # fmt: skip


def test_a_double_travels_as_the_policy_has_it() -> None:
    text = "command: '*x*'\nexit: -1\nsets: {A: true}\nwrites: {C:\\a: b}\ntakes: 1m\noutput: 007\n"
    assert parse(text, "d.yaml", Double).to_json() == {
        "command": "*x*", "exit": 0xFFFFFFFF, "sets": {"A": "true"}, "writes": {"C:\\a": "b"}, "takes": 60.0,
        "output": "007", "restarts": "",
    }  # fmt: skip


def test_a_machine_is_made_like_its_template() -> None:
    template = parse(TEMPLATE + "nics: [{model: e1000}, {pxe: native}]\n", "t.yaml", Template)
    spec = machine_spec(template, "PC-1", "52:54:00:00:00:ff", "u", taps=("tap0",), accelerator="kvm")
    assert (spec.memory, spec.disks[0].size, spec.architecture, spec.accelerator) == (
        768,
        20 << 30,
        "x86_64",
        "kvm",
    )
    assert [(nic.mac, nic.model, nic.option_rom, nic.native, nic.tap) for nic in spec.nics] == [
        ("52:54:00:00:00:ff", "e1000", True, False, "tap0"),
        ("52:54:00:00:01:00", "virtio", False, True, ""),
    ]


def test_native_pxe_needs_a_rom_with_bios_and_a_driver_with_uefi() -> None:
    bios = TEMPLATE.replace("firmware: uefi", "firmware: bios") + "nics: [{model: e1000, pxe: native}]\n"
    (card,) = machine_spec(parse(bios, "t.yaml", Template), "PC-1", "52:54:00:00:00:ff", "u").nics
    assert card.native and card.option_rom, "SeaBIOS has no PXE but the card's"
    with pytest.raises(InputError, match="virtio"):
        parse(TEMPLATE + "nics: [{model: e1000, pxe: native}]\n", "t.yaml", Template)


def test_the_schema_for_editors_takes_paths_and_registry_keys_below_disk() -> None:
    disk = json_schema(Scenario)["$defs"]["DiskExpectation"]["anyOf"]
    assert disk[0] == {"const": "unformatted"}
    assert len(disk[1]["patternProperties"]) == 2 and set(disk[1]["properties"]) == {
        "style",
        "partitions",
        "boot_loader",
    }


_WORDS = st.sampled_from(
    ["scenario", "machine", "sequence", "expect", "disk", "steps", "log", "result", "success", "C:\\a",
     "HKLM\\A", "contains", "null", "~", "0x1", "partitions", "unformatted", "size", "20 GiB", "doubles"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), _WORDS, st.sampled_from([": ", ":\n", ": [", "\n", ": {", "- ", ", "])),
        max_size=14,
    )
)
def test_any_scenario_text_is_a_scenario_or_has_problems(parts: list[tuple[int, str, str]]) -> None:
    text = "".join(
        "  " * indent + word + end + ("" if end.endswith("\n") else "x\n") for indent, word, end in parts
    )
    try:
        parse(text, "s.yaml", Scenario)
    except InputError as error:
        assert error.problems
