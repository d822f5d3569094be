"""What the fixtures make: machines for a test, the run of a scenario file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.errors import UsageError
from lab.pytest_plugin import LabBroke
from lab.pytest_plugin.machine import Machine, Run
from lab.pytest_plugin.showing import status_line
from lab.pytest_plugin.warned import warn
from lab.report.summary import render_fault
from lab.run.doctor import lacking
from lab.run.front import run_scenario
from lab.run.live import LiveRun
from lab.run.live_simulated import SimulatedRun
from lab.run.record import read_events
from lab.scenario.inline import inline_scenario
from lab.scenario.loader import LoadedScenario, load_scenarios
from lab.settings import Settings


class Lab:
    """Makes machines for a test, and ends them with it."""

    def __init__(self, config: pytest.Config, path: Path, session: pytest.Session) -> None:
        self._config, self._path, self._session = config, path, session
        self._settings = Settings.from_environment()
        self._made: list[LiveRun | SimulatedRun] = []
        self._failed = session.testsfailed
        self._shown = ExitStack()
        #: Where the evidence of each machine made is.
        self.folders: list[Path] = []

    @property
    def fidelity(self) -> str:
        return str(self._config.getoption("fidelity"))

    def machine(
        self,
        template: str,
        *,
        sequence: str = "",
        hold_before: Sequence[str] | str = (),
        **more: Any,
    ) -> Machine:
        """A machine made like ``template`` that will run ``sequence`` (or what its ``site`` deploys); it is
        off.

        ``more``: the other keys of a scenario (variables, content, doubles, limits), as Python values.
        ``hold_before``: steps at whose beginning the machine waits for ``go_on``.
        Raises InputError, LabError.
        """
        if "expect" in more:
            raise UsageError(
                "a test judges by itself", hint="assert on machine.run, machine.log, machine.disk"
            )
        values = {"scenario": f"a machine of {self._path.name}", "machine": template}
        if sequence:
            values["sequence"] = sequence
        line = sys._getframe(1).f_lineno
        loaded = inline_scenario(
            {**values, **more}, shown(self._path, self._config), line=line,
            templates=self._settings.vm_templates,
        )  # fmt: skip
        warn(self._config, loaded)
        holds = (hold_before,) if isinstance(hold_before, str) else tuple(hold_before)
        follow = self._shown.enter_context(status_line(self._config))
        live: LiveRun | SimulatedRun
        if self.fidelity == "sim":
            live = SimulatedRun(loaded, self._settings, follow)
        else:
            need_host(loaded, self._settings)
            live = LiveRun(loaded, self._settings, follow, holds=holds, say=print)
        self._made.append(live.__enter__())
        self.folders.append(shown(live.folder, self._config))
        return Machine(live)

    def close(self) -> None:
        """End every machine. Disks are kept when a test failed meanwhile. Raises what broke."""
        broke: list[Exception] = []
        red = self._session.testsfailed > self._failed
        while self._made:
            try:
                self._made.pop().close(keep_disks=red or self._settings.keep_disks)
            except Exception as error:  # the others must end all the same
                broke.append(error)
        self._shown.close()
        if broke:
            raise broke[0]


def shown(path: Path, config: pytest.Config) -> Path:
    """A path as the user would write it."""
    here = config.invocation_params.dir
    return path.relative_to(here) if path.is_relative_to(here) else path


def need_host(loaded: LoadedScenario, settings: Settings) -> None:
    """Skip, with the remedy, what this host cannot run."""
    missing = lacking(settings, *loaded.firmwares)
    if missing:
        told = "; ".join(f"{row.name}: {row.found} → {row.remedy}" for row in missing)
        pytest.skip(f"this host cannot run it: {told}")


def run_file(name: str | Path, request: pytest.FixtureRequest) -> Run:
    """Run a scenario file that stands beside the test. Raises InputError, LabBroke."""
    settings = Settings.from_environment()
    path = shown(request.path.parent / name, request.config)
    (loaded,) = load_scenarios([path], templates=settings.vm_templates)
    warn(request.config, loaded)
    fidelity = request.config.getoption("fidelity")
    if fidelity == "vm":
        need_host(loaded, settings)
    with status_line(request.config) as follow:
        record = run_scenario(loaded, settings, follow, fidelity=fidelity, say=print)
    if record.error is not None:
        raise LabBroke(render_fault(record, width=100))
    return Run(read_events(Path(record.folder)), record)
