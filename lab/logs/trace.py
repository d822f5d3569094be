"""What a task sequence did, rebuilt from its logs: groups, steps, conditions, codes, restarts, the result.

``trace`` follows TSManager's messages (wording observed; steps' own programs may print the same, so only
records of TSManager, or of no known component, are asked). What the log does not say is None. MDT's own
script logs (BDD.log) have no steps, but scripts with return values: these are items of kind "script".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lab.logs import mdt
from lab.logs.history import Item, Kind, Phase, Place, Restart, Status, Trace
from lab.logs.messages import PATTERNS, code_of, error_code
from lab.logs.records import Damage, Record


def trace(found: Iterable[Record | Damage]) -> Trace:
    """Rebuild what happened. Never raises."""
    tracer = _Tracer()
    scripts = mdt.Scripts()
    for item in found:
        if isinstance(item, Damage):
            tracer.trace.damage.append(item)
            continue
        tracer.take(item)
        scripts.take(item)
    return scripts.into(tracer.finished())


class _Tracer:
    def __init__(self) -> None:
        self.trace = Trace()
        self.open: list[Item] = []  # groups that have begun
        self.current: Item | None = None  # the item begun last
        self.announced: Item | None = None  # an instruction that may be a group's end
        self.exit_code: int | None = None
        self.target: str | None = None
        self.run = 1
        self.failed: dict[tuple[str, str], Item] = {}  # by kind and name, the last one
        self.codeless: Item | Trace | None = None  # what has failed with a code that was not said yet
        self.record: Record

    def take(self, record: Record) -> None:
        trace = self.trace
        trace.records += 1
        component = (record.component or "").casefold()
        if component not in _ENGINE:
            return
        self.record = record
        message = record.message.strip()
        for start, pattern, name in PATTERNS:
            if not message.startswith(start):
                continue
            match = pattern.match(message)
            if match is not None:
                self.codeless = None
                getattr(self, f"_{name}")(*match.groups())
                return
        if self.codeless is not None and error_code(message) is not None:
            # In copied text the second line of a message is a line of its own.
            self.codeless.code = error_code(message)
            self.codeless = None

    def finished(self) -> Trace:
        self._settle()
        item = self.current
        last = item is not None and item is self.trace.items[-1] and self.trace.result == "unknown"
        if item and last and item.status == "succeeded" and item.reboot is not None and item.ended_line:
            # The log was cut, or moved away, where the requested restart begins.
            self.trace.result = "restart"
            self.trace.result_place = Place(item.path, item.ended_line)
            restart = Restart(item.path, item.ended_line, item.time, item.reboot or None, item.name)
            self.trace.restarts.append(restart)
        return self.trace

    # instructions

    def _item(self, name: str, kind: Kind | None, pointer: int | None = None) -> Item:
        record = self.record
        group = self.open[-1].name if self.open else None
        item = Item(
            name, kind, record.path, record.line, record.time,
            pointer=pointer, depth=len(self.open), run=self.run, group=group,
            sets_before=len(self.trace.sets),
        )  # fmt: skip
        self.trace.items.append(item)
        self.current = item
        return item

    def _settle(self) -> None:
        """An announced instruction that nothing came of; with an open group's name it may be its end."""
        waiting, self.announced = self.announced, None
        if waiting is None:
            return
        if not any(group.name == waiting.name for group in self.open):
            self.trace.items.append(waiting)
            self.current = waiting

    def _instruction(self, name: str, pointer: str | None, type: str | None) -> None:
        self._settle()
        self.exit_code = None
        record = self.record
        name = name.strip()
        item = Item(
            name, None, record.path, record.line, record.time, depth=len(self.open), run=self.run,
            pointer=int(pointer) if pointer else None, type=type or None,
            group=self.open[-1].name if self.open else None, sets_before=len(self.trace.sets),
        )  # fmt: skip
        self.announced = item

    def _begun(self, name: str, kind: Kind) -> Item:
        """The item of this name that is under way: announced, current, or (where the log begins late) new."""
        name = name.strip()
        waiting = self.announced
        if waiting is not None and waiting.name == name:
            self.announced = None
            waiting.kind = kind
            waiting.depth = len(self.open)
            self.trace.items.append(waiting)
            self.current = waiting
            return waiting
        self._settle()
        current = self.current
        if (
            current is not None
            and current.name == name
            and current.status is None
            and current.kind in (kind, None)
        ):
            current.kind = kind
            return current
        return self._item(name, kind)

    def _condition(self, kind: str, name: str, value: str) -> None:
        item = self._begun(name, "group" if kind.lower() == "group" else "step")
        item.condition = value.lower() == "true"

    def _skipped(self, kind: str, name: str, reason: str) -> None:
        item = self._begun(name, "group" if kind.lower() == "group" else "step")
        disabled = "disabled" in reason.lower()
        item.status = "disabled" if disabled else "skipped"
        if not disabled and "condition" in reason.lower():
            item.condition = False
        item.ended_line = self.record.line

    def _group_started(self, name: str) -> None:
        self.open.append(self._begun(name, "group"))

    def _group_completed(self, name: str) -> None:
        name = name.strip()
        own = self.announced is not None and self.announced.name == name
        if own:
            self.announced = None
        self._settle()
        if self.trace.group_ends is not True and any(group.name == name for group in self.open):
            self.trace.group_ends = own if own or self._has_pointers() else None
        self._close_group(name, "succeeded")

    def _has_pointers(self) -> bool:
        return any(item.pointer is not None for item in self.trace.items)

    def _close_group(self, name: str, status: Status) -> Item:
        name = name.strip()
        for index in range(len(self.open) - 1, -1, -1):
            if self.open[index].name == name:
                group = self.open[index]
                del self.open[index:]
                break
        else:
            group = self._item(name, "group")  # its beginning is not in the log
        group.status = status
        group.ended_line = self.record.line
        return group

    def _group_failed(self, name: str) -> None:
        self._settle()
        group = self._close_group(name, "failed")
        group.code = None
        self.failed["group", group.name] = group

    # steps

    def _command(self, command: str) -> None:
        self._take_announced()
        item = self.current
        if item is not None and item.kind in ("step", None) and item.status is None:
            item.kind = "step"
            item.command = command.strip()

    def _take_announced(self) -> None:
        waiting = self.announced
        if waiting is not None:
            self.announced = None
            waiting.kind = "step"
            self.trace.items.append(waiting)
            self.current = waiting

    def _exited(self, code: str) -> None:
        self.exit_code = code_of(code)

    def _completed(self, name: str, code: str | None) -> None:
        item = self._begun(name, "step")
        item.status = "succeeded"
        item.code = code_of(code) if code else self.exit_code
        item.reboot = item.reboot if item.reboot is not None else self.target
        item.ended_line = self.record.line
        self.target = None

    def _step_failed(self, name: str, code: str | None) -> None:
        item = self._begun(name, "step")
        item.status = "failed"
        self.failed["step", item.name] = item
        said = code_of(code) if code else error_code(self.record.message)
        item.code = said if said is not None else self.exit_code
        self.codeless = item if item.code is None else None
        item.ended_line = self.record.line
        self.target = None

    def _ignored(self, kind: str, name: str) -> None:
        wanted = "group" if kind.lower() == "group" else "step"
        # A group may stand in one of the same name: it is the one that failed last.
        item = self.failed.pop((wanted, name.strip()), None)
        for other in reversed(self.trace.items):
            if item is None and other.name == name.strip() and other.kind == wanted:
                item = other
        if item is not None:
            item.continued = True
            if item.status is None:
                item.status = "failed"

    def _retry(self, name: str) -> None:
        item = self._last(name)
        if item is not None:
            item.retry = True

    def _reboot_request(self, name: str) -> None:
        item = self._last(name)
        if item is not None and item.reboot is None:
            item.reboot = self.target or ""

    def _last(self, name: str) -> Item | None:
        for item in reversed(self.trace.items):
            if item.name == name.strip() and item.kind != "group":
                return item
        return None

    # restarts

    def _target(self, target: str) -> None:
        target = target.strip()
        if not target:
            self.target = None
            return
        self.target = "WinPE" if target.casefold() == "winpe" else "HD"

    def _rebooting(self, target: str | None) -> None:
        item = self.current
        where = None
        if target:
            where = "WinPE" if "winpe" in target.casefold() or target.casefold() == "pe" else "HD"
        if item is not None and item.kind == "step":
            item.reboot = item.reboot or where or ""
            where = where or item.reboot or None
        restarts = self.trace.restarts
        after = item.name if item is not None else None
        if restarts and not self.started_since and restarts[-1].after == after:
            restarts[-1].target = restarts[-1].target or where
            return
        record = self.record
        restarts.append(Restart(record.path, record.line, record.time, where, after))
        self.started_since = False
        self._ended("restart")

    started_since = True

    def _result_code(self, word: str, number: str | None) -> None:
        word = word.lower()
        if word.startswith("success"):
            self._success()
        elif word.startswith("reboot"):
            self._rebooting(None)
        else:
            self._ended("failed")

    # beginnings and ends

    def _started(self) -> None:
        self._settle()
        trace = self.trace
        if trace.result in ("success", "failed"):
            self.run += 1
            self.open = []
            trace.failed_step = trace.code = trace.engine_code = None
        trace.result = "unknown"
        trace.result_place = None
        trace.started = True
        self.current = None
        self.started_since = True

    def _bootstrap(self, program: str) -> None:
        record = self.record
        self.trace.phases.append(Phase(record.path, record.line, record.time, program.strip()))
        self.started_since = True

    def _environment(self, name: str) -> None:
        """``/env:WinPE``, ``/env:Gina``, ``/env:SAStart``: as the command line says."""
        if self.trace.phases and self.trace.phases[-1].environment is None:
            self.trace.phases[-1].environment = name

    def _in_winpe(self) -> None:
        self._environment("WinPE")

    def _uefi(self, value: str) -> None:
        self.trace.uefi = value.lower() == "true"

    def _ended(self, result: Literal["success", "failed", "restart"]) -> None:
        self._settle()
        self.trace.result = result
        self.trace.result_place = Place(self.record.path, self.record.line)

    def _success(self) -> None:
        self._ended("success")
        self.trace.failed_step = self.trace.code = None

    def _last_action(self, name: str) -> None:
        self._ended("failed")
        item = self._last(name)
        self.trace.failed_step = name.strip()
        said = error_code(self.record.message)
        self.trace.code = item.code if item is not None and item.code is not None else said

    def _fatal(self, name: str) -> None:
        """A restart that could not be (R66)."""
        self._ended("failed")
        self.trace.failed_step = name.strip()
        self.trace.code = error_code(self.record.message)
        self.codeless = self.trace if self.trace.code is None else None

    def _engine_failed(self, code: str | None) -> None:
        self._ended("failed")
        if code:
            self.trace.engine_code = code_of("0x" + code.lower().removeprefix("0x"))
        if self.trace.failed_step is None:
            for item in reversed(self.trace.items):
                if item.kind == "step" and item.status == "failed" and not item.continued:
                    self.trace.failed_step, self.trace.code = item.name, item.code
                    break

    def _variable(self, name: str, value: str) -> None:
        if name.casefold() == "smstsrebootrequested":
            self._target(value)
        self.trace.sets.append((name, value))


_ENGINE = frozenset(("tsmanager", "tsmbootstrap", "tsbootshell", "reboot", ""))
