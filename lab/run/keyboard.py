"""A line of text as keys of a US keyboard, which firmware and LabPE take every machine to have. Pure."""

from __future__ import annotations

import string

ENTER = "KEY_ENTER"
_SHIFT = "KEY_LEFTSHIFT+"

_PLAIN = {
    " ": "SPACE", "-": "MINUS", "=": "EQUAL", "[": "LEFTBRACE", "]": "RIGHTBRACE", ";": "SEMICOLON",
    "'": "APOSTROPHE", "`": "GRAVE", "\\": "BACKSLASH", ",": "COMMA", ".": "DOT", "/": "SLASH",
    **{character: character.upper() for character in string.ascii_lowercase + string.digits},
}  # fmt: skip
_SHIFTED = {
    **dict(zip('!@#$%^&*()_+{}|:"~<>?', "1234567890-=[]\\;'`,./", strict=True)),
    **{character: character.lower() for character in string.ascii_uppercase},
}


def keys(text: str) -> tuple[str, ...]:
    """The keys that type a line, Enter behind it. Raises ValueError with the characters no key has."""
    if strange := sorted({character for character in text if character not in _PLAIN | _SHIFTED}):
        raise ValueError(f"no key of a US keyboard types {' '.join(map(ascii, strange))}")
    return (*(_key(character) for character in text), ENTER)


def _key(character: str) -> str:
    if character in _PLAIN:
        return f"KEY_{_PLAIN[character]}"
    return f"{_SHIFT}KEY_{_PLAIN[_SHIFTED[character]]}"
