"""Variables, conditions, codes and log records: the engine's small pure parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.sequence import codes, smsts, variables
from lab.sequence.conditions import compare, evaluate, matches
from lab.sequence.model import Condition
from lab.sequence.variables import VariableRefused, Variables, expand, merge, user_name_problem
from tests.smsts_log import records

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
    # A flag, whatever it is called: its value would hide every "true".
    assert not variables.is_secret_name("OSDRandomAdminPassword")
    assert variables.is_secret_name("NotOSDRandomAdminPassword") and variables.is_secret_name("Password")


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
    found = records(smsts.BOM + text.encode())
    assert [(record.message, record.type, record.thread) for record in found] == written


def test_a_closing_mark_in_a_message_does_not_end_the_record() -> None:
    line = smsts.format_record("a]LOG]!>b", component="C", time="1", date="2") * 2
    assert [record.message for record in records(line.encode())] == ["a]LOG]! >b"] * 2
