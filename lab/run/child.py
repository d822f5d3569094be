"""A helper process of the lab whose output is read line by line."""

from __future__ import annotations

import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence

from lab.errors import LabFault

_GRACE = 8.0


class Child:
    """Starts ``command`` and calls ``on_line`` with each line of its ``stream``, from a thread of its own.

    ``on_end`` is called once with the exit code, after the last line, unless ``stop`` was asked for.
    Raises LabFault when the program cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        stream: str,
        on_line: Callable[[str], None],
        on_end: Callable[[int, str], None],
    ) -> None:
        self.name = name
        self._on_line = on_line
        self._on_end = on_end
        self._stopping = False
        self._tail: deque[str] = deque(maxlen=5)
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if stream == "stdout" else subprocess.DEVNULL,
                stderr=subprocess.PIPE if stream == "stderr" else None,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise LabFault(
                f"cannot start {name}: {error.strerror}", hint="see 'osdlab doctor'", causes=(error,)
            ) from error
        self._lines = self._process.stdout if stream == "stdout" else self._process.stderr
        self._reader = threading.Thread(target=self._read, name=name, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: str) -> None:
        """Write a line to its standard input. Raises LabFault when it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: it was stopped
            raise LabFault(f"{self.name} takes no order: {error}", causes=(error,)) from error

    def _read(self) -> None:
        assert self._lines is not None
        try:
            for line in self._lines:
                self._tail.append(line.rstrip("\n"))
                self._on_line(line.rstrip("\n"))
        except Exception as error:  # a full disk, a bug: unread, the helper would soon hang at its own log
            self._tail.append(f"the lab could not take in what it said: {type(error).__name__}: {error}")
            self._process.kill()
        code = self._process.wait()
        if not self._stopping:
            self._on_end(code, "\n".join(self._tail))

    def stop(self) -> None:
        """End it: politely, then not. Idempotent."""
        self._stopping = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(_GRACE)
        if self._lines is not None and not self._reader.is_alive():
            self._lines.close()
