"""Parts of the service that decide without a socket: ranges, queries, scripts, bodies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.site.config import SiteConfig, without_secrets
from lab.site.contentserver import Part, entity_tag, open_file, read_range
from lab.site.messages import BadBody, read_report
from lab.site.model import Device
from lab.site.pxe import PxeDecision
from lab.site.pxescript import script
from lab.site.target import Parameters, Refusal, read_parameters
from tests.contract.site_process import ACCOUNT, MAC, SCRIPTS, SECRET, SITE


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes=0-", Part(0, 100)),
        ("bytes=10-19", Part(10, 10)),
        ("bytes=90-500", Part(90, 10)),
        ("bytes=-5", Part(95, 5)),
        ("bytes=-500", Part(0, 100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
    ],
)
def test_a_range(text: str, part: Part | None) -> None:
    assert read_range(text, 100) == part


@pytest.mark.parametrize("text", ["bytes=9-1", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", ""])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        read_range(text, 100)


RANGES = st.from_regex(r"bytes=[0-9]{0,2}-[0-9]{0,2}", fullmatch=True)


@given(RANGES | st.text(alphabet="bytes=0123456789-, ", max_size=20), st.integers(0, 30))
def test_no_range_leaves_the_file(text: str, size: int) -> None:
    try:
        part = read_range(text, size)
    except ValueError:
        return
    assert part is None or (part.count > 0 and 0 <= part.first < part.first + part.count <= size)


def test_what_tells_one_content_of_a_file_from_another(tmp_path: Path) -> None:
    path = tmp_path / "a.wim"
    path.write_bytes(b"old")
    tags = []
    for data, when in ((b"old", 1), (b"new", 2), (b"longer", 2)):
        path.write_bytes(data)
        os.utime(path, ns=(when, when))
        opened = open_file(str(path))
        assert opened is not None
        file, found = opened
        file.close()
        tags += [entity_tag(found, damaged) for damaged in (False, True)]
    assert len(set(tags)) == len(tags)
    assert open_file(str(tmp_path)) is None, "a folder has no bytes"
    assert open_file(str(tmp_path / "none")) is None


def test_a_query_as_a_card_asks_it() -> None:
    raw = b"mac=52%3A54%3A00%3AAA%3Abb%3A01&uuid=AAAAAAAA-0000-4000-8000-000000000001&client_system=7&cpu=x64"
    uuid = "aaaaaaaa-0000-4000-8000-000000000001"
    assert read_parameters(raw) == Parameters("52:54:00:aa:bb:01", uuid, 7, "x64")
    assert read_parameters(b"") == Parameters()
    assert read_parameters(b"uuid=") == Parameters()


@pytest.mark.parametrize(
    "raw",
    [
        b"mac=52:54:00:aa:bb:01&mac=52:54:00:aa:bb:01", b"client_system=65536", b"client_system=",
        b"dp=../DP1", b"dp=a/b", b"start=${shell}", b"cpu=", b"uuid=1", b"admin=1", b"mac", b"start=%ff",
        b"&".join(b"a%d=1" % number for number in range(9)),
    ],
)  # fmt: skip
def test_a_query_that_is_refused(raw: bytes) -> None:
    refused = read_parameters(raw)
    assert isinstance(refused, Refusal) and refused.status == 400


@given(st.binary(max_size=80))
def test_a_query_of_anything(raw: bytes) -> None:
    assert isinstance(read_parameters(raw), Parameters | Refusal)


def test_what_a_reason_says_is_no_script() -> None:
    decision = PxeDecision("abort", ("${shell} \n&& chain http://x || \x1b[31m é",))
    text = script(SCRIPTS, decision, 7)
    assert len(text.splitlines()) == 2 and not {"$", "{", "&", "|", "\x1b", "é"} & set(text)


def test_a_boot_image_that_the_lab_has_no_files_of() -> None:
    decision = PxeDecision("boot", ("x",), "LAB20001", "LAB00099", True)
    assert script(SCRIPTS, decision, 0) == "#!ipxe\necho abort the lab has no files of boot image LAB00099\n"


@given(st.binary(max_size=200))
def test_a_body_of_anything(raw: bytes) -> None:
    with pytest.raises(BadBody):
        read_report(raw)


def test_no_secret_goes_into_the_database() -> None:
    text = str(without_secrets(SITE.to_json()))
    assert "PC-1" in text and SECRET not in text and ACCOUNT[1] not in text


def test_a_secret_is_one_wherever_it_stands_and_a_password_by_its_name() -> None:
    open_ones = Device("PC-9", MAC, variables={"pin": "Horse-1", "OSDJoinPassword": "Horse-2", "Seat": "4b"})
    text = str(without_secrets(replace(SITE, devices=(*SITE.devices, open_ones)).to_json()))
    assert "4b" in text and "Horse" not in text


def test_an_unknown_key_of_the_configuration_is_said() -> None:
    with pytest.raises(ValueError, match="polices"):
        SiteConfig.from_json({"polices": {}})
