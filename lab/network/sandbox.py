"""The lab's namespaces from outside: the command line that makes them, and a lab process started in them.

Everything a run starts lives in a user, mount, network and PID namespace of its own, under an init that
reaps. Two things end it when the front dies, in whatever way: the parent-death signal of ``unshare`` (which
kills its child, the namespace's init, and with it the kernel kills all), and the end of file on the lab's
standard input.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from lab.errors import LabFault

LAB_MODULE = "lab.run.process"


def sandbox_command(
    *,
    root: bool,
    python: str = sys.executable,
    module: str = LAB_MODULE,
    arguments: Sequence[str] = (),
    unshare: str = "unshare",
    tini: str = "tini",
) -> list[str]:
    """The command line that runs a Python module as the lab process in namespaces of its own.

    ``root``: the caller is the host's root and needs no user namespace. An ordinary user gets one in which
    it is root and in which its subordinate ids are mapped too, since dnsmasq calls setgroups and fails in a
    map of a single id (observed).
    """
    users = [] if root else ["--map-root-user", "--map-auto"]
    return [
        unshare, *users, "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
        tini, "-s", "--", python, "-m", module, *arguments,
    ]  # fmt: skip


def start_sandbox(
    command: Sequence[str],
    *,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    hand_down: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start the command of ``sandbox_command`` with pipes on its standard input and output.

    ``hand_down``: open files that the lab process gets under the same numbers.
    In a session of its own, so that a Ctrl-C at the terminal reaches the front alone. Call it from the main
    thread: the kernel sends the parent-death signal when the *thread* that forked ends. Raises LabFault when
    the program cannot be started, RuntimeError when called from another thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start_sandbox must be called from the main thread")
    try:
        return subprocess.Popen(
            # setpriv, not a function between fork and exec: that is unsafe in a process with threads. A front
            # that dies before setpriv has asked is noticed by the end of standard input.
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            start_new_session=True,
            pass_fds=hand_down,
        )
    except OSError as error:
        raise LabFault(
            f"cannot start '{command[0]}': {error.strerror}", hint="see 'osdlab doctor'", causes=(error,)
        ) from error
