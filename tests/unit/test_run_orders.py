"""Orders to the site's service: what it answers, what it does not, and that it is gone."""

from __future__ import annotations

import json

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault, PhaseTimeout
from lab.run.orders import SiteOrders

MAC, UUID = "52:54:00:00:00:AB", "AAAAAAAA-0000-4000-8000-000000000001"


def test_an_order_is_done_when_its_own_answer_came() -> None:
    orders, sent = SiteOrders(VirtualClock()), list[dict[str, object]]()

    def send(line: str) -> None:
        sent.append(json.loads(line))
        orders.answered(json.dumps({"answer": len(sent), "error": "" if len(sent) == 1 else "a full disk"}))

    orders.clear_required(send, MAC, UUID)
    with pytest.raises(LabFault, match="not cleared: a full disk"):
        orders.clear_required(send, MAC, UUID)
    who = {"mac": MAC.lower(), "uuid": UUID.lower()}
    assert sent == [{"order": number, "clear_required": who} for number in (1, 2)]


def test_a_service_that_dies_of_an_order_is_waited_for_no_longer() -> None:
    clock = VirtualClock()
    orders = SiteOrders(clock)
    with pytest.raises(LabFault, match="the site service has ended"):
        orders.clear_required(lambda line: orders.ended(), MAC, UUID)
    assert clock.now() == 0.0


def test_a_service_that_does_not_answer_is_told_so() -> None:
    with pytest.raises(PhaseTimeout, match="to clear the required PXE deployments"):
        SiteOrders(VirtualClock()).clear_required(lambda line: None, MAC, UUID)
