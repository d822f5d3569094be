"""A live run in the simulator: what a test in Python commands and asks, as far as it makes sense there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.clock import VirtualClock
from lab.disk.state import FinalState
from lab.errors import LabError, PhaseTimeout, UsageError
from lab.run.conversation import OnEvent, nothing
from lab.run.folder import make_folder, run_name
from lab.run.hidden import hide, secret_values
from lab.run.live import names_of, only_machine
from lab.run.prepare import check_content, read_checked_sequences
from lab.run.record import read_final_states, update_latest
from lab.run.simulated import keep, modelled, told_fault
from lab.scenario.loader import LoadedScenario
from lab.scenario.machines import MACHINE_NAME
from lab.settings import Settings
from lab.simulation.disks import Files
from lab.simulation.outcome import SimulatedRun as Outcome
from lab.simulation.run import machine_world
from lab.timeline import Event, Timeline


class NotInSimulator(UsageError):
    """Something only a real machine can do was asked of the simulator."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs a real machine", hint="run it without --fidelity sim")


class SimulatedRun:
    """The same verbs in the simulator, as far as they make sense there: a start runs to its end at once, and
    the next one goes on with what is on the disks and what the site remembers."""

    def __init__(
        self, loaded: LoadedScenario, settings: Settings, on_event: OnEvent = nothing, **_: Any
    ) -> None:
        self.loaded, self.events = loaded, list[Event]()
        self._settings, self._on_event = settings, on_event
        self._stack = ExitStack()
        self._last: Outcome | None = None
        self._fault: LabError | None = None
        self._pxe: list[str] = []

    def __enter__(self) -> SimulatedRun:
        only_machine(self.loaded)
        self._sequences = read_checked_sequences(self.loaded)
        self.step_names = names_of(self._sequences.values())
        name = run_name(self.loaded.path.stem, datetime.now().astimezone(), "sim")
        self.folder = make_folder(self._settings.reports, name)
        update_latest(self._settings.reports, self.folder.name)
        for sequence in self._sequences.values():
            check_content(self.loaded, sequence)
        try:
            self._make()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _make(self) -> None:
        """The machine, off, and its site."""
        loaded, clock = self.loaded, VirtualClock()
        [only] = loaded.machines
        (self.folder / only.name).mkdir()
        file = self._stack.enter_context((self.folder / "timeline.jsonl").open("w", encoding="utf-8"))
        self._timeline = Timeline(clock, file)
        self._timeline.follow(self._take)
        self._timeline.append("lab", "run-started", name=loaded.title, live=True)
        self._stack.callback(self._timeline.append, "lab", "run-ended")
        made = modelled(
            loaded, self._sequences, self._settings, self._timeline, clock.now, pxe=self._pxe
        )  # fmt: skip
        self._point, [machine] = made.point, made.machines
        self._mac, self._uuid = only.mac, only.uuid
        self._world = machine_world(
            machine, made.point, contents=made.contents, site=made.network, timeline=self._timeline,
            clock=clock, shares=Files(),
        )  # fmt: skip

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._on_event(event)

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self, *, keep_disks: bool = True) -> None:
        """End the run; secrets are taken out of what is kept."""
        self._stack.close()
        hide(self.folder, secret_values(self.loaded))

    def power_on(self) -> None:
        if self._fault is not None:
            raise self._fault
        self._last = self._world.run()
        runs = {MACHINE_NAME: self._last}
        self._fault = told_fault(self.loaded, self._settings, runs, self._timeline)
        keep(self.folder, runs, self._pxe)
        if self._fault is not None:
            raise self._fault

    def wait(self, question: Callable[[], bool], waited_for: str, seconds: float) -> None:
        if not question():
            last = next((event for event in reversed(self.events) if event.machine), None)
            seen = f"{last.source} {last.kind}" if last else ""
            over = "a start in the simulator is over at once: nothing more will come"
            hint = over if last else "power_on() comes first"
            raise PhaseTimeout(waited_for, seconds=seconds, last_seen=seen, hint=hint)

    def refresh(self) -> None:
        """All is there already."""

    def shutdown(self) -> None:
        """It went off by itself."""

    def go_on(self) -> None:
        """Nothing is held."""

    def cut_power(self) -> None:
        """Only where no sequence runs: one that does is over in no time here."""
        if self._last is None or not (self._last.unfinished or self._last.not_started):
            raise NotInSimulator("cut_power()")

    def clear_required(self) -> None:
        self._point.clear_required(self._mac, self._uuid)

    def screenshot(self) -> Path:
        raise NotInSimulator("screenshot()")

    def host(self) -> Any:
        raise NotInSimulator("host")

    def final_state(self, files: tuple[str, ...] = (), registry: tuple[str, ...] = ()) -> FinalState:
        states = read_final_states(self.folder)
        if not states:
            raise UsageError(f"machine '{MACHINE_NAME}' was never on", hint="power_on() comes first")
        return states[MACHINE_NAME]
