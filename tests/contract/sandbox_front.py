"""A small front for tests of the sandbox: ``python sandbox_front.py JSON``; relays a line and waits."""

import json
import os
import sys

from lab.network.sandbox import sandbox_command, start_sandbox

told = json.loads(sys.argv[1])
command = sandbox_command(root=os.geteuid() == 0, module="sandbox_child")
process = start_sandbox(command, stderr=2)
assert process.stdin and process.stdout
process.stdin.write(json.dumps(told).encode() + b"\n")
process.stdin.flush()
line = process.stdout.readline().decode()
print(json.dumps({"unshare": process.pid, **json.loads(line)}) if line else "{}", flush=True)
if told.get("close"):
    process.stdin.close()
process.wait()
