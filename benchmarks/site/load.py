"""Clients that start at a steady rate, whatever the service does: PXE, assignments, policy.

An open loop: a client that is due begins although others wait, so that a slow service shows in the times.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

from benchmarks.site.configuration import DEVICES, mac

RATE, SECONDS = 200, 20


def clients(namespace: int, address: str) -> list[float]:
    """Seconds of every request of clients in another network namespace; raises when one had an error."""
    command = [
        "nsenter",
        "--net",
        "--target",
        str(namespace),
        sys.executable,
        "-m",
        "benchmarks.site.load",
        address,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[float] = json.loads(done.stdout)
    return found


async def request(address: str, text: str, times: list[float]) -> bytes:
    """One request on a connection of its own, as a card and an agent make them; the answer's body."""
    begin = time.monotonic()
    reader, writer = await asyncio.open_connection(address, 80)
    try:
        writer.write(text.encode())
        answer = await reader.read()
    finally:
        writer.close()
    times.append(time.monotonic() - begin)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{text.splitlines()[0]}: {head[:80]!r}")
    return body


async def client(address: str, index: int, times: list[float]) -> None:
    me, start = mac(index % DEVICES), f"boot-{index}"
    rest = f" HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n"
    await request(address, f"GET /pxe?mac={me}&client_system=7&start={start}{rest}\r\n", times)
    answer = json.loads(await request(address, f"GET /policy/{me}{rest}X-Start: {start}\r\n\r\n", times))
    deployment = answer["assignments"][0]["deployment"]
    await request(address, f"GET /policy/{me}/{deployment}{rest}\r\n", times)


async def measured(address: str) -> list[float]:
    times: list[float] = []
    begin = asyncio.get_running_loop().time()
    tasks = []
    for index in range(RATE * SECONDS):
        due = begin + index / RATE
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        tasks.append(asyncio.create_task(client(address, index, times)))
    await asyncio.gather(*tasks)
    return times


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(sys.argv[1]))))
