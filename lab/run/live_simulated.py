"""A live run in the simulator: what a test in Python commands and asks, as far as it makes sense there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.disk.state import FinalState
from lab.errors import PhaseTimeout, UsageError
from lab.run.conversation import OnEvent, nothing
from lab.run.folder import make_folder, run_name
from lab.run.hidden import hide, secret_values
from lab.run.live import names_of, only_machine
from lab.run.prepare import check_content, read_checked_sequences
from lab.run.record import read_final_states, update_latest
from lab.run.simulated import simulate_into
from lab.scenario.loader import LoadedScenario
from lab.scenario.machines import MACHINE_NAME
from lab.settings import Settings
from lab.timeline import Event


class NotInSimulator(UsageError):
    """Something only a real machine can do was asked of the simulator."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs a real machine", hint="run it without --fidelity sim")


class SimulatedRun:
    """The same verbs in the simulator, as far as they make sense there: it runs to its end at once."""

    def __init__(
        self, loaded: LoadedScenario, settings: Settings, on_event: OnEvent = nothing, **_: Any
    ) -> None:
        self.loaded, self.events = loaded, list[Event]()
        self._settings, self._on_event = settings, on_event

    def __enter__(self) -> SimulatedRun:
        only_machine(self.loaded)
        self._sequences = read_checked_sequences(self.loaded)
        self.step_names = names_of(self._sequences.values())
        name = run_name(self.loaded.path.stem, datetime.now().astimezone(), "sim")
        self.folder = make_folder(self._settings.reports, name)
        update_latest(self._settings.reports, self.folder.name)
        for sequence in self._sequences.values():
            check_content(self.loaded, sequence)
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self, *, keep_disks: bool = True) -> None:
        """Nothing is left to end; secrets are taken out of what is kept."""
        hide(self.folder, secret_values(self.loaded))

    def power_on(self) -> None:
        if self.events:
            raise NotInSimulator("a second start")

        def take(event: Event) -> None:
            self.events.append(event)
            self._on_event(event)

        fault = simulate_into(self.folder, self.loaded, self._sequences, self._settings, take, live=True)
        if fault is not None:
            raise fault

    def wait(self, question: Callable[[], bool], waited_for: str, seconds: float) -> None:
        if not question():
            last = self.events[-1] if self.events else None
            seen = f"{last.source} {last.kind}" if last else ""
            raise PhaseTimeout(waited_for, seconds=seconds, last_seen=seen)

    def refresh(self) -> None:
        """All is there already."""

    def shutdown(self) -> None:
        """It went off by itself."""

    def go_on(self) -> None:
        """Nothing is held."""

    def cut_power(self) -> None:
        raise NotInSimulator("cut_power()")

    def screenshot(self) -> Path:
        raise NotInSimulator("screenshot()")

    def host(self) -> Any:
        raise NotInSimulator("host")

    def final_state(self, files: tuple[str, ...] = (), registry: tuple[str, ...] = ()) -> FinalState:
        states = read_final_states(self.folder)
        if not states:
            raise UsageError(f"machine '{MACHINE_NAME}' was never on", hint="power_on() comes first")
        return states[MACHINE_NAME]
