"""What a site may say and hardly means: content that nobody can read or use, deployments to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scenario.sitefile import LoadedSite, site_of_nodes
from lab.yamlio import read_nodes

#: An image that its step may access directly, a tool that a command needs, and the client.
SEQUENCE = """<sequence version="3.10">
<step type="SMS_TaskSequence_ApplyOperatingSystemAction" name="Image" runFromNet="{direct}">
<action>OSDApplyOS.exe /image:LAB00001,1</action><defaultVarList>
<variable name="ImagePackageID" property="ImagePackageID">LAB00001</variable></defaultVarList></step>
<step type="SMS_TaskSequence_RunCommandLineAction" name="Tool">
<action>smsswd.exe /run:LAB00004 x</action></step>
<step type="SMS_TaskSequence_RunCommandLineAction" name="Off" disable="true">
<action>smsswd.exe /run:LAB00005 x</action></step>
<step type="SMS_TaskSequence_SetupWindowsAndSMSAction" name="Setup"><action>x</action><defaultVarList>
<variable name="_SMSClientPackageID" property="ClientPackageID">LAB00003</variable></defaultVarList></step>
<referenceList><reference package="LAB00001"/><reference package="LAB00003"/><reference package="LAB00004"/>
<reference package="LAB00005"/></referenceList></sequence>"""
SITE = """site: LAB
ACCOUNT
distribution_points: {DP1: {POINT}}
devices: {PC-1: {mac: 52:54:00:00:00:01HOME}}
collections:
  {One: {members: [PC-1]}, Empty: , Odd: {members: [x64 Unknown Computer]}, Both: {include: [One, Odd]}}
os_images: {LAB00001: {IMAGE}}
boot_images: {LAB00002: }
packages: {LAB00003: {content: client}, LAB00004: {TOOL}, LAB00005: }
sequences: {LAB00010: {sequence: install.xml, boot_image: LAB00002}}
deployments: {LAB20001: {sequence: LAB00010, collection: WHERE, MORE}}
"""
RESTARTS = (
    '<sequence version="3.10"><step type="SMS_TaskSequence_RebootAction" name="R"><action/></step></sequence>'
)
SHARE, RUNS = "package_share: true", "download: run from distribution point"


def alone(text: str, folder: Path) -> LoadedSite:
    """A site whose only sequence restarts the computer."""
    (folder / "vm-templates").mkdir(exist_ok=True)
    (folder / "restart.xml").write_text(RESTARTS)
    return site_of_nodes(read_nodes(text, "site.yaml"), folder / "site.yaml")


def told(folder: Path, *, direct: bool = False, **said: str) -> list[str]:
    (folder / "install.xml").write_text(SEQUENCE.format(direct=str(direct).lower()))
    (folder / "vm-templates").mkdir(exist_ok=True)
    usual = {
        "ACCOUNT": "network_access_account: {user: LAB\\naa, password: Warned-1}",
        "POINT": "", "HOME": "", "IMAGE": "", "TOOL": "", "WHERE": "One", "MORE": "purpose: available",
    }  # fmt: skip
    text = SITE
    for key, value in (usual | said).items():
        text = text.replace(key, value)
    loaded: LoadedSite = site_of_nodes(read_nodes(text, "site.yaml"), folder / "site.yaml")
    return [str(one) for one in loaded.warnings]


@pytest.mark.rule("R63", shown="sim")
def test_a_package_share_that_nothing_uses_and_one_that_is_not_there(tmp_path: Path) -> None:
    lacks = "site.yaml:11:73: LAB20001 runs from the distribution point, and no package share has "
    hint = "; say 'package_share: true' there"
    assert told(tmp_path) == []
    assert told(tmp_path, TOOL=SHARE) == [
        "site.yaml:9:67: nothing uses the package share of LAB00004; "
        "a deployment does that says 'download: run from distribution point'"
    ]
    # The client is fetched all the same, and what only a disabled step names is not needed.
    assert told(tmp_path, MORE=RUNS, IMAGE=SHARE, TOOL=SHARE) == []
    assert told(tmp_path, MORE=RUNS, IMAGE=SHARE) == [f"{lacks}LAB00004{hint}"]
    assert told(tmp_path, MORE=RUNS) == [f"{lacks}LAB00001, LAB00004{hint}"]


@pytest.mark.rule("R63", shown="sim")
def test_a_step_that_accesses_content_directly_needs_the_share_and_uses_it(tmp_path: Path) -> None:
    assert told(tmp_path, direct=True, IMAGE=SHARE) == []
    [one] = told(tmp_path, direct=True)
    assert "LAB20001 has a step that accesses content directly, and no package share has LAB00001;" in one


@pytest.mark.rule("R72", shown="sim")
def test_a_site_whose_content_nobody_in_windows_pe_may_read(tmp_path: Path) -> None:
    assert told(tmp_path, ACCOUNT="") == [
        "site.yaml:1:7: the site has no network_access_account: no machine in Windows PE may read LAB00001, "
        "LAB00003, LAB00004, which LAB20001 needs; give it one, "
        "or say 'anonymous: true' of a distribution point"
    ]
    assert told(tmp_path, ACCOUNT="", POINT="anonymous: true") == []
    assert told(tmp_path, ACCOUNT="", MORE="available_to: clients") == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"WHERE": "Empty"}, "'Empty' has no members"),
        ({"WHERE": "All Unknown Computers", "POINT": "unknown_computers: false"},
         "no distribution point answers unknown computers"),
        ({"WHERE": "Odd", "POINT": "unknown_computers: false"},
         "no distribution point answers unknown computers"),
        ({"WHERE": "One", "HOME": ", site: ABC"}, "its devices are assigned to another site"),
        ({"WHERE": "Both", "HOME": ", site: ABC", "POINT": "unknown_computers: false"},
         "its devices are assigned to another site, and no distribution point answers unknown computers"),
        ({"WHERE": "One", "HOME": ", site: lab"}, ""),
        ({"WHERE": "Both", "HOME": ", site: ABC"}, ""),
        ({"WHERE": "Both", "POINT": "unknown_computers: false"}, ""),
        ({"WHERE": "All Unknown Computers"}, ""),
        ({"WHERE": "All Systems"}, ""),
        ({"WHERE": "Empty", "MORE": "available_to: clients"}, ""),
    ],
)  # fmt: skip
def test_a_deployment_that_pxe_gives_to_nobody(tmp_path: Path, said: dict[str, str], why: str) -> None:
    assert told(tmp_path, **said) == (
        [f"site.yaml:11:15: PXE gives LAB20001 to nobody: {why}"] if why else []
    )


def test_what_is_allowed_and_looks_like_a_mistake_is_a_warning(tmp_path: Path) -> None:
    text = """site: LAB
devices:
  PC-1: {mac: 52:54:00:00:00:01, uuid: aaaaaaaa-0000-4000-8000-000000000001}
  PC-2: {mac: 52-54-00-00-00-01, uuid: '{AAAAAAAA-0000-4000-8000-000000000001}'}
  PC-3:
collections:
  One: {members: [pc-1], variables: {Place: a}}
  Two: {members: [PC-1], variables: {PLACE: b}}
  Three: {members: [PC-1], variables: {Place: c}, priority: 2}
boot_images: {LAB00002: {pxe: false}, LAB00004: {distribution_points: []}, LAB00006: }
sequences:
  LAB00010: {sequence: restart.xml, boot_image: LAB00002}
  LAB00011: {sequence: restart.xml, boot_image: LAB00004}
  LAB00012: {sequence: restart.xml}
  LAB00013: {sequence: restart.xml, boot_image: LAB00006}
deployments:
  LAB20001: {sequence: LAB00010, collection: One}
  LAB20002: {sequence: LAB00011, collection: One}
  LAB20003: {sequence: LAB00012, collection: One}
  LAB20004: {sequence: LAB00012, collection: One, available_to: clients, available_at: 2026-11-22 01:00}
  LAB20005: {sequence: LAB00013, collection: One, purpose: required, deadline: 2026-11-22 01:00}
  LAB20006: {sequence: LAB00013, collection: One, available_to: media and PXE, available_at: 2026-11-22 01:00}
  LAB20007: {sequence: LAB00013, collection: One, available_to: media and PXE (hidden),
             available_at: 2026-11-22 01:00}
"""
    loaded = alone(text, tmp_path)
    assert [one.uuid for one in loaded.objects.devices[:2]] == ["aaaaaaaa-0000-4000-8000-000000000001"] * 2
    assert [str(one) for one in loaded.warnings] == [
        "site.yaml:4:15: device 'PC-1' has the same MAC address",
        "site.yaml:4:40: device 'PC-1' has the same SMBIOS GUID",
        "site.yaml:5:3: device 'PC-3' has neither MAC address nor GUID: no computer is found to be it",
        "site.yaml:8:38: collection 'One' of the same priority sets PLACE to another value; "
        "give one of them a higher priority",
        "site.yaml:17:3: PXE gives LAB20001 to nobody: boot image LAB00002 is not enabled for PXE",
        "site.yaml:18:3: PXE gives LAB20002 to nobody: boot image LAB00004 is on no distribution point "
        "that answers PXE requests",
        "site.yaml:19:3: PXE gives LAB20003 to nobody: task sequence LAB00012 has no boot image",
        "site.yaml:22:94: LAB20006 is for media and PXE only, and Windows PE looks at no 'available_at'",
        "site.yaml:24:28: LAB20007 is for media and PXE only, and Windows PE looks at no 'available_at'",
    ]


def test_what_is_on_the_lists_of_duplicates_is_meant_to_be_shared(tmp_path: Path) -> None:
    text = """site: LAB
devices:
  PC-1: {mac: 52:54:00:00:00:01, uuid: aaaaaaaa-0000-4000-8000-000000000001}
  PC-2: {mac: 52:54:00:00:00:01, uuid: aaaaaaaa-0000-4000-8000-000000000002}
  PC-3: {mac: 52:54:00:00:00:01, uuid: aaaaaaaa-0000-4000-8000-000000000009}
settings:
  duplicate_macs: ["52-54-00-00-00-01"]
  duplicate_uuids: [AAAAAAAA-0000-4000-8000-000000000009]
"""
    assert [str(one) for one in alone(text, tmp_path).warnings] == [
        "site.yaml:5:3: device 'PC-3' has nothing but what is on the lists of duplicates: "
        "no computer is found to be it"
    ]


def test_a_choice_between_boot_images_is_a_warning(tmp_path: Path) -> None:
    text = """site: LAB
devices: {PC-1: {mac: 52:54:00:00:00:01}}
collections: {One: {members: [PC-1]}, Two: {members: [pc-1]}, Three: {members: []}}
boot_images: {LAB00002: {}, LAB00004: {}, LAB00006: {architecture: arm64}}
sequences:
  LAB00010: {sequence: restart.xml, boot_image: LAB00002}
  LAB00011: {sequence: restart.xml, boot_image: LAB00004}
  LAB00012: {sequence: restart.xml, boot_image: LAB00006}
deployments:
  LAB20001: {sequence: LAB00010, collection: One}
  LAB20002: {sequence: LAB00010, collection: One, purpose: required}
  LAB20003: {sequence: LAB00010, collection: Three}
  LAB20004: {sequence: LAB00010, collection: One, available_to: clients}
  LAB20005: {sequence: LAB00011, collection: Two}
  LAB20006: {sequence: LAB00011, collection: Two}
  LAB20007: {sequence: LAB00012, collection: Two}
"""
    [told, nobody] = alone(text, tmp_path).warnings
    assert str(nobody) == "site.yaml:12:3: PXE gives LAB20003 to nobody: 'Three' has no members"
    assert str(told).startswith(
        "site.yaml:10:3: PXE starts boot image LAB00004 of LAB20006 where LAB20001 could be chosen, too; "
        "ConfigMgr then restarts to LAB00002, the sequence's own; osdlab does not"
    )


def test_a_choice_in_the_boot_image_that_pxe_starts_is_none(tmp_path: Path) -> None:
    text = """site: LAB
devices: {PC-1: {mac: 52:54:00:00:00:01}}
collections: {One: {members: [PC-1]}}
boot_images: {LAB00002: {}, LAB00004: {}}
sequences:
  LAB00010: {sequence: restart.xml, boot_image: LAB00002}
  LAB00011: {sequence: restart.xml, boot_image: LAB00004}
deployments:
  LAB20001: {sequence: LAB00010, collection: One}
  LAB20002: {sequence: LAB00011, collection: One}
  LAB20003: {sequence: LAB00010, collection: One}
"""
    [told] = alone(text, tmp_path).warnings
    assert "boot image LAB00002 of LAB20003 where LAB20002 could be chosen, too" in str(told)
