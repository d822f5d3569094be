"""The effects of ``lab.sequence.effects_software``, carried out on the machine itself.

``HANDLERS`` has one function for each effect: (effect, bench) -> outcome. What only Windows or a server could
do is answered by the scenario; everything else is looked up for real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.guest import paths
from lab.guest.bench import Bench
from lab.guest.doubles import ITSELF, Double, UnansweredStep, answer_to, unanswered
from lab.guest.place import Place
from lab.guest.refusal import refusal
from lab.sequence import effects_software as asked
from lab.sequence.effects import Effect, Outcome, RunCommand

NO_POLICY = 0x80040104
BAD_NETPATH = 0x80070035
LOGON_FAILURE = 0x8007052E
TIMED_OUT = 0x800705B4
CONNECTIONS_FULL = 0x80070055

Answered = RunCommand | asked.RunScript | asked.AnswerStep


def found_in_policy(policy: Mapping[str, Any], effect: asked.ReadPolicy) -> Outcome:
    """Look a name up in a section of the policy. Pure."""
    section = policy.get(effect.section) or {}
    if effect.name in section:
        return Outcome(value={"found": section[effect.name]})
    return Outcome(NO_POLICY, message=f"the policy has no {effect.name} among its {effect.section}")


def connected(policy: Mapping[str, Any], effect: asked.ConnectFolder) -> int | None:
    """The code with which the site's server answers; None when the scenario does not know the share. Pure.

    The share "*" stands for all that are not named.
    """
    shares = {key.casefold(): value for key, value in (policy.get("shares") or {}).items()}
    parts = effect.path.casefold().split("\\")
    share = shares.get("\\".join(parts[:4]), shares.get("*"))
    if share is None:
        return None
    if share == "missing":
        return BAD_NETPATH
    right = str(share.get("account") or "").casefold() in ("", effect.account.casefold())
    right = right and str(share.get("password") or effect.password) == effect.password
    return 0 if right else LOGON_FAILURE


def update_ends(policy: Mapping[str, Any], name: str) -> int:
    """The exit code that the scenario gives an update. Pure."""
    updates = (policy.get("settings") or {}).get("updates") or ()
    return next((int(update.get("exit") or 0) for update in updates if update["name"] == name), 0)


def read_policy(effect: asked.ReadPolicy, bench: Bench) -> Outcome:
    return found_in_policy(bench.policy, effect)


def answer(effect: Answered, bench: Bench) -> Outcome:
    """What the scenario answers in place of a program. Raises LabFault when it does not."""
    double = answer_to(bench.doubles, effect)
    if double is None:
        return without_double(effect, bench.place.step)
    if effect.timeout is not None and double.takes > effect.timeout:
        bench.clock.pause(effect.timeout)
        return Outcome(TIMED_OUT, "doubled", f"it did not end within {effect.timeout} s")
    bench.clock.pause(double.takes)
    try:
        for path, text in double.writes.items():
            bench.write(path, text)
    except (paths.PathError, OSError) as error:
        refused = refusal(error)
        return Outcome(refused.code, "doubled", refused.message)
    return doubled(double, bench.policy, bench.place)


def without_double(effect: Answered, step: str) -> Outcome:
    """What comes of a program that nothing answers. Raises LabFault unless it is optional."""
    if isinstance(effect, RunCommand) and effect.optional:
        return Outcome(how="modelled", message="no double answers: what is known of the command was done")
    if isinstance(effect, asked.AnswerStep):
        raise UnansweredStep(effect.type, effect.step)
    raise unanswered(effect, step)


def doubled(double: Double, policy: Mapping[str, Any], place: Place) -> Outcome:
    """What a double that did its work gives."""
    if double.restarts_now(policy, place):
        return Outcome(0, "doubled", ITSELF, {"restarts": True})
    value = {"output": double.output[-1000:], "sets": dict(double.sets)}
    return Outcome(double.code, "doubled", value=value)


def connect(effect: asked.ConnectFolder, bench: Bench) -> Outcome:
    code = connected(bench.policy, effect)
    if code is None:
        raise UnansweredStep(f"the share {effect.path}", bench.place.step)
    if not code and effect.drive in bench.volumes.facts():
        return Outcome(CONNECTIONS_FULL, message=f"drive {effect.drive} is taken")
    return Outcome(code, "doubled", f"{effect.path} said no" if code else "")


def install_update(effect: asked.InstallUpdate, bench: Bench) -> Outcome:
    return Outcome(update_ends(bench.policy, effect.update), "doubled")


def pause(effect: asked.Pause, bench: Bench) -> Outcome:
    bench.clock.pause(effect.seconds)
    return Outcome()


HANDLERS: Mapping[type[Effect], Callable[[Any, Bench], Outcome]] = {
    RunCommand: answer,
    asked.ReadPolicy: read_policy,
    asked.RunScript: answer,
    asked.AnswerStep: answer,
    asked.ConnectFolder: connect,
    asked.InstallUpdate: install_update,
    asked.Pause: pause,
}
