"""Variables, conditions, disk layouts, codes and log records: the engine's small pure parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.sequence import codes, layout, smsts, variables
from lab.sequence.conditions import compare, evaluate, matches
from lab.sequence.layout import Impossible, Layout, plan, wanted_partitions
from lab.sequence.model import Condition
from lab.sequence.variables import VariableRefused, Variables, expand, merge, user_name_problem

GIB = 1024**3


# variables


@pytest.mark.rule("R16")
@pytest.mark.parametrize("name", ["MyVariable", "My_Variable", "My_Variable_2", " spaced ", "a-b", "A" * 256])
def test_valid_names(name: str) -> None:
    assert user_name_problem(name) == ""
    assert Variables().set_by_user(name, "x").get(name.strip().upper()) == "x"


@pytest.mark.rule("R16")
@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    "name", ["1Variable", "MyV@riable", "_MyVariable", "in side", "", "A" * 257, "é", "a%"]
)
def test_invalid_names(name: str) -> None:
    assert user_name_problem(name)
    with pytest.raises(VariableRefused):
        Variables().set_by_user(name, "x")


@pytest.mark.rule("R13")
@pytest.mark.rule("R18")
def test_values_their_limits_and_deletion() -> None:
    one = Variables({"A": "x" * 4000})
    assert one.set("a", "").get("A") is None and one.get("A") is not None
    with pytest.raises(VariableRefused, match="4001 characters"):
        one.set("A", "x" * 4001)
    most = variables.MAX_TOTAL // (2 * 4006)
    full = Variables({f"V{index:05}": "x" * 4000 for index in range(most)})
    with pytest.raises(VariableRefused, match="32 MB"):
        full.set("More", "x" * 4000)
    # What is deleted makes room again.
    assert full.set("V00001", "").set("More", "x" * 4000).get("More")


@given(
    st.lists(st.tuples(st.sampled_from(["a", "A", "b", "OSDPassword"]), st.text(max_size=5), st.booleans()))
)
def test_variables_are_immutable_and_travel_as_json(changes: list[tuple[str, str, bool]]) -> None:
    current, plain = Variables(), {}
    for name, value, secret in changes:
        before, text = current, current.to_json()
        current = current.set(name, value, secret=secret)
        assert before.to_json() == text
        plain[name.casefold()] = value
    assert {name.casefold(): current.value(name) for name in current} == {k: v for k, v in plain.items() if v}
    again = Variables.from_json(current.to_json())
    assert again == current and again.public() == current.public()
    assert again.secret_values() == current.secret_values()
    fresh = Variables({name: current.value(name) for name in current})
    assert current._total == fresh._total


def test_secret_names_and_values() -> None:
    values = {"OSDLocalAdminPassword": "p1", "OSDJoinPassword": "p2", "Given": "p3", "Plain": "p4"}
    environment = Variables({**values, "_SMSTSReserved1-000": "p5", "OSDProductKey": "p6"}, ["GIVEN"])
    assert environment.public() == {"Plain": "p4"}
    assert environment.shown("given") == "***" and environment.shown("PLAIN") == "p4"
    assert variables.mask("x p2 y p4 p3", environment.secret_values()) == "x *** y p4 ***"


@pytest.mark.rule("R19")
@pytest.mark.parametrize(
    ("text", "result"),
    [
        (r"Cmd /C %_SMSTSMachineName% > C:\File.txt", r"Cmd /C PC-1 > C:\File.txt"),
        ("%a%%A%", "11"),
        ("100% of %a%", "100% of 1"),
        ("%unknown%", "%unknown%"),
        ("%unknown%a%", "%unknown1"),
        ("LIKE '%Surface%'", "LIKE '%Surface%'"),
        ("%loop%", "%loop%%loop%"),
        ("%%", "%%"),
        ("%", "%"),
    ],
)
def test_expansion_is_one_pass_and_leaves_the_unknown(text: str, result: str) -> None:
    known = Variables({"A": "1", "_SMSTSMachineName": "PC-1", "Loop": "%loop%%loop%"})
    assert expand(text, known.get) == result


@given(st.text(alphabet="%ab ", max_size=60))
def test_expansion_with_nothing_known_changes_nothing(text: str) -> None:
    assert expand(text, lambda name: None) == text


@pytest.mark.rule("R14")
def test_precedence() -> None:
    layers = {
        "builtin": {"A": "b", "B": "b"},
        "collection": {"a": "c", "C": "c"},
        "device": {"A": "d", "C": ""},
    }
    assert merge(**layers) == {"B": "b", "A": "d"}
    assert merge(**layers, media={"a": "m"}) == {"B": "b", "a": "m"}
    assert merge(**layers, media={"a": "m"}, media_variables="merge") == {"B": "b", "a": "m"}
    assert merge(**layers, media={}, media_variables="merge") == {"B": "b", "A": "d"}


# conditions


@pytest.mark.rule("R20")
@pytest.mark.parametrize(
    ("value", "operator", "wanted", "result"),
    [
        ("x", "exists", "", True), ("", "exists", "", False),
        ("", "notExists", "", True), ("x", "notExists", "", False),
        ("TRUE", "equals", "true", True), ("a", "equals", "b", False), ("", "equals", "", True),
        ("a", "notEquals", "A", False), ("", "notEquals", "x", True),
        ("9", "less", "10", True), ("10", "less", "9", False), ("9", "less", "9", False),
        ("a9", "less", "a10", False), ("a", "less", "B", True), ("-5", "less", "3", True),
        ("9", "lessEqual", "9", True), ("10", "lessEqual", "9", False),
        ("10", "greater", "9", True), ("9", "greater", "9", False),
        ("9", "greaterEqual", "9", True), ("8", "greaterEqual", "9", False),
        ("Latitude 7420", "like", "latitude*", True), ("Latitude", "like", "Lat?tude", True),
        ("Latitude", "like", "Lat", False), ("x", "like", "*", True), ("", "like", "?", False),
        ("Latitude", "notLike", "Opti*", True), ("Optiplex", "notLike", "opti*", False),
    ],
)  # fmt: skip
def test_operators(value: str, operator: str, wanted: str, result: bool) -> None:
    assert compare(value, operator, wanted) is result


def test_a_wildcard_pattern_cannot_hang() -> None:
    assert not matches("a" * 4000, "*a" * 100 + "b")


def test_conditions_combine_and_say_what_they_do() -> None:
    def test(variable: str) -> Condition:
        values = (("Operator", "Exists"), ("Variable", variable))
        return Condition("SMS_TaskSequence_VariableConditionExpression", values)

    known = Variables({"Yes": "1"})

    def holds(*operands: Condition, kind: str = "and") -> bool:
        return evaluate(Condition(kind, (), operands), known.get, str)

    yes, no = test("Yes"), test("No")
    assert [holds(yes, yes), holds(yes, no), holds()] == [True, False, True]
    assert [holds(yes, no, kind="or"), holds(no, no, kind="or")] == [True, False]
    # "none" over several operands is NOR, not NAND.
    assert [holds(no, no, kind="not"), holds(yes, no, kind="not")] == [True, False]
    assert evaluate(None, known.get, str)
    said: list[tuple[str, int, str]] = []
    evaluate(
        Condition("not", (), (test("%Yes%"),)),
        known.get,
        str,
        lambda text, kind, file: said.append((text, kind, file)),
    )
    assert [text for text, _, _ in said] == [
        "Evaluating a NOT expression",
        "Evaluating a variable condition expression",
        "Expand a string: Exists",
        "Expand a string: %Yes%",
        "Expand a string: ",
    ]


# layouts


def array(*partitions: dict[str, str]) -> tuple[layout.Wanted, ...] | Impossible:
    values = {
        f"osdpartitions{index}{name}".casefold(): value
        for index, entry in enumerate(partitions)
        for name, value in entry.items()
    }
    return wanted_partitions(lambda name: values.get(name.casefold(), ""), len(partitions))


EFI = {"Type": "EFI", "Size": "500", "SizeUnits": "MB", "FileSystem": "FAT32"}
MSR = {"TYPE": "msr", "Size": "128"}
WINDOWS = {
    "Type": "PRIMARY",
    "FileSystem": "ntfs",
    "Size": "95",
    "SizeUnits": "PERCENT",
    "VolumeName": "Windows",
}
REST = {"Type": "Recovery", "FileSystem": "NTFS", "Size": "100", "SizeUnits": "%"}


def test_the_usual_gpt_layout() -> None:
    wanted = array(EFI, MSR, {**WINDOWS, "VolumeLetterVariable": "OSDisk"}, REST)
    assert not isinstance(wanted, Impossible)
    planned = plan(wanted, "GPT", 20 * GIB)
    assert isinstance(planned, Layout)
    efi, msr, windows, recovery = planned.partitions
    assert (efi.start, efi.sectors, efi.letter) == (2048, 500 * 2048, "")
    assert (msr.start, msr.sectors, msr.file_system) == (501 * 2048, 128 * 2048, "")
    assert (windows.number, windows.letter, windows.label) == (3, "C:", "Windows")
    # Percent is of what was still free, the last one takes the rest before the backup table.
    free = (20 * GIB // 512 - 33) // 2048 * 2048 - windows.start
    assert windows.sectors == free * 95 // 100 // 2048 * 2048
    assert recovery.start + recovery.sectors == windows.start + free
    assert planned.letter_variables == (("OSDisk", "C:"),)


EXTENDED = {"Type": "Extended", "Size": "50", "SizeUnits": "Percent"}
LOGICAL = {"Type": "Logical", "FileSystem": "NTFS"}


def test_logical_partitions_share_the_extended_one() -> None:
    primary = {"Type": "Primary", "FileSystem": "NTFS"}
    half = {**LOGICAL, "Size": "50", "SizeUnits": "Percent", "VolumeLetterVariable": "Data"}
    wanted = array({**primary, "Size": "100"}, EXTENDED, half, LOGICAL, primary)
    assert not isinstance(wanted, Impossible)
    planned = plan(wanted, "MBR", GIB)
    assert isinstance(planned, Layout)
    system, extended, windows, data, rest = planned.partitions
    assert [part.number for part in planned.partitions] == [1, 2, 3, 5, 6], "as the table counts"
    assert extended.start == system.start + system.sectors and extended.file_system == extended.letter == ""
    assert windows.start == extended.start + extended.sectors, "a primary one lies outside"
    # Each logical one has 1 MiB with its boot record in front; percent is of what the extended one has left.
    assert data.start == extended.start + 2048
    assert data.sectors == (extended.sectors - 2048) // 2 // 2048 * 2048
    assert rest.start == data.start + data.sectors + 2048
    assert rest.start + rest.sectors == extended.start + extended.sectors
    assert [part.letter for part in planned.partitions] == ["C:", "", "D:", "E:", "F:"]
    assert planned.letter_variables == (("Data", "E:"),)


def test_letters_are_the_next_free_ones() -> None:
    efi = {**EFI, "AssignVolumeLetter": "true"}
    data = {"Type": "Primary", "FileSystem": "NTFS", "Size": "1", "SizeUnits": "GB"}
    bare = {"Type": "Primary", "Size": "10"}
    none = {**data, "AssignVolumeLetter": "false"}
    wanted = array(efi, bare, none, data, data)
    assert not isinstance(wanted, Impossible)
    planned = plan(wanted, "gpt", 20 * GIB, taken=("D:",))
    assert isinstance(planned, Layout)
    assert [part.letter for part in planned.partitions] == ["F:", "", "", "C:", "E:"]


@pytest.mark.parametrize(
    ("partitions", "style", "size", "code"),
    [
        ([], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Swap"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "FileSystem": "ext4"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "much"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "-1"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "0"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "101", "SizeUnits": "Percent"}], "GPT", GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "1", "SizeUnits": "TB"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary"}], "APM", 20 * GIB, codes.INVALID_PARAMETER),
        ([EFI], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "1"}] * 5, "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "9", "Bootable": "true"}] * 2, "MBR", GIB, codes.INVALID_PARAMETER),
        ([EXTENDED], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([EXTENDED, EXTENDED], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([LOGICAL, EXTENDED], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([EXTENDED, {**LOGICAL, "Bootable": "true"}], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([EXTENDED, *[{**LOGICAL, "Size": "1"}] * 57], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{**EXTENDED, "Size": "2"}, LOGICAL, LOGICAL], "MBR", 20 * GIB, codes.DISK_FULL),
        ([{"Type": "Primary", "VolumeName": 33 * "x"}], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary"}, {"Type": "Primary"}], "GPT", 20 * GIB, codes.DISK_FULL),
        ([{"Type": "Primary", "Size": "21", "SizeUnits": "GB"}], "GPT", 20 * GIB, codes.DISK_FULL),
        ([{"Type": "Primary"}], "GPT", 0, codes.DISK_FULL),
    ],
)
def test_impossible_layouts_are_codes(
    partitions: list[dict[str, str]], style: str, size: int, code: int
) -> None:
    wanted = array(*partitions)
    planned = wanted if isinstance(wanted, Impossible) else plan(wanted, style, size)
    assert isinstance(planned, Impossible) and planned.code == code and planned.message


entries = st.fixed_dictionaries(
    {"Type": st.sampled_from(["Primary", "efi", "MSR", "Recovery", "Hidden", "Extended", "Logical"])},
    optional={
        "Size": st.integers(0, 3000).map(str),
        "SizeUnits": st.sampled_from(["MB", "gb", "Percent", "%", ""]),
        "FileSystem": st.sampled_from(["NTFS", "fat32", ""]),
        "AssignVolumeLetter": st.sampled_from(["true", "false", ""]),
        "Bootable": st.sampled_from(["true", "false"]),
    },
)


@given(st.lists(entries, max_size=8), st.sampled_from(["GPT", "MBR"]), st.integers(0, 4096 * GIB))
def test_a_layout_is_aligned_in_order_and_inside_the_disk(
    partitions: list[dict[str, str]], style: str, size: int
) -> None:
    wanted = array(*partitions)
    planned = wanted if isinstance(wanted, Impossible) else plan(wanted, style, size)
    if isinstance(planned, Impossible):
        assert planned.code in (codes.INVALID_PARAMETER, codes.DISK_FULL, codes.NOT_SUPPORTED)
        return
    end, inner, outer = 2048, 0, 0
    for part in planned.partitions:
        assert part.start % 2048 == 0 and part.sectors >= 2048 and part.sectors % 2048 == 0
        if part.type == "Logical":
            assert part.number >= 5 and part.start == inner + 2048
            inner = part.start + part.sectors
            assert inner <= outer
            continue
        assert part.start == end
        end = part.start + part.sectors
        if part.type == "Extended":
            inner, outer = part.start, end
    assert end <= size // 512 - (33 if style == "GPT" else 0)
    if style == "MBR":
        assert end <= 2**32
    letters = [part.letter for part in planned.partitions if part.letter]
    assert len(letters) == len(set(letters)) and "X:" not in letters


# codes


def test_codes() -> None:
    assert (
        codes.unsigned(-2147467259) == 0x80004005 == codes.parse("-2147467259") == codes.parse("0x80004005")
    )
    assert codes.message(2) == codes.message(0x80070002) == "The system cannot find the file specified."
    assert codes.system_message(0x80004005) == "Unspecified error (Error: 80004005; Source: Windows)"
    assert codes.system_message(0x12345678) == "Unknown error (Error: 12345678; Source: Unknown)"
    assert codes.cause(0x80091007) and codes.cause(0x12345678) == ""
    with pytest.raises(ValueError, match="32 bits"):
        codes.parse("0x100000000")


# log records


def test_a_record_is_written_as_observed() -> None:
    when, day = smsts.stamp(1707353632.712, bias=480)
    line = smsts.format_record(
        "Hello", component="TSManager", time=when, date=day, type=1, thread=1328, file="engine.cxx:143"
    )
    assert line == (
        '<![LOG[Hello]LOG]!><time="16:53:52.712+480" date="02-07-2024" component="TSManager" context="" '
        'type="1" thread="1328" file="engine.cxx:143">\r\n'
    )
    assert smsts.stamp(0, -60) == ("01:00:00.000-060", "01-01-1970")


@given(st.datetimes(datetime(1970, 1, 2), datetime(2400, 1, 1)), st.integers(-840, 720))
def test_a_stamp_is_the_calendar_of_the_standard_library(moment: datetime, bias: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    local = moment - timedelta(minutes=bias)
    when, day = smsts.stamp(moment.timestamp(), bias)
    assert (when[:12], day) == (local.strftime("%H:%M:%S.000"), local.strftime("%m-%d-%Y"))


messages = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])).filter(
    lambda text: "]LOG]!>" not in text and "\n<![LOG[" not in text
)


@given(st.lists(st.tuples(messages, st.integers(0, 3), st.integers(0, 99999))))
def test_records_come_back(written: list[tuple[str, int, int]]) -> None:
    text = "".join(
        smsts.format_record(message, component="C", time="1", date="2", type=kind, thread=thread, file="f:1")
        for message, kind, thread in written
    )
    found = list(smsts.parse_records(smsts.BOM + text.encode()))
    assert [(record.message, record.type, record.thread) for record in found] == written


def test_a_closing_mark_in_a_message_does_not_end_the_record() -> None:
    line = smsts.format_record("a]LOG]!>b", component="C", time="1", date="2") * 2
    assert [record.message for record in smsts.parse_records(line)] == ["a]LOG]! >b"] * 2


def test_damaged_logs_are_read_as_far_as_they_go() -> None:
    good = smsts.format_record("good", component="C", time="09:00:00.000-60", date="2")
    odd = '<![LOG[odd]LOG]!><time="1" component="X" date="2">\r\n'
    text = f'OG[half]LOG]!>{good}<![LOG[cut off\r\n{good}stray="1"\r\n{odd}<![LOG[end'
    found = list(smsts.parse_records(text))
    assert [record.message for record in found] == ["good", "good", "odd"]
    assert (found[0].bias, found[2].component, found[2].thread) == (-60, "X", 0)
    assert list(smsts.parse_records(b"\xff\xfe\x00 nothing")) == []


@given(st.text(alphabet='<![LOG]>="time \n', max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    list(smsts.parse_records(text))
