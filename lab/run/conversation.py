"""A plan done by a lab process: the front's end of the JSON lines, and the lab process's certain end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.clock import Deadline, SystemClock
from lab.errors import LabFault
from lab.network.sandbox import sandbox_command, start_sandbox
from lab.run.plan import RunPlan
from lab.timeline import Event

OnEvent = Callable[[Event], None]

#: Seconds the lab process gets for a clean end after its input was closed.
_CLEAN_END = 25.0
#: Seconds beyond the run's own limit after which a silent lab process counts as dead.
_SILENCE = 600.0
_SIGNALS = frozenset(int(number) for number in signal.Signals)


def nothing(_: Any) -> None:
    """What to do with events or words when nobody wants them."""


def run_plan(
    plan: RunPlan, on_event: OnEvent = nothing, *, command: list[str] | None = None
) -> dict[str, Any] | None:
    """Have a plan done by a lab process in a sandbox. What broke, as the lab process told it, or None.

    Raises LabFault when the lab process cannot be started or dies without a word, KeyboardInterrupt after a
    clean end. What the lab process wrote to its standard error is in ``lab.log``.
    """
    log = plan.folder / "lab.log"
    with log.open("wb") as stderr:
        process = start_sandbox(
            command or sandbox_command(root=os.geteuid() == 0), stderr=stderr, environment=environment()
        )
    limit = plan.time_limit * 10 + _SILENCE
    assert process.stdout is not None
    messages = Messages(process.stdout.fileno())
    try:
        return _converse(process, plan, on_event, log, messages, limit)
    except KeyboardInterrupt:
        with contextlib.suppress(LabFault, ValueError):
            _close_input(process)
            for message in messages.read(_CLEAN_END):
                _relay(message, on_event)
        raise
    finally:
        end(process)


def environment() -> dict[str, str]:
    """The lab process's environment: ours, with the folders of ip and dnsmasq, and no user's Python."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env["PATH"] = ":".join([env.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]).strip(":")
    env["PYTHONUNBUFFERED"] = "1"
    # The package must be found from any folder, installed or not.
    env["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    return env


def _converse(
    process: subprocess.Popen[bytes],
    plan: RunPlan,
    on_event: OnEvent,
    log: Path,
    messages: Messages,
    limit: float,
) -> dict[str, Any] | None:
    assert process.stdin is not None
    try:
        process.stdin.write(plan.to_line())
        process.stdin.flush()
    except OSError as error:
        raise died(process, log) from error
    for message in messages.read(limit):
        if message["kind"] == "done":
            broke: dict[str, Any] | None = message["error"]
            return broke
        _relay(message, on_event)
    raise died(process, log)


def _relay(message: dict[str, Any], on_event: OnEvent) -> None:
    if message["kind"] == "event":
        on_event(Event(**message["event"]))


class Messages:
    """The lab process's messages. Reading them can be broken off (Ctrl-C) and taken up again."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._rest = b""
        self._lines: deque[bytes] = deque()

    def take(self, seconds: float) -> dict[str, Any] | None:
        """The next message, or None when there is none within ``seconds``. Raises EOFError at the end."""
        deadline = Deadline(seconds, SystemClock())
        while not self._lines:
            if not select.select([self._output], [], [], deadline.left())[0]:
                return None
            data = os.read(self._output, 1 << 16)
            if not data:
                raise EOFError
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines += lines
        message: dict[str, Any] = json.loads(self._lines.popleft())
        return message

    def read(self, limit: float) -> Iterator[dict[str, Any]]:
        """The messages until the output ends. Raises LabFault after ``limit`` silent seconds."""
        deadline = Deadline(limit, SystemClock())
        while True:
            while self._lines:
                yield json.loads(self._lines.popleft())
            if not select.select([self._output], [], [], deadline.left())[0]:
                raise LabFault(f"the lab process said nothing for {limit:.0f} s", hint="see lab.log")
            data = os.read(self._output, 1 << 16)
            if not data:
                return
            deadline = Deadline(limit, SystemClock())
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines += lines


def died(process: subprocess.Popen[bytes], log: Path) -> LabFault:
    """What to say of a lab process that ended without its last message."""
    end(process)
    code = process.returncode
    killed_by = -code if code < 0 else code - 128  # of unshare itself; or of what it ran, as a shell says it
    how = f"signal {signal.Signals(killed_by).name}" if killed_by in _SIGNALS else f"code {code}"
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    said = "; ".join(tail) or "without a word"
    return LabFault(
        f"the lab process ended too early ({how}): {said}", hint="see lab.log, and 'osdlab doctor'"
    )


def _close_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Make sure that nothing of the lab is left: a clean end first, then the death of the namespace."""
    _close_input(process)
    try:
        process.wait(_CLEAN_END)
    except subprocess.TimeoutExpired:
        process.kill()  # unshare's death kills the namespace's init, and that everything
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
