"""Real logs that nobody here wrote: read whole, traced, replayed. Skipped where their folder is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.logs.records import Damage
from lab.logs.replay import replay
from lab.logs.scan import scan
from lab.logs.skeleton import skeleton
from lab.logs.source import read_source
from lab.logs.trace import trace

FOLDER = Path(__file__).parents[3] / "shared" / "field" / "logs"
BLANK = b" \t\r\n\x0b\x0c"


def test_every_byte_of_every_real_log_is_accounted_for() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"no real logs at {FOLDER.resolve()}")
    for path in sorted(FOLDER.iterdir()):
        source = read_source(path)
        at, records = source.base, 0
        found = list(scan(source))
        for item in found:
            assert item.offset >= at and not source.raw[at : item.offset].strip(BLANK), path.name
            at = item.offset + item.length
            records += not isinstance(item, Damage)
        assert not source.raw[at:].strip(BLANK), path.name
        opened = source.scanned.count(b"<![LOG[")
        assert records and (not opened or opened - 1 <= records <= opened), path.name
        rebuilt = trace(found)
        assert replay(skeleton(rebuilt.items), rebuilt).divergence is None, path.name
