"""What a request's path asks for: pure, strict, and the only place that reads one.

Every part of the path is decoded once, and must then be a plain name. What is asked for is looked up in
lists made before the service started, so that no path ever reaches the file system; only a share's names do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

_MAC = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}")


@dataclass(frozen=True)
class Target:
    """``kind`` policy: ``name`` is a MAC with colons; content: package and relative file; boot: a file;
    share: server, share and path with slashes."""

    kind: Literal["policy", "content", "boot", "share"]
    name: str
    package: str = ""


@dataclass(frozen=True)
class Refusal:
    """``status`` 400 for a path no honest client sends, 404 for one that names nothing here."""

    status: Literal[400, 404]
    reason: str


def read_target(raw: bytes) -> Target | Refusal:
    """Read a raw request path (percent-encoded, without query)."""
    if not raw.startswith(b"/"):
        return Refusal(400, "not a path from the root")
    names = []
    for part in raw[1:].split(b"/"):
        decoded = unquote_to_bytes(part)
        if b"/" in decoded or b"\\" in decoded:
            return Refusal(400, "an encoded slash or a backslash")
        if b"\0" in decoded or any(byte < 32 or byte == 127 for byte in decoded):
            return Refusal(400, "a control character")
        if decoded in (b"", b".", b".."):
            return Refusal(400 if decoded else 404, "an empty name or a relative one")
        try:
            names.append(decoded.decode("utf-8"))
        except UnicodeDecodeError:
            return Refusal(400, "not UTF-8")
    return _of_names(names)


def _of_names(names: list[str]) -> Target | Refusal:
    match names:
        case ["policy", mac] if _MAC.fullmatch(mac.lower()):
            return Target("policy", mac.lower().replace("-", ":"))
        case ["content", package, *rest] if rest:
            return Target("content", "/".join(rest), package)
        case ["boot", name]:
            return Target("boot", name)
        case ["share", _, _, *_]:
            return Target("share", "/".join(names[1:]))
    return Refusal(404, "nothing of the site's")
