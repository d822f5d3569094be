"""A scenario as a pytest collector, its expectations as items.

The scenario runs once, when its first item is set up. A lab that broke, or an expectation that nobody could
judge, is an error of the items' set-up; an expectation that does not hold fails; what the host cannot do is
skipped, with the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pytest
from _pytest._code.code import ExceptionInfo, TerminalRepr

from lab.errors import InputError, LabError
from lab.judge.evidence import evidence
from lab.judge.judging import judge
from lab.judge.record import RunRecord
from lab.pytest_plugin import ExpectationFailed, LabBroke
from lab.pytest_plugin.showing import status_line
from lab.pytest_plugin.warned import SiteWarning, warn
from lab.report.summary import render_fault, render_verdict
from lab.run.budget import USUAL, Candidate
from lab.run.compare import against_simulator
from lab.run.doctor import lacking
from lab.run.front import Fidelity, run_scenario
from lab.run.prepare import read_checked_sequences
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.settings import Settings

_WIDTH = 100
#: The item that holds a run against the simulator's, and how many differences it names.
AGREEMENT = "the simulator tells the same"
_MOST_TOLD = 40
#: How tracebacks are shown; ours have none.
_Style = Literal["long", "short", "line", "no", "native", "value", "auto"]


class ScenarioRun:
    """One run of a scenario, for all of its items: done when the first asks for it."""

    def __init__(self, loaded: LoadedScenario, settings: Settings, config: pytest.Config) -> None:
        self._loaded = loaded
        self._settings = settings
        self._config = config
        self._fidelity: Fidelity = config.getoption("fidelity")
        self._record: RunRecord | None = None
        self._raised: BaseException | None = None

    def items(self, parent: pytest.Collector) -> Iterable[pytest.Item]:
        """An item for each expectation. Raises InputError: what is wrong is told before anything starts."""
        read_checked_sequences(self._loaded)
        seen: dict[str, int] = {}
        # Judged on nothing at all, each expectation says at least what it wants.
        for index, verdict in enumerate(judge(self._loaded.expectations, evidence([], {}))):
            name = " ".join(verdict.wanted.replace("::", ": :").split())
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" ({seen[name]})"
            yield ExpectationItem.from_parent(
                parent, name=name, run=self, index=index, line=verdict.place.line
            )
        if self._fidelity == "vm" and self._config.getoption("against_sim"):
            yield AgreementItem.from_parent(parent, name=AGREEMENT, run=self, line=0)

    def record(self) -> RunRecord:
        """The run, done at the first call. What that raised is raised again by each later one."""
        if self._raised is not None:
            raise self._raised
        if self._record is None:
            try:
                self._record = self._run()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._raised = error
                raise
        return self._record

    def _run(self) -> RunRecord:
        if self._fidelity == "vm":
            missing = lacking(self._settings, *self._loaded.firmwares)
            if missing:
                told = "; ".join(f"{row.name}: {row.found} → {row.remedy}" for row in missing)
                pytest.skip(f"this host cannot run it: {told}")
        with status_line(self._config) as follow:
            return run_scenario(self._loaded, self._settings, follow, fidelity=self._fidelity, say=print)

    def disagreements(self) -> list[str]:
        """In what the simulator's run of the scenario differs from this one."""
        return against_simulator(Path(self.record().folder), self._loaded, self._settings)

    def candidate(self, name: str) -> Candidate:
        """What ``--vm-budget`` has to know of it."""
        scenario = self._loaded.scenario
        return Candidate(name, scenario.takes or USUAL, scenario.core)


class _Told(pytest.Collector):
    """A collector that tells wrong input in words."""

    def repr_failure(
        self, excinfo: ExceptionInfo[BaseException], style: _Style | None = None
    ) -> str | TerminalRepr:
        error = excinfo.value
        if isinstance(error, InputError):
            count = len(error.problems)
            return f"{error.message}\n{count} problem{'' if count == 1 else 's'}, nothing was started."
        if isinstance(error, LabError | SiteWarning):
            return str(error)
        return super().repr_failure(excinfo)


class ScenarioFile(_Told, pytest.File):
    """A scenario; one with a matrix has a collector of its own for each run."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        settings = Settings.from_environment()
        scenarios = load_scenarios([self._shown()], templates=settings.vm_templates)
        warn(self.config, *scenarios)
        for loaded in scenarios:
            run = ScenarioRun(loaded, settings, self.config)
            if loaded.variant:
                yield Variant.from_parent(self, name=loaded.variant, run=run)
            else:
                yield from run.items(self)

    def _shown(self) -> Path:
        """The file as the user would write it."""
        here = self.config.invocation_params.dir
        return self.path.relative_to(here) if self.path.is_relative_to(here) else self.path


class Variant(_Told):
    """One run of a scenario's matrix."""

    def __init__(self, *, run: ScenarioRun, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self._run = run

    def collect(self) -> Iterable[pytest.Item]:
        yield from self._run.items(self)


class RunItem(pytest.Item):
    """Something that a scenario's run shows; ``line``: its line in the file, or 0."""

    def __init__(self, *, run: ScenarioRun, line: int, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self.run = run
        self._line = line

    def setup(self) -> None:
        """Let the scenario run, unless it did. Raises LabBroke when the run says nothing."""
        record = self.run.record()
        if getattr(self.config.option, "allure_report_dir", None):
            self._report(record)
        if record.error is not None:
            raise LabBroke(render_fault(record, width=_WIDTH))

    def _report(self, record: RunRecord) -> None:
        from lab.pytest_plugin.allure import describe_run

        describe_run(self.config, record)

    def explain(self, excinfo: ExceptionInfo[BaseException], report: pytest.TestReport) -> None:
        """Tell Allure what the exception means; a bug of ours is none of the sequence's."""
        from lab.pytest_plugin.allure import bug_message, explain

        error = excinfo.value
        if isinstance(error, ExpectationFailed | LabBroke | LabError):
            explain(self.config, str(error))
        elif isinstance(error, Exception):  # a skip and an interruption are none
            explain(self.config, bug_message(error), report.longreprtext)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        # pytest reads a last part that the item's id ends with as a dotted name; a clause is none.
        return self.path, self._line - 1 if self._line else None, f"{self.path.name}: {self.name}"


class ExpectationItem(RunItem):
    """One expectation of a run; ``index``: its place among them."""

    def __init__(self, *, index: int, **given: Any) -> None:
        super().__init__(**given)
        self._index = index

    def setup(self) -> None:
        """As of any item. Raises LabBroke when this expectation cannot be judged, too."""
        super().setup()
        record = self.run.record()
        verdict = record.verdicts[self._index]
        if verdict.status == "no-evidence":
            raise LabBroke(render_verdict(record, verdict, width=_WIDTH))

    def runtest(self) -> None:
        record = self.run.record()
        verdict = record.verdicts[self._index]
        if verdict.status != "held":
            raise ExpectationFailed(render_verdict(record, verdict, width=_WIDTH))

    def _report(self, record: RunRecord) -> None:
        from lab.pytest_plugin.allure import describe_verdict

        describe_verdict(self.config, record, self._index)


class AgreementItem(RunItem):
    """That the simulator's run of the scenario tells the same as the one on virtual machines."""

    def runtest(self) -> None:
        found = self.run.disagreements()
        if found:
            more = len(found) - _MOST_TOLD
            told = [*found[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
            raise ExpectationFailed("\n".join(["virtual machine and simulator differ:", *told]))
