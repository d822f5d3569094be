"""Scenario files -> loaded scenarios, with every problem of every file at once.

Looks at the disk only for what a scenario names: its template, its sequence, its content. Nothing is started.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import lab
from lab.errors import InputError, Problem
from lab.scenario.expectations import (
    Expectation,
    FailedStepExpected,
    StepExpected,
    expectations,
    questions,
)  # fmt: skip
from lab.scenario.matrix import Combination, combinations
from lab.scenario.schema import BUILT_IN_CONTENT, DEFAULT_CONTENT, Scenario, Template
from lab.sequence.model import TaskSequence
from lab.site.exports import ExportFile, is_export_folder, read_file
from lab.yamlio import (
    Document,
    Mapping,
    Node,
    Scalar,
    as_document,
    did_you_mean,
    load_model,
    load_nodes,
    quoted,
)  # fmt: skip

#: Folders below a folder of scenarios that hold something else.
OTHER_FOLDERS = frozenset({"sites", "sequences"})


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with everything it names found.

    ``content``: package id -> "reference-image", "boot-image", "client" or the path of a file or folder;
    packages that the scenario declares missing are left out. ``arguments``: what ``osdlab run`` was given
    instead of a file, or "". ``variant`` tells the runs of one file's matrix apart, or is "".
    """

    path: Path
    document: Document[Scenario]
    template: Template
    sequence_path: Path
    content: MappingOf[str, str | Path]
    expectations: tuple[Expectation, ...] = field(default=())
    arguments: str = ""
    variant: str = ""

    @cached_property
    def export(self) -> ExportFile:
        """What the file of the sequence holds, read when it is first asked for. Raises InputError."""
        return read_file(self.sequence_path)

    @property
    def packages(self) -> dict[str, str | Path]:
        """``content``, and what lies beside the export, for packages of which the scenario says nothing."""
        said = {package.upper() for package in self.scenario.content}
        beside = {key: path for key, path in self.export.library.items() if key not in said}
        return {**self.content, **beside}

    @property
    def scenario(self) -> Scenario:
        return self.document.value

    @property
    def title(self) -> str:
        return f"{self.scenario.scenario} [{self.variant}]" if self.variant else self.scenario.scenario

    @property
    def identity(self) -> str:
        """What this run is known by among all: the file's name, and the variant."""
        return f"{self.path.name}[{self.variant}]" if self.variant else self.path.name

    def questions(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(Windows paths, registry keys) that the judge needs from the disk."""
        return questions(self.expectations)


def load_scenarios(paths: Iterable[Path | str], *, templates: Path | None = None) -> list[LoadedScenario]:
    """Read scenario files; a folder stands for the ``*.yaml`` below it, without sites/ and sequences/.

    ``templates``: the folder of hardware templates; found beside or above each scenario when not given.
    Raises InputError with the problems of all files.
    """
    problems: list[Problem] = []
    loaded: list[LoadedScenario] = []
    for path in _files(paths, problems):
        try:
            loaded += _load(path, templates)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(sorted(set(problems)))
    return loaded


def _files(paths: Iterable[Path | str], problems: list[Problem]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            found = [
                file
                for file in sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")])
                if not OTHER_FOLDERS & set(file.relative_to(path).parts[:-1])
            ]
            if not found:
                problems.append(Problem(str(path), 0, 0, "holds no scenario", "scenarios are *.yaml files"))
        elif path.suffix.casefold() in (".xml", ".zip") and path.exists():
            hint = f"give a .yaml file that says 'sequence: {path.name}'"
            problems.append(Problem(str(path), 0, 0, "is no scenario", hint))
            continue
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _load(path: Path, templates: Path | None) -> list[LoadedScenario]:
    problems: list[Problem] = []
    loaded = []
    for combination in combinations(load_nodes(path)):
        try:
            loaded.append(_load_one(path, combination, templates))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(sorted(set(problems)))
    return loaded


def _load_one(path: Path, combination: Combination, templates: Path | None) -> LoadedScenario:
    problems: list[Problem] = []
    root = combination.root
    try:
        document = as_document(root, Scenario)
    except InputError as error:
        # What the file names is looked for all the same, so that one reading tells everything.
        problems.extend(error.problems)
        find_template(_text(root, "machine"), path, templates, problems)
        find_sequence(_text(root, "sequence"), path, problems)
        raise InputError(problems) from error
    template = find_template(_text(root, "machine"), path, templates, problems)
    sequence = find_sequence(_text(root, "sequence"), path, problems)
    content = find_content(document, path, problems)
    if problems or template is None or sequence is None:
        raise InputError(problems)
    found = expectations(document)
    return LoadedScenario(path, document, template, sequence, content, found, variant=combination.name)


def _text(root: Node | None, key: str) -> Scalar | None:
    """The text under a key of the file's root, if there is one."""
    if not isinstance(root, Mapping):
        return None
    value = next((value for name, value in root.entries if name.text == key), None)
    return value if isinstance(value, Scalar) and value.data() is not None else None


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
    if written is None:
        return None
    name = written.text
    found = sequence_file(name, path)
    if found is not None:
        return found
    folders = _sequence_folders(path)
    known = [file.name for folder in folders if folder.is_dir() for file in folder.glob("*.[xz][mi][lp]")]
    hint = did_you_mean(name, known) if known else "put it beside the scenario"
    problems.append(written.place.problem(f"there is no task sequence {quoted(name)}", hint))
    return None


def _sequence_folders(path: Path) -> list[Path]:
    own = Path(lab.__file__).resolve().parents[1] / "scenarios"
    return [path.parent, *(folder / "sequences" for folder in (*_above(path), own))]


def sequence_file(name: str, path: Path) -> Path | None:
    """The sequence that a scenario at ``path`` names: beside it, or in a folder sequences/ there or above."""
    if not name or "\0" in name:
        return None
    for folder in _sequence_folders(path):
        found = folder / name
        if found.is_file() or is_export_folder(found):
            return found
    return None


def find_content(document: Document[Scenario], path: Path, problems: list[Problem]) -> dict[str, str | Path]:
    """Package id -> what it is; paths are relative to the folder of ``path``."""
    content: dict[str, str | Path] = dict(DEFAULT_CONTENT)
    for written, source in document.value.content.items():
        package = written.upper()
        content.pop(package, None)
        if source == "missing":
            continue
        if source in BUILT_IN_CONTENT:
            content[package] = source
        elif not (path.parent / source).exists() and (
            near := difflib.get_close_matches(source, BUILT_IN_CONTENT, n=1, cutoff=0.8)
        ):
            place = document.place("content", written)
            hint = f"did you mean {near[0]!r}?"
            problems.append(place.problem(f"there is no file or folder {quoted(source)}", hint))
        else:
            # Whether it is there is the lab's business when it runs (ERROR), not the file's (bad input).
            content[package] = path.parent / source
    return content


def check_steps(loaded: LoadedScenario, sequence: TaskSequence) -> list[Problem]:
    """Expectations on steps and groups that the sequence does not have: they could only mislead."""
    names = {item.name for _, _, item in sequence.walk()}
    problems = []
    for item in loaded.expectations:
        if isinstance(item, StepExpected | FailedStepExpected) and item.step not in names:
            message = f"the sequence has no step {quoted(item.step)}"
            problems.append(item.place.problem(message, did_you_mean(item.step, names)))
    return problems
