"""The hypervisor contract on the embedded hypervisor: real QEMU machines, inside a sandbox of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.hypervisor_sandbox import must_pass, run_inside

INSIDE = Path(__file__).with_name("embedded_inside.py")


def test_the_contract_holds(tmp_path: Path) -> None:
    must_pass(run_inside(INSIDE, tmp_path), at_least=26)


def test_an_inner_run_that_collects_nothing_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="pytest inside ended with 5"):
        must_pass(run_inside(INSIDE, tmp_path, ["-k", "no_such_test"]), at_least=1)
