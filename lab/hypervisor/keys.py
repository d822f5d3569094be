"""Key names and their Linux input codes (documented: linux/input-event-codes.h, a fixed kernel interface)."""

from __future__ import annotations

from difflib import get_close_matches

from lab.hypervisor.errors import HypervisorError

_ROWS = (
    (1, "ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB Q W E R T Y U I O P LEFTBRACE RIGHTBRACE ENTER"),
    (29, "LEFTCTRL A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH Z X C V B N M COMMA"),
    (52, "DOT SLASH RIGHTSHIFT KPASTERISK LEFTALT SPACE CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NUMLOCK"),
    (70, "SCROLLLOCK KP7 KP8 KP9 KPMINUS KP4 KP5 KP6 KPPLUS KP1 KP2 KP3 KP0 KPDOT"),
    (86, "102ND F11 F12"),
    (96, "KPENTER RIGHTCTRL KPSLASH SYSRQ RIGHTALT LINEFEED HOME UP PAGEUP LEFT RIGHT END DOWN PAGEDOWN"),
    (110, "INSERT DELETE"),
    (119, "PAUSE"),
    (125, "LEFTMETA RIGHTMETA COMPOSE"),
)

#: ``KEY_A`` -> 30 and so on.
CODES: dict[str, int] = {
    f"KEY_{name}": first + place for first, row in _ROWS for place, name in enumerate(row.split())
}


def chord(name: str) -> list[int]:
    """The input codes of keys held down together, such as ``KEY_LEFTSHIFT+KEY_A``. Raises as ``code``."""
    return [code(part) for part in name.split("+")]


def code(name: str) -> int:
    """The input code of a key. Raises HypervisorError for a name that is not known."""
    if name not in CODES:
        near = get_close_matches(name, CODES, n=1)
        raise HypervisorError(
            f"unknown key '{name}'", hint=f"did you mean '{near[0]}'?" if near else "for instance KEY_ENTER"
        )
    return CODES[name]
