"""A file as an HTTP answer: whole or a part, its bytes sent by the kernel, damaged where the site says so."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from lab.site.connection import SendFile

#: Bytes that go out between two looks at how far the client is; it must take them within ``STALL``.
PIECE = 16 << 20

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Part:
    """Which bytes of a file: from ``first``, ``count`` of them."""

    first: int
    count: int


def read_range(text: str, size: int) -> Part | None:
    """The part that a Range header asks for; None for one outside the file (416).

    Raises ValueError for what is no range of bytes; several at once are none here, no client of ours asks so.
    """
    match = _RANGE.fullmatch(text.strip().lower())
    if match is None or match[1] == match[2] == "":
        raise ValueError("not one range of bytes")
    if match[1] == "":
        count = min(int(match[2]), size)
        return Part(size - count, count) if count else None
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        raise ValueError("a range that ends before it begins")
    return Part(first, last - first + 1) if first < size else None


def open_file(path: str) -> tuple[BinaryIO, os.stat_result] | None:
    """The open file; None where there is none (it may have been taken away since the service began)."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
    except OSError:  # a folder, too
        return None
    return file, os.fstat(file.fileno())


def entity_tag(status: os.stat_result, damaged: bool) -> str:
    """What tells one version of a file's bytes from another."""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}{"-d" if damaged else ""}"'


def wrong_byte(size: int) -> int:
    """The place of the byte that is another one in a damaged file: the same in whatever part of it."""
    return size // 2


async def send_part(
    file: BinaryIO, part: Part, *, damaged_at: int | None, headers: Mapping[str, str], status: int,
    send: Send, send_file: SendFile, sent: Callable[[int], None],
) -> None:  # fmt: skip
    """Answer with a part of a file. ``damaged_at``: the offset of a byte to be changed on the way; ``sent``
    is told of bytes that went out beside ``send``. Raises ConnectionError and TimeoutError when the client
    went away, or takes nothing any more."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    offset, end = part.first, part.first + part.count
    while offset < end:
        if offset == damaged_at:
            byte = os.pread(file.fileno(), 1, offset)
            await send({"type": "http.response.body", "body": bytes([byte[0] ^ 0xFF]), "more_body": True})
            offset += 1
            continue
        stop = min(end, offset + PIECE)
        if damaged_at is not None and offset < damaged_at < stop:
            stop = damaged_at
        await send_file(file, offset, stop - offset)
        sent(stop - offset)
        offset = stop
    await send({"type": "http.response.body", "body": b"", "more_body": False})
