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

from benchmarks.site.disk import COMMITS
from benchmarks.site.load import RATE, SECONDS
from lab.network.sandbox import sandbox_command, start_sandbox

SIZE = 1 << 30
_REQUESTS = ("GET /pxe/ipxe", "GET /policy/<mac>", "GET /policy/<mac>/<deployment>", "POST /status")


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
    print(f"disk     8 KiB and fdatasync, {COMMITS} times a second, alone: {spread(found['disk'])}")
    print(f"clients  {RATE} a second for {SECONDS} s, on loopback, each request on its own connection:")
    slowest = {}
    for name, what in (("three", "without status messages"), ("four", "with them")):
        one = found[name]
        requests = [time for times in one["requests"] for time in times]
        print(f"  {what}: {len(requests)} requests, no error: {spread(requests)}")
        for request, times in zip(_REQUESTS, one["requests"], strict=False):
            print(f"    {request}: {spread(times)}")
        print(f"    a client's requests, one after the other: {spread(one['clients'])}")
        each = one["service"] / len(requests) * 1000
        print(
            f"    CPU: service {each:.2f} ms a request, {one['service'] / one['seconds']:.0%} of a core; "
            f"generator {one['generator'] / one['seconds']:.0%}, at most {one['late'] * 1000:.0f} ms late; "
            f"the host took {one['stolen'] / one['seconds']:.0%} of a core away"
        )
        slowest[name] = part(requests, 0.99)
    print(
        f"  p99 of requests: {slowest['three']:.1f} ms without status messages, {slowest['four']:.1f} ms "
        "with them (wanted: both below 250 ms)"
    )
    sys.exit(0 if share >= 0.8 and max(slowest.values()) < 250 else 1)


def part(times: list[float], share: float) -> float:
    """Milliseconds that ``share`` of the times stay below."""
    return sorted(times)[int(len(times) * share)] * 1000


def spread(times: list[float]) -> str:
    middle, most = part(times, 0.5), part(times, 0.99)
    return f"median {middle:.1f} ms, p99 {most:.1f} ms, longest {max(times) * 1000:.1f} ms"


if __name__ == "__main__":
    main()
