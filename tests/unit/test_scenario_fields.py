"""The small types of a scenario."""

from __future__ import annotations

import pytest

from lab.scenario import fields
from lab.yamlio import BadValue


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0x80070002", 0x80070002),
        ("2147942402", 0x80070002),
        ("-2147024894", 0x80070002),
        ("3010", 3010),
        ("0", 0),
    ],
)
def test_a_code_in_all_its_spellings(text: str, number: int) -> None:
    assert fields.code(text) == number


@pytest.mark.parametrize(
    "text", ["0x8007000Z", "4294967296", "-2147483649", "1.5", "", "80070002h", "0x123456789"]
)
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(BadValue):
        fields.code(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20s", 20), ("+2h", 7200), ("1h 30m", 5400), ("500ms", 0.5), ("1.5 min", 90), ("1d", 86400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert fields.duration(text) == seconds


@pytest.mark.parametrize("text", ["20", "1:30", "s", "-5s", "1h x", "1 fortnight", ""])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadValue):
        fields.duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("20 GiB", 20 << 30), ("500 MB", 500_000_000), ("1.5 KiB", 1536), ("0 B", 0), ("16mib", 16 << 20)],
)
def test_sizes(text: str, size: int) -> None:
    assert fields.size(text) == size


@pytest.mark.parametrize("text", ["20", "20 G", "-1 MiB", "MiB", "1e3 MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadValue):
        fields.size(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("500 MiB", [500 << 20, 501 << 20, 499 << 20], [(501 << 20) + 1, (499 << 20) - 1]),
        ("500 MiB ± 10 MiB", [490 << 20, 510 << 20], [489 << 20, 511 << 20]),
        ("500 MiB +- 0 B", [500 << 20], [(500 << 20) + 512]),
        ("at least 1 KiB", [1024, 1 << 40], [1023]),
        ("at most 1 KiB", [0, 1024], [1025]),
        ("exactly 10 B", [10], [9, 11]),
    ],
)
def test_size_ranges(text: str, inside: list[int], outside: list[int]) -> None:
    made = fields.size_range(text)
    assert all(made.holds(number) for number in inside) and not any(made.holds(number) for number in outside)


def test_only_true_and_false_are_booleans() -> None:
    assert fields.flag("true") is True and fields.flag("false") is False
    for text in ("yes", "no", "1", "True", "on", ""):
        with pytest.raises(BadValue):
            fields.flag(text)


@pytest.mark.rule("R16")
@pytest.mark.parametrize("name", ["MyVariable", "My_Variable", "My_Variable_2", "a", "A" * 256, " Trimmed "])
def test_names_of_variables(name: str) -> None:
    assert fields.variable_name(name) == name.strip()


@pytest.mark.rule("R16")
@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    "name", ["1Variable", "MyV@riable", "_MyVariable", "My Variable", "", "A" * 257, "ä"]
)
def test_what_is_no_name_of_a_variable(name: str) -> None:
    with pytest.raises(BadValue):
        fields.variable_name(name)


def test_a_command_pattern_between_slashes_is_a_regular_expression() -> None:
    assert fields.command_pattern("*setup.exe*") == "*setup.exe*"
    with pytest.raises(BadValue, match="is not a regular expression"):
        fields.command_pattern("/setup(/")
    with pytest.raises(BadValue):
        fields.command_pattern(" ")
