"""Whose turn it is: the checkout's number of commits, so that the same commit always chooses the same."""

from __future__ import annotations

from pathlib import Path

from lab.errors import LabError
from lab.hypervisor.accelerator import probe
from lab.pe.programs import run
from lab.settings import Settings


def commit_count(project: Path) -> int:
    """Commits up to HEAD; 0 where there is no git, or no repository."""
    try:
        command: list[str | Path] = ["git", "-C", project, "rev-list", "--count", "HEAD"]
        said = run(command, what="count commits", seconds=60, check=False)
        return int(said.strip() or 0)
    except (LabError, ValueError):
        return 0


def host_factor(settings: Settings) -> float:
    """How many times slower than the reference host this one is; 1.0 where that cannot be measured (the runs
    themselves will say why)."""
    try:
        settings.make_cache()
        return probe(settings.cache).factor
    except LabError:
        return 1.0
