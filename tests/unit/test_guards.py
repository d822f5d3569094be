"""The guards of the unit tests, seen to fail."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from tests.conftest import ForbiddenInUnitTests


def test_a_unit_test_cannot_start_a_process() -> None:
    with pytest.raises(ForbiddenInUnitTests):
        subprocess.run(["true"], check=True)
    with pytest.raises(ForbiddenInUnitTests):
        os.system("true")


def test_a_unit_test_cannot_open_a_socket() -> None:
    with pytest.raises(ForbiddenInUnitTests):
        socket.socket()
