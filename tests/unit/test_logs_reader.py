"""The log reader: every damage of real logs on small logs of our own, and every byte accounted for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.logs.records import Damage, Record
from lab.logs.scan import scan
from lab.logs.source import source_of

BLANK = b" \t\r\n\x0b\x0c\0"


def line(message: str, *, type: str = "1", time: str = "12:01:07.123+480", end: str = "\r\n") -> str:
    return (
        f'<![LOG[{message}]LOG]!><time="{time}" date="02-07-2024" component="TSManager" context="" '
        f'type="{type}" thread="1328" file="engine.cxx:143">{end}'
    )


QUOTED = line("inner", end="")


def read(data: bytes | str) -> tuple[list[Record], list[Damage]]:
    """The records and the damage, after a look at the tiling."""
    raw = data.encode() if isinstance(data, str) else data
    source = source_of(raw, "a.log")
    records: list[Record] = []
    damage: list[Damage] = []
    at = source.base
    for found in scan(source):
        assert found.offset >= at and found.length > 0
        assert not raw[at : found.offset].strip(BLANK)
        at = found.offset + found.length
        assert found.line == raw[: found.offset].decode(source.encoding, "replace").count("\n") + 1
        (damage if isinstance(found, Damage) else records).append(found)  # type: ignore[arg-type]
    assert not raw[at:].strip(BLANK)
    return records, damage


def test_a_clean_log() -> None:
    log = "\ufeff" + line("one") + line("two\nlines [with] ]brackets]") + line("three", type="3", end="")
    records, damage = read(log)
    assert damage == []
    assert [record.message for record in records] == ["one", "two\nlines [with] ]brackets]", "three"]
    assert [record.line for record in records] == [1, 2, 4]
    assert records[2].to_json() == {
        "time": "2024-02-07T12:01:07.123-08:00", "date": "2024-02-07", "bias": 480, "component": "TSManager",
        "context": "", "type": 3, "severity": "error", "thread": 1328, "file": "engine.cxx:143",
        "message": "three", "path": "a.log", "offset": records[2].offset, "length": records[2].length,
        "line": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("time", "date", "iso"),
    [
        ("12:01:07.123+480", "02-07-2024", "2024-02-07T12:01:07.123-08:00"),
        ("12:01:07.123-60", "02-07-2024", "2024-02-07T12:01:07.123+01:00"),
        ("12:01:07.123+-60", "2-7-2024", "2024-02-07T12:01:07.123+01:00"),
        ("12:01:07.123-0", "02-07-2024", "2024-02-07T12:01:07.123+00:00"),
        ("12:01:07.7+000", "02-07-2024", "2024-02-07T12:01:07.007+00:00"),
        ("12:01:07.12345+000", "02-07-2024", "2024-02-07T12:01:07.12345+00:00"),
        ("09:16:56.832120", "03-14-2023", "2023-03-14T09:16:56.832120"),
        ("12:01:07", "26-05-2024", "2024-05-26T12:01:07"),
        ("1:01:07 PM", "8/4/2020", "2020-08-04T13:01:07"),
        ("12:01:07.123+9999", "02-07-2024", "2024-02-07T12:01:07.123"),
        ("25:00:00", "02-07-2024", None),
        ("12:01:07", "02-31-2024", None),
        ("", "", None),
    ],
)
def test_times_as_logs_spell_them(time: str, date: str, iso: str | None) -> None:
    record = read(line("x", time=time).replace("02-07-2024", date))[0][0]
    assert record.time == iso


@pytest.mark.parametrize(
    ("log", "messages", "reasons"),
    [
        (line("one", end="") + line("two", end=""), ["one", "two"], []),
        ("<![LOG[cut\r\n" + line("two"), ["two"], ["the record is cut"]),
        (line("one") + "<![LOG[the end is mis", ["one"], ["the last record is cut"]),
        (line("one") + "<![LOG[no attributes]LOG]!>\r\n" + line("three"), ["one", "three"],
         ["the record has no attributes"]),
        (line("one") + "stray\r\ntext\r\n" + line("two"), ["one", "two"], ["text outside records"]),
        ("OG[half]LOG]!><time=>\n" + line("two"), ["two"], ["text outside records"]),
        (line("one") + "\0" * 500, ["one"], ["NUL padding"]),
        (line("one") + "\0" * 500 + "rest\0", ["one"],
         ["NUL padding", "text outside records", "NUL padding"]),
        (line("a ]LOG]!> b") + line("two"), ["a ]LOG]!> b", "two"], []),
        (line(f"saw {QUOTED} there"), [f"saw {QUOTED} there"], []),
        ('<![LOG[one]LOG]!><time="1:2:3" date="02-07-2024" component="Ts rest]LOG]!><x\n' + line("two"),
         ["one", "two"], ["the record's attributes are cut"]),
        ("\x1a" + line("one"), ["one"], ["text outside records"]),
    ],
)  # fmt: skip
def test_damage_is_listed_and_the_rest_is_read(log: str, messages: list[str], reasons: list[str]) -> None:
    records, damage = read(log)
    assert [record.message for record in records] == messages
    assert [piece.reason for piece in damage] == reasons


def test_attributes_that_are_missing_are_not_guessed() -> None:
    log = '<![LOG[x]LOG]!><date="2-7-2024" time="12:01:07" file="" component=\'A B\'>\n'
    record = read(log + log.replace('file=""', 'type="" thread="Empty"'))[0]
    assert [(r.type, r.severity, r.thread, r.context) for r in record] == [(None,) * 4] * 2
    assert [(r.component, r.file) for r in record] == [("A B", ""), ("A B", None)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_utf_16(encoding: str, mark: str) -> None:
    log = mark + line("plain") + "torn\r\n" + line("Grüße 漢 🙂", type="2")
    records, damage = read(log.encode(encoding))
    assert [record.message for record in records] == ["plain", "Grüße 漢 🙂"]
    assert records[1].severity == "warning" and records[1].component == "TSManager"
    assert [piece.text for piece in damage] == ["torn"]
    odd = read(log.encode(encoding) + b"\x41")[1]
    assert odd[-1].reason == "half a UTF-16 character" and odd[-1].length == 1


def test_what_is_not_utf_8_is_windows_1252() -> None:
    assert read(line("Größe").encode("cp1252"))[0][0].message == "Größe"


def layout(text: str) -> dict[str, Any]:
    found, damage = read(text)
    assert len(found) == 1 and not damage
    return found[0].to_json()


def test_text_logs_are_read_by_their_layout() -> None:
    setup = layout("2019-03-29 00:25:29, Error      [0x0601c1] IBS    Setup Phase = 2\r\n")
    assert (setup["time"], setup["severity"], setup["component"]) == ("2019-03-29T00:25:29", "error", "IBS")
    assert setup["message"] == "Setup Phase = 2"
    copied = layout("Failed: X. Error 1\tTSManager\t8/4/2020 1:01:03 PM\t1100 (0x044C)\r\n")
    assert (copied["time"], copied["thread"]) == ("2020-08-04T13:01:03", 1100)
    assert (copied["message"], copied["component"]) == ("Failed: X. Error 1", "TSManager")
    columns = layout("01-13-201617:56:35.510   TSManager    2176 (0x880)    Start: 32")
    assert (columns["time"], columns["message"]) == ("2016-01-13T17:56:35.510", "Start: 32")
    server = layout("~two\nlines~  $$<SMS_EXECUTIVE><01-13-2016 17:56:35.510+300><thread=2176 (0x880)>")
    assert (server["message"], server["component"]) == ("two\nlines", "SMS_EXECUTIVE")
    assert (server["time"], server["thread"]) == ("2016-01-13T17:56:35.510-05:00", 2176)
    plain = layout("anything else")
    assert (plain["message"], plain["time"], plain["type"]) == ("anything else", None, None)


def test_binary_data_is_damage() -> None:
    records, damage = read(bytes(range(32)) * 20)
    assert not records and damage


PIECES = st.sampled_from(
    [
        "<![LOG[", "]LOG]!>", '<time="', '" date="', '" component="', '">', "\r\n", "\n", "\0", " ", '"', "'",
        "=",
        "text", "$$<", "><", ">", "]", "<", line("x"), line("y", end=""), "\ufeff", "é", "a='b'", "\x1a",
        "$$<A><1-1-2024 1:2:3><thread=1>",
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(
    st.lists(PIECES, max_size=40), st.sampled_from(["utf-8", "utf-16-le", "utf-16"]), st.binary(max_size=3)
)
def test_every_byte_is_accounted_for(pieces: list[str], encoding: str, rest: bytes) -> None:
    tile("".join(pieces).encode(encoding) + rest)


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    tile(data)


def tile(data: bytes) -> None:
    source = source_of(data, "a.log")
    at, previous = source.base, 1
    for found in scan(source):
        assert found.offset >= at and found.length > 0 and found.line >= previous
        assert not data[at : found.offset].strip(BLANK)
        at, previous = found.offset + found.length, found.line
        if isinstance(found, Record):
            found.to_json()
    assert not data[at:].strip(BLANK)


@pytest.mark.parametrize(
    "piece",
    [
        "<![LOG[", "]LOG]!>", '<![LOG[]LOG]!><a="', ']LOG]!><a="" a="', "<![LOG[x]LOG]!><time='", "$$<", " ",
        "\t",
        '<![LOG[]LOG]!><time="" date="" component="', "a\t", "]LOG]!><a='", "$$<A><", "\0a",
    ],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    """A quadratic reader would need minutes for this; the suite's time limit would say so."""
    import time

    data = ("<![LOG[" + piece * (100_000 // len(piece))).encode()
    for text in (data, data[7:]):
        began = time.process_time()
        tile(text)
        assert time.process_time() - began < 20


PASTED = [
    # what a line of a page looks like -> component, ISO time, message
    ("Began it TSManager 3/30/2016 1:11:29 PM 8920 (0x22D8)", "TSManager", "2016-03-30T13:11:29", "Began it"),
    ("Began it  Reboot  30.03.2016 22:11:29  8920 (0x22D8)", "Reboot", "2016-03-30T22:11:29", "Began it"),
    ("Began it   14:31:39.566+300 08-15-2024 TSManager    1    1208   engine.cxx:914", "TSManager",
     "2024-08-15T14:31:39.566-05:00", "Began it"),
    ("> TSManager    Began it  ", "TSManager", None, "Began it"),
    ("Began it OSDDriverClient<br/>", "OSDDriverClient", None, "Began it"),
    ("Began it    Reboot", "Reboot", None, "Began it"),
    ("> The file is not there. (Error: 80070002; Source: Windows)", None, None,
     "The file is not there. (Error: 80070002; Source: Windows)"),
    # Words of a sentence are no columns.
    ("Initiating a Reboot", None, None, "Initiating a Reboot"),
    ("It took 10:11:29 (0x22D8)", None, None, "It took 10:11:29 (0x22D8)"),
    ("Compare a <br", None, None, "Compare a <br"),
    ("8920 (0x22D8)", None, None, "8920 (0x22D8)"),
    ("TSManager", "TSManager", None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "component", "time", "message"), PASTED)
def test_lines_pasted_into_a_page_keep_their_columns(
    text: str, component: str | None, time: str | None, message: str
) -> None:
    records, damage = read(text + "\n")
    assert damage == []
    assert [(record.component, record.time, record.message) for record in records] == [
        (component, time, message)
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [('"', "&quot;"), ("[", "\\["), ("_", "\\_")],
    ids=["HTML", "Markdown", "Markdown inside"],
)
def test_records_escaped_for_a_page(old: str, new: str) -> None:
    log = line("a_b", end="")
    if new == "&quot;":
        log = log.replace("<", "&lt;").replace(">", "&gt;")
    elif new == "\\_":
        log = log.replace("[", "\\[").replace("]", "\\]")
    records, damage = read(log.replace(old, new) + "\n")
    assert damage == []
    record = records[0]
    assert (record.message, record.component, record.type, record.thread) == ("a_b", "TSManager", 1, 1328)
    assert record.time == "2024-02-07T12:01:07.123-08:00"


def test_a_log_in_json() -> None:
    log = json.dumps([line("one\ntwo \\ three"), line("four", type="3")])
    records, damage = read(log)
    assert [record.message for record in records] == ["one\ntwo \\ three", "four"]
    assert [record.type for record in records] == [1, 3]
    assert records[0].file == "engine.cxx:143"
    assert {piece.reason for piece in damage} == {"text outside records"}
