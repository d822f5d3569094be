"""A live run, the lab process's side: the front commands the machines, and each command gets one answer.

Commands come as lines on standard input: ``{"id", "op", "machine", ...}``; answers go out beside the
events: ``{"kind": "answer", "id", "value"}`` or ``{"kind": "answer", "id", "error": {...}}``. What breaks the
run ends it, as in any run; a command that cannot be done leaves it as it was.

| op | does | is answered |
|---|---|---|
| power-on | starts the machine | when it runs |
| cut-power | takes its power | when it is off and its last words are in |
| shutdown | has the agent power off, after the sequence | when it is off |
| go-on | lets an agent that is held go on | at once |
| screenshot | keeps a screen | with the file's name |
| read-disks | final-state.json; ``files``, ``registry``: questions | when it is written |
| clear-required | clears its required PXE deployments; it may be off | when the site has kept that |
| connect | a TCP connection to ``port`` of the machine | after its socket was handed over |
| end | leaves | when all is collected |
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from lab.clock import Clock, Deadline
from lab.disk.reader import Questions
from lab.errors import LabError, LabFault, UsageError
from lab.run.messages import ID_LENGTH, error_message
from lab.run.phases import Seen
from lab.run.session import MachineSession
from lab.run.strategy import Interrupted, drain, over_time, take_in
from lab.timeline import Timeline

#: Seconds a machine may take to answer a connection.
CONNECT_LIMIT = 10.0

Command = Mapping[str, Any]
#: Hands an open socket to the front, with the id of the command that asked for it.
HandOver = Callable[[socket.socket, int], None]


class Server:
    """Does commands on the machines of a run. ``clear_required`` has the site do it for a machine, and raises
    LabFault; ``addresses``: machine -> IPv4 address."""

    def __init__(
        self,
        sessions: Sequence[MachineSession],
        clear_required: Callable[[str], None],
        *,
        commands: SimpleQueue[Command],
        answer: Callable[[dict[str, Any]], None],
        hand_over: HandOver,
        addresses: Mapping[str, str],
    ) -> None:
        self._sessions = {session.name: session for session in sessions}
        self._clear_required = clear_required
        self._commands, self._answer, self._hand_over = commands, answer, hand_over
        self._addresses = addresses
        self._pending: list[tuple[int, MachineSession]] = []
        self._end: int | None = None

    def run(
        self,
        *,
        timeline: Timeline,
        inbox: SimpleQueue[Seen],
        clock: Clock,
        stop: threading.Event,
        time_limit: float,
    ) -> None:
        """Serve until ``end``; then collect, whatever happened. Raises as ``strategy.follow`` does."""
        sessions = list(self._sessions.values())
        deadline = Deadline(time_limit, clock)
        try:
            while self._end is None:
                take_in(self._sessions, timeline, inbox)
                for session in sessions:
                    if session.on:
                        session.poll_console()
                        session.check()
                self._answer_pending()
                self._obey()
                if stop.is_set():
                    raise Interrupted("the run was asked to stop")
                if deadline.passed():
                    raise over_time(sessions, timeline, time_limit)
        finally:
            for session in sessions:
                session.collect()
            drain(self._sessions, timeline, inbox)
        self._answer({"kind": "answer", "id": self._end, "value": None})

    def _answer_pending(self) -> None:
        for number, session in list(self._pending):
            if not session.on:
                self._pending.remove((number, session))
                self._answer({"kind": "answer", "id": number, "value": None})

    def _obey(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            number = int(command["id"])
            try:
                value, later = self._do(command)
            except LabError as error:
                self._answer({"kind": "answer", "id": number, "error": error_message(error)})
                continue
            if later is not None:
                self._pending.append((number, later))
            elif command["op"] != "end":
                self._answer({"kind": "answer", "id": number, "value": value})

    def _do(self, command: Command) -> tuple[Any, MachineSession | None]:
        """The answer, or the session whose going off is the answer. Raises LabError."""
        operation = command["op"]
        if operation == "end":
            self._end = int(command["id"])
            return None, None
        session = self._sessions[command["machine"]]
        if operation == "clear-required":
            self._clear_required(session.name)
            return None, None
        is_on = session.on
        if operation in ("power-on", "read-disks") and is_on:
            raise UsageError(f"machine '{session.name}' is on", hint="shutdown() or cut_power() comes first")
        if operation not in ("power-on", "read-disks") and not is_on:
            raise UsageError(f"machine '{session.name}' is off", hint="power_on() comes first")
        match operation:
            case "power-on":
                session.power_on()
            case "cut-power":
                session.cut_power()
                return None, session
            case "shutdown":
                if not session.ended:
                    raise UsageError(
                        f"the sequence of machine '{session.name}' is not over: its agent takes no order yet",
                        hint="wait_for(phase='finished') comes first; or cut_power()",
                    )
                session.tell("power-off")
                return None, session
            case "go-on":
                session.tell("go-on")
            case "screenshot":
                return session.take_screen("asked for"), None
            case "read-disks":
                session.read_disks(Questions(tuple(command["files"]), tuple(command["registry"])))
            case "connect":
                self._connect(session.name, int(command["port"]), int(command["id"]))
            case _:
                raise ValueError(f"unknown operation '{operation}'")
        return None, None

    def _connect(self, machine: str, port: int, number: int) -> None:
        address = self._addresses[machine]
        try:
            with socket.create_connection((address, port), CONNECT_LIMIT) as connection:
                connection.settimeout(None)
                self._hand_over(connection, number)
        except OSError as error:
            raise LabFault(f"machine '{machine}' does not answer on port {port}: {error}") from error


def hand_over_by(side: socket.socket) -> HandOver:
    """Hand sockets over by a connection to the front: they stay in this process's network."""

    def hand_over(connection: socket.socket, number: int) -> None:
        socket.send_fds(side, [number.to_bytes(ID_LENGTH, "big")], [connection.fileno()])

    return hand_over
