"""An expectation that does not hold, a lab that broke, a bug of ours: planted, and where each lands at every
front door: ``osdlab run``, pytest, Allure."""

from __future__ import annotations

import errno
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lab.run.front as front
import lab.run.simulated as simulated
from lab.cli import guarded, osdlab
from lab.report.allure_results import CATEGORIES, write_run
from lab.run.live_simulated import SimulatedRun
from lab.scenario.inline import inline_scenario
from lab.settings import Settings

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SEQUENCE = """<sequence version="3.10"><referenceList>{content}</referenceList>
<step type="SMS_TaskSequence_SetVariableAction" name="Say hello">
<action>tsenv.exe "Hello=world"</action></step></sequence>"""
SCENARIO = """\
scenario: A sequence says hello
machine: uefi-x64
sequence: hello.xml
expect:
  result: success
  variables: {Hello: world}
"""


@dataclass(frozen=True)
class Kind:
    """What is planted, and how it has to be told."""

    code: int
    outcomes: dict[str, int]
    statuses: set[str]
    category: str
    says: str
    crash: bool = False


KINDS = {
    "expectation": Kind(1, {"passed": 1, "failed": 1}, {"passed", "failed"}, "An expectation does not hold",
                        "variable Hello is 'moon'"),
    "content": Kind(4, {"errors": 2}, {"broken"}, "The lab broke, or nothing could be judged", "ABC00042"),
    "full disk": Kind(4, {"errors": 2}, {"broken"}, "The lab broke, or nothing could be judged",
                      "the disk is full"),
    "bug": Kind(70, {"errors": 2}, {"broken"}, "A bug of osdlab", "ZeroDivisionError: ours", crash=True),
}  # fmt: skip


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """One of them is planted in the scenario of this test's folder."""
    for name in ("REPORTS", "CACHE"):
        monkeypatch.setenv(f"OSDLAB_{name}", str(pytester.path / name.lower()))
        (pytester.path / name.lower()).mkdir()
    monkeypatch.setenv("OSDLAB_PROJECT", str(ROOT))
    folder = pytester.mkdir("scenarios")
    content = '<reference package="ABC00042" />' if request.param == "content" else ""
    (folder / "hello.xml").write_text(SEQUENCE.format(content=content))
    text = SCENARIO.replace("world", "moon") if request.param == "expectation" else SCENARIO
    (folder / "hello.yaml").write_text(text)

    def bug(*arguments: Any) -> None:
        raise ZeroDivisionError("ours")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if request.param == "bug":
        monkeypatch.setattr(front, "simulate_into", bug)
    if request.param == "full disk":  # in the middle of the timeline
        monkeypatch.setattr(simulated, "simulate_machines", full)
    return KINDS[request.param]


def category(message: str, status: str) -> str:
    """The first that fits, as Allure does it."""
    for row in CATEGORIES:
        pattern = row.get("messageRegex", "")
        if status in row["matchedStatuses"] and (not pattern or re.match(pattern, message)):
            return str(row["name"])
    return ""


def red(results: Path) -> list[tuple[str, str]]:
    """(message, status) of the tests that are not well."""
    found = [json.loads(path.read_text()) for path in results.glob("*-result.json")]
    bad = [item for item in found if item["status"] != "passed"]
    return [(item["statusDetails"]["message"], item["status"]) for item in bad]


def test_osdlab_run_tells_them_apart_by_exit_code(
    kind: Kind, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "scenarios", "--fidelity", "sim"]
    assert guarded(lambda: osdlab.main(words, standalone_mode=False)) == kind.code
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    reports = pytester.path / "reports"
    traces = list(reports.glob("osdlab-crash-*.txt"))
    assert [kind.says in trace.read_text() for trace in traces] == [True] * kind.crash
    assert ("This is a bug of osdlab" in said) if kind.crash else (kind.says in said)
    # The run's own folder tells Allure the same.
    (pytester.path / "results").mkdir()
    write_run(reports / "latest", pytester.path / "results")
    told = red(pytester.path / "results")
    assert told and {category(*one) for one in told} == {kind.category}
    assert all(kind.says in message for message, _ in told)
    assert (reports / "latest" / "crash.txt").exists() == kind.crash


def test_pytest_and_its_allure_results_tell_them_apart(kind: Kind, pytester: pytest.Pytester) -> None:
    options = ["-p", "lab.pytest_plugin", "-p", "no:cacheprovider", "--fidelity=sim", "--alluredir=results"]
    result = pytester.runpytest_inprocess(*options, "scenarios")
    result.assert_outcomes(**kind.outcomes)
    results = pytester.path / "results"
    found = [json.loads(path.read_text()) for path in results.glob("*-result.json")]
    assert {item["status"] for item in found} == kind.statuses
    told = red(results)
    assert told and {category(*one) for one in told} == {kind.category}
    assert all(kind.says in message for message, _ in told)


@pytest.mark.parametrize("name", ["run.json", "timeline.jsonl", "PC-1/final-state.json"])
def test_a_damaged_run_is_a_broken_test_of_the_report(name: str, tmp_path: Path) -> None:
    """A full disk, or a host that went down, leaves half a file; the others have their report."""
    folder, results = tmp_path / "20260102-030405-run", tmp_path / "results"
    (folder / "PC-1").mkdir(parents=True)
    results.mkdir()
    (folder / "timeline.jsonl").write_text("")
    (folder / name).write_text('{"format": 1, "disks"\n')
    assert write_run(folder, results) is None
    [(message, status)] = red(results)
    assert category(message, status) == "The lab broke, or nothing could be judged"
    assert name in message


def test_a_run_that_a_test_judges_is_no_trouble_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "hello.xml").write_text(SEQUENCE.format(content=""))
    values = {"scenario": "A machine", "machine": "uefi-x64", "sequence": "hello.xml"}
    places = {"OSDLAB_REPORTS": tmp_path / "reports", "OSDLAB_CACHE": tmp_path, "OSDLAB_PROJECT": ROOT}
    settings = Settings.from_environment({name: str(path) for name, path in places.items()})
    loaded = inline_scenario(values, tmp_path / "test_it.py", templates=settings.vm_templates)
    with SimulatedRun(loaded, settings) as live:
        live.power_on()
    write_run(live.folder, tmp_path)
    [(message, status)] = red(tmp_path)
    assert status == "unknown" and "a test in Python judged it" in message
