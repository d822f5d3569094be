"""The final state read in a process of its own, so that no image can crash or hang the lab.

The parsers are C code fed with bytes that a test may have damaged on purpose. The child has limits on memory
and time and touches nothing but its pipes: it asks for blocks on its standard output, the parent reads them
through the hypervisor's handles and answers on the child's standard input. Start-up costs about 0.2 s.

Child to parent, one JSON line each: {"read": [disk, offset, size]}, at the end {"state": ...} or
{"fault": [message, hint]}. Parent to child: first a line with the questions and the disks' sizes; then for
each read a line with the count of bytes, followed by them.
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

from lab.disk.reader import Questions, read_final_state
from lab.disk.source import Source
from lab.disk.state import FinalState
from lab.errors import LabFault

#: Seconds that reading may take in all.
SECONDS = 300.0

#: Address space of the child in bytes.
MEMORY = 4 << 30


def read_in_child(
    disks: Sequence[Source], questions: Questions | None = None, *, seconds: float = SECONDS
) -> FinalState:
    """As ``read_final_state``, in a child process.

    Raises LabFault, also when the child dies or takes more than ``seconds``.
    """
    command = [sys.executable, "-P", "-m", "lab.disk.isolated"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        late = threading.Event()

        def end() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            return _serve(child, disks, questions or Questions())
        except _Ended as ended:
            code = child.wait()
            slow = f"it took more than {seconds:.0f} s"
            reason = slow if late.is_set() else f"its reader ended with {code}"
            raise LabFault(
                f"the disks could not be read: {reason}",
                hint="the image is kept beside the report; its file systems may be damaged",
            ) from ended
        finally:
            timer.cancel()
            child.kill()
            _close(child.stdin)


class _Ended(Exception):
    """The child closed its pipes without an answer."""


def _serve(child: subprocess.Popen[bytes], disks: Sequence[Source], questions: Questions) -> FinalState:
    assert child.stdin is not None and child.stdout is not None
    job = {
        "files": questions.files,
        "registry": questions.registry,
        "sizes": [disk.size for disk in disks],
    }
    try:
        _send(child.stdin, json.dumps(job).encode() + b"\n")
        while line := child.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            if "state" in message:
                return FinalState.from_json(message["state"])
            if "fault" in message:
                raise LabFault(message["fault"][0], hint=message["fault"][1])
            disk, offset, size = message["read"]
            data = _read(disks, disk, offset, size)
            _send(child.stdin, b"%d\n%b" % (len(data), data))
    except (BrokenPipeError, ValueError, KeyError, TypeError) as error:  # it may say anything
        raise _Ended from error
    raise _Ended


def _read(disks: Sequence[Source], disk: int, offset: int, size: int) -> bytes:
    try:
        return disks[disk].read(offset, size)
    except Exception as error:
        raise LabFault(
            f"disk {disk} could not be read at byte {offset}: {error}",
            hint="the machine must be off and its disk image reachable",
            causes=[error],
        ) from error


def _close(pipe: IO[bytes] | None) -> None:
    """Close the way to a child that may be gone with bytes still in the buffer."""
    with contextlib.suppress(BrokenPipeError):
        if pipe is not None:
            pipe.close()


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(data)
    pipe.flush()


class _Remote:
    """A disk on the parent's side of the pipes."""

    def __init__(self, index: int, size: int) -> None:
        self._index = index
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        _send(sys.stdout.buffer, json.dumps({"read": [self._index, offset, size]}).encode() + b"\n")
        count = sys.stdin.buffer.readline()
        if not count:
            raise OSError("the reading process lost its parent")
        return sys.stdin.buffer.read(int(count))


def main() -> None:
    """The child."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = json.loads(sys.stdin.buffer.readline())
    disks = [_Remote(index, size) for index, size in enumerate(job["sizes"])]
    answer: dict[str, Any]
    try:
        state = read_final_state(disks, Questions(tuple(job["files"]), tuple(job["registry"])))
        answer = {"state": state.to_json()}
    except LabFault as fault:
        answer = {"fault": [fault.message, fault.hint]}
    _send(sys.stdout.buffer, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
