"""The lab process: ``python -m lab.run.process``, inside the namespaces, one per run.

Reads the plan as the first line of standard input and writes JSON lines to standard output:
``{"kind": "event", "event": {...}}`` for each event, and at the end ``{"kind": "done", "error": null}`` or
``{"kind": "done", "error": {"kind", "message", "hint"}}``. Later lines of its input are the commands of a
live run (``lab.run.serve``), which also has an argument: the number of the socket to hand connections over
by. End of file on standard input ends it. It owns everything that lives in the run and is the only writer of
timeline.jsonl.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from lab.clock import SystemClock
from lab.errors import EXIT_INTERRUPTED, LabError
from lab.network import inside
from lab.run.messages import as_fault, error_message
from lab.run.plan import RunPlan
from lab.run.serve import Command, Server, hand_over_by
from lab.run.world import Serve, World
from lab.timeline import Event, Timeline

#: Seconds the clean end may take after the lifeline ended; then the process just goes, and all with it.
_CLEAN_END = 20.0
#: Seconds a front may leave the last messages unread: somebody may have stopped its terminal.
_HAND_OVER = 600.0


class Outbox:
    """Messages to the front, from a thread of its own: a front that reads slowly holds nothing up."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="outbox", daemon=True)
        self._thread.start()

    def send(self, message: dict[str, Any]) -> None:
        self._queue.put(message)

    def event(self, event: Event) -> None:
        self.send({"kind": "event", "event": json.loads(event.to_json())})

    def close(self) -> None:
        """Return when everything has been handed over, or the front is gone, or reads no more."""
        self._queue.put(None)
        self._thread.join(_HAND_OVER)

    def _write(self) -> None:
        gone = False
        while (message := self._queue.get()) is not None:
            if gone:
                continue
            try:
                self._stream.write(json.dumps(message).encode() + b"\n")
                self._stream.flush()
            except OSError:  # the front is gone: the timeline's file still has it all
                gone = True


def work(
    plan: RunPlan,
    places: inside.PrivatePlaces,
    outbox: Outbox,
    stop: threading.Event,
    serve: Serve | None = None,
) -> None:
    """The run itself. Raises what broke it."""
    clock = SystemClock()
    with ExitStack() as stack:
        file = stack.enter_context((plan.folder / "timeline.jsonl").open("w", encoding="utf-8"))
        timeline = Timeline(clock, file)
        timeline.follow(outbox.event)
        timeline.append("lab", "run-started", name=plan.name, live=plan.live, process=os.getpid())
        try:
            with World(plan, places, timeline=timeline, clock=clock) as world:
                world.run(stop, serve)
        except LabError as error:
            if not any(event.kind == "lab-error" for event in timeline.events):  # the agent may have said it
                timeline.append("lab", "lab-error", details=error_message(error))
            raise
        finally:
            timeline.append("lab", "run-ended")


def main() -> int:
    """Read the plan, shut the sandbox, run, say how it ended."""
    # What libraries print must not get between the messages: standard output becomes standard error.
    outbox = Outbox(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    stop, over = threading.Event(), threading.Event()
    error: BaseException | None = None
    folders: tuple[Path, ...] = ()
    try:
        line = sys.stdin.buffer.readline()
        if not line.endswith(b"\n"):
            return EXIT_INTERRUPTED  # the front died while it wrote
        plan = RunPlan.from_json(json.loads(line))
        folders = (plan.folder, plan.cache)
        places = enter_sandbox(plan)
        commands: SimpleQueue[Command] = SimpleQueue()
        watch_lifeline(sys.stdin.buffer, stop, over, commands=commands)
        work(plan, places, outbox, stop, live(plan, commands, outbox))
    except Exception as raised:  # reported to the front, which decides what it means
        error = as_fault(raised, *folders) or raised
        if not isinstance(error, LabError):
            traceback.print_exc()
    outbox.send({"kind": "done", "error": error_message(error) if error else None})
    outbox.close()
    over.set()
    return 0 if error is None else 1


def enter_sandbox(plan: RunPlan) -> inside.PrivatePlaces:
    """Close the file system but for the run's folder and the cache."""
    needed = {plan.project, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).parent}
    needed |= {Path(path).parent for files in plan.content.values() for path in files.values()}
    needed |= {Path(path).parent for path in plan.boot_files.values()}
    readable = sorted(path for path in needed if path.is_dir())
    return inside.enter(writable=[plan.folder, plan.cache], readable=readable)


def live(plan: RunPlan, commands: SimpleQueue[Command], outbox: Outbox) -> Serve | None:
    """What a live run needs besides the plan; None for a run that nobody commands."""
    if not plan.live:
        return None
    side = socket.socket(fileno=int(sys.argv[1]))
    side.set_inheritable(False)  # no machine and no helper gets it
    addresses = {machine.spec.name: machine.address for machine in plan.machines}
    return partial(
        Server, commands=commands, answer=outbox.send, hand_over=hand_over_by(side), addresses=addresses
    )


def watch_lifeline(
    stream: IO[bytes],
    stop: threading.Event,
    over: threading.Event,
    leave: Callable[[int], None] = os._exit,
    *,
    commands: SimpleQueue[Command] | None = None,
) -> None:
    """Set ``stop`` at the end of the stream; leave at once when the clean end then takes too long.

    Whole lines go to ``commands``.
    """

    def watch() -> None:
        while line := stream.readline():
            if commands is not None and line.endswith(b"\n"):
                commands.put(json.loads(line))
        stop.set()
        if not over.wait(_CLEAN_END):
            leave(EXIT_INTERRUPTED)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # daemon threads of libvirt's event loop must not hold the end up
