"""Whose turn it is: the checkout's number of commits, so that the same commit always chooses the same."""

from __future__ import annotations

from pathlib import Path

from lab.errors import LabError
from lab.hypervisor.accelerator import probe
from lab.pe.programs import run
from lab.settings import Settings

#: Said where the number of commits is always the same.
STANDS_STILL = "the turn stands still, so the same are left out each time: "


def turn(project: Path) -> tuple[int, str]:
    """Commits up to HEAD, 0 where there is no git or no repository; and why that number is no turn, or ""."""
    try:
        count = int(_git(project, "rev-list", "--count", "HEAD") or 0)
    except (LabError, ValueError):
        count = 0
    if not count:
        return 0, f"{STANDS_STILL}there is no git history here to count"
    if _git(project, "rev-parse", "--is-shallow-repository") == "true":
        return count, f"{STANDS_STILL}this is a shallow clone (git fetch --unshallow gives the history)"
    return count, ""


def _git(project: Path, *arguments: str) -> str:
    command: list[str | Path] = ["git", "-C", project, *arguments]
    return run(command, what="count commits", seconds=60, check=False).strip()


def host_factor(settings: Settings) -> float:
    """How many times slower than the reference host this one is; 1.0 where that cannot be measured (the runs
    themselves will say why)."""
    try:
        settings.make_cache()
        return probe(settings.cache).factor
    except LabError:
        return 1.0
