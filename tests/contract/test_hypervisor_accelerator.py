"""The accelerator probe for real: a guest is run under what this host has."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab.clock import SystemClock
from lab.hypervisor import accelerator
from lab.hypervisor.accelerator import probe, rate
from lab.hypervisor.errors import HypervisorError

QEMU = "qemu-system-x86_64"


def test_the_probe_measures_and_then_remembers(tmp_path: Path) -> None:
    found = probe(tmp_path, "this-boot")
    assert found.measured["tcg"] > 1e6
    assert found.factor >= 1
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        faster = found.measured["kvm"] > found.measured["tcg"]
        assert found.choice == ("kvm" if faster else "tcg")
        assert ("faster than TCG" if faster else "KVM unusable here") in found.reason
    else:
        assert (found.choice, found.measured["kvm"]) == ("tcg", 0)

    def measured_again(name: str) -> float:
        raise AssertionError(f"{name} is measured a second time")

    assert probe(tmp_path, "this-boot", measure=measured_again) == found


def test_an_accelerator_qemu_does_not_have_has_no_rate() -> None:
    assert rate("no-such-accelerator", qemu=QEMU, clock=SystemClock()) == 0.0


def test_a_guest_that_never_reports_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "FIRST_REPORT", 1.0)
    silent = tmp_path / "silent-qemu"
    silent.write_text("#!/bin/sh\nexec sleep 3600\n")
    silent.chmod(silent.stat().st_mode | stat.S_IXUSR)
    clock = SystemClock()
    begin = clock.now()
    assert rate("tcg", qemu=str(silent), clock=clock) == 0.0
    assert 1.0 <= clock.now() - begin < 300.0


def test_a_missing_qemu_is_named(tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="no-such-qemu") as caught:
        probe(tmp_path, "boot", qemu="no-such-qemu")
    assert "qemu-system-x86" in caught.value.hint
