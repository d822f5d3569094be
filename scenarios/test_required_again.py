"""A required deployment runs once on a machine that starts from the network, until its flag is cleared.

``pytest scenarios/test_required_again.py``, with ``--fidelity sim`` too. See README, "Tests in Python".
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.vm(takes="6m")


@pytest.mark.rule("R40")
def test_a_required_deployment_is_offered_again_once_it_was_cleared(lab):
    machine = lab.machine(
        "uefi-x64",
        site="who-is-it.yaml",
        mac="52:54:00:1d:00:08",
        uuid="1d000000-0000-4000-8000-000000000108",
        f12="left",  # nobody presses a key: none is asked for
    )
    assert machine.power_on().wait_for_end().result == "success"
    machine.shutdown()

    assert machine.power_on().wait_for_end().result == "not-started"
    assert "LAB20043: it is required and was offered already" in machine.run.reason
    machine.cut_power()

    machine.clear_required()
    assert machine.power_on().wait_for_end().result == "success"
    assert machine.run.variables["Role"] == "offered once more"
    decisions = [event.data for event in machine.run.events if event.kind == "pxe"]
    assert [(one["action"], one["mandatory"]) for one in decisions] == [
        ("boot", True),
        ("abort", False),
        ("boot", True),
    ]


@pytest.mark.rule("R40")
def test_a_machine_that_asks_the_network_first_is_refused_and_starts_from_its_disk(lab):
    machine = lab.machine(
        "bios-x64-network-first",
        sequence="bare-metal.xml",
        deployment={"purpose": "required"},
        doubles=[{"command": "*"}],
        f12="left",
    )

    def decisions():
        return [event.data["action"] for event in machine.run.events if event.kind == "pxe"]

    assert machine.power_on().wait_for_end().result == "success"
    restarts = len(decisions()) - 1
    assert restarts >= 2 and decisions() == ["boot"] + ["abort"] * restarts  # on its way, too
    machine.shutdown()

    assert machine.power_on().wait_for_end().result == "not-started"
    assert "no task sequence is going on; the system stays up" in machine.run.reason
    assert decisions() == ["boot"] + ["abort"] * (restarts + 1)
    machine.cut_power()
    assert machine.disk.file("C:\\Windows\\System32\\config\\SYSTEM")
