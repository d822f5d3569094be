"""Site files -> a site's objects, with every problem of a file at once.

``siteschema`` says what may be written, ``sitechecks`` what may refer to what. Nothing is started, and of the
disk only the task sequences are read: whether a deployment installs an operating system is seen in them. Of
content it is looked at whether it is there.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError, Problem, UsageError
from lab.scenario.finding import find_sequence, nearest_path
from lab.scenario.sitechecks import KINDS, Checks, packages_of
from lab.scenario.siteschema import BUILT_IN, BootImageEntry, ContentEntry, SiteFile, SiteVariable
from lab.scenario.sitewarnings import needs_of, warnings
from lab.scenario.software import Application, Package
from lab.sequence.model import TaskSequence
from lab.sequence.nested import found_in
from lab.site import highrisk
from lab.site.content import unusable
from lab.site.exports import ExportFile, read_file
from lab.site.model import (
    Account,
    Collection,
    Deployment,
    Device,
    DistributionPoint,
    Settings,
    SiteObjects,
    SitePackage,
    SiteSequence,
    Window,
)  # fmt: skip
from lab.yamlio import Document, Listing, Node, Scalar, as_document, load_nodes, quoted
from lab.yamlio import Mapping as MappingNode

#: How often wrong values are cut out of a file before the rest of it is left alone.
_ROUNDS = 20


@dataclass(frozen=True)
class SequenceEntry:
    """A task sequence of the site: its file, and which one of those in it ("": the one that runs others)."""

    path: Path
    name: str = ""


@dataclass(frozen=True)
class LoadedSite:
    """A site with everything it names found.

    ``sequences``, ``content`` and ``programs`` have package ids (upper case) as keys; ``content``:
    "reference-image", "boot-image", "client" or a path, none for a package without files. ``warnings``: what
    is allowed and looks like a mistake.
    """

    document: Document[SiteFile]
    objects: SiteObjects
    sequences: Mapping[str, SequenceEntry]
    content: Mapping[str, str | Path]
    programs: Mapping[str, Package]
    applications: Mapping[str, Application]
    warnings: tuple[Problem, ...] = ()


def read_site(path: Path | str) -> LoadedSite:
    """Read a site file. Raises InputError with every problem."""
    return site_of_nodes(load_nodes(path), Path(path))


def site_of_nodes(root: Node, path: Path) -> LoadedSite:
    """As ``read_site``, of nodes that stand in the file ``path``."""
    try:
        document = as_document(root, SiteFile)
    except InputError as error:
        # What is left without the wrong values is checked all the same, so that one reading tells all.
        rest = _without(root, error)
        if rest is None:
            raise
        return _site_of(rest, path, root, error.problems)
    return _site_of(document, path, root)


def _site_of(
    document: Document[SiteFile], path: Path, root: Node, before: tuple[Problem, ...] = ()
) -> LoadedSite:
    checks = Checks(document, root)
    members = checks.all()
    file = document.value
    entries, read = _sequences(document, path, checks.problems)
    objects = objects_of(checks, members, {key: one[0].name for key, one in read.items()})
    found = [*before, *checks.problems, *_without_content(document, path)]
    told: list[Problem] = []
    installing = {key: any(highrisk.installs_os(one) for one in ones) for key, ones in read.items()}
    for risk in highrisk.problems(objects, installing):
        problem = document.place("deployments", risk.deployment, "collection").problem(risk.text, risk.hint)
        (found if risk.refused else told).append(problem)
    if found:
        raise InputError(sorted(set(found)))
    content = {
        identifier.upper(): entry.content if entry.content in BUILT_IN else path.parent / entry.content
        for _, identifier, entry in packages_of(file)
        if entry.content is not None
    }
    programs = {
        identifier.upper(): Package(
            name=entry.name, programs=entry.programs, content=entry.content is not None
        )
        for identifier, entry in file.packages.items()
    }
    told += warnings(document, objects, {key: needs_of(ones) for key, ones in read.items()})
    return LoadedSite(
        document, objects, entries, content, programs, file.applications, tuple(sorted(set(told)))
    )


def _without_content(document: Document[SiteFile], path: Path) -> Iterator[Problem]:
    """Packages of any kind whose content is not there, or of which no package can be made."""
    for section, identifier, entry in packages_of(document.value):
        if entry.content is None or entry.content in BUILT_IN:
            continue
        place = document.place(section, identifier, "content")
        if not os.path.exists(path.parent / entry.content):
            near = difflib.get_close_matches(entry.content, BUILT_IN, n=1, cutoff=0.8)
            hint = f"did you mean {quoted(near[0])}?" if near else nearest_path(entry.content, path.parent)
            yield place.problem(f"there is no file or folder {quoted(entry.content)}", hint)
        elif wrong := unusable(path.parent / entry.content):
            yield place.problem(f"{quoted(entry.content)} is no content: {wrong}")


def _without(root: Node, error: InputError) -> Document[SiteFile] | None:
    """The file without the values that are wrong by themselves, and what cannot be without them."""
    if not isinstance(root, MappingNode):
        return None
    if not any(key.text == "site" for key, _ in root.entries):
        code = (Scalar(root.place, "site"), Scalar(root.place, "LAB"))
        root = MappingNode(root.place, (code, *root.entries))
    rest: Node = root
    for _ in range(_ROUNDS):
        try:
            return as_document(rest, SiteFile)
        except InputError as again:
            rest = _cut(rest, {(one.line, one.column) for one in again.problems})
    return None


def _cut(node: Node, places: set[tuple[int, int]]) -> Node:
    """A node without the entries and items that stand at these places."""

    def stays(*parts: Node) -> bool:
        return not any((part.place.line, part.place.column) in places for part in parts)

    if isinstance(node, MappingNode):
        entries = ((key, value) for key, value in node.entries if key.text == "site" or stays(key, value))
        made = ((key, _cut(value, places)) for key, value in entries)
        fixed = ((key, Scalar(value.place, "LAB") if key.text == "site" else value) for key, value in made)
        return MappingNode(node.place, tuple(fixed))
    if isinstance(node, Listing):
        return Listing(node.place, tuple(_cut(item, places) for item in node.items if stays(item)))
    return node


def _sequences(
    document: Document[SiteFile], site: Path, problems: list[Problem]
) -> tuple[dict[str, SequenceEntry], dict[str, list[TaskSequence]]]:
    """Each sequence's file, and the sequence with those that it runs; ids in upper case."""
    entries: dict[str, SequenceEntry] = {}
    read: dict[str, list[TaskSequence]] = {}
    exports: dict[Path, ExportFile | None] = {}
    for identifier, said in document.value.sequences.items():
        place = document.place("sequences", identifier, "sequence")
        path = find_sequence(Scalar(place, said.sequence), site, problems)
        if path is None:
            continue
        entries[identifier.upper()] = SequenceEntry(path, said.sequence_name)
        try:
            if path not in exports:
                exports[path] = None
                exports[path] = read_file(path)
            export = exports[path]
            if export is None:
                continue  # its problems are told already
            sequence = export.start(said.sequence_name)
        except InputError as error:
            problems.extend(error.problems)
            continue
        except UsageError as error:
            key = "sequence_name" if said.sequence_name else "sequence"
            known = [found.sequence.name for _, found in export.found] if export else []
            hint = f"say by sequence_name which: {', '.join(known)}"
            problems.append(document.place("sequences", identifier, key).problem(error.message, hint))
            continue
        every = [found.sequence for _, found in export.found]
        read[identifier.upper()] = [sequence, *found_in(sequence, {}, every).values()]
    return entries, read


def objects_of(
    checks: Checks, members: Mapping[str, tuple[str, ...]], sequence_names: Mapping[str, str]
) -> SiteObjects:
    """The objects of a file. ``members``: of each collection; ``sequence_names``: package id (upper case) ->
    the sequence's own name."""
    file = checks.file
    account = file.network_access_account
    settings = file.settings
    return SiteObjects(
        file.site,
        devices=tuple(
            Device(name, one.mac, one.uuid, *_variables(one.variables), one.last_pxe.upper(), one.site)
            for name, one in file.devices.items()
        ),
        collections=tuple(
            Collection(
                name,
                members.get(name, ()),
                one.users,
                *_variables(one.variables),
                one.priority,
                tuple(
                    Window(window, said.start, round(said.length / 60), said.every, said.task_sequences)
                    for window, said in one.maintenance_windows.items()
                ),
            )
            for name, one in file.collections.items()
        ),
        packages=tuple(
            _package(checks, section, identifier, entry)
            for section, identifier, entry in packages_of(file)
        ),
        sequences=tuple(
            SiteSequence(key.upper(), one.name or sequence_names.get(key.upper(), ""), one.boot_image.upper(),
                         one.disabled)
            for key, one in file.sequences.items()
        ),
        deployments=tuple(
            Deployment(key.upper(), one.sequence.upper(), one.collection.strip(), one.purpose,
                       one.available_to, one.download, one.available_at, one.deadline)
            for key, one in file.deployments.items()
        ),
        distribution_points=tuple(
            DistributionPoint(name, one.pxe, one.unknown_computers, one.anonymous)
            for name, one in file.distribution_points.items()
        ),
        account=Account(account.user, account.password, account.valid) if account else None,
        settings=Settings(
            settings.ignored_macs, settings.duplicate_macs, settings.duplicate_uuids,
            settings.media_variables, settings.default_size, settings.maximum_size,
        ),
    )  # fmt: skip


def _variables(said: Mapping[str, SiteVariable]) -> tuple[dict[str, str], tuple[str, ...]]:
    """(values, names of the secret ones)."""
    values = {name: one.value for name, one in said.items()}
    return values, tuple(name for name, one in said.items() if one.secret)


def _package(checks: Checks, section: str, identifier: str, entry: ContentEntry) -> SitePackage:
    states = {name.casefold(): state for name, state in entry.state.items()}
    points = checks.points_of(entry)
    boot = entry if isinstance(entry, BootImageEntry) else BootImageEntry()
    return SitePackage(
        identifier.upper(),
        entry.name,
        KINDS[section],
        entry.version,
        {name: states.get(name.casefold(), "there") for name in points},
        entry.package_share,
        boot.architecture,
        boot.pxe,
    )
