"""A required deployment runs once on a machine that starts from the network, until its flag is cleared.

``pytest scenarios/test_required_again.py``, with ``--fidelity sim`` too. See README, "Tests in Python".
"""

from __future__ import annotations

import pytest


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
