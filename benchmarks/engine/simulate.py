"""A sequence of 40 steps in the simulator, with all its events; CPU time of this process, warm.

The log's text is made on demand (``records``), so it is not in the figure that has the limit. A slow or busy
host shows in the plain loop beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from lab.clock import VirtualClock
from lab.guest.doubles import Double
from lab.scenario.schema import Template, machine_spec
from lab.sequence.model import Condition, Group, Step, StepVariable, TaskSequence
from lab.simulation.run import simulate
from lab.timeline import Timeline
from lab.yamlio import load_model

ROOT = Path(__file__).parents[2]
LIMIT = 5.0  # ms
ROUNDS = 200


def forty() -> TaskSequence:
    """Four groups of ten steps: three commands to one variable, every other one with a condition."""
    return TaskSequence("forty", children=tuple(
        Group(f"Group {group}", children=tuple(_step(group * 10 + number) for number in range(10)))
        for group in range(4)
    ))  # fmt: skip


def _step(number: int) -> Step:
    values = (("Variable", "_SMSTSInWinPE"), ("Operator", "equals"), ("Value", "TRUE"))
    asked = Condition("SMS_TaskSequence_VariableConditionExpression", values)
    condition = Condition("and", operands=(asked,)) if number % 2 else None
    if number % 4 == 3:
        fields = {"VariableName": f"V{number}", "VariableValue": "x"}
        kind, action = "SMS_TaskSequence_SetVariableAction", f'tsenv.exe "V{number}=x"'
    else:
        fields = {"CommandLine": f"cmd /c echo {number}"}
        kind, action = "SMS_TaskSequence_RunCommandLineAction", f"smsswd.exe /run: cmd /c echo {number}"
    variables = tuple(StepVariable(name, name, value, True) for name, value in fields.items())
    return Step(kind, f"Step {number}", action=action, variables=variables, condition=condition)


def _run(records: bool) -> Callable[[], object]:
    hardware = load_model(ROOT / "vm-templates" / "uefi-x64.yaml", Template)
    spec = machine_spec(hardware, "PC-1", "52:54:00:11:22:33", "7b1f2f5e-1111-4222-8333-444455556666")
    sequence, doubles = forty(), [Double(command="*")]

    def once() -> object:
        clock = VirtualClock()
        timeline = Timeline(clock)
        run = simulate(
            sequence, spec, variables={}, doubles=doubles, contents={}, timeline=timeline,
            clock=clock, records=records,
        )  # fmt: skip
        assert run.result == "success"
        assert sum(event.kind == "step-finished" for event in timeline.events) == 40
        return run

    return once


def _plain() -> object:
    """Work that needs the same on every run: what the host gives at the moment."""
    return sum(len(str(number)) for number in range(10_000))


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU time of one run, median."""
    taken = []
    for _ in range(rounds + 5):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1000)
    return statistics.median(taken[5:])


def measure() -> list[tuple[str, str]]:
    events, whole = milliseconds(_run(records=False)), milliseconds(_run(records=True), ROUNDS // 4)
    missed = "" if events < LIMIT else "  MISSED"
    return [
        ("40 steps, all events", f"{events:6.2f} ms of {LIMIT:.0f}{missed}"),
        ("40 steps, all events and all log records", f"{whole:6.2f} ms"),
        ("a plain loop of 10,000, for the host", f"{milliseconds(_plain):6.2f} ms"),
    ]
