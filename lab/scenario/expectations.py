"""A scenario's ``expect`` as single expectations, each with its place: what the judge is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from lab.scenario.expect import (
    BootLoaderExpectation,
    DiskExpectation,
    Expect,
    FileExpectation,
    LogExpectation,
    OtherDiskExpectation,
    PartitionExpectation,
    PxeExpectation,
    RegistryExpectation,
    RequestExpectation,
    StatusExpectation,
    StepExpectation,
    ValueExpectation,
)  # fmt: skip
from lab.scenario.schema import Scenario
from lab.yamlio import Document, Place


@dataclass(frozen=True)
class Expectation:
    """Base of all. ``place``: where the scenario says it; ``machine``: of which one, "" for the only one."""

    place: Place
    machine: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class ResultExpected(Expectation):
    result: str


@dataclass(frozen=True)
class CodeExpected(Expectation):
    code: int


@dataclass(frozen=True)
class FailedStepExpected(Expectation):
    step: str


@dataclass(frozen=True)
class StepExpected(Expectation):
    step: str
    want: StepExpectation


@dataclass(frozen=True)
class LogExpected(Expectation):
    want: LogExpectation


@dataclass(frozen=True)
class VariableExpected(Expectation):
    name: str
    want: ValueExpectation


@dataclass(frozen=True)
class UnformattedExpected(Expectation):
    pass


@dataclass(frozen=True)
class StyleExpected(Expectation):
    style: str
    disk: int = 0


@dataclass(frozen=True)
class PartitionCountExpected(Expectation):
    count: int
    disk: int = 0


@dataclass(frozen=True)
class PartitionExpected(Expectation):
    """``number`` counts the partitions from 1, in the order of the table."""

    number: int
    want: PartitionExpectation
    disk: int = 0


@dataclass(frozen=True)
class BootLoaderExpected(Expectation):
    want: BootLoaderExpectation


@dataclass(frozen=True)
class FileExpected(Expectation):
    path: str
    want: FileExpectation


@dataclass(frozen=True)
class RegistryKeyExpected(Expectation):
    key: str
    state: str


@dataclass(frozen=True)
class RegistryValueExpected(Expectation):
    key: str
    name: str
    want: ValueExpectation


@dataclass(frozen=True)
class RequestExpected(Expectation):
    want: RequestExpectation


@dataclass(frozen=True)
class PxeExpected(Expectation):
    """``start``: of which start from the network, from 1; 0: of every one."""

    want: PxeExpectation
    start: int = 0


@dataclass(frozen=True)
class PxeCountExpected(Expectation):
    """How many starts from the network there are."""

    count: int


@dataclass(frozen=True)
class StatusExpected(Expectation):
    want: StatusExpectation


def expectations(
    document: Document[Scenario],
    expect: Expect | None = None,
    keys: tuple[str, ...] = (),
    *,
    machine: str = "",
) -> tuple[Expectation, ...]:
    """Everything that ``expect``, which stands below ``keys``, expects of a machine, in the order of this
    module; without them, what the scenario expects of each machine."""
    found = _all(document, document.value.expect if expect is None else expect, (*keys, "expect"))
    return tuple(replace(item, machine=machine) for item in found)


def _all(document: Document[Scenario], expect: Expect, keys: tuple[str, ...]) -> Iterator[Expectation]:
    def place(*below: str | int) -> Place:
        return document.key_place(*keys, *below)

    if expect.result is not None:
        yield ResultExpected(place("result"), expect.result)
    if expect.code is not None:
        yield CodeExpected(place("code"), expect.code)
    if expect.failed_step is not None:
        yield FailedStepExpected(place("failed_step"), expect.failed_step)
    for name, step in expect.steps.items():
        yield StepExpected(place("steps", name), name, step)
    for index, name in enumerate(expect.steps_not_run):
        yield StepExpected(place("steps_not_run", index), name, StepExpectation(result="not-run"))
    for index, record in enumerate(expect.log):
        yield LogExpected(place("log", index), record)
    for name, value in expect.variables.items():
        yield VariableExpected(place("variables", name), name, value)
    if expect.disk is not None:
        yield from _disk(expect.disk, partial(place, "disk"))
    for number, other in expect.disks.items():
        yield from _table(other, number, partial(place, "disks", str(number)))
    for index, request in enumerate(expect.requests):
        yield RequestExpected(place("requests", index), request)
    listed = _is_listed(document, *keys, "pxe")
    for index, decision in enumerate(expect.pxe):
        yield PxeExpected(place("pxe", index), decision, index + 1 if listed else 0)
    if expect.pxe and listed:
        yield PxeCountExpected(place("pxe"), len(expect.pxe))
    for index, message in enumerate(expect.status):
        yield StatusExpected(place("status", index), message)


def _is_listed(document: Document[Scenario], *keys: str) -> bool:
    data = document.root.data()
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return isinstance(data, list)


def _disk(disk: DiskExpectation, place: Callable[..., Place]) -> Iterator[Expectation]:
    if disk.unformatted:
        yield UnformattedExpected(place())
    yield from _table(disk, 0, place)
    if disk.boot_loader is not None:
        yield BootLoaderExpected(place("boot_loader"), disk.boot_loader)
    for path, file in disk.files.items():
        yield FileExpected(place(path), path, file)
    for key, registry in disk.registry.items():
        yield from _registry(place, key, registry)


def _table(
    disk: DiskExpectation | OtherDiskExpectation, number: int, place: Callable[..., Place]
) -> Iterator[Expectation]:
    if disk.style is not None:
        yield StyleExpected(place("style"), disk.style, number)
    if disk.partitions is not None:
        yield PartitionCountExpected(place("partitions"), len(disk.partitions), number)
        for index, partition in enumerate(disk.partitions):
            yield PartitionExpected(place("partitions", index), index + 1, partition, number)


def _registry(place: Callable[..., Place], key: str, want: RegistryExpectation) -> Iterator[Expectation]:
    if not want.values:
        yield RegistryKeyExpected(place(key), key, want.state)
    for name, value in want.values.items():
        yield RegistryValueExpected(place(key, name), key, name, value)


def questions(expected: Iterable[Expectation]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the disk's reader must look into beyond its listing: (files for text or hash, registry keys)."""
    files: dict[str, None] = {}
    registry: dict[str, None] = {}
    for item in expected:
        if isinstance(item, FileExpected) and (item.want.needs_text or item.want.needs_hash):
            files[item.path] = None
            if item.want.same_as:
                files[item.want.same_as] = None
        elif isinstance(item, BootLoaderExpected):
            files[item.want.path] = None
            if item.want.same_as:
                files[item.want.same_as] = None
        elif isinstance(item, RegistryKeyExpected | RegistryValueExpected):
            registry[item.key] = None
    return tuple(files), tuple(registry)
