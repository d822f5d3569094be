"""Run the programs the builder needs, and say which of them the host lacks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabFault, PhaseTimeout

#: Program -> Debian package that has it. All else the build uses comes out of the locked packages.
NEEDED = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}

#: Seconds that the longest of them may take: packages that come over a slow line.
LONGEST = 1800.0


def missing_tools() -> list[str]:
    """The programs a build needs that are not on PATH, as ``program (package)``."""
    return [f"{name} ({package})" for name, package in NEEDED.items() if shutil.which(name) is None]


def need_tools() -> None:
    """Raise LabFault naming every program that is missing."""
    if missing := missing_tools():
        raise LabFault(
            f"building LabPE needs programs that are not here: {', '.join(missing)}",
            hint="LabPE is built on Debian or Ubuntu; osdlab doctor shows all prerequisites",
        )


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    text_in: str | None = None,
    check: bool = True,
    hint: str = "",
    seconds: float = LONGEST,
) -> str:
    """Run a program to its end and give its standard output.

    ``what`` says what it was for; ``environment`` replaces the inherited one. Raises LabFault with the
    last lines it said when it cannot be started or, with ``check``, ends with another code than 0;
    PhaseTimeout when it takes longer than ``seconds``, and ends it and what it started.
    """
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"} if environment is None else dict(environment),
            stdin=subprocess.DEVNULL if text_in is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # what it starts itself is ended with it
        )
    except OSError as error:
        raise LabFault(f"{what}: {command[0]} cannot be started: {error}", causes=[error]) from error
    out, err = _communicate(process, text_in, seconds, f"{what}: {Path(command[0]).name} to end")
    if check and process.returncode != 0:
        said = (err.strip() or out.strip()).splitlines()[-8:]
        message = f"{what}: {Path(command[0]).name} ended with {process.returncode}: {' | '.join(said)}"
        raise LabFault(message, hint=hint)
    return out


def _communicate(
    process: subprocess.Popen[str], text_in: str | None, seconds: float, waited_for: str
) -> tuple[str, str]:
    """Both outputs, whole. Whatever goes wrong, the program and what it started are gone afterwards."""
    try:
        return process.communicate(text_in, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        said = error.stderr or error.stdout or b""
        last = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        tail = " | ".join(last.strip().splitlines()[-3:])
        raise PhaseTimeout(waited_for, seconds=seconds, last_seen=tail) from error
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


class PackageTree:
    """Unpacked packages whose programs run on this host through the tree's own dynamic loader.

    Needs no root and no chroot; the host's libraries are not used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._libraries = root / "usr/lib/x86_64-linux-gnu"

    def command(self, program: str, *arguments: str | Path, called: str = "") -> list[str]:
        """The command line that runs ``program`` (a path in the tree); ``called`` sets its argv[0]."""
        loader = self._libraries / "ld-linux-x86-64.so.2"
        path = self.root / program
        return [
            str(loader), "--argv0", called or str(path), "--library-path", str(self._libraries), str(path),
            *(str(argument) for argument in arguments),
        ]  # fmt: skip

    def run(
        self, program: str, *arguments: str | Path, what: str, called: str = "", text_in: str | None = None,
        cwd: Path | None = None,
    ) -> str:  # fmt: skip
        """Run a program of the tree in an empty environment, so that the host's settings cannot show."""
        environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC", "PYTHONHASHSEED": "0"}
        return run(
            self.command(program, *arguments, called=called),
            what=what, environment=environment, text_in=text_in, cwd=cwd,
        )  # fmt: skip

    def python(self) -> str:
        """The path of the tree's Python interpreter. Raises LabFault when there is none."""
        found = sorted(path for path in (self.root / "usr/bin").glob("python3.*") if path.name[8:].isdigit())
        if not found:
            raise LabFault("the unpacked packages have no Python", hint="see vm-templates/labpe/recipe.toml")
        return str(found[-1].relative_to(self.root))
