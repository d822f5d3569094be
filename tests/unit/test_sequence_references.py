"""What a sequence refers to: what of it is needed, and which steps a message names."""

from __future__ import annotations

import pytest

from lab.sequence import codec
from lab.sequence.references import needed, referring
from lab.sequence.xmlformat import read_sequence


@pytest.mark.rule("R31")
def test_only_what_enabled_steps_use_is_needed() -> None:
    text = """<sequence><referenceList><reference package="LAB00001"/><reference package="LAB00002"/>
<reference package="LAB00003"/></referenceList>
<group name="Off" disable="true"><step name="A"><action>smsswd.exe /run:LAB00001 x</action></step></group>
<step name="B"><action/><defaultVarList><variable name="PackageID" property="PackageID">LAB00002</variable>
<variable name="OSDDrv" property="DriverPackageID">LAB00009</variable></defaultVarList></step></sequence>"""
    found = needed(read_sequence(text.encode(), "x.xml"))
    assert [(item.package, item.position.line) for item in found] == [
        ("LAB00002", 1), ("LAB00003", 2), ("LAB00009", 4),
    ]  # fmt: skip


STEP = """<step name="{}" {}><action>smsswd.exe /run:{} setup.exe</action></step>"""


def test_who_refers_to_a_package_is_told_with_groups_and_places() -> None:
    text = "\n".join([
        '<sequence><group name="Install"><group name="Drivers">',
        STEP.format("Storage", "", "LAB00001"),
        "</group>",
        STEP.format("Old storage", 'disable="true"', "LAB00001"),
        "</group>",
        *(STEP.format(f"Tool {number}", "", "LAB00002") for number in range(5)),
        '<step name="Image"><action>x</action><defaultVarList>',
        '<variable name="ImagePackageID" property="ImagePackageID">lab00004</variable>',
        "</defaultVarList></step><referenceList>",
        '<reference package="LAB00001"/><reference package="LAB00002"/>',
        '<reference package="LAB00003"/></referenceList></sequence>',
    ])  # fmt: skip
    read = read_sequence(text.encode(), "x.xml")
    # As the machine has it, too: its policy is JSON.
    for sequence in (read, codec.from_json(codec.to_json(read))):
        assert referring(sequence, "lab00001") == "step 'Install / Drivers / Storage' (x.xml:2:1)"
        assert referring(sequence, "LAB00002") == (
            "step 'Tool 0' (x.xml:6:1), step 'Tool 1' (x.xml:7:1), step 'Tool 2' (x.xml:8:1) and 2 more"
        )
        assert referring(sequence, "LAB00004") == "step 'Image' (x.xml:11:1)"
    assert referring(read, "LAB00003") == "the referenceList, and no step (x.xml:15:1)"
