"""A machine deployed once and asked live: first LabPE, held before the image is applied, then the new system.

``pytest scenarios/test_deployed.py``; in the simulator (``--fidelity sim``) what needs a live machine is
skipped. See README, "Tests in Python".
"""

from __future__ import annotations

import pytest

#: What only Windows could run; as in bare-metal.yaml.
DOUBLES = [
    {"command": r"*bare-metal > C:\lab-pe.txt", "writes": {r"C:\lab-pe.txt": "in Windows PE\r\n"}},
    {"command": r"*false > C:\lab-os.txt", "writes": {r"C:\lab-os.txt": "in the new system\r\n"}},
    {"command": "*uninstall-old-agent.cmd /quiet", "exit": 1605},
    {"command": r"*echo complete > C:\lab-end.txt", "writes": {r"C:\lab-end.txt": "complete\r\n"}},
]


@pytest.fixture(scope="module")
def machine(lab_module):
    """On its way: held in LabPE, its disk partitioned and empty."""
    machine = lab_module.machine(
        "uefi-x64",
        sequence="bare-metal.xml",
        doubles=DOUBLES,
        variables={"OSDComputerName": "LAB-PC1"},
        hold_before="Apply Operating System",
    )
    return machine.power_on().wait_for(held="Apply Operating System")


@pytest.fixture(scope="module")
def deployed(machine):
    """The same machine with its sequence over, still up."""
    machine.go_on()
    return machine.wait_for(phase="finished")


def test_labpe_has_what_it_needs_before_the_image_is_applied(machine):
    host = machine.host
    assert "console=ttyS0" in host.file("/proc/cmdline").content_string
    assert host.run("uname -s").stdout.strip() == "Linux"
    assert host.process.filter(comm="dropbear", user="root")
    assert "python3" in host.process.get(comm="python3").args
    assert host.mount_point("/").filesystem == "overlay"
    assert host.socket("tcp://22").is_listening
    assert not host.file("/c/Windows").exists


def test_the_deployed_system_is_up(deployed):
    host = deployed.host
    assert host.file("/c/Windows/System32/config/SYSTEM").is_file
    assert host.file("/c/lab-end.txt").content_string == "complete\r\n"
    assert host.mount_point("/c").filesystem == "fuseblk"
    assert not host.file("/c/_SMSTaskSequence").exists
    assert deployed.run.result == "success"
    assert "Successfully installed the client" in deployed.log


def test_its_disk_says_the_same_when_it_is_off(deployed):
    deployed.shutdown()
    assert deployed.disk.registry(r"HKLM\SYSTEM\Setup")["CmdLine"] == ""
    assert deployed.disk.file(r"C:\Windows\System32\config\SYSTEM")
    assert deployed.disk.text(r"C:\lab-os.txt") == "in the new system\r\n"
