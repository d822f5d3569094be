"""``--vm-budget``: of all that starts real machines, as much as fits into a time; the rest is named.

Registered only when the option is given. Under xdist the front finds out turn, factor and lanes and hands
them to the workers, which all choose the same.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InputError
from lab.pytest_plugin.items import RunItem
from lab.run.budget import USUAL, Candidate, Choice, choose, minutes
from lab.run.slots import room_of_host
from lab.run.turn import host_factor, turn
from lab.scenario.fields import duration
from lab.settings import Settings

_KEY = "osdlab_budget"
#: The worker whose choice the front prints; all choose the same.
_TELLS = "gw0"
#: The fixtures that make machines: a test that asks for one starts some, marked or not.
_FIXTURES = frozenset({"lab", "lab_module", "run"})
#: Seconds that a run may end after the budget: collecting takes some, and a time told is never exact.
_GRACE = 60.0


class Budget:
    """Chooses among the collected items, and lets nothing begin that would end too late."""

    def __init__(self, config: pytest.Config, text: str) -> None:
        self._config = config
        self._choice: Choice | None = None
        self._by_name: dict[str, Candidate] = {}
        self._begun: set[str] = set()
        given = getattr(config, "workerinput", {}).get(_KEY)
        self._facts: dict[str, Any] = given if given is not None else _facts(config, text)

    # The front of xdist, and its workers

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_KEY] = self._facts

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Any) -> None:
        if node.gateway.id == _TELLS:
            told = Path(self._facts["told"])
            terminal = self._config.pluginmanager.get_plugin("terminalreporter")
            text = told.read_text(encoding="utf-8") if told.exists() else ""
            for line in json.loads(text) if text else []:
                if terminal is not None:
                    terminal.write_line(line)

    # Choosing

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        units = {item: unit for item in items if (unit := _unit(item))}
        self._by_name = _candidates(units)
        chosen = choose(
            self._by_name.values(), budget=self._facts["budget"], lanes=self._facts["lanes"],
            factor=self._facts["factor"], turn=self._facts["turn"], note=self._facts["note"],
        )  # fmt: skip
        self._choice = chosen
        order = {candidate.name: number for number, candidate in enumerate(chosen.taken)}
        out = [item for item in items if units.get(item, "") not in ("", *order)]
        # What starts no machine goes first; then the core: it is never the one that time runs out for.
        kept = [item for item in items if units.get(item, "") in ("", *order)]
        kept.sort(key=lambda item: order.get(units.get(item, ""), -1))
        items[:] = kept
        if out:
            self._config.hook.pytest_deselected(items=out)
        if getattr(self._config, "workerinput", {}).get("workerid") == _TELLS:
            Path(self._facts["told"]).write_text(json.dumps(chosen.lines()), encoding="utf-8")

    def pytest_report_collectionfinish(self) -> list[str]:
        return self._choice.lines() if self._choice is not None else []

    # While it goes on

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip what would end after the budget, saying so; the core always runs, and what began goes on."""
        candidate = self._by_name.get(_unit(item))
        if candidate is None or self._choice is None or candidate.name in self._begun:
            return
        gone, needs = time.time() - self._facts["began"], self._choice.estimate(candidate)
        if not candidate.core and gone + needs > self._facts["budget"] + _GRACE:
            pytest.skip(
                f"NOT RUN: of the VM budget of {minutes(self._facts['budget'])}, {minutes(gone)} are gone, "
                f"and this takes about {minutes(needs)}"
            )
        self._begun.add(candidate.name)


def budget_seconds(text: str) -> float:
    """The option's value. Raises pytest.UsageError."""
    try:
        return duration(text)
    except (ValueError, InputError) as error:
        raise pytest.UsageError(f"--vm-budget: {error}") from error


def _facts(config: pytest.Config, text: str) -> dict[str, Any]:
    settings = Settings.from_environment()
    workers = len(getattr(config.option, "tx", None) or [])
    count, note = turn(settings.project)
    told = ""
    if workers:  # a file of ours until the front is done: nobody else can take its name
        handle, told = tempfile.mkstemp(prefix="osdlab-budget-", suffix=".json")
        os.close(handle)
        config.add_cleanup(lambda: Path(told).unlink(missing_ok=True))
    return {
        "budget": budget_seconds(text),
        "lanes": max(1, min(workers, room_of_host().cores)),
        "factor": host_factor(settings),
        "turn": count,
        "note": note,
        "began": time.time(),
        "told": told,
    }


def _unit(item: pytest.Item) -> str:
    """What is chosen or left out as one: a scenario's run, or a file of tests with real machines; "" for
    others."""
    if isinstance(item, RunItem):
        return item.nodeid.rpartition("::")[0]
    machines = item.get_closest_marker("vm") or _FIXTURES.intersection(getattr(item, "fixturenames", ()))
    return item.nodeid.partition("::")[0] if machines else ""


def _candidates(units: dict[pytest.Item, str]) -> dict[str, Candidate]:
    """A file of tests says ``pytest.mark.vm(takes="9m", core=True)``; the longest given is the file's."""
    found: dict[str, Candidate] = {}
    for item, name in units.items():
        if isinstance(item, RunItem):
            found[name] = item.run.candidate(name)
            continue
        known = found.get(name, Candidate(name, 0.0))
        marks: Iterable[pytest.Mark] = item.iter_markers("vm")
        for mark in marks:
            takes = duration(mark.kwargs["takes"]) if "takes" in mark.kwargs else 0.0
            core = known.core or bool(mark.kwargs.get("core"))
            known = Candidate(name, max(known.takes, takes), core)
        found[name] = known
    return {name: Candidate(name, item.takes or USUAL, item.core) for name, item in found.items()}
