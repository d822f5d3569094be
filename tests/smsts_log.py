"""What a log of ours says when the lab's reader of real logs reads it."""

from __future__ import annotations

from lab.logs.records import Record
from lab.logs.scan import scan
from lab.logs.source import source_of


def records(data: bytes) -> list[Record]:
    """The records; damage fails the test."""
    found = list(scan(source_of(data, "smsts.log")))
    assert all(isinstance(item, Record) for item in found), found
    return [item for item in found if isinstance(item, Record)]
