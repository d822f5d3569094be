"""What the entries of a site file refer to: every name that is not there, each collection's members.

A ``Checks`` holds a document and collects problems with their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from lab.errors import Problem
from lab.scenario.siteschema import CollectionEntry, ContentEntry, DeviceEntry, RuleEntry, SiteFile
from lab.site.model import ALL_SYSTEMS, ALL_UNKNOWN, UNKNOWN_COMPUTERS, PackageKind
from lab.yamlio import Document, Node, Place, did_you_mean, quoted
from lab.yamlio import Mapping as MappingNode

#: Section of a site file -> kind of package.
KINDS: Mapping[str, PackageKind] = {
    "packages": "package",
    "os_images": "os-image",
    "boot_images": "boot-image",
    "driver_packages": "driver-package",
}
BUILT_IN_COLLECTIONS = (ALL_SYSTEMS, ALL_UNKNOWN)


def packages_of(file: SiteFile) -> Iterator[tuple[str, str, ContentEntry]]:
    """(section, id as written, entry) of every package of any kind."""
    for section in KINDS:
        for identifier, entry in getattr(file, section).items():
            yield section, identifier, entry


class Checks:
    """``root``: the file's nodes with those entries, too, that ``document`` is without because they are
    wrong: a name that is written somewhere is no unknown one."""

    def __init__(self, document: Document[SiteFile], root: Node) -> None:
        self.document = document
        self.file = document.value
        self.problems: list[Problem] = []
        self._root = root

    def names(self, *sections: str) -> dict[str, str]:
        """Name or id, case folded -> as written; "" for one that is no right name itself."""
        found: dict[str, str] = {}
        for section in sections:
            found |= {name.strip().casefold(): "" for name, _ in self._keys(section)}
            found |= {name.casefold(): name for name in getattr(self.file, section)}
        return found

    def all(self) -> dict[str, tuple[str, ...]]:
        """Look at everything; the members of each collection."""
        self._same_names()
        self._distribution()
        self._applications()
        members = self._collections()
        self._sequences()
        self._deployments()
        self._devices()
        return members

    def missing(self, place: Place, what: str, name: str, known: Mapping[str, str]) -> bool:
        """Whether a name is unknown; if so it is a problem at ``place``."""
        if name.strip().casefold() in known:
            return False
        self.problems.append(
            place.problem(
                f"there is no {what} {quoted(name)}", did_you_mean(name, filter(None, known.values()))
            )
        )
        return True

    def _keys(self, section: str) -> list[tuple[str, Place]]:
        """The keys of a section as they stand in the file."""
        if not isinstance(self._root, MappingNode):
            return []
        for key, node in self._root.entries:
            if key.text == section and isinstance(node, MappingNode):
                return [(entry.text, entry.place) for entry, _ in node.entries]
        return []

    def _same_names(self) -> None:
        """Names and ids compare without case; ids of packages and sequences are of one kind."""
        alone = ("distribution_points", "distribution_point_groups", "devices", "collections", "deployments")
        for sections in (*((one,) for one in alone), (*KINDS, "sequences")):
            seen: dict[str, tuple[str, Place]] = {}
            for section in sections:
                for name, place in self._keys(section):
                    before = seen.setdefault(name.strip().casefold(), (name, place))
                    if before[1] != place:
                        text = f"{quoted(name)} stands already in line {before[1].line}"
                        self.problems.append(place.problem(text, "case does not count"))
        points = self.names("distribution_points")
        for name, place in self._keys("distribution_point_groups"):
            if name.strip().casefold() in points:
                self.problems.append(place.problem(f"{quoted(name)} is a distribution point already"))
        for section in ("devices", "collections"):
            for owner, entry in getattr(self.file, section).items():
                folded = [name.casefold() for name in entry.variables]
                for at, name in enumerate(entry.variables):
                    if name.casefold() in folded[:at]:
                        place = self.document.key_place(section, owner, "variables", name)
                        self.problems.append(place.problem(f"variable {quoted(name)} stands already above"))

    def _distribution(self) -> None:
        points = self.names("distribution_points")
        groups = self.names("distribution_point_groups")
        for group, members in self.file.distribution_point_groups.items():
            for at, name in enumerate(members):
                place = self.document.place("distribution_point_groups", group, at)
                self.missing(place, "distribution point", name, points)
        for section, identifier, entry in packages_of(self.file):
            for at, name in enumerate(entry.distribution_points or ()):
                place = self.document.place(section, identifier, "distribution_points", at)
                self.missing(place, "distribution point or group", name, {**points, **groups})
            there = {name.casefold(): name for name in self.points_of(entry)}
            for name in entry.state:
                place = self.document.key_place(section, identifier, "state", name)
                if (
                    not self.missing(place, "distribution point", name, points)
                    and name.casefold() not in there
                ):
                    self.problems.append(place.problem(f"{identifier} is not distributed to {quoted(name)}"))

    def points_of(self, entry: ContentEntry) -> list[str]:
        """The distribution points that a package is on, in the file's order."""
        if entry.distribution_points is None:
            return list(self.file.distribution_points)
        groups = {
            name.casefold(): {one.strip().casefold() for one in members}
            for name, members in self.file.distribution_point_groups.items()
        }
        wanted: set[str] = set()
        for name in entry.distribution_points:
            wanted |= groups.get(name.strip().casefold(), {name.strip().casefold()})
        return [name for name in self.file.distribution_points if name.casefold() in wanted]

    def _applications(self) -> None:
        packages, known = self.names("packages"), self.names("applications")
        for name, application in self.file.applications.items():
            if application.content is not None:
                place = self.document.place("applications", name, "content")
                self.missing(place, "package", application.content, packages)
            for at, other in enumerate(application.dependencies):
                place = self.document.place("applications", name, "dependencies", at)
                self.missing(place, "application", other, known)

    def _collections(self) -> dict[str, tuple[str, ...]]:
        devices = self.names("devices")
        resources = {**devices, **{one.casefold(): one for one in UNKNOWN_COMPUTERS.values()}}
        collections = {**self.names("collections"), **{one.casefold(): one for one in BUILT_IN_COLLECTIONS}}
        users = {name.casefold() for name, entry in self.file.collections.items() if entry.users}
        for name, entry in self.file.collections.items():
            place = self.document.key_place("collections", name)
            said = [key for key in ("members", "rules", "include", "exclude", "users") if getattr(entry, key)]
            if said and name.casefold() in {one.casefold() for one in BUILT_IN_COLLECTIONS}:
                self.problems.append(place.problem(f"'{said[0]}' of a built-in collection cannot be changed"))
                continue
            if entry.users:
                over = next((key for key in said if key not in ("members", "users")), "")
                if over:
                    self.problems.append(place.problem(f"'{over}' is for collections of devices"))
                continue
            for at, member in enumerate(entry.members):
                self.missing(
                    self.document.place("collections", name, "members", at), "device", member, resources
                )
            for key in ("include", "exclude"):
                for at, other in enumerate(getattr(entry, key)):
                    place = self.document.place("collections", name, key, at)
                    self.missing(place, "collection", other, collections)
                    if other.strip().casefold() in users:
                        self.problems.append(place.problem(f"{quoted(other)} is a collection of users"))
        return _Members(self).all()

    def _sequences(self) -> None:
        images = self.names("boot_images")
        packages = self.names(*KINDS)
        for identifier, entry in self.file.sequences.items():
            wanted = entry.boot_image
            if not wanted or wanted.casefold() in images:
                continue
            place = self.document.place("sequences", identifier, "boot_image")
            if wanted.casefold() in packages:
                self.problems.append(place.problem(f"{wanted} is no boot image", "see 'boot_images'"))
            else:
                self.missing(place, "boot image", wanted, images)

    def _deployments(self) -> None:
        sequences = self.names("sequences")
        collections = {**self.names("collections"), **{one.casefold(): one for one in BUILT_IN_COLLECTIONS}}
        users = {name.casefold() for name, entry in self.file.collections.items() if entry.users}
        for identifier, entry in self.file.deployments.items():
            place = self.document.place("deployments", identifier, "sequence")
            self.missing(place, "task sequence", entry.sequence, sequences)
            place = self.document.place("deployments", identifier, "collection")
            self.missing(place, "collection", entry.collection, collections)
            if entry.collection.strip().casefold() in users:
                text = f"{quoted(entry.collection)} is a collection of users"
                hint = "a task sequence is deployed to collections of devices"
                self.problems.append(place.problem(text, hint))

    def _devices(self) -> None:
        deployments = self.names("deployments")
        for name, entry in self.file.devices.items():
            if entry.last_pxe:
                place = self.document.place("devices", name, "last_pxe")
                self.missing(place, "deployment", entry.last_pxe, deployments)


class _Members:
    """Carries out the rules of collections. One that includes itself is a problem, told once."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._entries = {name.casefold(): (name, entry) for name, entry in checks.file.collections.items()}
        self._done: dict[str, frozenset[str]] = {}
        self._way: list[str] = []

    def all(self) -> dict[str, tuple[str, ...]]:
        file = self._checks.file
        order = [*file.devices, *UNKNOWN_COMPUTERS.values()]
        found = {name: self._of(name) for name in file.collections}
        return {
            name: file.collections[name].members
            if file.collections[name].users
            else tuple(one for one in order if one in found[name])
            for name in file.collections
        }

    def _of(self, name: str) -> frozenset[str]:
        key = name.strip().casefold()
        if key == ALL_SYSTEMS.casefold():
            return frozenset((*self._checks.file.devices, *UNKNOWN_COMPUTERS.values()))
        if key == ALL_UNKNOWN.casefold():
            return frozenset(UNKNOWN_COMPUTERS.values())
        if key not in self._entries or self._entries[key][1].users:
            return frozenset()
        if key not in self._done:
            self._way.append(key)
            self._done[key] = self._evaluated(*self._entries[key])
            self._way.pop()
        return self._done[key]

    def _evaluated(self, name: str, entry: CollectionEntry) -> frozenset[str]:
        canonical = {one.casefold(): one for one in (*self._checks.file.devices, *UNKNOWN_COMPUTERS.values())}
        wanted = (canonical.get(member.strip().casefold(), "") for member in entry.members)
        found = {member for member in wanted if member}
        for device, record in self._checks.file.devices.items():
            if any(_fits(rule, device, record) for rule in entry.rules):
                found.add(device)
        for key in ("include", "exclude"):
            for at, other in enumerate(getattr(entry, key)):
                if other.strip().casefold() in self._way:
                    self._cycle(self._checks.document.place("collections", name, key, at), other)
                    continue
                members = self._of(other)
                found = found | members if key == "include" else found - members
        return frozenset(found)

    def _cycle(self, place: Place, other: str) -> None:
        start = self._way.index(other.strip().casefold())
        around = [self._entries[key][0] for key in (*self._way[start:], self._way[start])]
        self._checks.problems.append(
            place.problem(f"collection {quoted(around[0])} depends on itself: {' → '.join(around)}")
        )


def _fits(rule: RuleEntry, name: str, device: DeviceEntry) -> bool:
    """Whether a query rule takes a device: all its globs fit."""
    asked = ((rule.name, name), (rule.mac, device.mac), (rule.uuid, device.uuid))
    return all(fnmatchcase(value.casefold(), glob.casefold()) for glob, value in asked if glob)
