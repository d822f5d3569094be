"""The effects of ``lab.sequence.effects_software`` on the modelled machine.

``HANDLERS`` has one function for each effect: (effect, bench) -> outcome. What the scenario answers (doubles,
shares, updates) is looked up by the guest's own pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lab.guest.doubles import UnansweredStep, answer_to
from lab.guest.software import (
    CONNECTIONS_FULL,
    TIMED_OUT,
    Answered,
    connected,
    doubled,
    found_in_policy,
    update_ends,
    without_double,
)
from lab.sequence import effects_software as asked
from lab.sequence.effects import Effect, Outcome, RunCommand
from lab.simulation.bench import Bench


def read_policy(effect: asked.ReadPolicy, bench: Bench) -> Outcome:
    return replace(found_in_policy(bench.policy, effect), how="modelled")


def answer(effect: Answered, bench: Bench) -> Outcome:
    """What the scenario answers in place of a program. Raises LabFault when it does not."""
    double = answer_to(bench.doubles, effect)
    if double is None:
        return without_double(effect, bench.place.step)
    if effect.timeout is not None and double.takes > effect.timeout:
        bench.clock.pause(effect.timeout)
        return Outcome(TIMED_OUT, "doubled", f"it did not end within {effect.timeout} s")
    bench.clock.pause(double.takes)
    for path, text in double.writes.items():
        code, message = bench.write(path, text)
        if code:
            return Outcome(code, "doubled", message)
    return doubled(double, bench.policy, bench.place)


def connect(effect: asked.ConnectFolder, bench: Bench) -> Outcome:
    code = connected(bench.policy, effect)
    if code is None:
        raise UnansweredStep(f"the share {effect.path}", bench.place.step)
    if not code and effect.drive in bench.machine.letters:
        return Outcome(CONNECTIONS_FULL, "modelled", f"drive {effect.drive} is taken")
    return Outcome(code, "doubled", f"{effect.path} said no" if code else "")


def install_update(effect: asked.InstallUpdate, bench: Bench) -> Outcome:
    return Outcome(update_ends(bench.policy, effect.update), "doubled")


def pause(effect: asked.Pause, bench: Bench) -> Outcome:
    bench.clock.pause(effect.seconds)
    return Outcome(how="modelled")


HANDLERS: Mapping[type[Effect], Callable[[Any, Bench], Outcome]] = {
    RunCommand: answer,
    asked.ReadPolicy: read_policy,
    asked.RunScript: answer,
    asked.AnswerStep: answer,
    asked.ConnectFolder: connect,
    asked.InstallUpdate: install_update,
    asked.Pause: pause,
}
