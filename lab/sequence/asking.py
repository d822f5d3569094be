"""What an expression of a condition sees of the run: its values, expanded and logged, and what it may ask.

Engine room: pure. A failed question is an error in the log and no fact.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Literal, Protocol

from lab.sequence.codes import hexadecimal
from lab.sequence.effects import Effect, Outcome, QueryWmi, ReadRegistry
from lab.sequence.model import Condition

#: An expression: yields what it asks, returns whether it is true.
Asking = Generator[Effect, Outcome, bool]
Rows = list[dict[str, Any]]

FILE = "tsexpreval.cpp:800"
CIM = "root\\cimv2"

_ENVIRONMENT = re.compile(r"%([^%\\/:*?\"<>|]{1,40})%")


class Asker(Protocol):
    """What an expression sees of the run. ``Run`` and ``StepContext`` are such."""

    def lookup(self, name: str) -> str | None: ...
    def expand(self, text: str) -> str: ...
    def record(self, message: str, type: int = 1, file: str = "") -> None: ...

    @property
    def facts(self) -> dict[str, Any]: ...


class Expression:
    """One expression: its values expanded and logged, the queries it may make."""

    def __init__(self, condition: Condition, asker: Asker) -> None:
        self._values = {name.casefold(): value for name, value in condition.values}
        self.asker = asker

    def value(self, *names: str) -> str:
        """The first of these values that is given, expanded; the log says that it was (observed)."""
        text = next((found for name in names if (found := self._values.get(name.casefold()))), "")
        self.asker.record(f"Expand a string: {text}", 0, "utility.cpp:790")
        return self.asker.expand(text)

    def path(self) -> str:
        """``Path`` with the system's environment variables replaced, too (documented)."""
        return with_environment(self.value("Path"), self.in_winpe).strip().strip('"')

    @property
    def in_winpe(self) -> bool:
        return bool(self.asker.facts.get("in_winpe"))

    @property
    def view(self) -> Literal[32, 64]:
        """Documented: the 32-bit view in a 64-bit full OS unless redirection is disabled."""
        disabled = (self.asker.lookup("SMSTSDisableWow64Redirection") or "").strip().casefold() == "true"
        x64 = self.asker.facts.get("architecture") == "x64"
        return 32 if x64 and not disabled and not self.in_winpe else 64

    def begin(self, what: str) -> None:
        self.asker.record(f"Evaluating a {what} condition expression", 1, FILE)

    def fail(self, message: str, code: int = 0) -> bool:
        """Say why the expression cannot be evaluated; it is false."""
        self.asker.record(message + (f" ({hexadecimal(code)})" if code else ""), 3, FILE)
        return False

    def rows(self, class_name: str, namespace: str = CIM) -> Generator[Effect, Outcome, Rows]:
        """The instances of a class; none when it cannot be asked, which the log says."""
        outcome = yield QueryWmi(namespace, class_name)
        if not outcome.ok:
            said = outcome.message or "the query failed"
            self.fail(f"Failed to query {class_name} in {namespace}: {said}", outcome.code)
            return []
        return list(outcome.value.get("instances", ()))

    def values_of(
        self, key: str, view: Literal[32, 64] | None = None
    ) -> Generator[Effect, Outcome, dict[str, Any] | None]:
        """A key's values by name in lower case; None when there is no such key."""
        outcome = yield ReadRegistry(key, view or self.view)
        if not outcome.ok:
            return None
        return {name.casefold(): value for name, value in outcome.value.get("values", {}).items()}


def with_environment(path: str, in_winpe: bool) -> str:
    """``%SystemRoot%`` and its like replaced as Local System has them; what is not known stays."""
    if "%" not in path:
        return path
    drive = "X:" if in_winpe else "C:"
    known = {
        "systemdrive": drive,
        "systemroot": f"{drive}\\Windows",
        "windir": f"{drive}\\Windows",
        "temp": f"{drive}\\Windows\\Temp",
        "tmp": f"{drive}\\Windows\\Temp",
        "programfiles": f"{drive}\\Program Files",
        "programw6432": f"{drive}\\Program Files",
        "programfiles(x86)": f"{drive}\\Program Files (x86)",
        "commonprogramfiles": f"{drive}\\Program Files\\Common Files",
        "programdata": f"{drive}\\ProgramData",
        "allusersprofile": f"{drive}\\ProgramData",
        "public": f"{drive}\\Users\\Public",
        "comspec": f"{drive}\\Windows\\System32\\cmd.exe",
    }
    return _ENVIRONMENT.sub(lambda found: known.get(found[1].casefold(), found[0]), path)
