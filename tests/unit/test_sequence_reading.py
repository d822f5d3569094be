"""Exports come back as they were: every wrapper, and whatever a document holds that the model does not."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lab.errors import InputError
from lab.sequence import codec
from lab.sequence.conditioncheck import condition_problems
from lab.sequence.model import Condition, Group, Reference, Step, TaskSequence
from lab.sequence.outline import outline, prose
from lab.sequence.secrets import blank_secrets
from lab.sequence.xmlbuild import change, document_of
from lab.sequence.xmlformat import Export, export_of, read_export, read_sequence
from lab.sequence.xmlwrite import document_from_json, document_to_json, write_document

INNER = """\
<sequence version="3.10"><!-- by hand -->
  <referenceList><reference package="LAB00010"/><reference package="LAB00011" program="*"/></referenceList>
  <group name="Prepare" description="" expand="true">
    <condition><operator type="and"><expression type="SMS_TaskSequence_VariableConditionExpression">
      <variable name="Operator">equals</variable><variable name="Value">x &lt; "y"</variable>
      <variable name="Variable">A</variable></expression></operator></condition>
    <step type="SMS_TaskSequence_RunCommandLineAction" name="One" description="two&#xA;lines" disable="false">
      <action>smsswd.exe /run:LAB00010 cmd /c a &amp;&amp; b</action>
      <defaultVarList>
        <variable name="CommandLine" property="CommandLine" hidden="true">cmd /c a &amp;&amp; b</variable>
        <variable name="Empty" property="Empty"></variable>
      </defaultVarList>
    </step>
    <!-- kept with Two -->
    <step name="Two" startIn="" retryCount=""/>
  </group>
  <subtasksequence type="SMS_TaskSequence_SubTasksequence" name="Child" description="">
    <action>smsts.exe</action>
    <defaultVarList><variable name="TsName" property="TsName">Kid</variable>
    <variable name="TsPackageID" property="TsPackageID">LAB00011</variable></defaultVarList>
  </subtasksequence>
</sequence>"""


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def instance(value: str, name: str = "In WMI", package: str = "LAB00042") -> str:
    return (
        '<INSTANCE CLASSNAME="SMS_TaskSequencePackage">\n <QUALIFIER NAME="dynamic"><VALUE>TRUE</VALUE>'
        f'</QUALIFIER>\n <PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY>\n'
        f' <PROPERTY NAME="PackageID"><VALUE>{package}</VALUE></PROPERTY>\n'
        f' <PROPERTY NAME="Sequence" TYPE="string"><QUALIFIER NAME="CIMTYPE"><VALUE>string</VALUE>'
        f"</QUALIFIER>\n <VALUE>{value}</VALUE></PROPERTY>\n</INSTANCE>"
    )


SHAPES = {
    "bare": INNER,
    "declared": f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n{INNER}\n',
    "windows lines": INNER.replace("\n", "\r\n"),
    "package": f"<SmsTaskSequencePackage><Name>P</Name><SequenceData>{INNER}</SequenceData>"
    "<IconSize>0</IconSize></SmsTaskSequencePackage>",
    "cdata": instance(f"<![CDATA[{INNER}\n]]>"),
    "split cdata": instance("<![CDATA[" + INNER.replace("by hand", "]]]]><![CDATA[>") + "]]>"),
    "escaped": instance(escaped(INNER)),
    "escaped and declared": instance(escaped('<?xml version="1.0" encoding="utf-16"?>\n' + INNER)),
    "escaped package": instance(escaped(f"<SequenceData>{INNER}</SequenceData>")),
    "prefixed": "<t:sequence xmlns:t='urn:x' version='3.00'><t:group name='Prepare'/></t:sequence>",
    "default namespace": "<sequence xmlns='urn:x' version='3.00'><group name='Prepare'/></sequence>",
    "around": f"<!-- a --><?pi b?>{INNER}<?c?><!-- d -->",
    "odd case": "<Sequence2><sequence Version='3.10'><Group Name='Prepare'/></sequence></Sequence2>",
    "foreign": '<sequence xmlns:e="urn:e" e:a="1"><e:new b="2">text<e:c/></e:new><group name="Prepare">'
    "<?p q?><![CDATA[x]]>tail</group></sequence>",
    "empty": '<sequence version="3.40"/>',
    "mdt": '<?xml version="1.0"?>\n<sequence version="3.00" name="M" description="d"><globalVarList>'
    '<variable name="OSGUID" property="OSGUID" more="1">{1}</variable></globalVarList>'
    '<group expand="true" name="Prepare"><action/></group></sequence>',
}


def canonical(data: bytes | str) -> str:
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    return ElementTree.canonicalize(text, with_comments=True)


@pytest.mark.rule("R32")
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_comes_back_as_it_was(name: str) -> None:
    export = read_export(SHAPES[name].encode(), "x.xml")
    written = write_document(export.document)
    assert canonical(written) == canonical(SHAPES[name])
    if name == "windows lines":
        assert b"\r\n" in written and b"\r\r" not in written
    told = json.loads(json.dumps(document_to_json(export.document)))
    again = document_from_json(told, "x.json")
    assert write_document(again) == written
    assert document_to_json(read_export(written, "x.xml").document) == told
    sequence = export.found[0].sequence
    if name != "empty":
        assert next(item.name for _, _, item in sequence.walk()) == "Prepare"
    if "cdata" in name or "escaped" in name:
        assert (sequence.name, sequence.package_id) == ("In WMI", "LAB00042")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252", "shift_jis", "gb2312"],
)
def test_encodings_come_back(encoding: str) -> None:
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    name = "日本" if encoding in ("shift_jis", "gb2312") else "Gerät"
    text = f'<?xml version="1.0" encoding="{declared}"?><sequence><group name="{name}"/></sequence>'
    export = read_export(text.encode(encoding), "x")
    assert export.found[0].sequence.children[0].name == name
    assert canonical(write_document(export.document)) == canonical(text)


def test_a_file_that_is_escaped_as_a_whole() -> None:
    plain = '<sequence version="3.10"><group name="R &amp; D" description="a &lt; b"/></sequence>'
    export = read_export(escaped(plain).encode() + b"\n", "x.xml")
    assert export.found[0].sequence.children[0].name == "R & D"
    assert canonical(write_document(export.document)) == canonical(plain)
    with pytest.raises(InputError):
        read_export(b"&lt;html&gt;", "x.xml")


def test_an_operating_system_condition_is_decided_by_its_queries() -> None:
    def system(name: str, inside: str) -> str:
        return (
            f'<osExpressionGroup type="and" name="{name}"><platformKey arch="x64" type="Win_NT" '
            f'minVer="10.00.0000.0" maxVer="10.00.99999.9999"/>{inside}</osExpressionGroup>'
        )

    asked = (
        '<expression type="SMS_TaskSequence_WMIConditionExpression" ignoreQueryFailure="true">'
        '<variable name="Namespace">root\\cimv2</variable>'
        '<variable name="Query">SELECT * FROM Win32_OperatingSystem</variable></expression>'
    )
    text = (
        '<sequence version="3.10"><group name="G"><condition><operator type="and">'
        '<osConditionGroup type="or">'
        f"{system('Ten', asked)}{system('Eleven', asked)}</osConditionGroup></operator></condition></group>"
        f'<group name="H"><condition>{system("No query", "")}</condition></group></sequence>'
    )
    export = read_export(text.encode(), "x.xml")
    found = export.found[0].sequence
    condition = found.children[0].condition
    assert condition is not None
    either = condition.operands[0].operands[0]
    assert either.kind == "or" and [one.kind for one in either.operands] == ["and", "and"]
    assert [[one.kind for one in group.operands] for group in either.operands] == [
        ["SMS_TaskSequence_WMIConditionExpression"]
    ] * 2
    assert list(condition_problems(condition, "it")) == []
    # A key alone is nothing that the machine can be asked: it stays, and is refused.
    alone = found.children[1].condition
    assert alone is not None and [one.message for one in condition_problems(alone, "it")] == [
        "it has the type 'platformKey', which is not supported"
    ]
    assert canonical(write_document(export.document)) == canonical(text)


def test_a_value_that_is_only_the_indentation_is_empty() -> None:
    text = (
        '<sequence version="3.10"><step type="SMS_TaskSequence_SetVariableAction" name="S"><defaultVarList>'
        '<variable name="A">\n      </variable><variable name="B"> </variable></defaultVarList>'
        "</step></sequence>"
    )
    export = read_export(text.encode(), "x.xml")
    step = export.found[0].sequence.children[0]
    assert isinstance(step, Step) and [one.value for one in step.variables] == ["", " "]
    assert canonical(write_document(export.document)) == canonical(text)


def test_a_declared_utf_16_that_is_none_is_read() -> None:
    assert read_sequence(b'<?xml version="1.0" encoding="utf-16"?><sequence version="3.00"/>', "x").version


def test_several_sequences_of_a_document_each_have_their_own_name() -> None:
    text = (
        f"<CIM>{instance(escaped(INNER), 'A', 'LAB00001')}{instance(escaped(INNER), 'B', 'LAB00002')}</CIM>"
    )
    found = [one.sequence for one in read_export(text.encode(), "x").found]
    assert [(one.name, one.package_id) for one in found] == [("A", "LAB00001"), ("B", "LAB00002")]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("<tss><ts guid='{1}' enable='True'><Name>W</Name><ID>W11</ID></ts></tss>", "MDT's list"),
        ("<xs:schema xmlns:xs='urn:s'><xs:sequence><xs:element/></xs:sequence></xs:schema>", "ts.xml"),
        ("<note>a &lt;sequence that is none</note>", "ts.xml"),
    ],
)
def test_other_documents_hold_none(text: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        read_export(text.encode(), "x.xml")
    problem = caught.value.problems[0]
    assert (
        "no <sequence>" in problem.message
        and hint in problem.hint
        and (problem.line, problem.column) == (1, 1)
    )


# editing


def first(sequence: TaskSequence) -> Group:
    group = sequence.children[0]
    assert isinstance(group, Group)
    return group


def again(export: Export) -> TaskSequence:
    return read_sequence(write_document(export.document), "x.xml")


@pytest.mark.rule("R31")
@pytest.mark.parametrize("shape", ["bare", "package", "cdata", "escaped and declared", "windows lines"])
def test_a_changed_model_is_written_and_the_rest_stays(shape: str) -> None:
    export = read_export(SHAPES[shape].encode(), "x.xml")
    found = export.found[0]
    group, child = found.sequence.children
    assert isinstance(group, Group)
    one, two = group.children
    assert isinstance(one, Step)
    condition = Condition("or", operands=(Condition("X", (("Path", "C:\\"),)),))
    new = Step("SMS_TaskSequence_RebootAction", "Restart", action="smsboot.exe")
    wanted = replace(
        found.sequence,
        children=(
            child,
            Group("Later", children=(replace(one, continue_on_error=True, condition=condition),)),
            replace(group, children=(two, new, replace(two, name="Copy"))),
        ),
        references=(Reference("LAB00099"),),
    )
    change(export, found, wanted)
    written = write_document(export.document).decode()
    if "escaped" in shape:
        written = written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert 'expand="true"' in written and "kept with Two" in written and 'startIn=""' in written
    assert "by hand" in written
    after = again(export)
    assert [item.name for _, _, item in after.walk()] == [
        "Child", "Later", "One", "Prepare", "Two", "Restart", "Copy",
    ]  # fmt: skip
    moved = first(replace(after, children=after.children[1:])).children[0]
    assert isinstance(moved, Step) and moved.continue_on_error and not moved.disabled
    assert moved.variables == one.variables and moved.action == one.action
    assert moved.condition is not None and moved.condition.operands[0].operands[0].value("Path") == "C:\\"
    assert after.references == (Reference("LAB00099"),)
    # Nothing changed is nothing written.
    fresh = read_export(SHAPES[shape].encode(), "x.xml")
    change(fresh, fresh.found[0], replace(fresh.found[0].sequence))
    assert canonical(write_document(fresh.document)) == canonical(SHAPES[shape])


def test_a_model_alone_becomes_a_document() -> None:
    for text in (INNER, SHAPES["cdata"]):
        sequence = read_sequence(text.encode(), "x.xml")
        made = read_sequence(write_document(document_of(sequence)), "x.xml")
        strip = [codec.to_json(one) for one in (sequence, made)]
        for data in strip:
            data["position"] = None
            unplace(data)
        assert strip[0] == strip[1]


def unplace(data: object) -> None:
    if isinstance(data, dict):
        data.pop("position", None)
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        unplace(value)


# what is shown


def test_the_outline_has_everything_but_values() -> None:
    sequence = read_sequence(INNER.encode(), "x.xml")
    tree = outline(sequence)
    group, child = tree["children"]
    assert (group["kind"], child["kind"], child["sequence"]) == ("group", "step", "LAB00011")
    assert group["conditions"] == 'A equals "x < "y""'
    assert [item["name"] for item in group["unknown"]] == ["expand", ""]
    assert group["children"][0]["references"] == [{"package": "LAB00010"}]
    assert group["children"][1]["unknown"][0]["name"] == "startIn"
    assert [item["kind"] for item in tree["unknown"]] == ["comment"]
    assert "cmd /c a" not in json.dumps(tree)


def test_conditions_read_as_prose() -> None:
    def variable(name: str, operator: str, value: str = "") -> Condition:
        pairs = (("Variable", name), ("Operator", operator), ("Value", value))
        return Condition("SMS_TaskSequence_VariableConditionExpression", pairs)

    a, b = variable("A", "exists"), variable("B", "greaterEqual", "2")
    wmi = Condition(
        "SMS_TaskSequence_WMIConditionExpression", (("Namespace", "root\\x"), ("Query", "select 1"))
    )
    file = Condition("SMS_TaskSequence_FileConditionExpression", (("Path", "C:\\a"), ("Version", "")))
    top = Condition(
        "and", operands=(Condition("not", operands=(a, b)), Condition("or", operands=(wmi, file)))
    )
    assert (
        prose(top) == 'none of (A exists, B is at least "2") and (WMI root\\x: select 1 or File: Path C:\\a)'
    )
    assert prose(Condition("and")) == ""


# secrets

SECRETS = """<sequence><globalVarList><variable name="AdminPassword" property="AdminPassword">top1</variable>
</globalVarList><step name="Join" type="SMS_TaskSequence_JoinDomainWorkgroupAction"><action>osdnetsettings.exe
 /p:hunter22 x</action><defaultVarList>
<variable name="OSDJoinPassword" property="DomainPassword">hunter22</variable>
<variable name="OSDRandomAdminPassword" property="RandomAdminPassword">true</variable>
<variable name="OSDJoinAccount" property="DomainUsername">lab\\join</variable></defaultVarList></step>
<step name="Set" type="SMS_TaskSequence_SetVariableAction"><action>tsenv.exe "K=v3" /hiddenflag:True</action>
<defaultVarList><variable name="DoNotShowVariableValue" property="DoNotShowVariableValue">true</variable>
<variable name="VariableName" property="VariableName">K</variable>
<variable name="VariableValue" property="VariableValue">v3</variable></defaultVarList></step>
<step name="Dyn" type="SMS_TaskSequence_SetDynamicVariablesAction"><defaultVarList>
<variable name="OSDSetDynamicVariablesRules" property="Rules">&lt;Rules&gt;&lt;Rule&gt;&lt;Variables&gt;
&lt;Variable Name="a" IsSecret="true"&gt;deep4&lt;/Variable&gt;
&lt;Variable Name="b" IsSecret="false"&gt;open&lt;/Variable&gt;
&lt;/Variables&gt;&lt;/Rule&gt;&lt;/Rules&gt;</variable></defaultVarList></step></sequence>"""


@pytest.mark.rule("R32")
@pytest.mark.parametrize("wrap", [str, lambda text: instance(escaped(text))])
def test_an_export_blanks_secrets_and_says_so(wrap: object) -> None:
    text = wrap(SECRETS) if callable(wrap) else ""
    export = read_export(text.encode(), "x.xml")
    blanked = blank_secrets(export)
    written = write_document(export.document).decode()
    for secret in ("top1", "hunter22", "v3", "deep4"):
        assert secret in text and secret not in written
    for kept in ("lab\\join", "open", "true", "/hiddenflag:True"):
        assert kept in written
    assert [(item.step, item.name) for item in blanked] == [
        ("", "AdminPassword"), ("Join", "OSDJoinPassword"), ("Join", "its command line"), ("Set", "K"),
        ("Set", "its command line"), ("Dyn", "a"),
    ]  # fmt: skip
    assert all(secret not in str(item) for item in blanked for secret in ("top1", "hunter22", "v3", "deep4"))
    assert blank_secrets(export_of(export.document, "x.xml")) == ()


# JSON that is none of ours


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x"}, {"version": 2}, {"root": "text"}, {"root": {}}, {"root": {"tag": "a b"}},
        {"root": {"tag": "sequence", "attributes": {"a": 1}}}, {"root": {"comment": "--"}},
        {"root": {"tag": "sequence", "content": ["\x00"]}},
        {"root": {"tag": "sequence", "content": ["\ud800"]}},
        {"root": {"tag": "sequence", "content": [{"instruction": ["xml", ""]}]}}, {"before": ["text"]},
        {"declaration": ["2.0", "", 7]}, {"newline": "x"}, {"root": {"tag": "other"}},
    ],
)  # fmt: skip
def test_a_wrong_document_in_json_is_bad_input(change: dict[str, object]) -> None:
    good = document_to_json(read_export(INNER.encode(), "x").document)
    with pytest.raises(InputError):
        export_of(document_from_json({**good, **change}, "x.json"), "x.json")


def test_reading_takes_time_in_proportion_to_the_size() -> None:
    step = (
        '<step type="SMS_TaskSequence_RunCommandLineAction" name="s"><action>smsswd.exe /run: a</action>'
        '<defaultVarList><variable name="A" property="A">b</variable></defaultVarList></step>'
    )

    def seconds(steps: int) -> float:
        data = f'<sequence version="3.10">{step * steps}</sequence>'.encode()
        taken = []
        for _ in range(3):
            begin = time.process_time()
            read_export(data, "x")
            taken.append(time.process_time() - begin)
        return min(taken)

    # Eight times the size: in proportion it is 8, quadratic it would be 64.
    assert seconds(4000) < 24 * seconds(500)
