"""``osdlab compare``: two runs' folders held against each other, or one against the simulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cli import guarded, osdlab

ROOT = Path(__file__).parents[2]
SEQUENCE = """<sequence version="3.10"><step type="SMS_TaskSequence_SetVariableAction" name="Say hello">
<action>tsenv.exe "Hello=world"</action></step></sequence>"""
SCENARIO = "scenario: Hello\nmachine: uefi-x64\nsequence: hello.xml\nexpect: {result: success}\n"
Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    for name in ("REPORTS", "CACHE"):
        monkeypatch.setenv(f"OSDLAB_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("OSDLAB_PROJECT", str(ROOT))
    (tmp_path / "cache").mkdir()
    (tmp_path / "hello.yaml").write_text(SCENARIO)
    (tmp_path / "hello.xml").write_text(SEQUENCE)

    def run(*words: str | Path) -> tuple[int, str]:
        code = guarded(lambda: osdlab.main([str(word) for word in words], standalone_mode=False))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_a_run_agrees_with_itself_and_not_with_another_sequence(told: Told, tmp_path: Path) -> None:
    assert told("run", tmp_path / "hello.yaml", "--fidelity", "sim")[0] == 0
    first = (tmp_path / "reports" / "latest").resolve()
    assert told("compare", first) == (0, "no difference\n")
    (tmp_path / "hello.xml").write_text(SEQUENCE.replace("world", "moon").replace("Say hello", "Say goodbye"))
    code, said = told("compare", first)
    assert code == 1 and "variable/hello: 'world' / 'moon'" in said
    assert "- instruction" in said and "+ instruction" in said and "Say goodbye" in said
    assert len(list((tmp_path / "reports").glob("2*"))) == 1  # the simulator's run is none of the reports
    assert told("run", tmp_path / "hello.yaml", "--fidelity", "sim")[0] == 0
    assert told("compare", first, (tmp_path / "reports" / "latest").resolve())[0] == 1


def test_what_cannot_be_compared_is_told(told: Told, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert told("compare", tmp_path / "empty")[0] == 3
    code, said = told("compare", tmp_path / "empty", tmp_path / "empty")
    assert code == 4 and "no final state" in said
    export = ("--sequence", tmp_path / "hello.xml", "--machine", "uefi-x64")
    assert told("run", *export, "--fidelity", "sim")[0] == 0
    code, said = told("compare", (tmp_path / "reports" / "latest").resolve())
    assert code == 2 and "--fidelity sim" in said


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ('"action":"boot"', '"action":"abort"', '"action": "abort"'),
        ('"id":11143', '"id":11141', '"id": 11141'),
    ],
)
def test_what_the_site_decided_and_was_told_is_compared_too(
    told: Told, tmp_path: Path, before: str, after: str, shown: str
) -> None:
    assert told("run", tmp_path / "hello.yaml", "--fidelity", "sim")[0] == 0
    timeline = (tmp_path / "reports" / "latest").resolve() / "timeline.jsonl"
    text = timeline.read_text()
    assert before in text
    timeline.write_text(text.replace(before, after))
    code, said = told("compare", timeline.parent)
    assert code == 1 and any(line.startswith("- ") and shown in line for line in said.splitlines())


def test_how_the_question_came_to_the_site_does_not_count(told: Told, tmp_path: Path) -> None:
    assert told("run", tmp_path / "hello.yaml", "--fidelity", "sim")[0] == 0
    timeline = (tmp_path / "reports" / "latest").resolve() / "timeline.jsonl"
    text = timeline.read_text()
    asked = next(line for line in text.splitlines() if "/pxe/ipxe" in line).replace("/pxe/ipxe", "/pxe")
    more = text.replace('"action":"boot"', '"client":"10.77.0.10","action":"boot"')
    timeline.write_text(f"{more}{asked}\n")
    assert timeline.read_text() != text and told("compare", timeline.parent)[0] == 0
