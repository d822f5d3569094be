"""Reading exports: right ones exactly, wrong ones with every problem and its place, hostile ones quickly."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.sequence import codec
from lab.sequence.effects import RunCommand
from lab.sequence.model import Group, Reference, Step, StepVariable
from lab.sequence.validate import validate, warnings
from lab.sequence.xmlformat import read_sequence
from tests.unit.sequence_world import World, run

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "scenarios" / "sequences" / "bare-metal.xml"
FIELD = Path(os.environ.get("OSDLAB_FIELD", ROOT.parent / "shared" / "field")) / "sequences"

EXPORT = b"""\
<sequence version="3.10">
  <referenceList><reference package="P1" program="Go"/><reference application="S/A"/></referenceList>
  <globalVarList><variable name="OSDAdapterCount" property="NumAdapters">0</variable></globalVarList>
  <group name="G" description="D" continueOnError="TRUE">
    <condition>
      <operator type="NOT"><expression type="SMS_TaskSequence_VariableConditionExpression">
        <variable name="Variable">A</variable><variable name="Operator">equals</variable>
        <variable name="Value">1</variable></expression></operator>
      <osConditionGroup type="or"><osExpressionGroup name="W" type="and"/></osConditionGroup>
    </condition>
    <step type="SMS_TaskSequence_RunCommandLineAction" name="Run" disable="true" runIn="WinPE"
          successCodeList="0 3010 -1" retryCount="2" timeout="900" runFromNet="true">
      <action> smsswd.exe /run: &lt;x&gt; </action>
      <defaultVarList>
        <variable name="CommandLine" property="CommandLine" hidden="true"><![CDATA[<x>]]></variable>
        <variable name="Empty" property="Empty"/>
      </defaultVarList>
    </step>
  </group>
  <subtasksequence name="Child" runIn="WinPEandFullOS"><action/></subtasksequence>
</sequence>
"""


def test_an_export_is_read_exactly() -> None:
    found = read_sequence(EXPORT, "dir/my export.xml")
    assert (found.name, found.version) == ("my export", "3.10")
    assert found.references == (Reference("P1", "Go"), Reference(application="S/A"))
    assert found.variables == (StepVariable("OSDAdapterCount", "NumAdapters", "0"),)
    group, child = found.children
    assert isinstance(group, Group) and group.continue_on_error and group.condition is not None
    assert [operand.kind for operand in group.condition.operands] == ["not", "or"]
    assert group.condition.operands[0].operands[0].value("Operator") == "equals"
    step = group.children[0]
    assert isinstance(step, Step) and step.disabled and step.run_from_net
    assert (step.success_codes, step.retry_count, step.timeout) == ((0, 3010, 0xFFFFFFFF), 2, 900)
    assert step.action == "smsswd.exe /run: <x>"
    assert step.variables[0] == StepVariable("CommandLine", "CommandLine", "<x>", True)
    assert (step.position.line, step.position.column) == (11, 5)
    assert isinstance(child, Step) and child.type == "SMS_TaskSequence_SubTasksequence"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings(encoding: str) -> None:
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{declared}"?><sequence><group name="Gerät"/></sequence>'
    assert read_sequence(text.encode(encoding), "x").children[0].name == "Gerät"


@pytest.mark.parametrize("escape", [True, False])
def test_a_wrapped_sequence_is_found_and_its_places_are_right(escape: bool) -> None:
    inner = '<sequence version="3.10">\n <group name=""/>\n</sequence>'
    held = inner.replace("<", "&lt;") if escape else f"<![CDATA[{inner}]]>"
    text = (
        "<INSTANCE>\n<PROPERTY NAME='Name'><QUALIFIER><VALUE>no</VALUE></QUALIFIER><VALUE>Mine</VALUE>"
        f"</PROPERTY>\n<PROPERTY NAME='PackageID'><VALUE>LAB00007</VALUE></PROPERTY>\n"
        f"<VALUE>{held}</VALUE>\n</INSTANCE>"
    )
    found = read_sequence(text.encode(), "object.xml")
    assert (found.name, found.package_id) == ("Mine", "LAB00007")
    assert [(problem.line, problem.column) for problem in validate(found)] == [(5, 2)]
    data = f"<SequenceData>{inner}</SequenceData>"
    plain = f"<SmsTaskSequencePackage><Name>Pkg</Name>{data}</SmsTaskSequencePackage>"
    assert read_sequence(plain.encode(), "x.xml").name == "Pkg"


def test_what_is_not_understood_is_carried_along_and_stops_a_run_where_it_counts() -> None:
    data = b"""<sequence version="3.10">
<step type="T" name="S" successCodeList="0 zero" timeout="soon" disable="perhaps" Retry="1">loose<x/></step>
<loop/><!-- a note -->
<group name="G"><condition><operator type="xor"/><expression/><maybe/></condition></group>
<group name="Off" disable="true"><loop/><step type="T" name="U" retryCount="many"/></group>
</sequence>"""
    found = read_sequence(data, "s.xml")
    said = [str(problem).split("; ")[0] for problem in validate(found)]
    assert said == [
        "s.xml:2:1: disable='perhaps' is neither true nor false",
        "s.xml:2:1: step 'S' has the type 'T', which is not supported",
        "s.xml:2:1: successCodeList has 'zero', which is not an exit code",
        "s.xml:2:1: timeout='soon' is not a number",
        "s.xml:3:1: unknown element <loop> among the steps",
        "s.xml:4:28: the condition of group 'G' has the type 'xor', which is not supported",
        "s.xml:4:50: the condition of group 'G' has no type",
        "s.xml:4:63: the condition of group 'G' has the type 'maybe', which is not supported",
    ]
    assert [(item.kind, item.name, item.value, item.owner.line) for item in found.unknown] == [
        ("attribute", "Retry", "1", 2),
        ("text", "", "loose", 2),
        ("element", "x", "", 2),
        ("element", "loop", "", 1),
        ("comment", "", "a note", 1),
        ("element", "maybe", "", 4),
        ("element", "loop", "", 5),
    ]
    assert [str(problem).split("; ")[0] for problem in warnings(found)] == [
        "s.xml:2:1: text 'loose' is not understood",
        "s.xml:2:98: <x> is not understood",
        "s.xml:4:63: <maybe> is not understood",
        "s.xml:5:34: <loop> is not understood",
    ]


BOMB = b'<!DOCTYPE s [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]><sequence>&b;</sequence>'
HOSTILE = {
    "empty": b"",
    "white space": b" \n ",
    "no sequence": b"<other/>",
    "entities": BOMB,
    "external entity": b'<!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]><sequence>&a;</sequence>',
    "external document type": b'<!DOCTYPE s SYSTEM "http://x/y"><sequence/>',
    "undefined entity": b"<sequence>&a;</sequence>",
    "cut": EXPORT[:700],
    "NUL": b"<sequence\0/>",
    "all NUL": bytes(1000),
    "zip": b"PK\x03\x04" + bytes(100),
    "utf-16 inside": b"<sequence>" + "<group/>".encode("utf-16-le") + b"</sequence>",
    "bad utf-8": b"<sequence name='\xff'/>",
    "unknown encoding": b'<?xml version="1.0" encoding="klingon"?><sequence/>',
    "odd codec": b'<?xml version="1.0" encoding="idna"?><sequence/>',
    "no text codec": b'<?xml version="1.0" encoding="zip"?><sequence/>',
    "wide codec": b'<?xml version="1.0" encoding="utf-7"?><sequence/>',
    "bad shift_jis": b'<?xml version="1.0" encoding="shift_jis"?><sequence a="\xff"/>',
    "two roots": b"<sequence/><sequence/>",
    "deep": b"<sequence>" + b"<group name='x'>" * 9999 + b"</group>" * 9999 + b"</sequence>",
    "deep conditions": b"<sequence><group><condition>" + b"<operator type='and'>" * 9999
    + b"</operator>" * 9999 + b"</condition></group></sequence>",
    "deep outside": b"<a>" * 9999 + b"<sequence/>" + b"</a>" * 9999,
    "not closed": b"<sequence>" + b"<group name='x'>" * 100_000,
    "embedded rubbish": b"<v>&lt;sequence&gt;&lt;</v>",
    "embedded twice": b"<v>&lt;sequence</v>",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_clearly_and_quickly(name: str) -> None:
    began = time.process_time()  # the work, however busy the host is
    with pytest.raises(InputError) as caught:
        read_sequence(HOSTILE[name], "x.xml")
    assert time.process_time() - began < 10
    problem = caught.value.problems[0]
    assert problem.message and problem.line >= 1 and problem.column >= 1


def test_the_deepest_allowed_nesting_works_everywhere() -> None:
    depth = 190
    data = b"<sequence>" + b"<group name='x'>" * depth + b"</group>" * depth + b"</sequence>"
    found = read_sequence(data, "x.xml")
    assert validate(found) == []
    again = codec.from_json(json.loads(json.dumps(codec.to_json(found))))
    assert again == found
    assert run(again, World()).finished.result == "success"


@given(st.binary(max_size=200))
def test_random_bytes_never_escape_as_something_else(data: bytes) -> None:
    for text in (data, EXPORT[:400] + data + EXPORT[400:]):
        try:
            read_sequence(text, "x.xml")
        except InputError as error:
            assert error.problems


# what the engine cannot do


def test_validate_names_everything_at_once_and_leaves_disabled_items_alone() -> None:
    data = b"""<sequence version="9.99">
<step type="SMS_TaskSequence_Odd" name="A"><condition>
<expression type="SMS_TaskSequence_MoonConditionExpression"/></condition></step>
<step type="SMS_TaskSequence_Odd" name="B" disable="true"/>
<group name=" "/>
<step type="SMS_TaskSequence_SetVariableAction" name="C"><action>tsenv.exe "1Bad=x"</action></step>
<step type="SMS_TaskSequence_SetVariableAction" name="D"><defaultVarList>
<variable name="VariableName" property="VariableName" hidden="true">_SMSTSX</variable></defaultVarList></step>
<step type="SMS_TaskSequence_RebootAction" name="E" runIn="Moon"><condition>
<expression type="SMS_TaskSequence_VariableConditionExpression">
<variable name="Operator">resembles</variable></expression></condition></step>
<step type="SMS_TaskSequence_ApplyOperatingSystemAction" name="F"><action>OSDApplyOS.exe /install:P</action>
</step>
<step name="G"/>
</sequence>"""
    found = read_sequence(data, "s.xml")
    said = [f"{problem.line}:{problem.column} {problem.message}" for problem in validate(found)]
    assert said == [
        "2:1 step 'A' has the type 'SMS_TaskSequence_Odd', which is not supported",
        "3:1 the condition of step 'A' has the type 'SMS_TaskSequence_MoonConditionExpression', which is not "
        "supported",
        "5:1 a group has no name",
        "6:1 step 'C' sets variable '1Bad', which has an invalid name: letters, digits, '_' and '-', "
        "beginning with a letter",
        "7:1 step 'D' sets variable '_SMSTSX', which is read-only: its name begins with '_'",
        "9:1 step 'E' has the unknown runIn 'Moon'",
        "10:1 the condition of step 'E' has the unknown operator 'resembles'",
        "10:1 the condition of step 'E' names no variable",
        "14:1 step 'G' has neither type nor action",
    ]
    assert [problem.message for problem in warnings(found)] == ["schema version '9.99' is not known"]


# the codec


def test_a_sequence_travels_as_json() -> None:
    found = read_sequence(EXPORT, "x.xml")
    text = json.dumps(codec.to_json(found))
    assert codec.from_json(json.loads(text)) == found
    for wrong in ({}, {"format": 2}, {"format": 1}, [], {**json.loads(text), "children": [{}]}):
        with pytest.raises(ValueError):
            codec.from_json(wrong)  # type: ignore[arg-type]


# our sample


def test_the_sample_deploys_a_machine() -> None:
    sample = read_sequence(SAMPLE.read_bytes(), str(SAMPLE))
    assert validate(sample) == [] and warnings(sample) == []
    assert codec.from_json(codec.to_json(sample)) == sample
    world = World(commands={"uninstall-old-agent": 1})
    told = run(sample, world, {"_SMSTSBootImageID": "LAB00002"})
    assert told.finished.result == "success" and world.restarts == ["HD", "HD"]
    assert told.steps() == {
        "Restart in Windows PE": "skipped",
        "Partition Disk 0 - BIOS": "skipped",
        "Partition Disk 0 - UEFI": "success",
        "Set the deployment's kind": "success",
        "Note the computer in Windows PE": "success",
        "Apply Operating System": "success",
        "Apply Windows Settings": "success",
        "Apply Network Settings": "success",
        "Setup Windows and Configuration Manager": "success",
        "Note the computer in the new system": "success",
        "Uninstall what is not there": "failed",
        "Only for refreshed computers": "skipped",
        "Restart Computer": "success",
        "Mark the deployment as complete": "success",
        "Note the end": "success",
    }
    lines = [effect.command for effect in world.performed if isinstance(effect, RunCommand)]
    assert lines[0] == r"cmd /c echo PC-1 bare-metal > C:\lab-pe.txt"
    assert lines[1] == r"cmd /c echo PC-1 false > C:\lab-os.txt"
    assert lines[-1] == r"cmd /c echo complete > C:\lab-end.txt"
    assert world.volumes == {"C:": {"disk": 0, "partition": 3}}


# real exports


def test_real_exports_are_read_or_refused_clearly() -> None:
    if not FIELD.is_dir():
        pytest.skip("no folder with real exports beside the repository (OSDLAB_FIELD)")
    read = 0
    for path in sorted(FIELD.iterdir()):
        if path.suffix not in (".xml", ".zip"):
            continue
        try:
            found = read_sequence(path.read_bytes(), path.name)
        except InputError as error:
            assert all(problem.message and problem.line >= 1 for problem in error.problems), path.name
            assert path.suffix == ".zip" or len(error.problems) < 100
            continue
        read += 1
        assert codec.from_json(codec.to_json(found)) == found
        for problem in validate(found):
            assert problem.line >= 1 and problem.column >= 1, (path.name, problem)
        # What is not supported ends the run or is skipped; nothing raises.
        run(found, World(in_winpe="WinPE" in path.name, volumes={"C:": {"disk": 0, "partition": 1}}))
    assert read > 50
