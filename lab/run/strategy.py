"""How a run goes: every machine on, followed until all are off, collected always, and broken stays broken."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from lab.clock import Clock, Deadline
from lab.errors import LabError, LabFault, PhaseTimeout
from lab.run.phases import Seen
from lab.run.session import MachineSession
from lab.timeline import Timeline

#: How often the consoles are read and the limits looked at, in seconds.
_BEAT = 0.1


class Interrupted(LabFault):
    """The run was asked to stop: the user's Ctrl-C, or the front is gone."""


#: What to do when a run came to its limit though no phase did.
OVER_TIME = (
    "the machine got on, but never to its end: give it longer ('limits: time' in the scenario), or see in "
    "timeline.jsonl whether it starts over and over"
)


def follow(
    sessions: Sequence[MachineSession],
    *,
    timeline: Timeline,
    inbox: SimpleQueue[Seen],
    clock: Clock,
    stop: threading.Event,
    time_limit: float,
) -> None:
    """Power the machines on and follow them until all are off; then collect, whatever happened.

    ``time_limit`` in seconds, for the whole run. Raises the first thing that broke: LabFault, PhaseTimeout,
    Interrupted.
    """
    by_name = {session.name: session for session in sessions}
    deadline = Deadline(time_limit, clock)
    try:
        for session in sessions:
            session.power_on()
        while not all(session.over for session in sessions):
            take_in(by_name, timeline, inbox)
            for session in sessions:
                if not session.over:
                    session.poll_console()
                    session.check()
                    if session.over:  # the others need what it would take of the host
                        session.switch_off()
            if stop.is_set():
                raise Interrupted("the run was asked to stop")
            if deadline.passed():
                raise over_time(sessions, timeline, time_limit)
    finally:
        for session in sessions:
            session.collect()
        drain(by_name, timeline, inbox)


def take_in(
    by_name: dict[str, MachineSession], timeline: Timeline, inbox: SimpleQueue[Seen], wait: float = _BEAT
) -> None:
    """What came into the inbox: wait for the first at most a beat, take along those that are there by then.

    No more than those: a machine that never stops talking must not keep its limits from being looked at.
    """
    try:
        seen = inbox.get(timeout=wait) if wait else inbox.get_nowait()
        _pass_on(seen, by_name, timeline)
        for _ in range(inbox.qsize()):
            _pass_on(inbox.get_nowait(), by_name, timeline)
    except Empty:
        return


def _pass_on(seen: Seen, by_name: dict[str, MachineSession], timeline: Timeline) -> None:
    if seen.source == "lab" and seen.kind == "helper-ended":
        timeline.append("lab", "helper-ended", details=seen.data)
        raise LabFault(
            f"{seen.data['name']} ended with code {seen.data['code']}: {seen.data['tail'] or 'no word'}",
            hint="see lab.log and dnsmasq.log",
        )
    session = by_name.get(seen.machine)
    if session is None:
        timeline.append(seen.source, seen.kind, source_time=seen.source_time, details=seen.data)
    else:
        session.observe(seen)


def drain(by_name: dict[str, MachineSession], timeline: Timeline, inbox: SimpleQueue[Seen]) -> None:
    """What is left belongs on the timeline; it can break nothing any more."""
    while not inbox.empty():
        try:
            take_in(by_name, timeline, inbox, wait=0)
        except LabError as error:
            timeline.append("lab", "broken-too", details={"message": error.message})


def over_time(sessions: Sequence[MachineSession], timeline: Timeline, limit: float) -> PhaseTimeout:
    """What to raise of a run that came to its limit."""
    # Of the machine: the lab's own screenshots say nothing.
    last = next((e for e in reversed(timeline.events) if e.source != "screen"), timeline.events[-1])
    for session in sessions:
        if not session.over:
            session.take_screen("over time")
    return PhaseTimeout(
        "the run to end",
        seconds=limit,
        last_seen=f"{last.source} {last.kind} at {last.time:.1f} s",
        hint=OVER_TIME,
    )
