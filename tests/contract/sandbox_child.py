"""A small lab process for tests of the sandbox: shuts itself in, tries to get out, then lives on.

Started as ``python -m sandbox_child``. Reads {"run", "cache", "outside"} as one line; tells what it found as
one line of JSON; then waits for the end of its input like the real one, with two children that would live for
an hour: one of its own group, one in a session of its own that ignores every polite signal.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.network import inside


def attempt(path: str) -> str:
    try:
        with open(path, "w") as file:
            file.write("x")
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "written"


def main() -> None:
    told = json.loads(sys.stdin.readline())
    run, cache, project = Path(told["run"]), Path(told["cache"]), Path(told["project"])
    places = inside.enter(writable=[run, cache], readable=[project])
    inside.lay_network(["tap0"])
    subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    subprocess.Popen(
        [sys.executable, "-c", "import signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
         "time.sleep(3600)"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    answer = {
        "init": Path("/proc/1/comm").read_text().strip(),
        "writes": {path: attempt(path) for path in told["outside"]},
        "run": attempt(str(run / "inside.txt")),
        "cache": attempt(str(cache / "inside.txt")),
        "private": attempt(str(places.runtime / "socket")),
        "accounts": Path("/etc/passwd").read_text().count("libvirt-qemu:"),
        "links": subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout,
        "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in ("user", "mnt", "net", "pid")},
    }
    print(json.dumps(answer), flush=True)
    if told.get("deaf"):  # a lab process that misses the end of its input
        signal.pause()
    while sys.stdin.readline():
        pass


main()
