"""The fixtures of tests in Python: ``lab`` makes machines, ``run`` runs scenario files.

``lab`` is a function's own; ``lab_module`` is the same for a module: a machine deployed once, which many
tests ask. What needs time to import is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab.pytest_plugin.machine import Run
    from lab.pytest_plugin.making import Lab


def _lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    from lab.pytest_plugin.making import Lab

    made = Lab(request.config, request.path, request.session)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Makes machines that live as long as the test: ``lab.machine("uefi-x64", sequence="my.xml")``."""
    yield from _lab(request)


@pytest.fixture(scope="module")
def lab_module(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """As ``lab``, for machines that live as long as the module's tests."""
    yield from _lab(request)


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Callable[[str | Path], Run]:
    """Runs a scenario file that stands beside the test: ``run("bare-metal.yaml").result``."""
    from lab.pytest_plugin.making import run_file

    return lambda name: run_file(name, request)
