"""What machines write to file servers, as far as the host has room for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from lab.site import shares


def put(folder: Path, *chunks: bytes) -> int:
    """The status that a PUT of these bytes is answered with. Nothing here waits, so no loop is needed."""
    messages = iter({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks)

    async def receive() -> Any:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    request = Request({"type": "http", "method": "PUT", "headers": []}, receive)
    answering = shares.Shares(str(folder)).answer(request, ["SRV", "Images", "a.wim"])
    with pytest.raises(StopIteration) as ended:
        answering.send(None)
    return int(ended.value.value.status_code)


def test_a_machine_that_writes_and_writes_leaves_the_host_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(tmp_path, b"one", b"two") == 201
    assert (tmp_path / "SRV" / "Images" / "a.wim").read_bytes() == b"onetwo"
    free = iter([shares.RESERVE + 5, shares.RESERVE + 2])
    monkeypatch.setattr(shares, "_free", lambda handle: next(free, 1 << 40))
    assert put(tmp_path, b"new", b"er") == 201
    free = iter([shares.RESERVE + 3, shares.RESERVE + 1])
    assert put(tmp_path, b"lar", b"ger") == 507
    assert (tmp_path / "SRV" / "Images" / "a.wim").read_bytes() == b"newer", "the file before is kept"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.wim"], "nothing lies aside"
