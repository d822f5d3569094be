"""Running the system's tools: one small port, and its implementation without the weight of ``subprocess``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: How much of a tool's output is kept, in bytes.
KEPT_OUTPUT = 262_144

NOT_FOUND = 127
TIMED_OUT = 124


@dataclass(frozen=True)
class Ran:
    """What came of a tool: exit code (negative: the signal that ended it), output and errors together."""

    code: int
    output: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


class Runner(Protocol):
    """Runs a program to its end. Never raises for what the program does; ``timeout`` in seconds."""

    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran: ...


class ToolFailed(Exception):
    """A tool said no. The performer turns it into an outcome."""

    def __init__(self, command: Sequence[str], ran: Ran) -> None:
        self.ran = ran
        name = os.path.basename(command[0])
        super().__init__(f"{name} ended with {ran.code}: {ran.last_line or 'no output'}")


def must(runner: Runner, *command: str, timeout: float = 60.0, input: str = "") -> str:
    """Run a tool and give its output. Raises ToolFailed with the tool's last line."""
    ran = runner.run(command, timeout=timeout, input=input)
    if not ran.ok:
        raise ToolFailed(command, ran)
    return ran.output


class SystemRunner:
    """Runs programs for real. Output goes through memory files, so a chatty tool cannot block."""

    def run(self, command: Sequence[str], *, timeout: float, input: str = "") -> Ran:
        import select
        import signal

        source, sink = os.memfd_create("in"), os.memfd_create("out")
        try:
            os.write(source, input.encode())
            os.lseek(source, 0, os.SEEK_SET)
            try:
                child = os.posix_spawnp(
                    command[0],
                    list(command),
                    dict(os.environ, LC_ALL="C.UTF-8"),
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, source, 0),
                        (os.POSIX_SPAWN_DUP2, sink, 1),
                        (os.POSIX_SPAWN_DUP2, sink, 2),
                    ],
                    setpgroup=0,
                )
            except OSError as error:
                return Ran(NOT_FOUND, f"{command[0]}: {error.strerror}")
            handle = os.pidfd_open(child)
            try:
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                in_time = bool(poll.poll(timeout * 1000))
                if not in_time:
                    os.killpg(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            finally:
                os.close(handle)
            size = os.lseek(sink, 0, os.SEEK_END)
            output = os.pread(sink, KEPT_OUTPUT, max(0, size - KEPT_OUTPUT)).decode("utf-8", "replace")
            if not in_time:
                return Ran(TIMED_OUT, f"{output}\n{command[0]} did not end within {timeout:.0f} s")
            return Ran(os.waitstatus_to_exitcode(status), output)
        finally:
            os.close(source)
            os.close(sink)
