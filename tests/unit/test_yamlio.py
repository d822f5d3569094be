"""YAML reading: text stays text, problems have places, nothing hostile gets through or hangs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from lab.errors import InputError
from lab.yamlio import MAX_BYTES, MAX_DEPTH, Model, json_schema, load_document, load_model, parse


class Item(Model):
    shorthand: ClassVar[str] = "name"
    name: str
    size: int = 0


class Sample(Model):
    title: str
    disk: Item | None = None
    items: tuple[Item, ...] = ()
    by_name: dict[str, Item] = Field(default_factory=dict)


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text, "f.yaml", Sample)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text", ["52:54:00:12:34:56", "no", "0755", "1:30", "22.10", "2024-01-01", "0x1F", "1e3"]
)
def test_a_plain_scalar_stays_the_text_that_was_written(text: str) -> None:
    assert parse(f"title: {text}", "f.yaml", Sample).title == text


def test_nothing_is_none_and_quoted_null_is_text() -> None:
    assert parse("title: 'null'\ndisk: null\n", "f.yaml", Sample) == Sample(title="null")
    assert problems("title: ~\n") == ["f.yaml:1:8: expected a text, not nothing"]


def test_all_problems_come_at_once_each_at_its_key_or_value() -> None:
    text = "disc: 1\nitems:\n  - {name: a, sise: 3}\n  - {size: 1}\n  - b\n  - {name: [x], size: many}\n"
    assert problems(text) == [
        "f.yaml:1:1: key 'title' is missing",
        "f.yaml:1:1: unknown key 'disc'; did you mean 'disk'?",
        "f.yaml:3:15: unknown key 'sise'; did you mean 'size'?",
        "f.yaml:4:5: key 'name' is missing",
        "f.yaml:6:12: expected a text, not a list",
        "f.yaml:6:23: expected a whole number, not 'many'",
    ]


def test_a_key_missing_below_another_is_told_at_that_other() -> None:
    assert problems("title: x\nby_name:\n  first:\n    size: 1\n") == ["f.yaml:3:3: key 'name' is missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: a\ntitle: b\n", "f.yaml:2:1: key 'title' stands already in line 1"),
        ("title: &x a\n", "f.yaml:1:8: anchors and aliases (& and *) are not used here; write the value out"),
        ("title: !!python/object/apply:os.getcwd []", "f.yaml:1:8: tags (!) are not used here"),
        ("title:\n\t- a", "f.yaml:2:1: a tab cannot indent YAML; use spaces"),
        ("title: a\n--- b\n", "f.yaml:2:1: a second document starts here; a file holds one"),
        ("title: a: b", "f.yaml:1:9: mapping values are not allowed here; a text with ': ' goes in quotes"),
        ('title: "C:\\W"', "f.yaml:1:12: found unknown escape character 'W'; use single quotes"),
        ("title: a\0b", "f.yaml:1:9: character U+0000 is not allowed in YAML"),
        ('title: "\\ud800"', "f.yaml:1:8: holds half of a character (a lone \\ud8xx escape)"),
        ("? [a]\n: b\n", "f.yaml:1:3: a key must be a text"),
        ("", "f.yaml:1:1: the file is empty"),
        ("- a", "f.yaml:1:1: expected a mapping, not a list"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_columns_count_characters_and_lines_end_with_line_feeds() -> None:
    assert problems("title: 'ä€😀'\r\nby_name: {é😀: {name: a, x: 1}}")[0].startswith(
        "f.yaml:2:25: unknown key 'x'"
    )


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "? " * 100_000,
        "title: [" + "x, " * 80_000 + "]",
        "a: &a [x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a, *a, *a]" for n in range(50)),
        "%YAML " + "9" * 50_000 + ".1\n--- a",
        'title: "\\UFFFFFFFF"',
        "x" * (MAX_BYTES + 1),
        "title: 'a\n" * 20_000,
    ],
)
def test_bombs_are_refused_quickly(bomb: str) -> None:
    start = time.process_time()  # the work, however busy the host is
    problems(bomb)
    assert time.process_time() - start < 20


def test_the_depth_limit_lets_through_what_is_just_below_it() -> None:
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert "expected a text, not a list" in problems(f"title: {deep}")[0]
    assert "nested deeper" in problems(f"title: [{deep}]")[0]


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.characters(), max_size=80) | st.text("ab:-?!&*[]{}|>%@'\"\\#, \n\t0x~<=", max_size=60)
)
@example("!<%41> a")
@example("%TAG ! \n--- !a")
def test_any_text_gives_a_model_or_problems(text: str) -> None:
    try:
        assert isinstance(parse(text, "f.yaml", Sample), Sample)
    except InputError as error:
        assert error.problems and all(p.path == "f.yaml" for p in error.problems)
        str(error).encode("utf-8")


_KEYS = ["title", "disk", "items", "x", "name"]
_values = st.recursive(
    st.text(max_size=8) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from(["title", "disk", "items", "by_name", "x"]), _values))
def test_any_structure_gives_a_model_or_problems_with_lines(data: dict[str, object]) -> None:
    import json

    try:
        assert parse(json.dumps(data), "f.yaml", Sample).title is not None
    except InputError as error:
        assert all(problem.line == 1 and problem.column >= 1 for problem in error.problems)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"title: a\nx: \xc3\xa4\xff\n")
    with pytest.raises(InputError, match=r"bad\.yaml:2:5: byte 0xff is not UTF-8; save the file as UTF-8"):
        load_model(bad, Sample)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_model(tmp_path / "none.yaml", Sample)
    with pytest.raises(InputError, match="this is not a file"):
        load_model(tmp_path, Sample)
    bad.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="larger than 256 KiB"):
        load_model(bad, Sample)


def test_a_document_knows_where_its_values_stand(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("\ufefftitle: x\nitems:\n  - a\n  - {name: b}\n", encoding="utf-8")
    document = load_document(file, Sample)
    assert document.value.items == (Item(name="a"), Item(name="b"))
    assert str(document.place("items", 1, "name")).endswith(":4:12")
    assert str(document.key_place("items", 1, "name")).endswith(":4:6")
    # A field that a shorthand stands for has no key of its own: the nearest place above it.
    assert str(document.key_place("items", 0, "name")).endswith(":3:5")


def test_the_schema_for_editors_knows_shorthands_and_texts_that_look_like_numbers() -> None:
    schema = json_schema(Sample)
    item = schema["$defs"]["Item"]["anyOf"]
    assert item[0]["type"] == ["string", "number", "boolean"]
    assert item[1]["required"] == ["name"] and item[1]["additionalProperties"] is False
    assert schema["required"] == ["title"]
