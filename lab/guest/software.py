"""The effects of ``lab.sequence.effects_software``, carried out on the machine itself.

What only Windows or a server could do is answered by the scenario; everything else is looked up for real.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab.clock import Clock
from lab.errors import LabFault
from lab.guest import paths
from lab.guest.doubles import ITSELF, Double, UnansweredStep, answer_to, unanswered
from lab.guest.place import Place
from lab.guest.runner import Runner
from lab.guest.volumes import Volumes
from lab.sequence import effects_software as asked
from lab.sequence.effects import Effect, Outcome, RunCommand

NO_POLICY = 0x80040104
FILE_NOT_FOUND = 0x80070002
BAD_NETPATH = 0x80070035
LOGON_FAILURE = 0x8007052E
TIMED_OUT = 0x800705B4
CONNECTIONS_FULL = 0x80070055

#: A file that is longer is not searched for a version.
_LARGEST_SEARCHED = 64 << 20

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


class SoftwareEffects:
    """Performs the effects for software on the machine. ``write`` writes a text file by its Windows path;
    ``failure`` turns a machine's refusal into an outcome; ``phase`` is "pe" or "os"."""

    def __init__(
        self,
        phase: str,
        identity: Mapping[str, Any],
        policy: Mapping[str, Any],
        doubles: Sequence[Double],
        runner: Runner,
        volumes: Volumes,
        clock: Clock,
        place: Place,
        write: Callable[[str, str], None],
        failure: Callable[[Exception], Outcome],
    ) -> None:
        self._phase = phase
        self._identity = identity
        self._policy = policy
        self._doubles = doubles
        self._runner = runner
        self._volumes = volumes
        self._clock = clock
        self._place = place
        self._write = write
        self._failure = failure

    def perform(self, effect: Effect) -> Outcome:
        """Carry one effect out. Raises LabFault, and OSError as the machine does."""
        match effect:
            case asked.ReadPolicy():
                return found_in_policy(self._policy, effect)
            case asked.RunScript() | asked.AnswerStep():
                return self.answer(effect)
            case asked.ConnectFolder():
                return self._connect(effect)
            case asked.InstallUpdate():
                return Outcome(update_ends(self._policy, effect.update), "doubled")
            case asked.Pause():
                self._clock.pause(effect.seconds)
                return Outcome()
            case asked.GatherInventory():
                from lab.guest.inventory import inventory

                return Outcome(value=inventory(self._phase, self._identity, self._volumes, self._registry))
            case _:
                raise LabFault(f"the agent cannot perform {effect.kind}")

    def answer(self, effect: Answered) -> Outcome:
        """What the scenario answers in place of a program. Raises LabFault when it does not."""
        double = answer_to(self._doubles, effect)
        if double is None:
            if isinstance(effect, RunCommand) and effect.optional:
                text = "no double answers: what is known of the command was done"
                return Outcome(how="modelled", message=text)
            if isinstance(effect, asked.AnswerStep):
                raise UnansweredStep(effect.type, effect.step)
            raise unanswered(effect, self._place.step)
        if effect.timeout is not None and double.takes > effect.timeout:
            self._clock.pause(effect.timeout)
            return Outcome(TIMED_OUT, "doubled", f"it did not end within {effect.timeout} s")
        self._clock.pause(double.takes)
        try:
            for path, text in double.writes.items():
                self._write(path, text)
        except (paths.PathError, OSError) as error:
            failed = self._failure(error)
            return Outcome(failed.code, "doubled", failed.message)
        if double.restarts_now(self._policy, self._place):
            return Outcome(0, "doubled", ITSELF, {"restarts": True})
        return Outcome(
            double.code, "doubled", value={"output": double.output[-1000:], "sets": dict(double.sets)}
        )

    def _connect(self, effect: asked.ConnectFolder) -> Outcome:
        code = connected(self._policy, effect)
        if code is None:
            raise UnansweredStep(f"the share {effect.path}", self._place.step)
        if not code and effect.drive in self._volumes.facts():
            return Outcome(CONNECTIONS_FULL, message=f"drive {effect.drive} is taken")
        return Outcome(code, "doubled", f"{effect.path} said no" if code else "")

    def _registry(self, key: str) -> dict[str, list[Any]] | None:
        """The values of a key of the Windows that runs; None when there is no such key, or no Windows."""
        from lab.guest import hive
        from lab.guest.registry import CONFIG, read_key

        try:
            if self._phase != "os":
                return None
            name, names = hive.locate(key)
            path = paths.to_linux(paths.join("C:", CONFIG, name), self._volumes.drives)
        except (ValueError, paths.PathError):
            return None
        if not os.path.isfile(path):
            return None
        existing, values = read_key(path, names, self._runner)
        if existing != len(names):
            return None
        return {value: hive.decode(kind, data) for value, (kind, data) in values.items()}
