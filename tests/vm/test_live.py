"""A live machine: asked by SSH in LabPE, power cut and given again, and gone with the test that drives it.

``scenarios/test_deployed.py`` asks the deployed system.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from lab.clock import SystemClock, wait_until
from lab.errors import LabFault, UsageError
from lab.pytest_plugin.machine import Machine
from lab.run.live import LiveRun
from lab.run.ssh import RunKey
from lab.scenario.inline import inline_scenario
from lab.settings import Settings
from tests.vm.conftest import ROOT, SAMPLE
from tests.vm.test_kill import below, events, processes

pytestmark = [pytest.mark.vm(takes="2m 30s"), pytest.mark.matrix]

STEP = "Apply Operating System"
SECRET = "hush-hush-value-1"
VALUES: dict[str, Any] = {
    "scenario": "a live machine",
    "machine": "uefi-x64",
    "sequence": "bare-metal.xml",
    "doubles": [{"command": "*"}],
    "variables": {"Token": {"value": SECRET, "secret": True}},
}


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveRun]:
    monkeypatch.setenv("OSDLAB_REPORTS", str(tmp_path))
    with LiveRun(inline_scenario(VALUES, SAMPLE), Settings.from_environment(), holds=(STEP,)) as made:
        yield made


def test_labpe_is_asked_and_its_power_cut_and_given_again(live: LiveRun, tmp_path: Path) -> None:
    machine = Machine(live)
    machine.power_on().wait_for(held=STEP)
    host = machine.host
    assert host.file("/proc/cmdline").contains("console=ttyS0")
    assert host.process.get(comm="python3").args.endswith("agent.zip pe")
    assert host.mount_point("/").filesystem == "overlay"
    assert host.socket("tcp://22").is_listening and not host.socket("tcp://23").is_listening
    assert host.run("echo %s; exit 3", "two  words").rc == 3
    first_key = live.host_key()

    with pytest.raises(LabFault, match="another host key"):
        live._key.log_in(live.connect(), RunKey().authorized_key)
    with pytest.raises(LabFault, match="no SSH session"):
        RunKey().log_in(live.connect(), first_key)
    transport = paramiko.Transport(live.connect())
    transport.start_client(timeout=60)
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        transport.auth_password("root", "")
    assert refused.value.allowed_types == ["publickey"]
    transport.close()

    with pytest.raises(UsageError, match="is on"):
        _ = machine.disk
    machine.cut_power()
    assert [disk.style for disk in machine.disk.state.disks] == ["GPT"]
    assert machine.run.result == ""

    machine.power_on().wait_for(phase="policy")
    machine.wait_for(held=STEP)
    assert live.host_key() != first_key, "each start of the machine has a host key of its own"
    assert machine.host.file("/osdlab/agent.zip").exists
    assert machine.screenshot().read_bytes()[:4] == b"\x89PNG"
    live.close(keep_disks=False)
    for path in live.folder.rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        assert b"PRIVATE KEY" not in text and SECRET.encode() not in text, path


DRIVES = f"""
def test_it(lab):
    machine = lab.machine("uefi-x64", sequence="{ROOT}/scenarios/sequences/bare-metal.xml",
                          doubles=[{{"command": "*"}}])
    machine.power_on().wait_for(phase="finished")
"""


def test_the_machine_dies_with_the_test_that_drives_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(DRIVES)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    front = subprocess.Popen(
        [*command, tmp_path / "test_it.py"],
        cwd=ROOT, env={**os.environ, "OSDLAB_REPORTS": str(tmp_path / "reports")},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(
            lambda: any(event.phase == "dhcp" for event in events(tmp_path / "reports")),
            waited_for="the machine to ask for an address",
            seconds=900,
            clock=SystemClock(),
            every=0.2,
            last_seen=lambda: f"front: {front.poll()}",
        )
        family = below(front.pid)
        assert any("qemu-system" in words for words in family.values()), family
        front.send_signal(signal.SIGKILL)
        front.wait(300)
        wait_until(
            lambda: not set(family) & set(processes()),
            waited_for="every process of the run to be gone",
            seconds=120,
            clock=SystemClock(),
        )
    finally:
        if front.poll() is None:
            front.kill()
    told = events(tmp_path / "reports")
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
