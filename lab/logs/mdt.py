"""MDT's own logs (BDD.log, ZTIGather.log …): scripts with return values, no steps.

Wording observed: ``ZTIDiskpart COMPLETED.  Return Value = 0``, ``ZTIDiskpart processing completed
successfully.``, ``ZTI ERROR - Non-zero return code by LTIApply, rc = 2``, ``Command completed, return code =
-2147021886`` (the task sequence's own code), ``LTI initiating task sequence-requested reboot.``
"""

from __future__ import annotations

import re

from lab.logs.history import Item, Place, Restart, Trace
from lab.logs.messages import code_of
from lab.logs.records import Record

_COMPLETED = re.compile(r"(\w[\w .-]*?) COMPLETED\.\s+Return Value = (-?\d+)", re.IGNORECASE)
_FAILED = re.compile(
    r"(?:ZTI|LTI) ERROR - Non-zero return code by (\w[\w .-]*?), rc = (-?\d+)", re.IGNORECASE
)
_SUCCEEDED = re.compile(r"(\w[\w .-]*?) processing completed successfully\.", re.IGNORECASE)
_RETURNED = re.compile(r"Command completed, return code = (-?\d+)", re.IGNORECASE)
_HRESULT_REBOOT = 0x80070BC2


class Scripts:
    """Collects the scripts while a log is read; they count when the log has no task sequence engine in it."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._begun: dict[str, Record] = {}
        self._ends: list[tuple[Record, int]] = []
        self._reboots: list[Record] = []

    def take(self, record: Record) -> None:
        component = record.component
        if not component or not component.upper().startswith(("ZTI", "LTI", "LITETOUCH", "WIZARD")):
            return
        message = record.message.strip()
        key = component.casefold()
        if message.startswith("Microsoft Deployment Toolkit version"):
            self._begun[key] = record
            return
        ended = _COMPLETED.match(message) or _FAILED.match(message)
        if ended:
            self._script(ended[1], code_of(ended[2]), key, record)
            return
        succeeded = _SUCCEEDED.match(message)
        if succeeded:
            if key in self._begun:  # else COMPLETED has told of it
                self._script(succeeded[1], None, key, record)
            return
        returned = _RETURNED.match(message)
        code = code_of(returned[1]) if returned else None
        if code is not None:
            self._ends.append((record, code))
        elif message == "LTI initiating task sequence-requested reboot.":
            self._reboots.append(record)

    def _script(self, name: str, code: int | None, key: str, record: Record) -> None:
        last = self._items[-1] if self._items else None
        if last is not None and last.name == name and last.code == code and key not in self._begun:
            return  # MDT says a failure twice
        first = self._begun.pop(key, record)
        self._items.append(
            Item(
                name, "script", first.path, first.line, first.time,
                status="failed" if code else "succeeded", code=code, ended_line=record.line,
            )
        )  # fmt: skip

    def into(self, trace: Trace) -> Trace:
        """Add what was found to a trace that has nothing of the engine itself."""
        if trace.items or trace.started or not (self._items or self._ends):
            return trace
        trace.items = self._items
        for record in self._reboots:
            trace.restarts.append(Restart(record.path, record.line, record.time, None, None))
        if not self._ends:
            return trace
        record, code = self._ends[-1]
        trace.result_place = Place(record.path, record.line)
        trace.engine_code = code
        trace.result = "restart" if code == _HRESULT_REBOOT else "failed" if code else "success"
        if trace.result == "failed":
            for item in reversed(self._items):
                if item.status == "failed":
                    trace.failed_step, trace.code = item.name, item.code
                    break
        return trace
