"""Scenarios with software: what their files may say, their policy, and real exports run to their end."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.errors import InputError, LabFault
from lab.guest.doubles import Double
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.run.prepare import check_content, read_checked_sequence, read_checked_sequences
from lab.run.simulated import rehearse
from lab.run.siteplan import policy_base
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.sequence.doubled import double_steps
from lab.sequence.nested import children_of
from lab.sequence.steptypes import STEP_TYPES
from lab.sequence.xmlformat import read_sequence
from lab.settings import Settings
from lab.simulation.run import simulate
from lab.timeline import Timeline
from tests.unit.test_sequence_xml import FIELD

CHILD = """<sequence version="3.10"><subtasksequence name="Run it"><defaultVarList>
<variable name="N" property="TsPackageID">LAB00020</variable></defaultVarList></subtasksequence></sequence>"""
VENDOR = (
    '<sequence version="3.10"><step type="Vendor_Thing" name="Flash"><action>f.exe</action></step></sequence>'
)
SCRIPT = """<sequence version="3.10"><step type="SMS_TaskSequence_RunPowerShellScriptAction" name="Look">
<defaultVarList><variable name="OSDRunPowerShellScriptSourceScript">//5HAA==</variable>
<variable name="OSDRunPowerShellScriptExecutionPolicy">Bypass</variable></defaultVarList></step></sequence>"""


def load(folder: Path, sequence: str, more: str = "") -> LoadedScenario:
    (folder / "s.xml").write_text(sequence)
    (folder / "in.xml").write_text('<sequence version="3.10"><group name="Inner"/></sequence>')
    text = f"scenario: A\nmachine: uefi-x64\nsequence: s.xml\nexpect: {{result: success}}\n{more}"
    (folder / "a.yaml").write_text(text)
    (loaded,) = load_scenarios([folder / "a.yaml"])
    return loaded


def problems(loaded: LoadedScenario) -> list[str]:
    with pytest.raises(InputError) as refused:
        read_checked_sequence(loaded)
    return [str(problem) for problem in refused.value.problems]


def test_a_child_may_stand_in_a_console_export(tmp_path: Path) -> None:
    loaded = load(tmp_path, CHILD, "children: {LAB00020: {sequence: both.zip}}")
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for package in ("LAB00020", "LAB00021"):
            text = f"""<SmsTaskSequencePackage><Name>Of {package}</Name><PackageID>{package}</PackageID>
<SequenceData><sequence version="3.10"><group name="In {package}"/></sequence></SequenceData>
</SmsTaskSequencePackage>"""
            archive.writestr(f"SMS_TaskSequencePackage/{package}/object.xml", text)
    whole = read_checked_sequence(load(tmp_path, CHILD, "children: {LAB00020: {sequence: both.zip}}"))
    assert "In LAB00020" in [item.name for _, _, item in whole.walk()]
    (tmp_path / "s.xml").write_text(CHILD.replace("LAB00020", "LAB00029"))
    text = loaded.path.read_text().replace("LAB00020", "LAB00029")
    loaded.path.write_text(text)
    [found] = problems(load_scenarios([loaded.path])[0])
    assert "a.yaml:5:" in found and "holds no sequence 'LAB00029'" in found


def test_a_child_must_be_given_or_said_to_be_missing(tmp_path: Path) -> None:
    [unknown] = problems(load(tmp_path, CHILD))
    assert "LAB00020" in unknown
    for said in ("missing", "{sequence: in.xml}", "{sequence: in.xml, disabled: true}"):
        read_checked_sequence(load(tmp_path, CHILD, f"children: {{LAB00020: {said}}}"))
    read_checked_sequence(load(tmp_path, CHILD, "doubles: [{step: Run it}]"))
    [gone] = problems(load(tmp_path, CHILD, "children: {LAB00020: {sequence: no.xml}}"))
    assert "no.xml" in gone
    [endless] = problems(load(tmp_path, CHILD, "children: {LAB00020: {sequence: s.xml}}"))
    assert "runs itself" in endless


def test_a_child_is_no_content_that_is_checked_before_the_first_step(tmp_path: Path) -> None:
    list_of_references = '<referenceList><reference package="LAB00020"/></referenceList>'
    listed = CHILD.replace("</sequence>", f"{list_of_references}</sequence>")
    for said in ("missing", "{sequence: in.xml}"):
        loaded = load(tmp_path, listed, f"children: {{LAB00020: {said}}}")
        told = policy_base(loaded, read_checked_sequence(loaded))
        assert "LAB00020" not in told["references"]


def test_an_exports_own_sequences_are_its_children(tmp_path: Path) -> None:
    """A console export of several: the child is found in it, its content is asked for, it is none itself."""
    listed = "<referenceList>{}</referenceList>".format
    parent = CHILD.replace("<subtask", listed('<reference package="LAB00020"/>') + "<subtask")
    inner = f"""<sequence version="3.10">{listed('<reference package="LAB00042"/>')}
<group name="Inner"/></sequence>"""
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for package, text in (("LAB00010", parent), ("LAB00020", inner)):
            whole = f"""<INSTANCE CLASSNAME="SMS_TaskSequencePackage">
<PROPERTY NAME="PackageID"><VALUE>{package}</VALUE></PROPERTY>
<PROPERTY NAME="Sequence"><VALUE><![CDATA[{text}]]></VALUE></PROPERTY></INSTANCE>"""
            archive.writestr(f"SMS_TaskSequencePackage/{package}/object.xml", whole)
    load(tmp_path, CHILD, "sequence_name: LAB00010\n")
    path = tmp_path / "a.yaml"
    path.write_text(path.read_text().replace("s.xml", "s.zip"))
    (made,) = load_scenarios([path])
    whole = read_checked_sequence(made)
    assert [item.name for item in whole.children[0].children] == ["Inner"]  # type: ignore[union-attr]
    assert [item.package for item in whole.references] == ["LAB00042"]
    with pytest.raises(LabFault, match="refers to LAB00042, and"):
        check_content(made, whole)
    path.write_text(path.read_text() + "children: {LAB00020: missing}\n")
    (made,) = load_scenarios([path])
    assert [item.package for item in read_checked_sequence(made).references] == ["LAB00020"]


def test_an_unknown_type_is_refused_with_its_place_and_its_double(tmp_path: Path) -> None:
    [unknown] = problems(load(tmp_path, VENDOR))
    assert "s.xml:1:26" in unknown and "'Vendor_Thing'" in unknown and 'step: "Flash"' in unknown
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    answered = load(tmp_path, VENDOR, "doubles: [{step: Flash, exit: 0}]")
    assert rehearse(answered, read_checked_sequences(answered), settings) is None


def test_a_rehearsal_offers_the_double_of_a_script(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path / "cache", tmp_path)
    loaded = load(tmp_path, SCRIPT)
    fault = rehearse(loaded, read_checked_sequences(loaded), settings)
    assert fault is not None and '- script: "Look.ps1"' in fault.hint
    answered = load(tmp_path, SCRIPT, "doubles: [{script: Look.ps1}]")
    assert rehearse(answered, read_checked_sequences(answered), settings) is None
    no_powershell = load(tmp_path, SCRIPT, "pe_components: []")
    assert rehearse(no_powershell, read_checked_sequences(no_powershell), settings) is None


def test_the_policy_has_the_software_of_the_scenario(tmp_path: Path) -> None:
    more = """
packages: {lab00005: {programs: {Install: {command: a.exe}}}}
applications:
  Editor: {model: ScopeId_1/Application_1, install: e.exe, detection: [{file: 'C:\\e.exe', version: "1.2"}]}
children: {LAB00020: missing}
pe_components: []
"""
    loaded = load(tmp_path, '<sequence version="3.10"/>', more)
    told = policy_base(loaded, read_checked_sequence(loaded))
    assert told["packages"]["LAB00005"]["programs"]["Install"]["command"] == "a.exe"
    assert told["applications"]["Editor"] == told["applications"]["ScopeId_1/Application_1"]
    assert told["applications"]["Editor"]["detection"] == [{"file": "C:\\e.exe", "version": "1.2"}]
    assert told["children"] == {}
    assert told["settings"] == {"pe_components": [], "updates": []}


@pytest.mark.parametrize(
    "more",
    [
        "doubles: [{command: a, step: b}]",
        "doubles: [{exit: 1}]",
        "applications: {A: {install: a, detection: [{}]}}",
        "applications: {A: {install: a, requirements: [{memory: 1, disk: 2}]}}",
        "children: {LAB00020: nonsense}",
    ],
)
def test_software_that_says_nothing_clear_is_refused(tmp_path: Path, more: str) -> None:
    with pytest.raises(InputError):
        load(tmp_path, '<sequence version="3.10"/>', more)


SPEC = MachineSpec(
    name="PC-1", uuid="11111111-1111-4111-8111-111111111111", firmware="uefi", memory=1024,
    disks=(DiskSpec(64 << 30),), nics=(NicSpec("52:54:00:00:00:01"),),
)  # fmt: skip


def test_real_exports_come_to_an_end_when_everything_is_answered() -> None:
    if not FIELD.is_dir():
        pytest.skip("no folder with real exports beside the repository (OSDLAB_FIELD)")
    ended = 0
    for path in sorted(FIELD.glob("*.xml")):
        try:
            found = read_sequence(path.read_bytes(), path.name)
        except InputError:
            continue  # the reader's tests look at these
        names = [item.name.replace("[", "[[]") for item in children_of(found)]
        unknown = sorted({item.type for item in found.steps()} - STEP_TYPES.keys())
        clock = VirtualClock()
        run = simulate(
            double_steps(found, [*names, *unknown]), SPEC, variables={}, contents={},
            doubles=[Double(command="*"), Double(script="*"), Double(step="*")],
            timeline=Timeline(clock), clock=clock, policy={"settings": {"pe_components": ["PowerShell"]}},
        )  # fmt: skip
        assert run.fault is None and run.finished is not None, (path.name, run.fault)
        ended += 1
    assert ended > 50
