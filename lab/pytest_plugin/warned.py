"""What a site may say and hardly means, as pytest's own warnings: ``-W``, ``filterwarnings`` and
``--disable-warnings`` hold for them, too."""

from __future__ import annotations

import warnings

import pytest

from lab.errors import Problem
from lab.scenario.loader import LoadedScenario


class SiteWarning(pytest.PytestWarning):
    """A site file says what is allowed and looks like a mistake; the text stands alone."""


_TOLD = pytest.StashKey[set[Problem]]()


def warn(config: pytest.Config, *scenarios: LoadedScenario) -> None:
    """Tell the warnings of the scenarios' sites, each once however many scenarios and tests have that site.

    Raises SiteWarning where the user has made errors of warnings: at each of them, whichever comes first.
    """
    told = config.stash.setdefault(_TOLD, set())
    for problem in (one for loaded in scenarios if loaded.site for one in loaded.site.warnings):
        if problem not in told:
            place = (problem.path, problem.line)
            text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
            try:
                warnings.warn_explicit(SiteWarning(text), None, *place)
            except SiteWarning:  # pytest shows a warning's place, but not an error's
                raise SiteWarning(str(problem)) from None
            told.add(problem)
