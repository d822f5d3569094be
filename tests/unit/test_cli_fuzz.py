"""Nothing that is given to ``osdlab sequence`` breaks it: mutated zips, random sequences.

OSDLAB_FUZZ: how many are tried (60); give a large number by hand.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.cli import guarded, osdlab
from lab.errors import InputError
from lab.scenario.machines import identity
from lab.scenario.schema import Template, machine_spec
from lab.sequence.model import TaskSequence
from lab.sequence.xmlbuild import document_of
from lab.sequence.xmlwrite import write_document
from lab.simulation.alone import simulate_alone
from lab.site.exports import read_file
from lab.yamlio import load_model
from tests.unit.sequence_random import sequences

ROOT = Path(__file__).parents[2]
MANY = settings(
    max_examples=int(os.environ.get("OSDLAB_FUZZ", "60")), deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
SAMPLE = (ROOT / "scenarios" / "sequences" / "error-handling.xml").read_bytes()


def a_zip(method: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr("SMS_TaskSequencePackage/LAB00009/object.xml", SAMPLE)
        archive.writestr("Manifest.xml", "<a/>")
    return target.getvalue()


ZIPS = [a_zip(zipfile.ZIP_STORED), a_zip(zipfile.ZIP_DEFLATED)]


@MANY
@given(data=st.data())
def test_a_mutated_zip_is_read_or_bad_input(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data_ = bytearray(data.draw(st.sampled_from(ZIPS)))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(2, len(data_)))
        upto = data.draw(st.integers(at, min(len(data_), at + 20)))
        data_[at:upto] = data.draw(st.one_of(st.binary(max_size=8), st.just(bytes(data_[:at]))))
    path = tmp_path_factory.getbasetemp() / "mutated.zip"
    path.write_bytes(bytes(data_))
    try:
        assert read_file(path).exports
    except InputError as error:
        assert error.problems


@MANY
@given(junk=st.binary(max_size=300))
def test_random_bytes_behind_a_zip_s_signature_are_bad_input(
    junk: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.zip"
    path.write_bytes(b"PK\x03\x04" + junk)
    with pytest.raises(InputError):
        read_file(path)


@MANY
@given(
    made=sequences,
    start=st.sampled_from([None, "pxe", "full-os"]),
    template=st.sampled_from(["uefi", "bios"]),
)
def test_any_sequence_comes_to_an_end_in_the_simulator(made: TaskSequence, start: str, template: str) -> None:
    hardware = load_model(ROOT / "vm-templates" / f"{template}-x64.yaml", Template)
    spec = machine_spec(hardware, "PC-1", *identity("fuzz"))
    alone = simulate_alone(made, spec, start=start)  # type: ignore[arg-type]
    assert (alone.result == "success") == (not alone.failed_step and not alone.reason and not alone.code)


@settings(parent=MANY, max_examples=20)
@given(
    made=sequences, words=st.lists(st.sampled_from(["--strict", "--json", "--fail", "bad=5", "--set", "A=1"]))
)
def test_the_command_never_breaks(
    made: TaskSequence, words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.xml"
    path.write_bytes(write_document(document_of(made)))
    arguments = ["sequence", "simulate", str(path), *words]
    assert guarded(lambda: osdlab.main(arguments, standalone_mode=False)) in (0, 2, 3)
