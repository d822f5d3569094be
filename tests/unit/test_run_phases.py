"""The phases of a machine's life, told from what is observed."""

from __future__ import annotations

import pytest

from lab.run.phases import LIMITS, USUAL_CAUSE, WAITED_FOR, Seen, limit, next_phase
from lab.timeline import PHASES

PXE = {"vendor_class": "PXEClient:Arch:00007:UNDI:003010"}


def seen(source: str, kind: str, **data: object) -> Seen:
    return Seen("PC-1", source, kind, data)


WHOLE = {"path": "/boot/labpe-x64.efi", "status": 200, "bytes": 9, "total": 9}

#: A deployment, observation by observation, with the phase it leads to.
LIFE = [
    (seen("hypervisor", "started"), "firmware"),
    (seen("console", "line", text="BdsDxe"), "firmware"),
    (seen("dhcp", "discover", **PXE), "dhcp"),
    (seen("dhcp", "ack"), "dhcp"),
    (seen("tftp", "sent", file="boot.ipxe"), "boot-file"),
    (seen("http", "progress", path="/boot/labpe-x64.efi", bytes=3, total=9), "boot-file"),
    (seen("http", "request", **WHOLE), "pe-kernel"),
    (seen("dhcp", "discover", vendor_class="udhcp 1.35.0"), "pe-kernel"),
    (seen("agent", "hello", phase="pe"), "pe-hello"),
    (seen("http", "request", path="/policy/52:54:00:00:00:01", status=200), "policy"),
    (seen("engine", "instruction", n=1), "step"),
    (seen("http", "request", path="/content/LAB00001/x.wim", status=200), "step"),
    (seen("agent", "phase", name="content"), "content"),
    (seen("agent", "phase", name="step"), "step"),
    (seen("agent", "restart", target="HD"), "restart"),
    (seen("hypervisor", "reset"), "disk-boot"),
    (seen("agent", "hello", phase="os"), "os-hello"),
    (seen("engine", "instruction", n=2), "step"),
    (seen("engine", "sequence-finished", result="success"), "finished"),
    (seen("hypervisor", "stopped"), "off"),
]


def test_a_whole_deployment() -> None:
    phase, target = "off", ""
    for observation, expected in LIFE:
        if observation.kind == "restart":
            target = "HD"
        phase = next_phase(phase, observation, restart_target=target) or phase
        assert phase == expected, observation


@pytest.mark.parametrize(
    ("current", "observation", "expected"),
    [
        ("step", seen("hypervisor", "reset"), "firmware"),  # nobody announced it
        ("disk-boot", seen("dhcp", "discover", **PXE), "dhcp"),  # the disk did not start
        ("dhcp", seen("http", "request", **{**WHOLE, "status": 404}), "boot-file"),
        ("dhcp", seen("http", "request", **{**WHOLE, "bytes": 4}), "boot-file"),  # broken off
        ("step", seen("engine", "sequence-finished", result="failed"), "failed"),
        ("step", seen("hypervisor", "crashed"), "off"),
        ("step", seen("agent", "phase", name="no such phase"), None),
        ("step", seen("tftp", "sent", file="x"), None),
        # Natively: TFTP's own log names a file when it is through.
        ("dhcp", seen("tftp", "sent", file="pxelinux.0"), "boot-file"),
        ("boot-file", seen("tftp", "sent", file="labpe-x64.krn"), None),
        ("boot-file", seen("tftp", "sent", file="labpe-x64.img"), "pe-kernel"),
        ("dhcp", seen("tftp", "sent", file="labpe-x64.efi"), "pe-kernel"),
        ("boot-file", seen("tftp", "failed", file="labpe-x64.efi"), None),
    ],
)
def test_what_does_not_go_as_planned(current: str, observation: Seen, expected: str | None) -> None:
    assert next_phase(current, observation) == expected


def test_every_phase_that_can_stall_has_its_words() -> None:
    assert set(LIMITS) == set(WAITED_FOR) == set(USUAL_CAUSE) == set(PHASES) - {"off"}


def test_limits_scale_with_the_host_and_steps_wait_for_slow_doubles() -> None:
    assert limit("dhcp", factor=3.0, own={}, patience=50.0) == LIMITS["dhcp"] * 3
    assert limit("step", factor=2.0, own={}, patience=50.0) == LIMITS["step"] * 2 + 50
    assert limit("dhcp", factor=3.0, own={"dhcp": 2.0}, patience=0.0) == 6.0
