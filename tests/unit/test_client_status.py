"""Status messages of a run: which ids, about what, and what becomes of those that do not get through."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from lab.client.status import AT_ONCE, Message, Outbox, Reporter
from lab.sequence.model import TaskSequence
from lab.site.messages import BODY_LIMIT, read_report
from tests.unit.sequence_world import World, command, group, run, sequence, set_variable, when


def messages(tree: TaskSequence, world: World, **more: Any) -> list[Message]:
    told = run(tree, world, **more)
    reporter = Reporter(tree)
    return [message for event in told.events for message in reporter.take(event.kind, event.data, 17.5)]


def test_a_run_is_told_by_the_ids_that_are_known() -> None:
    tree = sequence(
        group(
            "Prepare",
            set_variable("A", "1"),
            replace(command("Off"), disabled=True),
            replace(command("Not now"), condition=when("A", "equals", "2")),
            replace(command("May fail", "bad"), continue_on_error=True),
        ),
        replace(group("Never", command("x")), condition=when("A", "equals", "2")),
        group("Outer", group("Inner", command("Last", "worse"))),
    )
    told = messages(tree, World(commands={"bad": 7, "worse": 9}))
    assert [(one["id"], one["action"], one["group"]) for one in told] == [
        (11144, "", ""),
        (11124, "", "Prepare"),
        (11134, "Set A", "Prepare"),
        (11128, "Off", "Prepare"),
        (11130, "Not now", "Prepare"),
        (11135, "May fail", "Prepare"),
        (11138, "May fail", ""),
        (11127, "", "Prepare"),
        (11122, "", "Never"),
        (11124, "", "Outer"),
        (11124, "", "Inner"),
        (11135, "Last", "Inner"),
        (11141, "", ""),
    ]
    assert [one["n"] for one in told] == list(range(1, len(told) + 1))
    failed = told[5]
    assert (failed["severity"], failed["code"], failed["time"]) == ("error", 7, 17.5)
    text = "failed executing the action (May fail) in the group (Prepare) with the error code 7"
    assert text in failed["text"]


def test_a_sequence_that_succeeds_ends_with_engine_and_manager() -> None:
    told = messages(sequence(command("Only")), World())
    assert [one["id"] for one in told[-2:]] == [11143, 11171]
    assert told[-1]["component"] == "Task Sequence Manager"
    assert messages(sequence(command("Only")), World(in_winpe=False))[0]["id"] == 11140


def test_the_output_is_the_actions_own_records_and_hides_secrets() -> None:
    tree = sequence(command("Print", "print %Password1%"))
    told = run(tree, World(), {"Password1": "hunter2"}, ("Password1",))
    reporter = Reporter(tree)
    made = [one for event in told.events for one in reporter.take(event.kind, event.data, 0.0)]
    (done,) = [one for one in made if one["id"] == 11134]
    assert "Action output:" in done["text"] and "print ***" in done["text"]
    assert "hunter2" not in repr(made)
    assert "Start executing the command line" not in done["text"]  # TSManager's, not the action's


def test_of_a_long_output_the_end_counts() -> None:
    reporter = Reporter(sequence(command("Last")))
    reporter.take("record", {"component": "OSDRunScript", "message": "first" + "." * 2000 + "last"}, 1.5)
    (done,) = reporter.take("step-finished", {"pointer": 0, "result": "success", "code": 0}, 1.5)
    assert done["text"].endswith(".last") and "first" not in done["text"]


def test_a_restart_is_told_before_the_machine_goes_down() -> None:
    reporter = Reporter(sequence(command("a")))
    (message,) = reporter.take("restart", {"target": "HD"}, 1.0)
    assert message["id"] == 11142


class Site:
    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.got: list[list[int]] = []

    def post(self, batch: list[Message]) -> bool:
        self.got.append([one["n"] for one in batch])
        return self.answers.pop(0)


def test_what_no_try_gets_through_is_lost_and_the_next_ones_go() -> None:
    site = Site(False, True, False, False, False, True)
    outbox = Outbox(site.post, lambda: False)
    for number in (1, 2, 3):
        outbox.add([{"n": number}])
        outbox.deliver()
    outbox.deliver()
    assert site.got == [[1], [1], [2], [2], [2], [3]]
    assert outbox.lost == 1


def test_many_messages_go_in_bodies_that_the_site_takes() -> None:
    site = Site(False, *[True] * 12)
    outbox = Outbox(site.post, lambda: False)
    outbox.add([{"n": number} for number in range(1100)])
    outbox.deliver()
    assert [batch[0] for batch in site.got] == [0, 0, *range(100, 1100, 100)]
    reporter = Reporter(sequence(command("Last")))
    reporter.take("record", {"component": "OSDRunScript", "message": "\u2260" * 10_000}, 1.5)
    longest = reporter.take("step-finished", {"pointer": 0, "result": "failed", "code": 1}, 1.5)
    body = json.dumps({"mac": "52:54:00:00:00:01", "start": "s", "messages": longest * AT_ONCE}).encode()
    assert len(body) < BODY_LIMIT and len(read_report(body).messages) == AT_ONCE


def test_while_the_site_is_away_each_post_is_tried_once() -> None:
    site = Site(False, False, False, False, True, False, True)
    outbox = Outbox(site.post, lambda: False)
    for number in (1, 2, 3, 4):
        outbox.add([{"n": number}])
        outbox.deliver()
    assert site.got == [[1], [1], [1], [2], [3], [4], [4]]


def test_disable_status_retry_ends_all_sending_after_the_first_failure() -> None:
    site = Site(False, False, False)
    outbox = Outbox(site.post, lambda: True)
    for number in (1, 2):
        outbox.add([{"n": number}])
        outbox.deliver()
    assert site.got == [[1], [1], [1]]
    assert outbox.lost == 2


def test_a_start_that_was_told_to_be_quiet_stays_quiet() -> None:
    site, answers = Site(False, False, False), [True, False, False]
    outbox = Outbox(site.post, lambda: answers.pop(0))
    for number in (1, 2, 3):
        outbox.add([{"n": number}])
        outbox.deliver()
    assert site.got == [[1]] * 3 and outbox.lost == 3
