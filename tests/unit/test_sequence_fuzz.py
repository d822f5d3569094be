"""Bytes that nobody exported are read or refused, and real exports all come back as they were.

OSDLAB_FUZZ: how many mutations are tried (150); give a large number by hand.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import InputError
from lab.sequence import codec
from lab.sequence.outline import outline
from lab.sequence.secrets import blank_secrets
from lab.sequence.validate import validate
from lab.sequence.xmlbuild import document_of
from lab.sequence.xmlformat import read_export, read_sequence
from lab.sequence.xmlwrite import document_from_json, document_to_json, write_document
from tests.unit.test_sequence_reading import SHAPES, canonical

ROOT = Path(__file__).parents[2]
FIELD = Path(os.environ.get("OSDLAB_FIELD", ROOT.parent / "shared" / "field")) / "sequences"

TEXTS = [text.encode() for text in SHAPES.values()]
PARTS = [
    b"<", b">", b"&", b"]]>", b"<![CDATA[", b"<group>", b"</group>", b"\0", b"&#0;", b"<sequence>", b"&lt;",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"\xff\xfe", b"'", b'"', b"<?xml?>", b"--",
]  # fmt: skip


@settings(max_examples=int(os.environ.get("OSDLAB_FUZZ", "150")),
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(st.data())
def test_mutated_exports_are_read_or_bad_input(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(TEXTS)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        upto = data.draw(st.integers(at, min(len(text), at + 60)))
        part = data.draw(st.one_of(st.binary(max_size=6), st.sampled_from(PARTS)))
        text[at:upto] = text[upto:at] if data.draw(st.booleans()) else part
    try:
        export = read_export(bytes(text), "x.xml")
    except InputError as error:
        assert error.problems
        return
    written = write_document(export.document)
    assert write_document(read_export(written, "x.xml").document) == written
    for found in export.found:
        assert codec.from_json(codec.to_json(found.sequence)) == found.sequence
        validate(found.sequence)
        json.dumps(outline(found.sequence))
    blank_secrets(export)


# real exports


def test_real_exports_come_back_as_they_were() -> None:
    if not FIELD.is_dir():
        pytest.skip("no folder with real exports beside the repository (OSDLAB_FIELD)")
    read = 0
    for path in sorted(FIELD.glob("*.xml")):
        data = path.read_bytes()
        export = read_export(data, path.name)
        assert canonical(write_document(export.document)) == canonical(data), path.name
        told = json.loads(json.dumps(document_to_json(export.document)))
        assert canonical(write_document(document_from_json(told, "x"))) == canonical(data), path.name
        # Every item made anew says the same to the engine.
        for found in export.found:
            made = read_sequence(write_document(document_of(found.sequence)), path.name)
            assert [codec.to_json(made)["name"], len(list(made.walk()))] == [
                found.sequence.name, len(list(found.sequence.walk())),
            ]  # fmt: skip
        read += 1
    assert read > 50
