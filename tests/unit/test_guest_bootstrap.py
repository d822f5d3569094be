"""The agent's start: what it asks the site, what it tells the host, and its status messages."""

from __future__ import annotations

from typing import Any

from lab.client.bootstrap import Begin, Nothing
from lab.client.wizard import Page
from lab.clock import VirtualClock
from lab.guest.bootstrap import begin
from lab.guest.management import ManagementPoint
from lab.guest.reporting import Announced, Reporting
from lab.sequence import effects as fx
from tests.unit.sequence_world import World, command, run, sequence


class Site(ManagementPoint):
    """A management point of canned answers."""

    def __init__(self, deployments: int, policy: dict[str, Any] | None) -> None:
        super().__init__(lambda: "site", lambda: False, "52:54:00:00:00:01", "u", "m", VirtualClock())
        self.answer = policy
        self.offered = [
            {"deployment": f"LAB2000{n}", "name": f"S{n}", "purpose": "available"} for n in range(deployments)
        ]

    def assignments(self) -> dict[str, Any]:
        return {"assignments": self.offered} if self.offered else {"no_deployment": "nothing here"}

    def policy(self, deployment: str) -> dict[str, Any] | None:
        return self.answer

    def locations(self, package: str) -> dict[str, Any]:
        return {"package": package, "known": package == "LAB00001", "version": 1, "locations": []}


def started(site: Site, *typed: str) -> tuple[Begin | Nothing, list[Any], list[str]]:
    told: list[Any] = []
    log: list[str] = []
    lines = list(typed)

    def ask(page: Page) -> str:
        told.append(("wizard", page.to_json()))
        return lines.pop(0)

    result = begin(
        site, ask, lambda kind, data: told.append((kind, data)), lambda said: log.append(said["message"])
    )
    return result, told, log


def test_the_answers_of_the_keyboard_become_the_run_and_the_host_learns_no_value() -> None:
    site = Site(2, {"variables": {"A": "1"}, "unset": ["Room"], "references": ["LAB00001"]})
    result, told, log = started(site, "2", "B 12")
    assert isinstance(result, Begin)
    assert result.variables["Room"] == "B 12"
    assert [kind for kind, _ in told] == ["wizard", "wizard-done", "wizard", "wizard-done"]
    assert told[1] == ("wizard-done", {"page": "choose", "chosen": "LAB20000"})
    assert "B 12" not in repr(told[3])
    assert log[0].endswith("[ TSBootShell.exe ]" + "=" * 24)


def test_nothing_to_run_is_said_with_its_reason() -> None:
    assert started(Site(0, None))[0] == Nothing("nothing here")
    result, _, _ = started(Site(1, {"references": ["LAB00009"]}))
    assert isinstance(result, Nothing) and "LAB00009" in result.reason


def test_a_machine_without_a_network_waits_once_and_loses_its_messages() -> None:
    clock = VirtualClock()
    site = ManagementPoint(lambda: "site", lambda: False, "m", "u", "b", clock)
    assert not site.status([{"n": 1}])
    waited = clock.now()
    assert 15 < waited < 30
    assert not site.status([{"n": 2}])
    assert clock.now() == waited


def test_status_messages_leave_before_each_effect_and_at_the_end() -> None:
    tree = sequence(command("One"), command("Two"))
    sent: list[list[int]] = []
    reporting = Reporting(
        tree, lambda messages: bool(sent.append([one["id"] for one in messages])) or True, lambda: False,
        lambda: 1.0,
    )  # fmt: skip
    performer = Announced(World(), reporting.deliver)
    for event in run(tree, World()).events:
        reporting.take(event.kind, event.data)
        if event.kind == "step-finished":
            assert performer.perform(fx.GatherFacts()).ok
    reporting.deliver()
    assert sent == [[11144, 11134], [11134], [11143, 11171]]
