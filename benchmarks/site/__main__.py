"""The site's service beside nginx over the same tap, and 200 clients a second. Needs nginx and curl."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.site.load import RATE, SECONDS
from lab.network.sandbox import sandbox_command, start_sandbox

SIZE = 1 << 30


def main() -> None:
    for program in ("nginx", "curl"):
        if shutil.which(program) is None:
            sys.exit(
                f"{program} is not installed: 'apt-get install --no-install-recommends nginx-light curl'"
            )
    with tempfile.TemporaryDirectory(prefix="site-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (folder / "big.wim").open("wb") as file:
            block = os.urandom(1 << 20)
            for _ in range(SIZE >> 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())  # a gigabyte on its way to the disk is a load of its own
        command = sandbox_command(
            root=os.geteuid() == 0, module="benchmarks.site.inside", arguments=[name, str(SIZE)]
        )
        process = start_sandbox(command, stderr=sys.stderr.fileno(), cwd=Path(__file__).parents[2])
        out, _ = process.communicate()
        result = next((line[7:] for line in out.decode().splitlines() if line.startswith("RESULT ")), None)
        if process.returncode or result is None:
            sys.exit(f"the measurement broke (exit code {process.returncode})")
    tell(json.loads(result))


def tell(found: dict[str, Any]) -> None:
    gigabytes = SIZE / 1e9
    for server in ("service", "nginx"):
        rates = ", ".join(f"{gigabytes / seconds:.2f}" for seconds in found[server])
        print(f"{server:8} 1 GiB, GB/s: {rates}; median {gigabytes / statistics.median(found[server]):.2f}")
    share = statistics.median(found["nginx"]) / statistics.median(found["service"])
    print(f"content  {share:.0%} of nginx (wanted: 80 %)")
    print(f"clients  {RATE} a second for {SECONDS} s, on loopback, each request on its own connection:")
    slowest = 0.0
    for name, what in (
        ("three", "GET /pxe/ipxe, GET /policy/<mac>, GET /policy/<mac>/<deployment>"),
        ("four", "the same, then POST /status"),
    ):
        one = found[name]
        print(f"  {what}: {len(one['requests'])} requests, no error")
        for whose in ("requests", "clients"):
            times = sorted(one[whose])
            p50, p99 = (times[int(len(times) * part)] * 1000 for part in (0.5, 0.99))
            print(f"    {whose}: median {p50:.1f} ms, p99 {p99:.1f} ms, longest {times[-1] * 1000:.1f} ms")
            slowest = max(slowest, p99 if (name, whose) == ("three", "requests") else 0.0)
        each = one["service"] / len(one["requests"]) * 1000
        print(
            f"    CPU: service {each:.2f} ms a request, {one['service'] / one['seconds']:.0%} of a core; "
            f"generator {one['generator'] / one['seconds']:.0%}"
        )
    print(f"  p99 of PXE and policy requests {slowest:.1f} ms (wanted: below 250 ms)")
    sys.exit(0 if share >= 0.8 and slowest < 250 else 1)


if __name__ == "__main__":
    main()
