"""How long the host's disk takes to have a few bytes for good, with nothing else to do for this lab."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.site.load import RATE, SECONDS

#: A client's decision and its status message: a commit each, of some pages.
COMMITS = 2 * RATE
_PAGES = os.urandom(8192)
_PLACES = 500


def fdatasyncs(folder: Path) -> list[float]:
    """Seconds of each fdatasync of 8 KiB that are written over old ones, as SQLite's log is, ``COMMITS`` a
    second; the next one that is due waits for the one before."""
    path = folder / "disk"
    times = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(file, _PAGES * _PLACES)
        os.fsync(file)
        begin = time.monotonic()
        for number in range(COMMITS * SECONDS):
            due = begin + number / COMMITS
            now = time.monotonic()
            if now > begin + 2 * SECONDS:
                break
            time.sleep(max(0.0, due - now))
            os.pwrite(file, _PAGES, number % _PLACES * len(_PAGES))
            asked = time.monotonic()
            os.fdatasync(file)
            times.append(time.monotonic() - asked)
    finally:
        os.close(file)
        path.unlink()
    return times
