"""The cache of built things: one folder per content key, made aside and renamed into place."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lab.clock import Clock, SystemClock, wait_until

#: Seconds that another lab's build of the same thing is waited for: a slow host with a slow line.
PATIENCE = 3600.0
#: An entry that nobody asked for in this many seconds may be removed when a newer one is built.
IDLE_SECONDS = 4 * 3600
KEPT = 3


class Store:
    """Folders below ``root``, each complete or not there at all; safe for several processes at once."""

    def __init__(
        self, root: Path, say: Callable[[str], None] = lambda text: None, *, clock: Clock | None = None
    ) -> None:
        self.root = root
        self._say = say
        self._clock = clock or SystemClock()
        root.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock ``name`` over all processes. The kernel releases it when its holder dies.

        Says once that it waits. Raises PhaseTimeout when another process held it for PATIENCE seconds.
        """
        path = self.root / f".{name}.lock"
        with path.open("w") as file:
            if not _lock(file):
                self._say(f"another osdlab builds '{name}' in {self.root}; waiting for it to end")
                wait_until(
                    lambda: _lock(file),
                    waited_for=f"another osdlab to end its build of '{name}'",
                    seconds=PATIENCE,
                    clock=self._clock,
                    last_seen=lambda: f"its lock on {path}",
                    every=0.5,
                    hint="'fuser' on that file names the process that holds it",
                )
            yield

    def has(self, kind: str, key: str) -> bool:
        return (self.root / kind / key[:20]).is_dir()

    def entry(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """The folder of ``kind`` for this content key; ``build`` fills a new one when there is none."""
        folder = self.root / kind
        place = folder / key[:20]
        if not place.is_dir():
            with self.locked(kind):
                if not place.is_dir():
                    folder.mkdir(exist_ok=True)
                    for left in folder.glob(".new-*"):  # of a build that was killed: we hold the lock
                        remove(left)
                    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
                    try:
                        build(new)
                        new.chmod(0o755)
                        new.rename(place)
                    finally:
                        remove(new)
                    self._forget_old(folder, place)
        os.utime(place)
        return place

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the cache's file system, removed afterwards."""
        with tempfile.TemporaryDirectory(prefix=".scratch-", dir=self.root) as name:
            yield Path(name)

    def _forget_old(self, folder: Path, fresh: Path) -> None:
        others = [path for path in folder.iterdir() if path != fresh and not path.name.startswith(".")]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[KEPT - 1 :]:
            if time.time() - path.stat().st_mtime > IDLE_SECONDS:
                remove(path)


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a folder whatever the modes of its folders are; no error when it is gone."""
    for parent, folders, _ in os.walk(path):
        for folder in folders:
            inner = Path(parent, folder)
            if not inner.is_symlink():
                inner.chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)
