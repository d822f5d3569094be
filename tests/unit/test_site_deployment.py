"""Whether a machine is offered its deployment."""

from __future__ import annotations

from lab.site.deployment import Deployments

MAC = "52:54:00:00:00:01"


def test_a_required_deployment_is_offered_once_for_each_machine_however_often_a_start_asks() -> None:
    site = Deployments()
    first = [site.decide(MAC, "required", "boot-1") for _ in range(2)]
    assert [(made.offered, made.attempt) for made in first] == [(True, 1), (True, 1)]
    again = site.decide(MAC.upper(), "required", "boot-2")
    assert (again.offered, again.attempt) == (False, 2) and "already" in again.refusal()["no_deployment"]
    assert site.decide("52:54:00:00:00:02", "required", "boot-2").offered


def test_an_available_one_is_offered_at_every_start() -> None:
    site = Deployments()
    made = [site.decide(MAC, "available", f"boot-{n}") for n in range(3)]
    assert [(one.offered, one.attempt) for one in made] == [(True, 1), (True, 2), (True, 3)]
