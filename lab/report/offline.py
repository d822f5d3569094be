"""A report that loads nothing from elsewhere: foreign addresses are taken out of HTML, and looked for. Pure.

Scripts and styles that stand in a page as base64 data are read too. What a page only shows (a log that
mentions an address) is data, and none of this room's business.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from html.parser import HTMLParser

#: Names, not places: XML namespaces look like addresses and are never fetched.
_NAMES = ("www.w3.org",)
_HOST = r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
_ADDRESS = re.compile(rf"(?:https?|wss?):(?:\\?/){{2}}(?P<host>{_HOST})[^\s\"'`<>)\\]*")
#: In a style, an address without a scheme: url(//…), @import "//…".
_BARE = re.compile(rf"(?:url\(\s*[\"']?|@import\s+[\"'])(?P<address>//{_HOST}[^\s\"'`<>)\\]*)", re.IGNORECASE)
#: An attribute that a browser loads from, with a foreign address (also one without a scheme).
_FOREIGN = re.compile(r"\s*(?:(?:https?|wss?|ftp):)?//", re.IGNORECASE)
_LOADS = frozenset({"src", "srcset", "poster", "data", "background", "action", "formaction", "manifest"})
_LOADS_BY_HREF = frozenset({"link", "base", "image", "use"})
_EMBEDDED = re.compile(
    r"(data:(?:text/javascript|text/css|application/javascript)[^,\"'<>]*;base64,)([A-Za-z0-9+/=]+)"
)
_SCRIPT = re.compile(r"<script\b(?P<attributes>[^>]*)>(?P<body>.*?)</script\s*>", re.IGNORECASE | re.DOTALL)
_SOURCE = re.compile(r"""\bsrc\s*=\s*["']?(?P<source>[^"'\s>]+)""", re.IGNORECASE)
_TRACKS = re.compile(r"\bgtag\(|\bdataLayer\b")
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
#: In a srcset, an address behind others; what is base64 there has no host's points.
_CANDIDATE = re.compile(rf",\s*(?P<address>(?:https?:)?//{_HOST}\S*)", re.IGNORECASE)
#: What the browser itself keeps to, should anything have been overlooked.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src data: blob: '
    "'self' 'unsafe-inline' 'unsafe-eval'; form-action 'none'\">"
)


def make_offline(html: str) -> str:
    """The page without scripts of elsewhere and without addresses in its own scripts and styles, and with a
    policy by which the browser refuses to load anything from elsewhere."""
    page = _SCRIPT.sub(lambda match: "" if _foreign_script(match) else match.group(), html)
    page = _EMBEDDED.sub(_clean_embedded, page)
    head = _HEAD.search(page)
    at = head.end() if head else 0
    return page[:at] + _POLICY + page[at:]


def foreign_addresses(html: str) -> list[str]:
    """Every foreign address that a browser could load when it shows the page, sorted."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return sorted(set(reader.found))


def in_code(text: str) -> Iterator[str]:
    """The addresses of foreign services in a script or a style sheet."""
    for match in _ADDRESS.finditer(text):
        if match.group("host").lower() not in _NAMES:
            yield match.group()
    for match in _BARE.finditer(text):
        yield match.group("address")


def _foreign_script(match: re.Match[str]) -> bool:
    source = _SOURCE.search(match.group("attributes"))
    if source is not None and _FOREIGN.match(source.group("source")):
        return True
    return source is None and _TRACKS.search(match.group("body")) is not None


def _clean_embedded(match: re.Match[str]) -> str:
    try:
        text = base64.b64decode(match.group(2), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return match.group()
    cleaned = _ADDRESS.sub(
        lambda found: found.group() if found.group("host").lower() in _NAMES else "about:blank", text
    )
    return match.group(1) + base64.b64encode(cleaned.encode()).decode("ascii")


class _Reader(HTMLParser):
    """Walks a page as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in ("script", "style") else self._inside
        for name, value in attrs:
            if not value:
                continue
            loads = name in _LOADS or (name in ("href", "xlink:href") and tag in _LOADS_BY_HREF)
            if loads:
                self.found += [value.strip()] if _FOREIGN.match(value) else []
            if name == "srcset":
                self.found += [match.group("address") for match in _CANDIDATE.finditer(value)]
            if name == "srcdoc":  # a page within the page
                self.found += foreign_addresses(value)
            if tag == "meta" and "url=" in value.lower():
                self.found += in_code(value)
            if name == "style":
                self.found += in_code(value)
            for embedded in _EMBEDDED.finditer(value):
                self.found += in_code(_decoded(embedded.group(2)))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found += in_code(data)


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except binascii.Error:
        return ""
