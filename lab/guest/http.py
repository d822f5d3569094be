"""GET, PUT and POST over HTTP, small: what the site needs, without the weight of ``http.client``.

Speaks HTTP/1.0, so an answer is never chunked: it ends with its length or with the connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CHUNK = 262_144
MAX_HEADER = 65_536

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:")


class HttpError(OSError):
    """The server answered something that is no HTTP, or less than it promised."""


@dataclass(frozen=True)
class Response:
    """An answer. ``length`` is None when the server did not say; ``body`` can be read once."""

    status: int
    length: int | None
    body: Iterator[bytes]


def quote(path: str) -> str:
    """A path as it stands in a URL."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in path.encode())


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and path of ``http://host[:port]/path``. Raises HttpError."""
    scheme, _, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    host, _, port = address.partition(":")
    if scheme != "http" or not host or not (port or "80").isdigit():
        raise HttpError(f"'{url[:80]}' is no address of HTTP")
    return host, int(port or 80), slash + path


def request(
    host: str,
    path: str,
    start: str = "",
    *,
    query: Mapping[str, str] | None = None,
    account: tuple[str, str] | None = None,
) -> bytes:
    """The head of a GET. ``start``: the mark of the machine's start, for a site that decides per start;
    ``account``: user and password, for a server that asks for them (Basic)."""
    more = f"X-Start: {start}\r\n" if start else ""
    if account is not None:
        from binascii import b2a_base64

        told = b2a_base64(":".join(account).encode(), newline=False).decode()
        more += f"Authorization: Basic {told}\r\n"
    asked = "&".join(f"{name}={quote(value)}" for name, value in (query or {}).items())
    target = quote(path) + (f"?{asked}" if asked else "")
    return f"GET {target} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: osdlab\r\n{more}\r\n".encode()


def parse_head(head: bytes) -> tuple[int, int | None]:
    """Status and content length of an answer's head. Raises HttpError."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/") or not parts[1].isdigit():
        raise HttpError(f"'{first[:80]}' is no HTTP answer")
    length: int | None = None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            if not value.strip().isdigit():
                raise HttpError(f"'{value[:80]}' is no length")
            length = int(value)
    return int(parts[1]), length


def get(
    host: str,
    path: str,
    *,
    timeout: float,
    port: int = 80,
    start: str = "",
    query: Mapping[str, str] | None = None,
    account: tuple[str, str] | None = None,
) -> Response:
    """Ask a server. ``timeout`` in seconds, for connecting and for each silence. Raises OSError."""
    return _ask(host, port, timeout, request(host, path, start, query=query, account=account), "")


def post(host: str, path: str, body: bytes, *, timeout: float, port: int = 80, start: str = "") -> Response:
    """Send JSON to a server. ``timeout`` as of ``get``. Raises OSError."""
    more = f"\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
    first, rest = request(host, path, start).split(b"\r\n", 1)
    return _ask(host, port, timeout, first.replace(b"GET", b"POST", 1) + more + rest + body, "")


def put(host: str, path: str, file: str, *, timeout: float, port: int = 80) -> Response:
    """Send a local file to a server. ``timeout`` as of ``get``. Raises OSError."""
    import os

    first, rest = request(host, path).split(b"\r\n", 1)
    head = (
        first.replace(b"GET", b"PUT", 1) + f"\r\nContent-Length: {os.path.getsize(file)}\r\n".encode() + rest
    )
    return _ask(host, port, timeout, head, file)


def _ask(host: str, port: int, timeout: float, head_: bytes, file: str) -> Response:
    import socket

    connection = socket.create_connection((host, port), timeout)
    try:
        connection.sendall(head_)
        if file:
            with open(file, "rb") as source:
                while piece := source.read(CHUNK):
                    connection.sendall(piece)
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(CHUNK)
            if not more or len(data) > MAX_HEADER:
                raise HttpError("the server ended the connection without an answer")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        status, length = parse_head(head)
    except BaseException:
        connection.close()
        raise

    def body() -> Iterator[bytes]:
        with connection:
            left = length
            chunk = rest
            while True:
                if chunk:
                    if left is not None:
                        left -= len(chunk)
                    yield chunk
                if left is not None and left <= 0:
                    return
                chunk = connection.recv(CHUNK)
                if not chunk:
                    if left:
                        raise HttpError(f"the answer ended {left} bytes too early")
                    return

    return Response(status, length, body())
