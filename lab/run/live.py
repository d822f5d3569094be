"""A live run, the front's side: machines that a test commands, asks, and waits for.

Messages of the lab process are taken in while a command is under way or something is waited for; between them
the lab process goes on by itself and what it says is kept in order. One thread only: the main thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.clock import Deadline, SystemClock, wait_until
from lab.disk.state import FinalState
from lab.errors import LabError, LabFault, PhaseTimeout, UsageError
from lab.hypervisor.naming import discard_disks
from lab.network.sandbox import sandbox_command, start_sandbox
from lab.run.conversation import Messages, OnEvent, died, end, environment, nothing
from lab.run.folder import make_folder, run_name
from lab.run.front import room_needed
from lab.run.hidden import hide, secret_values
from lab.run.messages import ID_LENGTH, as_error
from lab.run.plan import RunPlan
from lab.run.prepare import check_content, make_plan, read_checked_sequences
from lab.run.record import read_final_states, update_latest
from lab.run.simulated import rehearse
from lab.run.slots import machine_room
from lab.run.ssh import LabBackend, RunKey, live_host
from lab.scenario.loader import LoadedScenario
from lab.scenario.machines import MACHINE_NAME
from lab.sequence.model import TaskSequence
from lab.settings import Settings
from lab.timeline import Event

#: Seconds: for an answer to a command (reading disks and a clean end among them), for SSH to answer.
ANSWER_LIMIT = 400.0
SSH_LIMIT = 120.0

#: Observations that say nothing about the machine.
_OF_THE_LAB = frozenset({"lab", "screen", "hypervisor"})
#: What happens to a machine between two starts of its agent.
_GOES_DOWN = frozenset({"reset", "stopped", "crashed", "started"})


class LiveRun:
    """One machine of a scenario, from the making of its folder to its end. A context manager.

    ``events``: everything that was observed so far, in order. Raises LabError as ``run_scenario`` does, but
    for a lab that broke: that is raised by whatever is called next.
    """

    def __init__(
        self,
        loaded: LoadedScenario,
        settings: Settings,
        on_event: OnEvent = nothing,
        *,
        holds: tuple[str, ...] = (),
        say: Callable[[str], None] = nothing,
        command: list[str] | None = None,
    ) -> None:
        self.loaded, self.events = loaded, list[Event]()
        self._settings, self._on_event, self._say = settings, on_event, say
        self._holds, self._command = holds, command
        self._stack = ExitStack()
        self._number, self._closed = 0, False
        self._answers: dict[int, dict[str, Any]] = {}
        self._fault: LabError | None = None
        self._clock = SystemClock()
        self._key = RunKey()
        self._entered = ""  # the host key of the machine that the SSH session is with
        self._host: Any = None
        self._backend: LabBackend | None = None

    def __enter__(self) -> LiveRun:
        only_machine(self.loaded)
        sequences = read_checked_sequences(self.loaded)
        self.step_names = names_of(sequences.values(), self._holds)
        name = run_name(self.loaded.path.stem, datetime.now().astimezone(), "vm")
        self.folder = make_folder(self._settings.reports, name)
        update_latest(self._settings.reports, self.folder.name)
        for sequence in sequences.values():
            check_content(self.loaded, sequence)
        self._settings.make_cache()
        if missing := rehearse(self.loaded, sequences, self._settings):
            raise missing
        plan = self._live(make_plan(self.loaded, self._settings, self.folder, sequences, self._say))
        try:
            self._stack.enter_context(machine_room(plan.cache, room_needed(plan), say=self._say))
            self._start(plan)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self, *, keep_disks: bool = True) -> None:
        """End the run, once: machines off, everything collected, no secrets kept. Raises what broke in it."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._fault is None:
                self.order("end")
        finally:
            self._leave_ssh()
            try:
                self._stack.close()
            finally:
                hide(self.folder, secret_values(self.loaded))
            if not keep_disks and self._fault is None:
                discard_disks(self.folder / MACHINE_NAME)

    # Commands

    def order(self, operation: str, **more: Any) -> Any:
        """Have the lab process do something (``lab.run.serve``) and give its answer.

        Raises UsageError when it cannot be done now, LabFault when the lab is at fault.
        """
        if self._fault is not None:
            raise self._fault
        if self._closed and operation != "end":
            raise UsageError("the machine is gone: its run is over")
        self._number += 1
        number = self._number
        line = json.dumps({"id": number, "op": operation, "machine": MACHINE_NAME, **more})
        try:
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        except OSError:
            self._pump(0.0)  # it says why, if it still can
        deadline = Deadline(ANSWER_LIMIT, self._clock)
        while number not in self._answers:
            if deadline.passed():
                raise PhaseTimeout(
                    f"the lab to do '{operation}'", seconds=ANSWER_LIMIT, last_seen=self.last_seen
                )
            self._pump(deadline.left())
        answer = self._answers.pop(number)
        if "error" in answer:
            told = answer["error"]
            if told["kind"] == UsageError.__name__:
                raise UsageError(told["message"], hint=told["hint"])
            raise as_error(told)
        return answer["value"]

    def wait(self, question: Callable[[], bool], waited_for: str, seconds: float) -> None:
        """Take in what happens until the question is answered yes.

        Raises PhaseTimeout naming what was waited for and what the machine showed last, and what broke.
        """
        deadline = Deadline(seconds, self._clock)
        while not question():
            if deadline.passed():
                raise PhaseTimeout(waited_for, seconds=seconds, last_seen=self.last_seen)
            self._pump(min(1.0, deadline.left()))

    def refresh(self) -> None:
        """Take in what has come by now. Raises what broke."""
        while self._pump(0.0):
            pass

    @property
    def last_seen(self) -> str:
        for event in reversed(self.events):
            if event.machine and event.source not in _OF_THE_LAB:
                shown = json.dumps(event.data, ensure_ascii=False)[:200]
                return f"{event.source} {event.kind} {shown} at {event.time:.1f} s, in phase {event.phase}"
        return ""

    def power_on(self) -> None:
        self.order("power-on")

    def cut_power(self) -> None:
        self._leave_ssh()
        self.order("cut-power")

    def shutdown(self) -> None:
        self._leave_ssh()
        self.order("shutdown")

    def go_on(self) -> None:
        self.order("go-on")

    def clear_required(self) -> None:
        self.order("clear-required")

    def screenshot(self) -> Path:
        """The file of a new screenshot. Raises LabFault when there was none to take."""
        name = self.order("screenshot")
        if not name:
            raise LabFault("no screenshot could be taken", hint="see no-screenshot on the timeline")
        return self.folder / MACHINE_NAME / str(name)

    def final_state(self, files: tuple[str, ...] = (), registry: tuple[str, ...] = ()) -> FinalState:
        """What stands on the disks of the machine, which is off; ``files`` and ``registry`` as Questions."""
        self.order("read-disks", files=files, registry=registry)
        return read_final_states(self.folder)[MACHINE_NAME]

    # SSH

    def host(self) -> Any:
        """testinfra's host of the machine, once its door is open. Raises PhaseTimeout, LabFault."""
        self.wait(lambda: self.host_key() != "", "the machine to open its SSH door", SSH_LIMIT)
        if self._host is None:
            self._host, self._backend = live_host(MACHINE_NAME, self._log_in, self._same_start)
        return self._host

    def host_key(self) -> str:
        """The public host key that the machine told since it last started, or ""."""
        for event in reversed(self.events):
            if event.source == "hypervisor" and event.kind in _GOES_DOWN:
                return ""
            if event.source == "agent" and event.kind == "ssh":
                return str(event.data.get("host_key", ""))
        return ""

    def _same_start(self) -> bool:
        """Whether the machine has not gone down since the SSH session began. Raises what broke."""
        self.refresh()
        return self.host_key() == self._entered

    def _log_in(self) -> Any:
        self.wait(lambda: self.host_key() != "", "the machine to open its SSH door", SSH_LIMIT)
        last = [""]
        opened: list[socket.socket] = []

        def connected() -> bool:
            try:
                opened.append(self.connect())
            except PhaseTimeout:
                raise
            except LabFault as fault:
                if self._fault is not None:
                    raise
                last[0] = fault.message
                return False
            return True

        wait_until(
            connected, waited_for="the machine to answer on its SSH port", seconds=SSH_LIMIT,
            clock=self._clock, last_seen=lambda: last[0], every=0.5,
        )  # fmt: skip
        self._entered = self.host_key()
        return self._key.log_in(opened[0], self._entered)

    def connect(self, port: int = 22) -> socket.socket:
        """A connection to a port of the machine. Raises as ``order``."""
        self.order("connect", port=port)
        while True:
            told, handles, _, _ = socket.recv_fds(self._side, ID_LENGTH, 1)
            if not handles:
                raise died(self._process, self._log)
            connection = socket.socket(fileno=handles[0])
            if int.from_bytes(told, "big") == self._number:
                return connection
            connection.close()  # of a command before, whose answer came after its limit

    def _leave_ssh(self) -> None:
        if self._backend is not None:
            self._backend.leave()

    # The lab process

    def _live(self, plan: RunPlan) -> RunPlan:
        """The plan with what a live machine is told besides."""
        told = {
            "at_end": "stay",
            "holds": list(self._holds),
            "ssh": {"authorized_key": self._key.authorized_key},
        }
        machines = tuple(replace(item, policy={**item.policy, **told}) for item in plan.machines)
        return replace(plan, machines=machines, live=True)

    def _start(self, plan: RunPlan) -> None:
        self._side, theirs = socket.socketpair()
        self._stack.callback(self._side.close)
        self._log = self.folder / "lab.log"
        command = self._command or sandbox_command(root=os.geteuid() == 0, arguments=[str(theirs.fileno())])
        with theirs, self._log.open("wb") as stderr:
            self._process = start_sandbox(
                command, stderr=stderr, environment=environment(), hand_down=[theirs.fileno()]
            )
        self._stack.callback(end, self._process)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input = self._process.stdin
        self._messages = Messages(self._process.stdout.fileno())
        with contextlib.suppress(OSError):  # it died: the next command says so
            self._input.write(plan.to_line())
            self._input.flush()

    def _pump(self, seconds: float) -> bool:
        """Take one message in, if there is one within that time. Raises what broke the run."""
        try:
            message = self._messages.take(seconds)
        except EOFError:
            self._fault = self._fault or died(self._process, self._log)
            raise self._fault from None
        if message is None:
            return False
        match message["kind"]:
            case "event":
                event = Event(**message["event"])
                self.events.append(event)
                self._on_event(event)
            case "answer":
                self._answers[int(message["id"])] = message
            case "done" if message["error"] is not None:
                told = message["error"]
                self._fault = as_error(told)
                if "traceback" in told:  # a bug of ours is no fault of the lab
                    raise RuntimeError(f"in the lab process:\n{told['traceback']}")
                raise self._fault
        return True


def only_machine(loaded: LoadedScenario) -> None:
    """Raises UsageError for several machines: a test commands one, which goes by the name of the only one."""
    if len(loaded.machines) > 1 or any(one.name != MACHINE_NAME for one in loaded.machines):
        raise UsageError(
            "a machine that a test commands is the only one of its run", hint="leave out 'machines'"
        )


def names_of(sequences: Iterable[TaskSequence], holds: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of steps and groups. Raises UsageError for a hold before a step that is not there."""
    names = tuple(dict.fromkeys(item.name for one in sequences for _, _, item in one.walk()))
    for name in holds:
        if name not in names:
            raise UsageError(f"the sequence has no step '{name}'", hint="it has: " + ", ".join(names))
    return names


def of_this_start(events: list[Event]) -> Iterator[Event]:
    """The machine's events since its last power-on."""
    first = 0
    for index, event in enumerate(events):
        if event.source == "lab" and event.kind == "phase" and event.phase == "off":
            first = index
    yield from events[first:]
