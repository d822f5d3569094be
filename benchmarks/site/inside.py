"""The part that runs in the lab's namespaces: one network, two servers on the bridge, one client on a tap.

The client is in a namespace of its own, behind a veth pair that is in the lab's bridge as a guest's tap is;
both servers serve the same file to the same client, in turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.site import load
from benchmarks.site.configuration import ACCOUNT, configuration, nginx_configuration
from benchmarks.site.disk import fdatasyncs
from lab.network import inside

ROUNDS = 5
_SERVICE, _NGINX = 80, 8080
_CLIENT = "10.77.0.99"


def lay_client() -> int:
    """A network namespace with the client's end of a veth pair; the process that holds it open."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = os.readlink("/proc/self/ns/net")
    limit = time.monotonic() + 10
    while os.readlink(f"/proc/{holder.pid}/ns/net") == own:
        if time.monotonic() > limit:
            raise RuntimeError("the client's namespace was not made")
        os.sched_yield()
    commands = [
        f"ip link add bench0 type veth peer name eth0 netns {holder.pid}",
        f"ip link set bench0 master {inside.BRIDGE} up",
        f"nsenter --net --target {holder.pid} ip addr add {_CLIENT}/{inside.PREFIX} dev eth0",
        f"nsenter --net --target {holder.pid} ip link set eth0 up",
    ]
    for command in commands:
        subprocess.run(command.split(), check=True)
    return holder.pid


def download(client: int, port: int, path: str) -> float:
    """Seconds that the client needs for a file, by curl."""
    command = [
        "nsenter", "--net", "--target", str(client), "curl", "--silent", "--show-error", "--fail",
        "--user", ":".join(ACCOUNT), "--output", "/dev/null", "--write-out", "%{time_total} %{size_download}",
        f"http://{inside.ADDRESS}:{port}{path}",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if int(said[1]) != int(sys.argv[2]):
        raise RuntimeError(f"{said[1]} bytes came")
    return float(said[0])


def await_port(port: int) -> None:
    """Until somebody listens."""
    import socket

    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((inside.ADDRESS, port)) == 0:
                return
        os.sched_yield()
    raise RuntimeError(f"nobody listens on port {port}")


def main() -> None:
    folder, project = Path(sys.argv[1]), Path(__file__).parents[2]
    venv = Path(sys.prefix)
    inside.enter(writable=[folder], readable=[project, venv])
    inside.lay_network([])
    client = lay_client()
    config = folder / "site.json"
    config.write_text(json.dumps(configuration(folder, inside.ADDRESS, _SERVICE)))
    nginx_file = folder / "nginx.conf"
    nginx_file.write_text(nginx_configuration(folder, f"{inside.ADDRESS}:{_NGINX}"))
    with (folder / "service.lines").open("w") as lines:
        service = subprocess.Popen(
            [sys.executable, "-m", "lab.site.service", "--config", str(config)],
            stdin=subprocess.PIPE, stdout=lines, cwd=project,
            env={**os.environ, "PYTHONPATH": str(project)},
        )  # fmt: skip
    nginx = subprocess.Popen(["nginx", "-c", str(nginx_file), "-p", str(folder), "-g", "daemon off;"])
    try:
        for port in (_SERVICE, _NGINX):
            await_port(port)
        found: dict[str, Any] = {"service": [], "nginx": []}
        for _ in range(ROUNDS):  # in turn, so that a busy host is as busy for both
            found["service"].append(download(client, _SERVICE, "/content/LAB00001/big.wim"))
            found["nginx"].append(download(client, _NGINX, "/content/LAB00001/big.wim"))
        found["disk"] = fdatasyncs(folder)
        found["three"] = load.clients(inside.ADDRESS, service.pid, status=False)
        found["four"] = load.clients(inside.ADDRESS, service.pid, status=True)
        print("RESULT " + json.dumps(found), flush=True)
    finally:
        for process in (nginx, service):
            process.terminate()
            process.wait(10)
        os.kill(client, 9)


if __name__ == "__main__":
    main()
