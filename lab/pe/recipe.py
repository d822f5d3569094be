"""What LabPE is made of: the recipe, and the lock that pins its packages. Pure but for reading two files."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import InputError, Problem

FOLDER = Path(__file__).resolve().parents[2] / "vm-templates" / "labpe"
LOCK_HEADER = "# name version architecture sha256 size; complete; written by refresh_lock(), not by hand"


@dataclass(frozen=True, order=True)
class Package:
    """One package of the archive. ``size`` in bytes, ``sha256`` in hex."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int

    def line(self) -> str:
        return f"{self.name} {self.version} {self.architecture} {self.sha256} {self.size}"


@dataclass(frozen=True)
class Recipe:
    """The recipe file as values. ``source`` is its bytes, for cache keys."""

    image: tuple[str, ...]
    tools: tuple[str, ...]
    without: frozenset[str]
    keep: tuple[str, ...]
    drop: tuple[str, ...]
    initrd_modules: tuple[str, ...]
    loader_modules: tuple[str, ...]
    image_modules: tuple[str, ...]
    command_line: str
    source: bytes


def read_recipe(path: Path = FOLDER / "recipe.toml") -> Recipe:
    """Read the recipe. Raises InputError when it is not as it should be."""
    source = path.read_bytes()
    try:
        data: dict[str, Any] = tomllib.loads(source.decode())
        packages, files, modules = data["packages"], data["files"], data["modules"]
        return Recipe(
            image=tuple(packages["image"]),
            tools=tuple(packages["tools"]),
            without=frozenset(packages["without"]),
            keep=tuple(files["keep"]),
            drop=tuple(files["drop"]),
            initrd_modules=tuple(modules["initrd"]),
            loader_modules=tuple(modules["loader"]),
            image_modules=tuple(modules["image"]),
            command_line=data["kernel"]["command_line"],
            source=source,
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError([Problem(str(path), 0, 0, f"not a LabPE recipe: {error!r}")]) from error


def format_lock(packages: Iterable[Package], *, note: str = "") -> str:
    """A lock's text: sorted, one package per line. ``note`` becomes a second comment line."""
    lines = [LOCK_HEADER, *([f"# {note}"] if note else []), *(package.line() for package in sorted(packages))]
    return "\n".join(lines) + "\n"


def parse_lock(text: str, path: str = "packages.lock") -> tuple[Package, ...]:
    """The packages of a lock's text. Raises InputError with every line that is wrong."""
    packages: list[Package] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match line.split():
            case [name, version, architecture, sha256, size] if len(sha256) == 64 and size.isdigit():
                packages.append(Package(name, version, architecture, sha256, int(size)))
            case _:
                problems.append(Problem(path, number, 1, "not 'name version architecture sha256 size'"))
    if problems:
        raise InputError(problems)
    return tuple(sorted(packages))


def digest(*parts: bytes | str) -> str:
    """SHA-256 over parts, each with its length, so that no two lists of parts give the same bytes."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()
