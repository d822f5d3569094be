"""Where what a scenario names stands: hardware templates, task sequences, sites."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import lab
from lab.errors import InputError, Problem
from lab.scenario.schema import Template
from lab.site.exports import is_export_folder
from lab.yamlio import Scalar, did_you_mean, load_model, quoted

#: How many names of a folder a hint tells.
_SHOWN = 8
#: A share or a drive of Windows, as the console shows where a package's source is.
_WINDOWS_PATH = re.compile(r"\\\\|[A-Za-z]:[\\/]")


def _above(path: Path) -> Iterator[Path]:
    """The file's folder, and the folders above it up to the project's or the file system's root."""
    for folder in path.resolve().parents:
        yield folder
        if (folder / "vm-templates").is_dir() or (folder / ".git").exists():
            return


def templates_folder(path: Path) -> Path:
    """The nearest ``vm-templates`` at or above a scenario; else the one this package stands beside."""
    own = Path(lab.__file__).resolve().parents[1] / "vm-templates"
    return next(
        (folder / "vm-templates" for folder in _above(path) if (folder / "vm-templates").is_dir()), own
    )


def find_template(
    written: Scalar | None, path: Path, templates: Path | None, problems: list[Problem]
) -> Template | None:
    """The template a scenario names; what is wrong with it goes to ``problems``."""
    if written is None:
        return None
    folder = templates or templates_folder(path)
    name = written.text
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if name not in known:
        problems.append(written.place.problem(f"unknown template {quoted(name)}", did_you_mean(name, known)))
        return None
    try:
        return load_model(known[name], Template)
    except InputError as error:
        problems.extend(error.problems)
        return None


def find_sequence(written: Scalar | None, path: Path, problems: list[Problem]) -> Path | None:
    """The sequence that a scenario or site at ``path`` names; what is wrong with it goes to ``problems``."""
    if written is None:
        return None
    name = written.text
    found = sequence_file(name, path)
    if found is not None:
        return found
    folders = _sequence_folders(path)
    known = [file.name for folder in folders if folder.is_dir() for file in folder.glob("*.[xz][mi][lp]")]
    hint = did_you_mean(name, known) if known else "put it beside this file"
    problems.append(written.place.problem(f"there is no task sequence {quoted(name)}", hint))
    return None


def _sequence_folders(path: Path) -> list[Path]:
    own = Path(lab.__file__).resolve().parents[1] / "scenarios"
    # What stands beside the scenarios is theirs, also for a site in their folder sites/: before our samples.
    beside = [path.parent, *([path.resolve().parent.parent] if path.resolve().parent.name == "sites" else [])]
    return [*beside, *(folder / "sequences" for folder in (*_above(path), own))]


def sequence_file(name: str, path: Path) -> Path | None:
    """The sequence that a file at ``path`` names: beside it, or in a folder sequences/ there or above."""
    if not name or "\0" in name:
        return None
    for folder in _sequence_folders(path):
        found = folder / name
        if found.is_file() or is_export_folder(found):
            return found
    return None


def nearest_path(written: str, folder: Path) -> str:
    """A hint for a path (from ``folder``, unless absolute) of which nothing is there: the nearest that is."""
    if _WINDOWS_PATH.match(written):
        return "copy what stands there to this computer, and say where, relative to this file"
    there = Path()
    for part in PurePosixPath(written.replace("\\", "/")).parts:
        if not os.path.lexists(folder / there / part):
            known = _names(folder / there)
            near = difflib.get_close_matches(part, known, n=1)
            if (folder / there).is_file():
                return f"{quoted(there)} is a file"
            if not near:
                holder = "the folder" if there == Path() else quoted(there)
                more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
                return f"{holder} holds {', '.join(known[:_SHOWN]) or 'nothing'}{more}"
            part = near[0]
        there /= part
    return f"did you mean {quoted(there)}?"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def find_site(written: Scalar, path: Path, problems: list[Problem]) -> Path | None:
    """The site file that a scenario at ``path`` names: beside it, or in a folder sites/ there or above."""
    folders = [path.parent, *(folder / "sites" for folder in _above(path))]
    name = written.text
    for folder in folders if name and "\0" not in name else ():
        for found in (folder / name, folder / f"{name}.yaml"):
            # A scenario may have the name of its site.
            if found.is_file() and not (path.is_file() and found.samefile(path)):
                return found
    known = [file.name for folder in folders[1:] if folder.is_dir() for file in folder.glob("*.yaml")]
    hint = did_you_mean(name, known) if known else "put it into a folder sites/ beside the scenario"
    problems.append(written.place.problem(f"there is no site {quoted(name)}", hint))
    return None
