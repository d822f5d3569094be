"""The pytest plugin: ``pytest scenarios/`` collects the YAML files, each expectation an item of its own.

The hooks alone, so that a pytest that has nothing to do with scenarios stays quick; see ``items``.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError

#: Folders below a folder of scenarios that hold something else (lab.scenario.loader has the same).
_OTHER_FOLDERS = frozenset({"sites", "sequences"})
#: A scenario is known by its first key, wherever it lies.
_SCENARIO = re.compile(r"^\ufeff?(['\"]?)scenario\1\s*:", re.MULTILINE)
#: How much of a file is looked at, in characters.
_LOOK = 64 * 1024
#: The package's folder.
_LAB = Path(__file__).resolve().parents[1]
#: The fixtures that make machines.
_BENCHES = ("lab", "lab_module")
#: The markers of tests in Python.
MARKERS = (
    "vm(takes, core): boots a real virtual machine (slow); for --vm-budget how long the file takes, and "
    "whether it is never left out",
    "rule(number, shown=None): the rule of docs/rules.md that this test shows; shown='sim' or 'vm' where",
)
#: Set in the report of an item under which the lab broke.
_LAB_BROKE = "osdlab_lab_broke"


class ExpectationFailed(AssertionError):
    """An expectation does not hold. The text is the summary's, and stands alone."""


class LabBroke(Exception):
    """Nothing can be said: the lab broke, or an expectation has no evidence. The text stands alone."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("osdlab", "scenarios of the OS-deployment lab")
    group.addoption(
        "--fidelity", choices=("vm", "sim"), default="vm",
        help="vm: scenarios run on real virtual machines (default); sim: in the simulator",
    )  # fmt: skip
    group.addoption(
        "--against-sim", action="store_true",
        help="each scenario that ran on real virtual machines runs in the simulator too, and an item of its "
        "own says whether the two tell the same",
    )  # fmt: skip
    group.addoption(
        "--vm-budget", metavar="DURATION",
        help="of what starts real machines, as much as fits into this time ('25m'): the core always, the "
        "rest in turns by the checkout's number of commits; what is left out is named",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    from lab.pytest_plugin import fixtures

    config.pluginmanager.register(fixtures, "osdlab-fixtures")
    for marker in MARKERS:  # a sample of a test in Python has them, wherever it is copied to
        config.addinivalue_line("markers", marker)
    if (text := config.getoption("vm_budget")) is not None:
        if config.getoption("fidelity") != "vm":
            raise pytest.UsageError("--vm-budget goes with --fidelity vm: the simulator takes no time")
        from lab.pytest_plugin.budget import Budget

        config.pluginmanager.register(Budget(config, text), "osdlab-budget")
    if getattr(config.option, "allure_report_dir", None):
        from lab.pytest_plugin.allure import Environment

        config.pluginmanager.register(Environment(Path(config.option.allure_report_dir)), "osdlab-allure")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What is told in words has no traceback; the lab's trouble is an error in every phase of an item.

    First of all: after allure-pytest.
    """
    told = call.excinfo is not None and isinstance(call.excinfo.value, LabError | pytest.PytestWarning)
    if call.excinfo is not None and told and not item.config.getoption("fulltrace", False):
        _leave_out_ours(call.excinfo)
    report = yield
    if report.failed:
        for bench in (getattr(item, "funcargs", {}).get(name) for name in _BENCHES):
            report.sections += [
                ("the machine's evidence", str(folder)) for folder in getattr(bench, "folders", ())
            ]
    if call.excinfo is None:
        return report
    if isinstance(call.excinfo.value, ExpectationFailed | LabBroke):
        report.longrepr = str(call.excinfo.value)
    if isinstance(call.excinfo.value, LabError | LabBroke):
        report.__dict__[_LAB_BROKE] = True  # what is there goes from xdist's workers to the front
    if getattr(item.config.option, "allure_report_dir", None) and hasattr(item, "explain"):
        item.explain(call.excinfo, report)
    return report


def _leave_out_ours(found: pytest.ExceptionInfo[BaseException]) -> None:
    """Of a traceback whose error says everything the test's own lines stay."""
    last, entry = found.tb, found.tb.tb_next
    while entry is not None:
        if _LAB not in Path(entry.tb_frame.f_code.co_filename).parents:
            last.tb_next = entry
            last = entry
        entry = entry.tb_next
    last.tb_next = None
    found.traceback = type(found.traceback)(found.tb)


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """A lab that broke under a running test makes an error of it."""
    return ("error", "E", "ERROR") if getattr(report, _LAB_BROKE, False) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under xdist, one worker gets all items of a scenario, so that it runs once and not once per worker.

    (A marker ``xdist_group`` would not do: xdist 3.8 loses it with pytest 9.)
    """
    if config.option.dist not in ("load", "worksteal", "loadgroup"):
        return None  # the others keep a file together, or are meant to run all everywhere
    from lab.pytest_plugin.workers import ScenarioScheduling

    return ScenarioScheduling(config, log)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    named = parent.session.isinitpath(file_path)
    if not (named or _among_scenarios(file_path, parent.config.rootpath) or _says_so(file_path)):
        return None
    from lab.pytest_plugin.items import ScenarioFile

    made: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return made


def _among_scenarios(path: Path, root: Path) -> bool:
    """Whether it lies in a folder ``scenarios`` of the project (or the project is one): there a file whose
    first key is misspelt is an error too."""
    folders = (path.relative_to(root.parent) if path.is_relative_to(root) else path).parts[:-1]
    if "scenarios" not in folders:
        return False
    below = folders[len(folders) - folders[::-1].index("scenarios") :]
    return not _OTHER_FOLDERS & set(below)


def _says_so(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _SCENARIO.search(file.read(_LOOK)) is not None
    except OSError:
        return False
