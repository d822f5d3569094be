"""Run the programs the builder needs, and say which of them the host lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabFault

#: Program -> Debian package that has it. All else the build uses comes out of the locked packages.
NEEDED = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}


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
) -> str:
    """Run a program to its end and give its standard output.

    ``what`` says what it was for; ``environment`` replaces the inherited one. Raises LabFault with the
    last lines it said when it cannot be started or, with ``check``, ends with another code than 0.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"} if environment is None else dict(environment),
            input=text_in,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise LabFault(f"{what}: {command[0]} cannot be started: {error}", causes=[error]) from error
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        message = f"{what}: {Path(command[0]).name} ended with {done.returncode}: {' | '.join(said)}"
        raise LabFault(message, hint=hint)
    return done.stdout


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
