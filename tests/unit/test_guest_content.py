"""Content of a package on the machine: location by location, with the account, checked, or on its share."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from lab.guest import content, http, paths
from lab.sequence.effects import DownloadContent

DOWNLOAD = DownloadContent("LAB00001", "C:\\Packages\\LAB00001")
DIRECT = DownloadContent("LAB00001", "", verify=False, direct=True)
NAA = ("LAB\\naa", "secret:1")


class Points:
    """Distribution points: name -> status, with one body for all; notes what was asked, and by whom."""

    def __init__(self, body: bytes = b"bytes", **statuses: int) -> None:
        self.body = body
        self.statuses = statuses
        self.asked: list[tuple[str, str, tuple[str, str] | None]] = []

    def fetch(self, url: str, point: str, account: tuple[str, str] | None) -> http.Response:
        self.asked.append((url, point, account))
        return http.Response(self.statuses[point], len(self.body), iter((self.body[:1], self.body[1:])))


def located(*points: str, share: bool = False, name: str = "a/b.wim") -> dict[str, Any]:
    file = {"name": name, "size": 5, "sha256": hashlib.sha256(b"bytes").hexdigest()}
    places = [
        {
            "distribution_point": point,
            "url": "http://10.0.0.1/content/LAB00001",
            "share": f"\\\\{point}\\SMSPKGC$\\LAB00001" if share else "",
        }
        for point in points
    ]
    return {"package": "LAB00001", "known": True, "version": 2, "locations": places, "files": [file]}


@pytest.mark.rule("R62")
def test_a_package_is_downloaded_with_the_account_and_not_twice(tmp_path: Path) -> None:
    points = Points(DP1=200)
    for _ in range(2):
        outcome = content.download(DOWNLOAD, located("DP1"), NAA, {"C:": str(tmp_path)}, points.fetch)
        assert outcome.ok and outcome.value["files"] == [{"name": "a/b.wim", "size": 5}]
        assert outcome.value["location"] == "http://10.0.0.1/content/LAB00001"
        assert (outcome.value["distribution_point"], outcome.value["version"]) == ("DP1", 2)
    assert points.asked == [("http://10.0.0.1/content/LAB00001/a/b.wim", "DP1", NAA)]
    assert (tmp_path / "Packages/LAB00001/a/b.wim").read_bytes() == b"bytes"


@pytest.mark.rule("R08")
@pytest.mark.rule("R42")
@pytest.mark.parametrize(
    ("points", "body", "code", "status"),
    [
        ({}, b"bytes", 0x80040102, 0),
        ({"DP1": 404}, b"no", 0x80070002, 404),
        ({"DP1": 500}, b"no", 0x80070002, 500),
        ({"DP1": 401}, b"no", 0x80070005, 401),
        ({"DP1": 200}, b"other", 0x80091007, 200),
    ],
)
def test_what_the_distribution_point_answers_has_its_code(
    points: dict[str, int], body: bytes, code: int, status: int, tmp_path: Path
) -> None:
    served = Points(body, **points)
    outcome = content.download(DOWNLOAD, located(*points), NAA, {"C:": str(tmp_path)}, served.fetch)
    assert (outcome.code, outcome.value["status"]) == (code, status)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing half is left"


@pytest.mark.rule("R72")
def test_a_refusal_says_whether_there_was_an_account_and_never_its_password(tmp_path: Path) -> None:
    points = Points(DP1=401)
    drives = {"C:": str(tmp_path)}
    wrong = content.download(DOWNLOAD, located("DP1"), NAA, drives, points.fetch)
    none = content.download(DOWNLOAD, located("DP1"), content.account_of({"naa": None}), drives, points.fetch)
    assert wrong.message.endswith("answered 401 to the Network Access Account")
    assert none.message.endswith("answered 401: there is no Network Access Account")
    assert "secret" not in repr(wrong)
    assert [account for _, _, account in points.asked] == [NAA, None]


def test_the_next_location_is_tried_when_one_does_not_give_it(tmp_path: Path) -> None:
    points = Points(DP1=404, DP2=200)
    outcome = content.download(DOWNLOAD, located("DP1", "DP2"), NAA, {"C:": str(tmp_path)}, points.fetch)
    assert outcome.ok
    assert [(one["distribution_point"], one["status"]) for one in outcome.value["tried"]] == [
        ("DP1", 404),
        ("DP2", 200),
    ]
    drives = {"C:": str(tmp_path / "other")}
    first = content.download(DOWNLOAD, located("DP2", "DP1"), NAA, drives, points.fetch)
    assert [one["distribution_point"] for one in first.value["tried"]] == ["DP2"], "what gave it is the last"


def test_a_connection_that_breaks_is_the_distribution_points_fault(tmp_path: Path) -> None:
    def broken() -> Any:
        yield b"b"
        raise http.HttpError("the answer ended 4 bytes too early")

    def breaks(*asked: Any) -> http.Response:
        return http.Response(200, 5, broken())

    def refuse(*asked: Any) -> http.Response:
        raise ConnectionRefusedError(111, "Connection refused")

    for fetch in (breaks, refuse):
        outcome = content.download(DOWNLOAD, located("DP1"), None, {"C:": str(tmp_path)}, fetch)
        assert outcome.code == 0x80070002
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_name_cannot_leave_its_package(tmp_path: Path) -> None:
    evil = located("DP1", name="../../../Windows/evil")
    with pytest.raises(paths.PathError):
        content.download(DOWNLOAD, evil, NAA, {"C:": str(tmp_path)}, Points(DP1=200).fetch)
    assert not (tmp_path / "Windows").exists()


@pytest.mark.rule("R63")
def test_on_its_share_a_package_is_used_unchecked_and_no_disk_holds_it(tmp_path: Path) -> None:
    drives = {"C:": str(tmp_path / "c")}
    points = Points(b"other", DP1=200)
    where = located("DP1", share=True)
    outcome = content.download(DIRECT, where, NAA, drives, points.fetch, str(tmp_path / "memory"))
    assert outcome.ok
    assert outcome.value["path"] == "\\\\DP1\\SMSPKGC$\\LAB00001"
    image = paths.to_linux("\\\\dp1\\smspkgc$\\LAB00001\\a\\b.wim", drives)
    assert Path(image).read_bytes() == b"other"
    assert not (tmp_path / "c").exists()
    unshared = content.download(DIRECT, located("DP1"), NAA, drives, points.fetch)
    assert unshared.code == 0x80070043


def test_a_question_with_an_account_is_said_as_basic() -> None:
    head = http.request("h", "/content/A/b c", "m", query={"dp": "D P&1"}, account=("LAB\\naa", "p:w"))
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /content/A/b%20c?dp=D%20P%261 HTTP/1.0"
    assert "Authorization: Basic TEFCXG5hYTpwOnc=" in lines
    assert http.split_url("http://10.0.0.1:8080/content/A") == ("10.0.0.1", 8080, "/content/A")
    with pytest.raises(http.HttpError):
        http.split_url("https://10.0.0.1/content/A")
