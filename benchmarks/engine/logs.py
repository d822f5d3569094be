"""How fast a log is parsed, beside a plain regular expression over the same log as the floor.

``python -m benchmarks.engine.logs [FILE]``: FILE, or a log in the shape of smsts.log made on the fly, is
repeated to at least 50 MB. Parsing finds every record with its fields and line; text is decoded on demand.
CPU time of one core, the best of three.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.logs.scan import scan
from lab.logs.source import source_of
from lab.sequence.smsts import format_record

SIZE = 50_000_000
TARGET = 40.0  # MB/s

_PLAIN = re.compile(
    rb'<!\[LOG\[(.*?)\]LOG\]!><time="([^"]*)" date="([^"]*)" component="([^"]*)" context="([^"]*)" '
    rb'type="([^"]*)" thread="([^"]*)" file="([^"]*)">',
    re.DOTALL,
)
_MESSAGES = (
    "Start executing an instruction. Instruction name: Apply Operating System. Instruction pointer: 12",
    "Set a global environment variable _SMSTSNextInstructionPointer=12",
    "Expand a string: %_SMSTSMDataPath%\\Logs",
    "!--------------------------------------------------------------------------------------------!",
    "Failed to run the action: Apply. \nUnspecified error (Error: 80004005; Source: Windows)",
    "Executing command line: smsswd.exe /run: cmd.exe /c copy [a] <b>",
    "Clear local default environment",
)


def sample() -> bytes:
    """A log of our own wording, about 1 MB."""
    records = []
    for number in range(5000):
        message = _MESSAGES[number % len(_MESSAGES)]
        at = f"16:{number // 60 % 60:02}:{number % 60:02}.712+480"
        records.append(
            format_record(
                message, component="TSManager", time=at, date="02-07-2024", thread=1328, file="engine.cxx:143"
            )
        )
    return "".join(records).encode()


def _best(work: Callable[[], int], size: int) -> tuple[float, int]:
    """MB/s and the number of records."""
    seconds, records = float("inf"), 0
    for _ in range(3):
        began = time.process_time()
        records = work()
        seconds = min(seconds, time.process_time() - began)
    return size / 1e6 / seconds, records


def measure(file: str = "") -> list[tuple[str, str]]:
    """The log reader beside the plain scan, which is the floor."""
    piece = Path(file).read_bytes() if file else sample()
    data = piece * (SIZE // len(piece) + 1)
    floor, plain = _best(lambda: sum(1 for _ in _PLAIN.finditer(data)), len(data))
    speed, records = _best(lambda: sum(1 for _ in scan(source_of(data))), len(data))
    missed = "" if speed >= TARGET else "  MISSED"
    return [
        (f"plain re scan, {plain} records", f"{floor:6.1f} MB/s"),
        (f"log reader, {records} records", f"{speed:6.1f} MB/s of {TARGET:.0f}  "
         f"({speed / floor:.0%} of the plain scan){missed}"),
    ]  # fmt: skip


if __name__ == "__main__":
    for what, number in measure(*sys.argv[1:2]):
        print(f"{what:40} {number}")
