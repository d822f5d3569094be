"""The live display of a run: a follower of the timeline that shows where each machine is.

On a terminal a few lines are drawn anew several times a second; elsewhere each change is one plain line.
``on_event`` only notes what it is told, so it may be called from any thread and inside the timeline's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from lab.clock import Clock, SystemClock
from lab.report.summary import counts_text
from lab.sequence.codes import describe
from lab.timeline import Event

BAR_WIDTH = 24

#: What a phase is called for people. A phase that is not here has its own name.
_PHASES = {
    "off": "switched off", "firmware": "firmware", "dhcp": "waiting for an address",
    "boot-file": "loading the boot file", "pe-kernel": "starting the PE", "pe-hello": "the PE is up",
    "policy": "fetching the policy", "content": "fetching content", "step": "running",
    "restart": "restarting", "disk-boot": "starting from disk", "os-hello": "the deployed system is up",
    "finished": "finished", "failed": "failed",
}  # fmt: skip


@dataclass
class MachineProgress:
    """Where one machine is. ``steps`` 0: not known yet; ``done``: enabled steps that came to an end."""

    name: str
    phase: str = ""
    step: str = ""
    number: int = 0
    steps: int = 0
    done: int = 0
    failed: bool = False
    over: bool = False
    last: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        if self.over and not self.failed:
            return 1.0
        return min(1.0, self.done / self.steps) if self.steps else 0.0

    def take(self, event: Event) -> str:
        """Note an event. Returns a line when something changed that is worth one, or ""."""
        before = self.phase
        if event.phase:
            self.phase = event.phase
        line = self._engine(event) if event.source == "engine" else self._other(event)
        if not line and self.phase != before and self.phase != "step":
            line = _PHASES.get(self.phase, self.phase)
        return line

    def _engine(self, event: Event) -> str:
        data = event.data
        if event.kind == "sequence-started":
            self.steps = int(data.get("steps") or 0)
            return f"task sequence '{data.get('name', '')}' begins, {self.steps} steps"
        if event.kind == "instruction" and data.get("n"):
            self.step, self.number = str(data.get("name", "")), int(data["n"])
            return f"step {self.number}/{self.steps or '?'}  {self.step}"
        if event.kind == "step-finished":
            result = str(data.get("result", ""))
            if result != "disabled":
                self.done += 1
            if result == "skipped":
                return f"step '{data.get('name', '')}' is skipped"
            if result == "failed":
                return f"step '{data.get('name', '')}' failed with {describe(int(data.get('code') or 0))}"
        if event.kind == "sequence-finished":
            self.over, self.failed = True, data.get("result") != "success"
            code = f" with {describe(int(data.get('code') or 0))}" if self.failed else ""
            return f"task sequence {'failed' if self.failed else 'succeeded'}{code}"
        return ""

    def _other(self, event: Event) -> str:
        data = event.data
        if event.source == "smsts" and event.kind == "record":
            self.last = " ".join(str(data.get("message", "")).split())
        elif event.source == "agent" and event.kind == "effect":
            how = str(data.get("how", "real"))
            self.counts[how] = self.counts.get(how, 0) + 1
        elif event.source == "console" and not self.steps:
            self.last = " ".join(str(data.get("text") or data.get("line") or self.last).split())
        elif event.source == "lab" and event.kind in ("not-started", "unfinished"):
            said = "no sequence began" if event.kind == "not-started" else "the sequence comes to no end"
            return f"{said}: {data.get('reason', '')}"
        elif event.source == "agent" and event.kind == "wizard":
            what = f"variable {data['name']}" if data.get("name") else "the task sequence to run"
            return f"the wizard asks for {what}"
        elif event.kind == "lab-error":
            self.failed = True
            return f"the lab broke: {data.get('message', '')}"
        return ""


class Progress:
    """Context manager; ``on_event`` follows a timeline.

    ``template`` stands beside the title. ``host``: shown until the lab's "accelerator" event says what runs
    the machines. ``plain``: one line per change; by default that is so when ``console`` is no terminal.
    """

    def __init__(
        self,
        console: Console,
        scenario_title: str,
        *,
        template: str = "",
        host: str = "",
        plain: bool | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._console = console
        self._title = " · ".join(filter(None, (scenario_title, template)))
        self._host = host
        self._plain = not console.is_terminal if plain is None else plain
        self._clock = clock or SystemClock()
        self._start = self._clock.now()
        self._lock = threading.Lock()
        self._live: Live | None = None
        self.machines: dict[str, MachineProgress] = {}

    def __enter__(self) -> Progress:
        self._start = self._clock.now()
        if self._plain:
            self._print(Text(" · ".join(filter(None, (self._title, self._host)))))
        else:
            self._live = Live(self, console=self._console, refresh_per_second=5)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_event(self, event: Event) -> None:
        with self._lock:
            line = self._take(event)
        if line and self._plain:
            name = f"{event.machine}  " if event.machine else ""
            self._print(Text(f"{_elapsed(event.time)}  {name}{line}"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _take(self, event: Event) -> str:
        if event.source == "lab" and event.kind == "accelerator":
            self._host = host_line(event.data)
            return self._host
        if not event.machine:
            if event.source == "lab" and event.kind == "broken":
                return f"the lab broke: {event.data.get('message', '')}"
            return ""
        machine = self.machines.setdefault(event.machine, MachineProgress(event.machine))
        return machine.take(event)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            lines = list(self.lines(options.max_width))
        yield from lines

    def lines(self, width: int) -> Iterable[Text]:
        """The display, each line at most ``width`` cells wide."""
        yield _spread(Text(self._title, style="bold"), Text(self._host, style="dim"), width)
        elapsed = _elapsed(self._clock.now() - self._start)
        for machine in self.machines.values():
            yield from _machine_lines(machine, elapsed, width)


def host_line(data: dict[str, Any]) -> str:
    """What runs the machines, from the lab's "accelerator" event: ``TCG (KVM unusable here: …)``."""
    reason = str(data.get("reason") or "")
    choice = str(data.get("choice") or "?").upper()
    return f"{choice} ({reason})" if reason else choice


def _elapsed(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _machine_lines(machine: MachineProgress, elapsed: str, width: int) -> Iterable[Text]:
    bar_width = BAR_WIDTH if width >= 90 else BAR_WIDTH // 2 if width >= 60 else 0
    full = round(machine.fraction * bar_width)
    colour = "red" if machine.failed else "green" if machine.over else "cyan"
    bar = Text("█" * full, style=colour) + Text("░" * (bar_width - full), style="dim")
    if machine.step and not machine.over and machine.phase in ("step", "content", ""):
        where = f"step {machine.number}/{machine.steps}  {machine.step}"
    else:
        where = _PHASES.get(machine.phase, machine.phase)
        if machine.over:
            where = "failed" if machine.failed else "finished"
        if machine.step and not machine.over:
            where = f"step {machine.number}/{machine.steps}  {where}"
    left = Text(f" {machine.name}  ") + bar + Text("  " * bool(bar_width) + where, style="bold")
    right = Text(f"{elapsed}  {machine.fraction * 100:3.0f} %")
    counts = counts_text(machine.counts)
    if counts and width >= 90:
        right += Text(f"  {counts}", style="dim")
    yield _spread(left, right, width)
    indent = " " * (len(machine.name) + 3)
    if machine.last:
        last = Text(f"{indent}last: {machine.last}", style="dim", no_wrap=True)
        last.truncate(width, overflow="ellipsis")
        yield last


def _spread(left: Text, right: Text, width: int) -> Text:
    """``left`` and ``right`` at the two ends of one line; the left one gives way, at the cost of its end."""
    line = Text(no_wrap=True, overflow="ellipsis")
    right = right.copy()
    right.truncate(max(0, width * 2 // 3), overflow="ellipsis")
    room = width - right.cell_len - (2 if right.cell_len else 0)
    left = left.copy()
    left.truncate(max(1, room), overflow="ellipsis")
    gap = width - left.cell_len - right.cell_len if right.cell_len else 0
    line.append_text(left).append(" " * max(0, gap)).append_text(right)
    return line
