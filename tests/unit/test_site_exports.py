"""Console exports as files: zips and folders read, hostile ones refused, their objects as a content list."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from lab.cli import guarded, osdlab
from lab.errors import InputError, UsageError
from lab.site import exports
from lab.site.exports import read_file
from tests.unit.test_sequence_reading import INNER, canonical, escaped, instance

GUID = "11111111-2222-3333-4444-555555555555"
INFO = (
    '<INSTANCE CLASSNAME="SMS_TaskSequenceReferencesInfo"><PROPERTY NAME="ReferenceName"><VALUE>Boot</VALUE>'
    '</PROPERTY><PROPERTY NAME="ReferencePackageID"><VALUE>LAB00005</VALUE></PROPERTY>'
    '<PROPERTY NAME="ReferencePackageType"><VALUE>258</VALUE></PROPERTY></INSTANCE>'
)
BOOT = '<PROPERTY NAME="BootImageID"><VALUE>LAB00005</VALUE></PROPERTY></INSTANCE>'
MEMBERS = {
    "SMS_TaskSequencePackage/LAB00042/object.xml": instance(escaped(INNER)).replace("</INSTANCE>", BOOT),
    "SMS_TaskSequencePackage/LAB00042/ReferencesInfo.xml": f"<ArrayOfString><string>{escaped(INFO)}</string>"
    "</ArrayOfString>",
    "SMS_TaskSequencePackage/LAB00011/object.xml": instance("<![CDATA[<sequence/>]]>", "Kid", "LAB00011"),
    "SMS_Package/LAB00010/object.xml": instance("", "Tools", "LAB00010"),
    "SMS_Package/LAB00010/PACKAGE_CONTENT.xml": f"<guid>{GUID}</guid>",
    "Manifest.xml": f'<L><Content UniqueId="{GUID}" RelativePath="The tools"/></L>',
    "[Content_Types].xml": "<Types/>",
}


def zipped(
    path: Path, members: dict[str, str], method: int = zipfile.ZIP_STORED, encoding: str = "utf-8"
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, ("\ufeff" + text).encode(encoding))
    return path


@pytest.mark.rule("R32")
@pytest.mark.parametrize(("apart", "encoding"), [(False, "utf-8"), (True, "utf-8"), (False, "utf-16-le")])
def test_a_console_export_gives_its_sequences_and_a_content_list(
    tmp_path: Path, apart: bool, encoding: str
) -> None:
    path = zipped(tmp_path / "My.zip", MEMBERS, encoding=encoding)
    if apart:
        zipfile.ZipFile(path).extractall(tmp_path / "My")
        path = tmp_path / "My"
    tools = tmp_path / "My_files" / "The tools"
    tools.mkdir(parents=True)
    read = read_file(path)
    found = {(item.id, item.kind, item.name, item.place, item.missing) for item in read.content}
    assert found == {
        ("LAB00005", "boot-image", "Boot", "", True),
        ("LAB00010", "package", "Tools", "SMS_Package/LAB00010", False),
        ("LAB00011", "task-sequence", "Kid", "SMS_TaskSequencePackage/LAB00011", False),
        ("LAB00042", "task-sequence", "In WMI", "SMS_TaskSequencePackage/LAB00042", False),
    }
    assert {item.id: item.files for item in read.content}["LAB00010"] == str(tools)
    assert read.choose("lab00042")[1].sequence.name == "In WMI"
    place = read.choose("Kid")[1].sequence.position.path
    assert place.endswith("!SMS_TaskSequencePackage/LAB00011/object.xml")
    for name in ("", "Nobody"):
        with pytest.raises(UsageError, match="Kid"):
            read.choose(name)


def test_hostile_zips_are_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"SMS_TaskSequencePackage/LAB00042/object.xml": INNER}
    whole = zipped(tmp_path / "w.zip", one).read_bytes()
    encrypted = bytearray(whole)
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    odd = bytearray(whole)
    odd[8] = odd[odd.index(b"PK\x01\x02") + 10] = 99
    broken = {
        "cut": whole[: len(whole) // 2],
        "only the head": b"PK\x03\x04",
        "damaged": whole.replace(b"Prepare", b"Prepaid"),
        "encrypted": bytes(encrypted),
        "odd method": bytes(odd),
    }
    for name, data in broken.items():
        path = tmp_path / "x.zip"
        path.write_bytes(data)
        with pytest.raises(InputError):
            read_file(path)
            pytest.fail(name)
    for name in ("../up.xml", "/root.xml", "C:/x.xml", "a\\..\\..\\x.xml", "only.txt"):
        with pytest.raises(InputError, match=r"leads out|no task sequence"):
            read_file(zipped(tmp_path / "y.zip", {name: INNER}))
    monkeypatch.setattr(exports, "MAX_BYTES", 100_000)
    bomb = {"SMS_TaskSequencePackage/LAB00042/object.xml": " " * 10_000_000}
    with pytest.raises(InputError, match="unpacks to more"):
        read_file(zipped(tmp_path / "z.zip", bomb, zipfile.ZIP_DEFLATED))
    monkeypatch.setattr(exports, "MAX_MEMBERS", 2)
    with pytest.raises(InputError, match="members"):
        read_file(zipped(tmp_path / "m.zip", {f"{n}.xml": INNER for n in range(4)}))


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = guarded(lambda: osdlab.main(["sequence", *words], standalone_mode=False))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_show_and_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(tmp_path / "My.zip", MEMBERS)
    code, out, _ = call(capsys, "show", str(path), "--json")
    told = json.loads(out)
    assert code == 0 and {one["name"] for one in told["sequences"]} == {"In WMI", "Kid"}
    assert len(told["content"]) == 4
    code, out, _ = call(capsys, "show", str(path), "--name", "LAB00042")
    assert code == 0 and 'if A equals "x < "y""' in out and "unknown attribute expand" in out
    code, out, _ = call(capsys, "convert", str(path), "--to", "xml", "--name", "LAB00042")
    assert code == 0 and canonical(out) == canonical(MEMBERS["SMS_TaskSequencePackage/LAB00042/object.xml"])
    target = tmp_path / "one.json"
    code, out, _ = call(capsys, "convert", str(path), "--to", "json", "--name", "Kid", "-o", str(target))
    assert (code, out) == (0, "")
    code, out, _ = call(capsys, "convert", str(target), "--to", "xml")
    assert code == 0 and canonical(out) == canonical(MEMBERS["SMS_TaskSequencePackage/LAB00011/object.xml"])
    code, _, err = call(capsys, "convert", str(path), "--to", "xml")
    assert code == 2 and "--name" in err
    for text, place in (("<sequence>\n <x></sequence>", ":2:7: "), ("{\n!", ":2:1: "), ("", ":1:1: ")):
        wrong = tmp_path / "wrong.xml"
        wrong.write_text(text)
        code, _, err = call(capsys, "show", str(wrong))
        assert code == 3 and str(wrong) + place in err
    assert call(capsys, "show", str(tmp_path / "none.xml"))[0] == 3
