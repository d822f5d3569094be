"""What a test in Python holds in its hands: a machine, its run so far, its disk when it is off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.disk.state import FileState, FinalState
from lab.errors import UsageError
from lab.pytest_plugin import ExpectationFailed
from lab.run.live import LiveRun, of_this_start
from lab.run.live_simulated import NotInSimulator, SimulatedRun
from lab.sequence.codes import describe
from lab.timeline import PHASES, Event

#: Seconds a wait may take when a test does not say.
WAIT_LIMIT = 900.0

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """A step or group. ``result``: success, failed, skipped, disabled, or "" while it runs."""

    name: str
    result: str = ""
    code: int = 0


class Run:
    """What was observed of a machine so far. ``record`` is the judged run of a scenario file, else None."""

    def __init__(self, events: Sequence[Event], record: Any = None) -> None:
        self.events, self.record = events, record

    @property
    def result(self) -> str:
        """Of the machine's last start: success or failed; not-started or unfinished when it has nothing more
        to do and no sequence ended; "" while it goes on."""
        if ended := str(self._end.get("result", "")):
            return ended
        over = [event.kind for event in of_this_start(list(self.events)) if event.source == "lab"]
        return next((kind for kind in reversed(over) if kind in ("not-started", "unfinished")), "")

    @property
    def reason(self) -> str:
        """Why its last start is not-started or unfinished."""
        over = [event for event in of_this_start(list(self.events)) if event.kind == self.result]
        return str(over[-1].data.get("reason", "")) if over else ""

    @property
    def code(self) -> int | None:
        """The sequence's code, or None while it runs."""
        return int(self._end["code"]) if self._end else None

    @property
    def failed_step(self) -> str:
        return str(self._end.get("failed_step", ""))

    @property
    def steps(self) -> dict[str, Step]:
        """The steps and groups that began, by name, in the order of their beginning."""
        found: dict[str, Step] = {}
        for event in self.events:
            if event.source == "engine" and event.kind in ("instruction", "step-finished", "group-finished"):
                data = event.data
                name = str(data.get("name", ""))
                found[name] = Step(name, str(data.get("result", "")), int(data.get("code") or 0))
        return found

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables at the end that are not secret."""
        ends = [event.data for event in self.events if event.kind == "variables" and event.source == "agent"]
        return {str(name): str(value) for name, value in ends[-1].items()} if ends else {}

    @property
    def _end(self) -> Mapping[str, Any]:
        for event in reversed(list(of_this_start(list(self.events)))):
            if event.source == "engine" and event.kind == "sequence-finished":
                return event.data
        return {}


class Disk:
    """What stands on the disks of a machine that is off."""

    def __init__(self, live: LiveRun | SimulatedRun) -> None:
        self._live = live
        self.state: FinalState = live.final_state()

    def file(self, path: str) -> FileState | None:
        """A file by its Windows path (a folder's ends with a backslash), or None; case does not count."""
        wanted = path.casefold()
        return next((state for name, state in self.state.files.items() if name.casefold() == wanted), None)

    def text(self, path: str) -> str:
        """The text of a file. Raises AssertionError when there is none."""
        found = self.file(path)
        if found is not None and found.text is None:
            self.state = self._live.final_state(files=(path,))
            found = self.file(path)
        assert found is not None, f"there is no file '{path}'"
        assert found.text is not None, f"'{path}' holds no text, or too much"
        return found.text

    def registry(self, key: str) -> dict[str, Any]:
        """The values of a key of the offline hives: name -> data. AssertionError when there is none."""
        for asked in (False, True):
            if asked:
                self.state = self._live.final_state(registry=(key,))
            for name, values in self.state.registry.items():
                if name.casefold() == _resolved(key).casefold():
                    return {value: data for value, (_, data) in values.items()}
        raise AssertionError(f"there is no key '{key}'; {'; '.join(self.state.notes)}".rstrip("; "))


def _resolved(key: str) -> str:
    return key.rstrip("\\").replace("\\CurrentControlSet", "\\ControlSet001")


class Log:
    """smsts.log, as the machine told it."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[str]:
        for event in self._events:
            if event.source == "smsts" and event.kind == "record":
                yield str(event.data.get("message", ""))

    def __contains__(self, text: object) -> bool:
        return any(str(text) in message for message in self)


class Machine:
    """A machine that a test commands. Made by the fixture ``lab``; off until ``power_on``."""

    def __init__(self, live: LiveRun | SimulatedRun) -> None:
        self._live = live

    def power_on(self) -> Machine:
        """Start it; it boots from the network unless its disk says otherwise. Raises LabError."""
        self._do(self._live.power_on)
        return self

    def cut_power(self) -> None:
        """Take its power away, wherever it is."""
        self._do(self._live.cut_power)

    def clear_required(self) -> None:
        """Clear its required PXE deployments, as somebody does in the console: those that were offered to it
        are offered again at its next start from the network. It may be on or off."""
        self._do(self._live.clear_required)

    def shutdown(self) -> None:
        """Have it power off, after its sequence ended."""
        self._do(self._live.shutdown)

    def go_on(self) -> None:
        """Let it go on where ``hold_before`` holds it."""
        self._do(self._live.go_on)

    def wait_for(
        self, *, step: str = "", held: str = "", phase: str = "", timeout: float = WAIT_LIMIT
    ) -> Machine:
        """Wait until since its last start a step has begun, it is held before one, or a phase was reached.

        ``phase``: one of lab.timeline.PHASES; "finished" is the end of a sequence that succeeded. ``timeout``
        in seconds. Raises AssertionError when the sequence ended without it, PhaseTimeout (an ERROR, not a
        failure) when the time ran out.
        """
        asked = {name: value for name, value in (("step", step), ("held", held), ("phase", phase)) if value}
        if len(asked) != 1:
            raise UsageError("wait_for wants one of step, held, phase")
        [(kind, name)] = asked.items()
        if kind == "phase" and name not in PHASES:
            raise UsageError(f"there is no phase '{name}'", hint="known: " + ", ".join(PHASES))
        self._known_step(kind, name)
        words = {"step": f"step '{name}' to begin", "phase": f"phase '{name}'"}
        waited_for = words.get(kind, f"the machine to be held before step '{name}'")
        self._do(
            self._live.wait, lambda: self._seen(kind, name) or bool(self.run.result), waited_for, timeout
        )
        if not self._seen(kind, name):
            run = self.run
            if run.code is None:
                raise ExpectationFailed(f"waited for {waited_for}; the machine is {run.result}: {run.reason}")
            code = describe(run.code) if run.code else "0"
            where = f" at step '{run.failed_step}'" if run.failed_step else ""
            raise ExpectationFailed(
                f"waited for {waited_for}; the sequence ended before: {run.result}{where}, {code}"
            )
        return self

    def wait_for_end(self, timeout: float = WAIT_LIMIT) -> Run:
        """Wait until the sequence ended, however it did, or nothing more will happen on the machine."""
        self._do(self._live.wait, lambda: bool(self.run.result), "the sequence to end", timeout)
        return self.run

    @property
    def host(self) -> Any:
        """testinfra's host of the running machine, LabPE or deployed system. Skips in the simulator."""
        return self._do(self._live.host)

    @property
    def disk(self) -> Disk:
        """What its disks hold; it must be off."""
        return self._do(Disk, self._live)

    @property
    def run(self) -> Run:
        self._live.refresh()
        return Run(self._live.events)

    @property
    def log(self) -> Log:
        self._live.refresh()
        return Log(self._live.events)

    @property
    def folder(self) -> Path:
        """The run's folder: timeline.jsonl, and below the machine's name what is kept of it."""
        return self._live.folder

    def screenshot(self) -> Path:
        """The file of a picture of its screen now."""
        return self._do(self._live.screenshot)

    def _known_step(self, kind: str, name: str) -> None:
        names = self._live.step_names
        if kind != "phase" and name not in names:
            raise UsageError(f"the sequence has no step '{name}'", hint="it has: " + ", ".join(names))

    def _seen(self, kind: str, name: str) -> bool:
        simulated = isinstance(self._live, SimulatedRun)
        for event in of_this_start(self._live.events):
            if kind == "phase":
                found = event.phase == name and bool(event.machine)
            elif kind == "held" and not simulated:
                found = event.kind == "held" and event.data.get("step") == name
            else:
                found = event.kind == "instruction" and event.data.get("name") == name
            if found:
                return True
        return False

    @staticmethod
    def _do(verb: Callable[..., T], *arguments: Any) -> T:
        try:
            return verb(*arguments)
        except NotInSimulator as error:
            pytest.skip(str(error))
