"""Status messages of a run: the engine's events as what ConfigMgr's client sends to its site.

Pure: who drives it says what time it is and posts. Ids and meanings: observed (reference of deployments,
section 8), save 11141, a guess. Events whose id nobody knows make no message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from lab.sequence import instructions
from lab.sequence.model import TaskSequence

Severity = Literal["info", "warning", "error"]
#: A message as ``POST /status`` takes it: n, id, severity, component, step, action, group, code, text,
#: time (UTC seconds since 1970).
Message = dict[str, Any]

ENGINE, MANAGER = "Task Sequence Engine", "Task Sequence Manager"

#: Observed: an action's output travels in six insertion strings of 255 characters, its end counts.
LONGEST_OUTPUT = 6 * 255
#: How often a post is tried (a guess: documented is only that there are retries); once while nobody answers.
TRIES = 3
#: Messages of one post: the site takes a thousand, and a mebibyte, whatever their texts hold.
AT_ONCE = 100

#: Components whose records are no action's own output.
_MANAGERS = frozenset({"TSManager", "TSMBootstrap", "TSBootShell", "TSPxe", "TsProgressUI", "Reboot"})


class Reporter:
    """Makes the messages of one start of the machine, numbered from 1."""

    def __init__(self, sequence: TaskSequence) -> None:
        self._table = instructions.table(sequence).instructions
        self._number = 0
        self._opening: list[int] = []  # groups that were announced and have not shown whether they begin
        self._output = ""

    def take(self, kind: str, data: Mapping[str, Any], time: float) -> list[Message]:
        """The messages that an event makes. ``time``: UTC seconds since 1970."""
        if kind == "record":
            if data["component"] not in _MANAGERS:
                self._output = f"{self._output}{data['message']}\n"[-LONGEST_OUTPUT:]
            return []
        made = self._made(kind, data)
        messages = []
        for message in made:
            self._number += 1
            messages.append({"n": self._number, **message, "time": time})
        return messages

    def _made(self, kind: str, data: Mapping[str, Any]) -> list[Message]:
        if kind == "instruction":
            begun = self._begun(data["pointer"])
            self._output = ""
            if data["type"] == "group":
                self._opening.append(data["pointer"])
            return begun
        if kind == "group-finished":
            return self._group(data)
        if kind == "step-finished":
            return self._step(data)
        if kind == "status":
            return self._of_engine(data)
        if kind == "restart":
            return [_message(11142, "info", "initiated a system reboot, as an action asked for")]
        if kind == "sequence-finished":
            return self._end(data)
        return []

    def _begun(self, pointer: int) -> list[Message]:
        """What shows that announced groups began: something inside them."""
        begun = [group for group in self._opening if group in self._table[pointer].parents]
        self._opening = []
        return [self._about(11124, "info", "started the group ({group})", group) for group in begun]

    def _group(self, data: Mapping[str, Any]) -> list[Message]:
        pointer, result = data["pointer"], data["result"]
        if result == "skipped":
            self._opening = [group for group in self._opening if group != pointer]
            why = "skipped the group ({group}) because the condition was evaluated to be false"
            return [self._about(11122, "info", why, pointer)]
        empty = pointer in self._opening and result == "success"
        self._opening = []
        messages = [self._about(11124, "info", "started the group ({group})", pointer)] if empty else []
        if result == "success":
            messages.append(self._about(11127, "info", "successfully completed the group ({group})", pointer))
        return messages

    def _step(self, data: Mapping[str, Any]) -> list[Message]:
        pointer, result, code = data["pointer"], data["result"], int(data["code"])
        action = "the action ({action}) in the group ({group})"
        if result == "disabled":
            text = "skipped the disabled action ({action}) in the group ({group})"
            return [self._about(11128, "info", text, pointer)]
        if result == "skipped":
            why = f"skipped {action} because the condition was evaluated to be false"
            return [self._about(11130, "info", why, pointer)]
        output, self._output = self._output.strip(), ""
        shown = f"\nAction output: {output}" if output else ""
        if result == "success":
            text = f"successfully completed {action} with exit code {code}"
            return [self._about(11134, "info", text, pointer, code, shown)]
        text = f"failed executing {action} with the error code {code}"
        return [self._about(11135, "error", text, pointer, code, shown)]

    def _of_engine(self, data: Mapping[str, Any]) -> list[Message]:
        """Those that the engine names itself."""
        if data["what"] == "failure-ignored":
            text = f"ignored execution failure of the action ({data['name']})"
            return [_message(data["id"], "warning", text, action=data["name"])]
        by = "a client" if data["what"] == "started" else "a non-client"
        return [_message(data["id"], "info", f"started execution of a task sequence, started by {by}")]

    def _end(self, data: Mapping[str, Any]) -> list[Message]:
        code = int(data["code"])
        if data["result"] != "success":
            return [_message(11141, "error", "failed execution of a task sequence", code=code)]
        manager = {
            **_message(11171, "info", ""),
            "component": MANAGER,
            "text": "The task sequence manager successfully completed execution of the task sequence.",
        }
        return [_message(11143, "info", "successfully completed a task sequence"), manager]

    def _about(
        self, id: int, severity: Severity, text: str, pointer: int, code: int = 0, more: str = ""
    ) -> Message:
        """A message about an instruction, by its pointer."""
        entry = self._table[pointer]
        parent = self._table[entry.parents[-1]].item.name if entry.parents else ""
        of_group = id in (11122, 11124, 11127)
        action, group = ("", entry.item.name) if of_group else (entry.item.name, parent)
        words = text.replace("{action}", action).replace("{group}", group)
        return _message(id, severity, words, step=pointer, action=action, group=group, code=code, more=more)


class Outbox:
    """Keeps messages until they are posted. One that no try gets through is lost (documented).

    ``post`` sends a list and says whether the site took it. ``stops``: whether a first failure ends all
    sending until the next start of the machine (documented: SMSTSDisableStatusRetry).
    """

    def __init__(self, post: Callable[[list[Message]], bool], stops: Callable[[], bool]) -> None:
        self._post = post
        self._stops = stops
        self._waiting: list[Message] = []
        self._stopped = False
        self._tries = TRIES
        self.lost = 0

    def add(self, messages: list[Message]) -> None:
        self._waiting += messages

    def deliver(self) -> None:
        """Send what waits."""
        messages, self._waiting = self._waiting, []
        for first in range(0, len(messages), AT_ONCE):
            self._send(messages[first : first + AT_ONCE])

    def _send(self, messages: list[Message]) -> None:
        if not self._stopped and any(self._post(messages) for _ in range(self._tries)):
            self._tries = TRIES
            return
        self._tries = 1
        self.lost += len(messages)
        self._stopped = self._stopped or self._stops()


def _message(
    id: int,
    severity: Severity,
    text: str,
    *,
    step: int = 0,
    action: str = "",
    group: str = "",
    code: int = 0,
    more: str = "",
) -> Message:
    return {
        "id": id,
        "severity": severity,
        "component": ENGINE,
        "step": step,
        "action": action,
        "group": group,
        "code": code,
        "text": f"The task sequence execution engine {text}.{more}",
    }
