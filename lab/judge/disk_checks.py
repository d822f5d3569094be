"""Judging the final state of the machine's disk. Pure; lookups ignore case, as Windows does."""

from __future__ import annotations

import re
from typing import Any

from lab.disk.state import DiskState, FileState, FinalState, PartitionState
from lab.judge.evidence import Evidence
from lab.judge.run_checks import told_value, unfinished, value_holds
from lab.judge.verdict import Status, Verdict
from lab.scenario.expect import FileExpectation
from lab.scenario.expectations import (
    BootLoaderExpected,
    Expectation,
    FileExpected,
    PartitionCountExpected,
    PartitionExpected,
    RegistryKeyExpected,
    RegistryValueExpected,
    StyleExpected,
    UnformattedExpected,
)  # fmt: skip
from lab.yamlio import quoted

#: Where the final state stands in a machine's folder.
FILE = "final-state.json"

_SECTOR = 512


class NoEvidence(Exception):
    """What was asked cannot be known; the message says why."""


class DiskJudge:
    """Answers for one machine's final state. Indexes it once."""

    def __init__(self, final: FinalState) -> None:
        self._final = final
        self._files = {path.rstrip("\\").casefold(): (path, state) for path, state in final.files.items()}
        self._registry = {key.casefold(): values for key, values in final.registry.items()}

    def judge(self, item: Expectation) -> Verdict:
        expected = _expected(item)
        try:
            holds, seen = self._answer(item)
        except NoEvidence as reason:
            return Verdict("no-evidence", expected, str(reason), item.place, file=FILE)
        status: Status = "held" if holds else "falsified"
        return Verdict(status, expected, seen, item.place, file=FILE)

    def _answer(self, item: Expectation) -> tuple[bool, str]:
        if isinstance(item, UnformattedExpected):
            disk = self._disk()
            return disk.style == "" and not disk.partitions, _table(disk)
        if isinstance(item, StyleExpected):
            disk = self._disk(item.disk)
            return disk.style == item.style, _table(disk)
        if isinstance(item, PartitionCountExpected):
            disk = self._disk(item.disk)
            return len(disk.partitions) == item.count, _table(disk)
        if isinstance(item, PartitionExpected):
            return self._partition(item)
        if isinstance(item, BootLoaderExpected):
            return self._boot_loader(item)
        if isinstance(item, FileExpected):
            return self._file(item.path, item.want)
        if isinstance(item, RegistryKeyExpected):
            values = self._key(item.key)
            return (values is not None) == (item.state == "exists"), _there(values is not None)
        assert isinstance(item, RegistryValueExpected)
        return self._registry_value(item)

    def _disk(self, number: int = 0) -> DiskState:
        disks = sorted(self._final.disks, key=lambda disk: disk.index)
        if number >= len(disks):
            raise NoEvidence(f"the machine has {len(disks)} disks" if disks else "no disk was read")
        return disks[number]

    def _partition(self, item: PartitionExpected) -> tuple[bool, str]:
        disk, want = self._disk(item.disk), item.want
        if item.number > len(disk.partitions):
            return False, _table(disk)
        partition = disk.partitions[item.number - 1]
        file_system = "" if want.file_system == "none" else want.file_system
        holds = (
            partition.type == want.type
            and want.label in (None, partition.label)
            and file_system in (None, partition.file_system)
            and (want.size is None or want.size.holds(partition.sectors * _SECTOR))
            and want.bootable in (None, partition.bootable)
        )
        return holds, f"it is {_told(partition)}"

    def _boot_loader(self, item: BootLoaderExpected) -> tuple[bool, str]:
        volume = item.want.path.partition("\\")[0]
        place = next(
            (v for name, v in self._final.volumes.items() if name.casefold() == volume.casefold()), None
        )
        if place is None:
            self._unless_unread("")
            return False, f"there is no volume {volume}"
        partition = self._at(place)
        if partition.type != "EFI" and not partition.bootable:
            return False, f"{volume} is {_told(partition)}, which no firmware starts from"
        want = FileExpectation(same_as=item.want.same_as, size=None)
        holds, seen = self._file(item.want.path, want)
        entry = self._files.get(item.want.path.casefold())
        if holds and entry is not None and entry[1].size == 0:
            return False, "the file is empty"
        return holds, seen

    def _at(self, place: str) -> PartitionState:
        disk, _, number = place.partition(",")
        for state in self._final.disks:
            for partition in state.partitions:
                if (str(state.index), str(partition.number)) == (disk, number):
                    return partition
        raise NoEvidence(f"the final state has no partition {place}")

    def _file(self, path: str, want: FileExpectation) -> tuple[bool, str]:
        state = self._find(path)
        if want.state == "absent" or state is None:
            if state is None:
                self._unless_unread("")
            return (state is None) == (want.state == "absent"), _there(state is not None)
        if want.size is not None and not want.size.holds(state.size):
            return False, f"it has {state.size} bytes"
        if want.needs_hash and not state.sha256:
            raise NoEvidence(f"the content of {path} was not read ({state.size} bytes)")
        if want.sha256 is not None and state.sha256 != want.sha256:
            return False, f"its SHA-256 is {state.sha256}"
        if want.same_as is not None:
            other = self._find(want.same_as)
            if other is None:
                self._unless_unread("")
                return False, f"there is no {want.same_as} to compare with"
            if not other.sha256:
                raise NoEvidence(f"the content of {want.same_as} was not read ({other.size} bytes)")
            if state.sha256 != other.sha256:
                return False, f"its content differs from {want.same_as}"
        if want.needs_text:
            if state.text is None:
                raise NoEvidence(f"{path} is there, but was not read as text ({state.size} bytes)")
            return _text_holds(want, state.text)
        return True, _there(True)

    def _find(self, path: str) -> FileState | None:
        entry = self._files.get(path.rstrip("\\").casefold())
        if entry is None:
            # A volume's own root is no entry of the listing.
            drive = path.rstrip("\\").casefold()
            is_volume = drive.endswith(":") and drive in {name.casefold() for name in self._final.volumes}
            return FileState(0) if is_volume else None
        is_folder = entry[0].endswith("\\")
        return None if path.endswith("\\") and not is_folder else entry[1]

    def _key(self, key: str) -> dict[str, list[Any]] | None:
        for name in self._control_sets(_short_root(key)):
            values = self._registry.get(name.casefold())
            if values is not None:
                return values
        self._unless_unread("hive")
        return None

    def _control_sets(self, key: str) -> list[str]:
        """CurrentControlSet is a link that a running system makes; the hive says where it will point."""
        parts = key.split("\\")
        if len(parts) < 3 or parts[2].casefold() != "currentcontrolset":
            return [key]
        select = {
            name.casefold(): data for name, data in self._registry.get("hklm\\system\\select", {}).items()
        }
        current = select.get("current", ["REG_DWORD", 1])[1]
        return ["\\".join([*parts[:2], f"ControlSet{current:03d}", *parts[3:]])]

    def _registry_value(self, item: RegistryValueExpected) -> tuple[bool, str]:
        values = self._key(item.key)
        if values is None:
            return item.want.absent, "there is no such key"
        found = next((v for name, v in values.items() if name.casefold() == item.name.casefold()), None)
        if found is None:
            return value_holds(item.want, None), "there is no such value"
        kind, data = found[0], found[1]
        text = "\n".join(map(str, data)) if isinstance(data, list) else str(data)
        holds = value_holds(item.want, text)
        if isinstance(data, int) and item.want.equals is not None:
            holds = _number(item.want.equals) == data
        return holds, f"it is {quoted(text)} ({kind})"

    def _unless_unread(self, about: str) -> None:
        """An absence counts only when the reader could have noticed a presence."""
        for note in self._final.notes:
            is_about_registry = note.startswith(("hive ", "registry key "))
            if is_about_registry == (about == "hive"):
                raise NoEvidence(f"not found, but the disk could not be read in full: {note}")


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _short_root(key: str) -> str:
    root, _, rest = key.partition("\\")
    return "HKLM\\" + rest if root.upper() == "HKEY_LOCAL_MACHINE" else key


def _text_holds(want: FileExpectation, raw: str) -> tuple[bool, str]:
    text = raw.replace("\r\n", "\n")
    beginning = f"it begins {quoted(text, 80)}" if text else "it is empty"
    if want.equals is not None and text != want.equals.replace("\r\n", "\n"):
        return False, beginning
    for part in want.contains:
        if part.replace("\r\n", "\n") not in text:
            return False, f"{quoted(part)} is not in it; {beginning}"
    if want.matches is not None and not re.search(want.matches, text):
        return False, f"nothing in it matches; {beginning}"
    return True, "its content is as expected"


def _there(there: bool) -> str:
    return "it is there" if there else "it is not there"


def human_size(number: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= factor:
            return f"{number / factor:.4g} {unit}"
    return f"{number} B"


def _told(partition: PartitionState) -> str:
    file_system = partition.file_system or "no file system"
    label = f" '{partition.label}'" if partition.label else ""
    active = ", active" if partition.bootable else ""
    return f"{partition.type}, {human_size(partition.sectors * _SECTOR)}, {file_system}{label}{active}"


def _table(disk: DiskState) -> str:
    if not disk.style and not disk.partitions:
        return "the disk has no partition table"
    inside = "; ".join(f"{p.number}: {_told(p)}" for p in disk.partitions) or "no partition"
    return f"{disk.style or 'no'} table, {len(disk.partitions)} partitions ({inside})"


def _disk_name(number: int) -> str:
    return f"disk {number}" if number else "the disk"


def _expected(item: Expectation) -> str:
    if isinstance(item, UnformattedExpected):
        return "the disk is unformatted"
    if isinstance(item, StyleExpected):
        return f"{_disk_name(item.disk)} has a partition table of style {item.style}"
    if isinstance(item, PartitionCountExpected):
        return f"{_disk_name(item.disk)} has {item.count} partitions"
    if isinstance(item, PartitionExpected):
        want = item.want
        parts = [
            want.type,
            str(want.size or ""),
            "no file system" if want.file_system == "none" else want.file_system or "",
            f"'{want.label}'" if want.label else "",
        ]
        active = {None: "", True: "active", False: "not active"}[want.bootable]
        name = f"partition {item.number}" + (f" of disk {item.disk}" if item.disk else "")
        return f"{name} is {', '.join(part for part in (*parts, active) if part)}"
    if isinstance(item, BootLoaderExpected):
        copied = f", the same as {item.want.same_as}" if item.want.same_as else ""
        return f"the boot loader is at {item.want.path}{copied}"
    if isinstance(item, FileExpected):
        return f"{item.path} {_expected_file(item.want)}"
    if isinstance(item, RegistryKeyExpected):
        return f"registry key {item.key} {'exists' if item.state == 'exists' else 'is not there'}"
    assert isinstance(item, RegistryValueExpected)
    return f"registry value {item.key}: {item.name} {told_value(item.want)}"


def _expected_file(want: FileExpectation) -> str:
    parts = [f"contains {quoted(part)}" for part in want.contains]
    if want.equals is not None:
        parts.append(f"is {quoted(want.equals)}")
    if want.matches is not None:
        parts.append(f"matches /{want.matches}/")
    if want.sha256 is not None:
        parts.append(f"has SHA-256 {want.sha256}")
    if want.size is not None:
        parts.append(f"has a size of {want.size}")
    if want.same_as is not None:
        parts.append(f"has the content of {want.same_as}")
    return " and ".join(parts) or ("exists" if want.state == "exists" else "is not there")


def check_disk(item: Expectation, evidence: Evidence, cache: dict[str, DiskJudge]) -> Verdict:
    """Judge one expectation on the disk. ``cache`` keeps the indexes of the machines' final states."""
    ended = evidence.ended
    if ended is None:
        # What stands there is how far the machine came, not what it came to.
        return Verdict("no-evidence", _expected(item), unfinished(evidence), item.place, file=FILE)
    machine = ended.machine
    if machine not in evidence.finals and len(evidence.finals) == 1:
        machine = next(iter(evidence.finals))
    final = evidence.finals.get(machine)
    if final is None:
        return Verdict("no-evidence", _expected(item), "the disk was not read after the run", item.place)
    if machine not in cache:
        cache[machine] = DiskJudge(final)
    return cache[machine].judge(item)
