"""Guards for all tests: unit tests can neither start a process nor open a socket."""

from __future__ import annotations

import importlib
import os
import pkgutil
import socket
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

import lab

# No deadline: the hosts are slow and shared, and a slow example is no wrong one.
settings.register_profile("osdlab", deadline=None)
settings.load_profile("osdlab")

# A console keeps the width it is made with, which may be the import's: the terminal's must not be the tests'.
os.environ.pop("COLUMNS", None)

UNIT = Path(__file__).parent / "unit"


class ForbiddenInUnitTests(BaseException):
    """Not an Exception, so that no ``except Exception`` of the code under test can hide it."""


@pytest.fixture(autouse=True)
def no_processes_or_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if UNIT not in Path(request.node.path).parents:
        return

    def forbidden(*args: object, **kwargs: object) -> None:
        raise ForbiddenInUnitTests("a unit test tried to start a process or open a socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", forbidden)
    monkeypatch.setattr(os, "system", forbidden)
    monkeypatch.setattr(os, "posix_spawn", forbidden)
    monkeypatch.setattr(os, "posix_spawnp", forbidden)
    monkeypatch.setattr(os, "fork", forbidden)
    monkeypatch.setattr(socket.socket, "__init__", forbidden)


@cache
def import_whole_lab() -> None:
    for module in pkgutil.walk_packages(lab.__path__, "lab."):
        importlib.import_module(module.name)


@pytest.fixture(autouse=True)
def whole_lab(request: pytest.FixtureRequest) -> None:
    """Pytester forgets every module that its inner run was the first to import, and what was imported before
    would go on with the forgotten one's classes: so nothing is imported there first."""
    if "pytester" in request.fixturenames:
        import_whole_lab()
