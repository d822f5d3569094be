"""``--vm-budget``, seen from a pytest of its own: what is chosen, named, and not begun any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lab.pytest_plugin.budget as budget
import lab.pytest_plugin.items as items
from lab.run.front import run_scenario

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SEQUENCE = """<sequence version="3.10"><step type="SMS_TaskSequence_SetVariableAction" name="Say hello">
<action>tsenv.exe "Hello=world"</action></step></sequence>"""
SCENARIO = """\
scenario: A sequence says hello
machine: uefi-x64
sequence: hello.xml
{more}
expect: {{result: success, code: 0}}
"""
TESTS = """
import pytest
pytestmark = pytest.mark.vm(takes="6m")
def test_one(): pass
def test_two(): pass
"""
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Four scenarios, one of them core, and a file of tests; machines are simulated ones."""
    for name in ("REPORTS", "CACHE"):
        monkeypatch.setenv(f"OSDLAB_{name}", str(pytester.path / name.lower()))
        (pytester.path / name.lower()).mkdir()
    monkeypatch.setenv("OSDLAB_PROJECT", str(ROOT))
    folder = pytester.mkdir("scenarios")
    (folder / "hello.xml").write_text(SEQUENCE)
    for name, more in {"a": "", "b": "takes: 3m", "c": "", "z": "core: true"}.items():
        (folder / f"{name}.yaml").write_text(SCENARIO.format(more=more))
    pytester.makepyfile(test_machines=TESTS, test_others="def test_other(): pass")
    pytester.makeini("[pytest]\nmarkers = vm(takes, core): x\n")
    monkeypatch.setattr(items, "lacking", lambda settings, firmware: [])
    monkeypatch.setattr(
        items, "run_scenario",
        lambda loaded, settings, follow, *, fidelity, say: run_scenario(
            loaded, settings, follow, fidelity="sim", say=say
        ),
    )  # fmt: skip
    monkeypatch.setattr(budget, "host_factor", lambda settings: 1.0)
    monkeypatch.setattr(budget, "turn", lambda project: (1, "the turn stands still: why"))
    return lambda *more: pytester.runpytest_inprocess(
        "-p", "lab.pytest_plugin", "-p", "no:cacheprovider", *more
    )


def test_what_fits_runs_and_what_is_left_out_is_named(run: Run) -> None:
    result = run("--vm-budget", "12m", "-rs", "-v")
    result.assert_outcomes(passed=7, deselected=4)
    result.stdout.fnmatch_lines(
        ["VM budget 12 min, 1 lane, *, turn 1: batch 2 of 3; 3 to run in about 12 min, 2 left out",
         "  the turn stands still: why",
         "  runs      scenarios/z.yaml  about 4 min, core",
         "  runs      scenarios/c.yaml  about 4 min, its turn",
         "  runs      scenarios/a.yaml  about 4 min, its turn",
         "  left out  test_machines.py  its turn comes in 1 commit",
         "  left out  scenarios/b.yaml  its turn comes in 2 commits",
         "test_others.py::test_other PASSED*", "scenarios/z.yaml::*", "scenarios/c.yaml::*"]
    )  # fmt: skip


def test_what_would_end_after_the_budget_is_skipped_aloud_and_the_core_never(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1000.0, *[1000.0 + 11 * 60] * 50])
    # The budget's own clock only: every plugin in the venv may ask the real one.
    monkeypatch.setattr(budget, "time", SimpleNamespace(time=lambda: next(times)))
    result = run("--vm-budget", "12m", "-rs", "scenarios")
    result.assert_outcomes(passed=2, skipped=4, deselected=2)
    result.stdout.fnmatch_lines(
        ["SKIPPED*NOT RUN: of the VM budget of 12 min, 11 min are gone, and this takes about 4 min"]
    )


def test_wrong_use_is_told(run: Run) -> None:
    for arguments, said in (
        (["--vm-budget", "soon"], "*--vm-budget: 'soon' is not a duration*"),
        (["--vm-budget", "5m", "--fidelity", "sim"], "*--vm-budget goes with --fidelity vm*"),
    ):
        result = run(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([said])


def test_a_file_whose_tests_make_machines_counts_without_a_mark(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_live="def test_it(lab): pass")
    result = run("--vm-budget", "4m", "--collect-only", "-q", "scenarios/z.yaml", "test_live.py")
    result.stdout.fnmatch_lines(
        ["  left out  test_live.py  takes about 4 min: no room for it beside the core"]
    )
    result.stdout.no_fnmatch_line("*::test_it*")


def test_what_the_workers_choice_is_told_by_is_a_file_of_ours_to_the_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(budget.tempfile, "tempdir", str(tmp_path))
    left: list[Any] = []
    config: Any = SimpleNamespace(option=SimpleNamespace(tx=["popen"]), add_cleanup=left.append)
    told = Path(budget._facts(config, "5m")["told"])
    assert told.parent == tmp_path and told.stat().st_mode & 0o777 == 0o600
    left[0]()
    assert not told.exists()
