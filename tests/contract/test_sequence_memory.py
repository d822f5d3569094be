"""Reading stays within its limits: 80 times the input plus 32 MiB, nodes, depth, bytes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.errors import InputError
from lab.sequence import xmltree
from lab.sequence.xmlformat import read_export

_CHILD = """
import resource, sys
from lab.sequence.xmlformat import read_export
kind, count = sys.argv[1], int(sys.argv[2])
data = b"<sequence>" + kind.encode() * count + b"</sequence>"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_export(data, "x.xml")
print(len(data), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("kind", ["<a/>", "<step/>"])
def test_the_most_nodes_of_the_shortest_kind_fit_in_memory(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, kind, "499000"],
        capture_output=True,
        text=True,
        check=True,
        timeout=1200,
    )
    size, used = map(int, done.stdout.split())
    assert used < 80 * size + 32 * 2**20


def test_beyond_the_limits_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (xmltree.MAX_BYTES, xmltree.MAX_NODES, xmltree.MAX_DEPTH) == (64 * 2**20, 500_000, 256)
    with pytest.raises(InputError, match="bytes"):
        read_export(b" " * (64 * 2**20 + 1), "x.xml")
    with pytest.raises(InputError, match="more than 500000 nodes"):
        read_export(b"<sequence>" + b"<a/>" * 500_000 + b"</sequence>", "x.xml")
    for depth, fits in ((256, True), (257, False)):
        text = b"<sequence>" + b"<group name='x'>" * (depth - 1) + b"</group>" * (depth - 1) + b"</sequence>"
        if fits:
            assert len(list(read_export(text, "x.xml").found[0].sequence.walk())) == depth - 1
        else:
            with pytest.raises(InputError, match="deep"):
                read_export(text, "x.xml")
