"""``osdlab report``: from runs' folders, or from Allure's results, to one HTML file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.errors import UsageError
from lab.judge.record import RunRecord
from lab.pe.store import Store
from lab.report.allure_results import environment, is_run, newest_runs, write_metadata, write_run
from lab.report.html import build_html, need_node
from lab.settings import Settings

Say = Callable[[str], None]
_TITLE = "osdlab"
#: Below the folder of runs.
_HTML = "html"


def make_report(paths: Iterable[Path], settings: Settings, *, output: Path | None, say: Say) -> Path:
    """Build ``output/index.html`` (reports/html when not given) and give its path.

    ``paths``: runs' folders, folders of runs, one folder of Allure results; none: the folder of reports.
    Raises UsageError when there is nothing to report on, LabFault when Allure or Node is missing or fails.
    """
    need_node()  # before any work is done
    settings.make_cache()
    folders = [path.resolve() for path in paths] or [settings.reports]
    target = (output or settings.reports / _HTML).absolute()
    if os.path.lexists(target) and not target.is_dir():
        raise UsageError(f"'{target}' is no folder")
    results = [folder for folder in folders if _is_results(folder)]
    if results:
        if len(folders) > 1:
            raise UsageError("give one folder of Allure results alone, or folders of runs")
        return build_html(results[0], target, cache=settings.cache, title=_TITLE, say=say)
    runs = _runs(folders, say)
    with Store(settings.cache, say).scratch() as scratch:
        made = scratch / "results"
        made.mkdir()
        records = [record for run in runs if (record := write_run(run, made)) is not None]
        write_metadata(made, environment(records))
        say(f"{len(runs)} run{'' if len(runs) == 1 else 's'} → {target / 'index.html'}")
        return build_html(made, target, cache=settings.cache, title=_title(records), say=say)


def _is_results(folder: Path) -> bool:
    return any(folder.glob("*-result.json"))


def _runs(folders: Iterable[Path], say: Say) -> list[Path]:
    """Runs' folders, each once. Raises UsageError when a folder holds none."""
    found: dict[Path, None] = {}
    for folder in folders:
        if is_run(folder):
            found[folder] = None
            continue
        runs, left_out = newest_runs(folder) if folder.is_dir() else ([], 0)
        if not runs:
            raise UsageError(
                f"'{folder}' is no run's folder, holds none, and holds no Allure results",
                hint="do a run first: osdlab run scenarios/ --fidelity sim",
            )
        if left_out:
            say(f"{folder}: the newest run of each scenario; {left_out} older left out")
        found.update(dict.fromkeys(runs))
    return list(found)


def _title(records: Iterable[RunRecord]) -> str:
    titles = {record.scenario for record in records}
    return f"{_TITLE}: {titles.pop()}" if len(titles) == 1 else _TITLE
