"""Where the lab keeps things on this host, and what the user's environment says about it.

Ground room: imports only the errors, standard library only. Values come from ``OSDLAB_*`` variables, each
the twin of a command-line option.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.errors import LabFault, UsageError

Accelerators = Literal["auto", "kvm", "tcg"]


@dataclass(frozen=True)
class Settings:
    """Settings of one user on one host.

    project       the checkout: scenarios/, vm-templates/, reports/
    cache         what may be built again: boot images, downloads, capability cache
    reports       where runs leave their folders
    accelerator   "auto": the probe decides
    keep_disks    keep a run's disks even when it is green
    time_limit    seconds that a whole run may take, before the host's factor
    """

    project: Path
    cache: Path
    reports: Path
    accelerator: Accelerators = "auto"
    keep_disks: bool = False
    time_limit: float = 1800.0

    @property
    def scenarios(self) -> Path:
        return self.project / "scenarios"

    @property
    def vm_templates(self) -> Path:
        return self.project / "vm-templates"

    def make_cache(self) -> None:
        """The cache's folder, made unless it is there. Raises LabFault when nothing can be written to it."""
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            refused = "" if os.access(self.cache, os.W_OK | os.X_OK) else "it cannot be written"
        except OSError as error:
            refused = error.strerror or str(error)
        if refused:
            raise LabFault(
                f"the cache '{self.cache}' cannot be used: {refused}",
                hint="set OSDLAB_CACHE to a folder that can be written",
            )

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
        """Settings from OSDLAB_PROJECT, _CACHE, _REPORTS, _ACCELERATOR, _KEEP_DISKS, _TIME_LIMIT.

        Raises UsageError for a value that means nothing.
        """
        env = os.environ if environment is None else environment
        project = Path(env.get("OSDLAB_PROJECT") or Path(__file__).resolve().parent.parent)
        home = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or Path.home()) / ".cache")
        accelerator = env.get("OSDLAB_ACCELERATOR") or "auto"
        if accelerator not in ("auto", "kvm", "tcg"):
            raise UsageError(f"OSDLAB_ACCELERATOR is '{accelerator}'", hint="use auto, kvm or tcg")
        return Settings(
            project=project.absolute(),
            cache=Path(env.get("OSDLAB_CACHE") or home / "osdlab").absolute(),
            reports=Path(env.get("OSDLAB_REPORTS") or project / "reports").absolute(),
            accelerator=accelerator,  # type: ignore[arg-type]
            keep_disks=_flag(env, "OSDLAB_KEEP_DISKS"),
            time_limit=_seconds(env, "OSDLAB_TIME_LIMIT", 1800.0),
        )


def _flag(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "").strip().lower()
    if value in ("", "0", "no", "false", "off"):
        return False
    if value in ("1", "yes", "true", "on"):
        return True
    raise UsageError(f"{name} is '{value}'", hint="use yes or no")


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    value = env.get(name, "").strip()
    if not value:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise UsageError(f"{name} is '{value}'", hint="use a number of seconds above 0")
    return seconds
