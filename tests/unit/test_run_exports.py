"""A console export as the whole of a run's input: its children, packages, applications and files are used."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InputError
from lab.run.prepare import read_checked_sequence
from lab.run.siteplan import policy_base
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.sequence.effects import RunCommand
from lab.sequence.nested import SUBSEQUENCE, children_of, expand, found_in
from lab.site.exports import read_file
from lab.site.software import software_of
from tests.unit.sequence_world import World, run
from tests.unit.test_sequence_xml import FIELD
from tests.unit.test_site_exports import zipped

SCOPE = "ScopeId_00000000-0000-0000-0000-000000000001"
MODEL = f"{SCOPE}/Application_00000000-0000-0000-0000-000000000002"
CONTENT = "Content_00000000-0000-0000-0000-000000000003"


def properties(**values: str) -> str:
    return "".join(
        f'<PROPERTY NAME="{name}"><VALUE>{escape(value)}</VALUE></PROPERTY>' for name, value in values.items()
    )


def instance(kind: str, **values: str) -> str:
    return f'<INSTANCE CLASSNAME="{kind}">{properties(**values)}</INSTANCE>'


def of_sequence(inner: str, name: str, package: str) -> str:
    whole = f'<sequence version="3.10">{inner}</sequence>'
    return instance("SMS_TaskSequencePackage", Name=name, PackageID=package, Sequence=whole)


def variables(**values: str) -> str:
    inner = "".join(
        f'<variable name="{key}" property="{key}">{value}</variable>' for key, value in values.items()
    )
    return f"<defaultVarList>{inner}</defaultVarList>"


def child(name: str, package: str, said: str) -> str:
    return (
        f'<subtasksequence type="{SUBSEQUENCE}" name="{name}"><action>SubTasksequence.exe</action>'
        f"{variables(TsName=said, TsPackageID=package)}</subtasksequence>"
    )


PROGRAM = (
    '<step type="SMS_TaskSequence_InstallSoftwareAction" name="Program"><action>smsswd.exe</action>'
    f"{variables(PackageID='LAB00050', ProgramName='Quiet')}</step>"
)
APPLICATION = (
    '<step type="SMS_TaskSequence_InstallApplicationAction" name="Application"><action>x.exe</action>'
    f"{variables(ApplicationName=MODEL)}</step>"
)


def digest(detect: str, command: str = "app.exe /quiet", **more: str) -> str:
    codes = '<Arg Name="RebootExitCodes"><Item>77</Item></Arg><Arg Name="MaxExecuteTime">2</Arg>'
    return (
        f'<AppMgmtDigest xmlns="x"><Application AuthoringScopeId="{SCOPE}" LogicalName="Application_2">'
        "<AutoInstall>true</AutoInstall></Application><DeploymentType><Installer><Contents>"
        f'<Content ContentId="{CONTENT}"/></Contents><DetectAction>{detect}</DetectAction>'
        "<InstallAction><Args>"
        f'<Arg Name="InstallCommandLine">{escape(command)}</Arg>{codes}</Args></InstallAction></Installer>'
        "</DeploymentType></AppMgmtDigest>"
    )


def enhanced(settings: str, *rules: str) -> str:
    parts = (
        rules[0]
        if len(rules) == 1
        else f"<Expression><Operator>And</Operator><Operands>{''.join(rules)}</Operands></Expression>"
    )
    inner = f"<Settings>{settings}</Settings><Rule>{parts}</Rule>"
    method = f"<EnhancedDetectionMethod>{inner}</EnhancedDetectionMethod>"
    return f'<Provider>Local</Provider><Args><Arg Name="MethodBody">{escape(method)}</Arg></Args>'


def rule(setting: str, operator: str, value: str, method: str = "Value", path: str = "") -> str:
    return (
        f"<Expression><Operator>{operator}</Operator><Operands><SettingReference "
        f"SettingLogicalName='{setting}' Method='{method}' PropertyPath='{path}'/>"
        f"<ConstantValue Value='{value}'/></Operands></Expression>"
    )


FILE = "<File Is64Bit='false' LogicalName='f'><Path>C:\\Apps\\</Path><Filter>a.exe</Filter></File>"
KEY = (
    "<SimpleSetting LogicalName='r'><RegistryDiscoverySource Hive='HKEY_LOCAL_MACHINE' Is64Bit='true'>"
    "<Key>SOFTWARE\\A</Key><ValueName>V</ValueName></RegistryDiscoverySource></SimpleSetting>"
)


@pytest.mark.parametrize(
    ("detect", "rules"),
    [
        ("<Provider>MSI</Provider><Args><Arg Name='ProductCode'>{A}</Arg></Args>", [{"product": "{A}"}]),
        (
            enhanced(FILE, rule("f", "NotEquals", "0", "Count")),
            [{"file": "C:\\Apps\\a.exe", "view": 32}],
        ),
        (
            enhanced(FILE + KEY, rule("f", "GreaterEquals", "1.2", path="Version"), rule("r", "Equals", "x")),
            [
                {"file": "C:\\Apps\\a.exe", "view": 32, "version": "1.2", "operator": "greaterEqual"},
                {"registry": "HKLM\\SOFTWARE\\A", "value": "V", "data": "x", "operator": "equals"},
            ],
        ),
        # What the lab's rules cannot say is left to the scenario.
        (enhanced(FILE, rule("f", "BeginsWith", "1", path="Version")), []),
        ("<Provider>Script</Provider><Args><Arg Name='ScriptBody'>if</Arg></Args>", []),
    ],
)
def test_an_applications_digest_is_read(detect: str, rules: list[dict[str, Any]]) -> None:
    text = instance(
        "SMS_Application", LocalizedDisplayName="App", ModelName=MODEL, SDMPackageXML=digest(detect)
    )
    read = software_of([text]).applications
    assert read["App"] == read[MODEL]
    assert read["App"]["install"] == "app.exe /quiet" and read["App"]["content"] == CONTENT.upper().upper()
    assert read["App"]["return_codes"] == {"77": "soft-reboot"} and read["App"]["timeout"] == 120
    assert read["App"]["detection"] == rules


def exported(folder: Path, inner: str = "", **members: str) -> LoadedScenario:
    parent = child("By id", "LAB00060", "Other") + child("By name", "OLD00001", "OLD00001, Second") + inner
    script = "<Provider>Script</Provider>"
    zipped(
        folder / "My.zip",
        {
            "SMS_TaskSequencePackage/LAB00070/object.xml": of_sequence(parent, "Main", "LAB00070"),
            "SMS_TaskSequencePackage/LAB00060/object.xml": of_sequence(PROGRAM, "First", "LAB00060"),
            "SMS_TaskSequencePackage/LAB00061/object.xml": of_sequence(APPLICATION, "Second", "LAB00061"),
            "SMS_Package/LAB00050/object.xml": instance("SMS_Package", Name="Tools", PackageID="LAB00050"),
            "SMS_Program/LAB00050-Quiet/object.xml": instance(
                "SMS_Program", PackageID="LAB00050", ProgramName="Quiet", CommandLine="tool.exe /q",
                Duration="5", ProgramFlags="135307265",
            ),
            "SMS_Application/2/object.xml": instance(
                "SMS_Application", LocalizedDisplayName="App", ModelName=MODEL, SDMPackageXML=digest(script)
            ),
            "Manifest.xml": f'<L><Content UniqueId="{CONTENT}" RelativePath="App files"/></L>',
            **members,
        },
    )  # fmt: skip
    for name in ("Tools", "LAB00050", "App files"):
        (folder / "My_files" / name).mkdir(parents=True, exist_ok=True)
        (folder / "My_files" / name / f"{name}.txt").write_text(name)
    doubles = "doubles: [{command: 'tool.exe /q'}, {command: 'app.exe*'}]"
    text = f"scenario: A\nmachine: uefi-x64\nsequence: My.zip\n{doubles}\nexpect: {{result: success}}\n"
    (folder / "a.yaml").write_text(text)
    (loaded,) = load_scenarios([folder / "a.yaml"])
    return loaded


def test_everything_that_the_export_holds_is_used(tmp_path: Path) -> None:
    loaded = exported(tmp_path)
    assert loaded.export.start().name == "Main"
    sequence = read_checked_sequence(loaded)
    assert [step.name for step in sequence.steps()] == ["Program", "Application"]
    assert {str(path) for path in loaded.packages.values()} >= {
        str(tmp_path / "My_files" / name) for name in ("LAB00050", "App files")
    }
    told = policy_base(loaded, sequence)
    assert told["packages"]["LAB00050"]["programs"]["Quiet"] == {
        "command": "tool.exe /q", "working_directory": "", "timeout": 300, "install_without_deployment": True,
    }  # fmt: skip
    assert json.dumps(told["applications"][MODEL])
    names = {package: ["a.txt"] for package in ("LAB00050", CONTENT.upper())}
    world = World(in_winpe=False, volumes={"C:": {"disk": 0, "partition": 3}}, packages=names, policy=told)
    assert run(sequence, world).finished.result == "success"
    ran = [effect.command for effect in world.performed if isinstance(effect, RunCommand)]
    assert ran == ["tool.exe /q", "app.exe /quiet"]


def test_what_the_scenario_says_beats_the_export(tmp_path: Path) -> None:
    loaded = exported(tmp_path)
    (tmp_path / "in.xml").write_text('<sequence version="3.10"><group name="Inner"/></sequence>')
    file = tmp_path / "a.yaml"
    more = "children: {LAB00060: {sequence: in.xml}}\ncontent: {LAB00050: missing}\n"
    more += "packages: {LAB00050: {programs: {Quiet: {command: other.exe}}}}\n"
    file.write_text(file.read_text() + more)
    (loaded,) = load_scenarios([file])
    sequence = read_checked_sequence(loaded)
    assert [step.name for step in sequence.steps()] == ["Application"]
    assert "LAB00050" not in loaded.packages
    told = policy_base(loaded, sequence)
    assert told["packages"]["LAB00050"]["programs"]["Quiet"]["command"] == "other.exe"


def test_what_the_export_lacks_is_asked_for(tmp_path: Path) -> None:
    loaded = exported(tmp_path, child("Elsewhere", "LAB00099", "Nobody knows"))
    with pytest.raises(InputError, match="LAB00099"):
        read_checked_sequence(loaded)


def test_a_sequence_of_the_export_that_runs_itself_is_bad_input(tmp_path: Path) -> None:
    loaded = exported(tmp_path, child("Again", "", "Main"))
    with pytest.raises(InputError, match="runs itself"):
        read_checked_sequence(loaded)


@pytest.mark.skipif(not FIELD.is_dir(), reason="no real exports here")
def test_real_exports_with_children_need_no_word_about_them() -> None:
    whole = 0
    for path in sorted(FIELD.glob("*.zip")):
        export = read_file(path)
        top, offered = export.start(), [found.sequence for _, found in export.found]
        if any(children_of(top)) and len(offered) > 1:
            assert not list(children_of(expand(top, found_in(top, {}, offered)))), path.name
            whole += 1
    assert whole
