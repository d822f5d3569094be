"""From a machine's bytes to observations: console output by the line, the agent's numbered JSON lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.run.phases import Seen

#: Kinds the agent itself reports; every other kind but ``record`` is the engine's (docs/architecture.md).
AGENT_KINDS = frozenset(
    {
        "hello", "phase", "effect", "restart", "variables", "lab-error", "bye", "ssh", "held",
        "no-deployment", "wizard", "wizard-done",
    }
)  # fmt: skip

_MAX_LINE = 4096
#: Bytes of the longest message an agent may send; an honest one stays far below.
_MAX_MESSAGE = 4 << 20
#: What the host counts with, wherever it stands in a message; a name of ``variables`` may be any of these.
_WHOLE_NUMBERS = ("code", "instructions", "n", "pointer", "step_code", "steps", "thread", "type")
# A sequence that moves the cursor ends a line: firmware and iPXE draw their screens with them.
_MOVES = re.compile(r"\x1b\[\d*(?:;\d*)?[Hf]|\x1b\[\d*[ABEF]|\x1b\[\d*J|\x1bc|[\r\n]")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78NODM])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[()]|\][^\x07\x1b]*)?\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class ConsoleLines:
    """Cuts console output into plain lines: escape sequences are taken out, empty lines left out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> Iterator[str]:
        text = self._rest + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text)
        held = unfinished.group() if unfinished and len(unfinished.group()) < 64 else ""
        text = text[: len(text) - len(held)]
        *lines, rest = _MOVES.split(text)
        if len(rest) > _MAX_LINE:
            lines.append(rest)
            rest = ""
        self._rest = rest + held
        for line in lines:
            if plain := _plain(line):
                yield plain

    def flush(self) -> Iterator[str]:
        """The line that has no end yet: a prompt, or the last word before power-off."""
        rest, self._rest = self._rest, ""
        if plain := _plain(rest):
            yield plain


def _plain(line: str) -> str:
    return _CONTROL.sub("", _ESCAPES.sub("", line)).strip()[:_MAX_LINE]


class AgentLines:
    """Reads the agent's JSON lines and watches their numbering."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._rest = b""
        self._last: dict[str, int] = {}

    def feed(self, data: bytes) -> Iterator[Seen]:
        """Observations; what is wrong with the channel comes as ``lab`` ones: channel-gap, channel-noise.

        The numbers of one boot count from 1: a hole is told, a line that came before is left out (told too).
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip(b"\0\r "):
                yield from self._line(line.strip(b"\0\r "))
        if len(self._rest) > _MAX_MESSAGE:
            rest, self._rest = self._rest, b""
            yield self._noise(rest, f"a line of more than {_MAX_MESSAGE} bytes")

    def restarted(self) -> Iterator[Seen]:
        """The machine went down: a line it had begun will not be ended."""
        rest, self._rest = self._rest, b""
        if rest.strip(b"\0\r "):
            yield self._noise(rest, "cut by a restart or power-off")

    def _line(self, line: bytes) -> Iterator[Seen]:
        try:
            number, boot, kind, up, data = _message(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            yield self._noise(line, str(error))
            return
        expected = self._last.get(boot, 0) + 1
        if number != expected:
            yield Seen(
                self._machine, "lab", "channel-gap", {"boot": boot, "expected": expected, "got": number}
            )
        if number < expected:
            return
        self._last[boot] = number
        yield Seen(self._machine, source_of(kind), kind, data, up)

    def _noise(self, line: bytes, why: str) -> Seen:
        text = line[:200].decode("utf-8", "replace")
        return Seen(self._machine, "lab", "channel-noise", {"text": text, "reason": why})


def _message(line: bytes) -> tuple[int, str, str, float | None, dict[str, Any]]:
    """Number, boot, kind, uptime and data of a line. The guest is not trusted: what could not be written to
    the timeline, or not counted with, is refused here with ValueError, KeyError, TypeError and the like."""
    message = json.loads(line)
    json.dumps(message, ensure_ascii=False, allow_nan=False).encode()  # no half characters, no NaN
    kind, up = str(message["kind"]), message.get("up")
    data = message.get("data") or {}
    if not isinstance(data, Mapping):
        raise TypeError("data is no object")
    for name in () if kind == "variables" else _WHOLE_NUMBERS:
        value = data.get(name)
        # A step's type is a word, a record's a number.
        if value is not None and not isinstance(value, int) and (name != "type" or kind == "record"):
            raise TypeError(f"{name} is no whole number")
    return int(message["n"]), str(message["boot"]), kind, None if up is None else float(up), dict(data)


def source_of(kind: str) -> str:
    """The timeline's source for a kind the agent sends."""
    if kind == "record":
        return "smsts"
    return "agent" if kind in AGENT_KINDS else "engine"


def http_seen(line: str, machines: Mapping[str, str]) -> Seen | None:
    """An observation from a line of the site service; None for one that is no request.

    ``machines``: address -> machine name.
    """
    try:
        data: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict) or "path" not in data:
        return None
    kind = "progress" if data.pop("progress", False) else "request"
    return Seen(machines.get(str(data.get("client", "")), ""), "http", kind, data)


def site_seen(line: str, machines: Mapping[str, str], addresses: Mapping[str, str]) -> Seen | None:
    """An observation from a line of the site service that tells a decision of the site's; None for another.

    ``machines``: MAC -> machine name; ``addresses``: address -> machine name. Who fetches content tells no
    MAC, so that of its address is filled in.
    """
    try:
        data: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict) or "site" not in data:
        return None
    kind = str(data.pop("site"))
    if not data.get("mac"):
        fetches = addresses.get(str(data.get("client", "")))
        data["mac"] = next((mac for mac, name in machines.items() if name == fetches), "")
    return Seen(machines.get(str(data["mac"]).lower(), ""), "site", kind, data)
