"""Scenario files -> loaded scenarios, with every problem of every file at once.

Looks at the disk only for what a scenario names: its template, its sequence, its content. Nothing is started.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lab.errors import InputError, Problem, UsageError
from lab.scenario.expectations import Expectation, FailedStepExpected, PxeExpected, StepExpected
from lab.scenario.finding import find_sequence, find_site
from lab.scenario.keys import BUILT_IN_CONTENT, DEFAULT_CONTENT
from lab.scenario.machines import LoadedMachine, find_templates, load_machines, shape_problems, text_at
from lab.scenario.matrix import Combination, combinations
from lab.scenario.schema import Scenario, Template
from lab.scenario.sitefile import LoadedSite, SequenceEntry, read_site, site_of_nodes
from lab.sequence.model import TaskSequence
from lab.site.exports import ExportFile, read_file
from lab.site.model import SiteObjects
from lab.yamlio import Document, Mapping, Node, as_document, did_you_mean, load_nodes, quoted

#: Folders below a folder of scenarios that hold something else.
OTHER_FOLDERS = frozenset({"sites", "sequences"})
#: The package of the implied site's sequence, where the sequence has none of its own.
IMPLIED_SEQUENCE = "LAB00100"


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with everything it names found.

    ``content``: package id -> "reference-image", "boot-image", "client" or the path of a file or folder;
    packages without any are left out. ``template``, ``expectations``: of all machines. ``site``: the one it
    names, or None: it has the implied one. ``arguments``: what ``osdlab run`` was given
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
    machines: tuple[LoadedMachine, ...] = ()
    site: LoadedSite | None = None

    @cached_property
    def sequences(self) -> MappingOf[str, SequenceEntry]:
        """Package -> where its sequence stands. Raises InputError for an export that cannot be read."""
        if self.site is not None:
            return dict(self.site.sequences)
        name = self.scenario.sequence_name
        try:
            package = self.export.start(name).package_id
        except UsageError:
            package = ""
        return {package or IMPLIED_SEQUENCE: SequenceEntry(self.sequence_path, name)}

    @cached_property
    def exports(self) -> tuple[ExportFile, ...]:
        """The files of all its sequences, each once. Raises InputError."""
        others = dict.fromkeys(entry.path for entry in self.sequences.values())
        return tuple(self.export if path == self.sequence_path else read_file(path) for path in others)

    @cached_property
    def export(self) -> ExportFile:
        """What the file of the sequence holds, read when it is first asked for. Raises InputError."""
        return read_file(self.sequence_path)

    @property
    def packages(self) -> dict[str, str | Path]:
        """``content``, and what lies beside the export, for packages of which the scenario says nothing."""
        said = {package.upper() for package in self.scenario.content}
        beside = {
            key: path for export in self.exports for key, path in export.library.items() if key not in said
        }
        return {**beside, **self.content} if self.site is not None else {**self.content, **beside}

    @property
    def scenario(self) -> Scenario:
        return self.document.value

    @property
    def hardware(self) -> str:
        """The names of the machines' templates, each once."""
        return ", ".join(dict.fromkeys(machine.template_name for machine in self.machines))

    @property
    def firmwares(self) -> tuple[str, ...]:
        """Of its machines, each once."""
        return tuple(dict.fromkeys(machine.template.firmware for machine in self.machines))

    @property
    def title(self) -> str:
        return f"{self.scenario.scenario} [{self.variant}]" if self.variant else self.scenario.scenario

    @property
    def identity(self) -> str:
        """What this run is known by among all: the file's name, and the variant."""
        return f"{self.path.name}[{self.variant}]" if self.variant else self.path.name


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
    return assemble(combination.root, path, templates, variant=combination.name)


def assemble(
    root: Node,
    path: Path,
    templates: Path | None = None,
    *,
    variant: str = "",
    arguments: str = "",
    sequence_path: Path | None = None,
    judged: bool = True,
) -> LoadedScenario:
    """A scenario of its nodes, with everything it names found. Raises InputError with all that is wrong.

    ``path``: where it stands; ``sequence_path``: its sequence, which is not looked for then; ``judged``
    false: its expectations do not count.
    """
    problems = shape_problems(root, judged=judged)
    site = _site(root, path, problems)
    try:
        document = as_document(root, Scenario)
    except InputError as error:
        # What the file names is looked for all the same, so that one reading tells everything.
        problems.extend(error.problems)
        find_templates(root, path, templates, problems)
        if sequence_path is None:
            find_sequence(text_at(root, "sequence"), path, problems)
        raise InputError(problems) from error
    known_by = f"{path.name}[{variant}]" if variant else path.name
    objects = site.objects if site is not None else None
    machines = load_machines(document, path, templates, known_by, problems, site=objects, judged=judged)
    sequence = sequence_path or find_sequence(text_at(root, "sequence"), path, problems)
    if site is not None and sequence is None:
        if not site.sequences:
            problems.append(document.place("site").problem("the site has no task sequence"))
        else:
            sequence = next(iter(site.sequences.values())).path
    content = find_content(document, path, problems, DEFAULT_CONTENT if site is None else site.content)
    if problems or not machines or sequence is None:
        raise InputError(problems)
    expected = tuple(item for machine in machines for item in machine.expectations)
    return LoadedScenario(
        path, document, machines[0].template, sequence, content, expected, arguments, variant, machines, site
    )


def _site(root: Node, path: Path, problems: list[Problem]) -> LoadedSite | None:
    """The site that a scenario names, or that stands in it; what is wrong with it goes to ``problems``."""
    entries = root.entries if isinstance(root, Mapping) else ()
    node = next((value for key, value in entries if key.text == "site"), None)
    try:
        if isinstance(node, Mapping):
            return site_of_nodes(node, path)
        if (written := text_at(root, "site")) is not None:
            found = find_site(written, path, problems)
            return read_site(found) if found is not None else None
    except InputError as error:
        problems.extend(error.problems)
    return None


def find_content(
    document: Document[Scenario],
    path: Path,
    problems: list[Problem],
    usual: MappingOf[str, str | Path] = DEFAULT_CONTENT,
) -> dict[str, str | Path]:
    """Package id -> what it is; paths are relative to the folder of ``path``. ``usual``: what the scenario
    need not say."""
    content: dict[str, str | Path] = dict(usual)
    for written, told in document.value.content.items():
        package, source = written.upper(), told.source
        if source is None:  # as it would be without, but for how it lies on the distribution points
            continue
        content.pop(package, None)
        if source in ("missing", "deleted"):
            continue
        if source in BUILT_IN_CONTENT:
            content[package] = source
        elif not os.path.exists(path.parent / source) and (
            near := difflib.get_close_matches(source, BUILT_IN_CONTENT, n=1, cutoff=0.8)
        ):
            place = document.place("content", written)
            hint = f"did you mean {near[0]!r}?"
            problems.append(place.problem(f"there is no file or folder {quoted(source)}", hint))
        else:
            # Whether it is there is the lab's business when it runs (ERROR), not the file's (bad input).
            content[package] = path.parent / source
    return content


def check_steps(loaded: LoadedScenario, *sequences: TaskSequence) -> list[Problem]:
    """Expectations on steps and groups that none of the sequences has: they could only mislead."""
    names = {item.name for sequence in sequences for _, _, item in sequence.walk()}
    whose = "the sequence has" if len(sequences) == 1 else "the sequences have"
    problems: list[Problem] = []
    for item in loaded.expectations:
        if isinstance(item, StepExpected | FailedStepExpected) and item.step not in names:
            message = f"{whose} no step {quoted(item.step)}"
            problem = item.place.problem(message, did_you_mean(item.step, names))
            problems += [] if problem in problems else [problem]
    return problems


def check_decisions(loaded: LoadedScenario, site: SiteObjects) -> list[Problem]:
    """Expectations on deployments, boot images and records that the site does not have: a whole run would
    only tell so."""
    known = {
        "deployment": [one.id for one in site.deployments],
        "boot image": [one.id for one in site.packages if one.kind == "boot-image"],
        "device": [one.name for one in site.devices],
    }
    problems: list[Problem] = []
    for item in loaded.expectations:
        if not isinstance(item, PxeExpected):
            continue
        asked = (item.want.deployment, item.want.boot_image, item.want.device)
        for (what, names), name in zip(known.items(), asked, strict=True):
            if name and name.casefold() not in {one.casefold() for one in names}:
                problem = item.place.problem(
                    f"the site has no {what} {quoted(name)}", did_you_mean(name, names)
                )
                problems += [] if problem in problems else [problem]
    return problems
