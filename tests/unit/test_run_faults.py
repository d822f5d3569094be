"""What the system refuses is the lab's fault where it is one; a busy host has longer limits."""

from __future__ import annotations

import errno
from pathlib import Path

from lab.hypervisor.accelerator import Accelerator
from lab.run.messages import as_fault
from lab.run.world import expected_load, for_busy_host


def test_a_full_disk_is_the_labs_fault_and_says_what_is_full() -> None:
    named = as_fault(OSError(errno.ENOSPC, "No space left on device", "/srv/reports/run/console.log"))
    assert named is not None and "the disk is full" in named.message
    assert "/srv/reports/run/console.log" in named.message and "OSDLAB_REPORTS" in named.hint
    nameless = as_fault(
        OSError(errno.EDQUOT, "Disk quota exceeded"), Path("/srv/reports"), Path("/srv/cache")
    )
    assert nameless is not None and "'/srv/reports' or '/srv/cache'" in nameless.message


def test_other_errors_of_the_system_stay_what_they_are() -> None:
    assert as_fault(OSError(errno.EBADF, "Bad file descriptor")) is None
    assert as_fault(ZeroDivisionError("ours")) is None


def test_limits_grow_with_the_hosts_other_work() -> None:
    found = Accelerator("tcg", "no /dev/kvm", 1.5)
    assert [for_busy_host(found, load).factor for load in (0.2, 1.0, 3.0, 50.0)] == [1.5, 1.5, 4.5, 6.0]
    assert expected_load(0.5, [1], 2) == 0.25, "a machine does not wait for itself"
    assert expected_load(0.5, [1, 2, 1], 2) == 1.25
    assert for_busy_host(found, 3.0).measured == {"load per core": 3.0}
