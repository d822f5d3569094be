"""``python -m benchmarks.engine [PART...]``: print each measurement."""

from __future__ import annotations

import sys

from benchmarks.engine import load, logs, simulate

PARTS = {"load": load.measure, "simulate": simulate.measure, "logs": logs.measure}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names or PARTS:
        for what, number in PARTS[name]():
            print(f"{name:10} {what:60} {number}")
    return 0


sys.exit(main(sys.argv[1:]))
