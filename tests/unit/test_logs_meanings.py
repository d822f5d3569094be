"""Codes in any notation to their meanings."""

from __future__ import annotations

import pytest

from lab.errors import UsageError
from lab.logs.meanings import meanings, to_json


@pytest.mark.parametrize(
    "text",
    [
        "0x80070002", "0X80070002", "80070002", "-2147024894", "2147942402", " 2147942402 ",
        "Error: 80070002",
        "hr=0x80070002", "18446744071562526722", "0xFFFFFFFF80070002",
    ],
)  # fmt: skip
def test_one_code_in_all_notations(text: str) -> None:
    first = meanings(text)[0]
    assert (first.code, first.name, first.facility) == (0x80070002, "ERROR_FILE_NOT_FOUND", "7 (Win32)")
    assert first.message == "The system cannot find the file specified."


@pytest.mark.parametrize(
    ("text", "code"),
    [("2", 2), ("ERROR_FILE_NOT_FOUND", 2), ("e_fail", 0x80004005), ("16389", 0x80004005), ("3010", 3010),
     ("0x643", 1603), ("-1073741701", 0xC000007B), ("error 5", 5)],
)  # fmt: skip
def test_short_forms_and_names(text: str, code: int) -> None:
    assert code in [meaning.code for meaning in meanings(text)]


def test_an_unknown_code_is_taken_apart() -> None:
    found = to_json("0x80240FFF", meanings("0x80240FFF"))
    assert found["known"] is False
    assert found["meanings"][0]["facility"] == "36 (Windows Update)"


@pytest.mark.parametrize("text", ["", "banana", "0x", "0x1FFFFFFFF", "99999999999999999999999", "1.5", "--5"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        meanings(text)
