"""Fingerprints: whatever is planted is found, and the mask hides what it lists and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lab.disk.fingerprint import NOISE, Noise, all_differences, differences, fingerprint
from lab.disk.state import DiskState, FileState, FinalState, PartitionState

LOG = "C:\\Windows\\CCM\\Logs\\smsts.log"


@dataclass
class Run:
    final: FinalState
    variables: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def print(self) -> dict[str, str]:
        return fingerprint(self.final, self.variables, self.requests)

    def with_file(self, path: str, state: FileState | None) -> Run:
        files = {key: value for key, value in self.final.files.items() if key != path}
        return replace(self, final=replace(self.final, files=files | ({path: state} if state else {})))

    def with_partition(self, **changes: Any) -> Run:
        disk = self.final.disks[0]
        changed = replace(disk, partitions=(replace(disk.partitions[0], **changes), *disk.partitions[1:]))
        return replace(self, final=replace(self.final, disks=(changed,)))

    def with_registry(self, key: str, **values: list[Any]) -> Run:
        return replace(self, final=replace(self.final, registry={**self.final.registry, key: values}))


def a_run() -> Run:
    partitions = (PartitionState(1, "EFI", 2048, 4096, "FAT32", "SYSTEM"),
                  PartitionState(2, "Primary", 6144, 8192, "NTFS", "Windows"))  # fmt: skip
    return Run(
        FinalState(
            disks=(DiskState(0, 1 << 30, "GPT", partitions),),
            volumes={"EFI:": "0,1", "C:": "0,2"},
            files={
                "C:\\Windows\\": FileState(0),
                "C:\\Windows\\Panther\\unattend.xml": FileState(7, "aa"),
                LOG: FileState(100, "bb"),
            },
            registry={"HKLM\\SYSTEM\\Setup": {"CmdLine": ["REG_SZ", ""], "SetupType": ["REG_DWORD", 0]}},
        ),
        {"OSDComputerName": "PC-1"},
        [{"method": "GET", "path": "/policy/aa", "status": 200}],
    )


Change = Callable[[Run], Run]

PLANTED: dict[str, Change] = {
    "disk/0/partition/1/type": lambda run: run.with_partition(type="Primary"),
    "disk/0/partition/1/start": lambda run: run.with_partition(start=4096),
    "disk/0/partition/1/file_system": lambda run: run.with_partition(file_system=""),
    "disk/0/partition/1/label": lambda run: run.with_partition(label="OTHER"),
    "volume/C:": lambda run: replace(run, final=replace(run.final, volumes={"EFI:": "0,1", "C:": "0,3"})),
    "file/c:\\windows\\panther\\unattend.xml|sha256": lambda run: run.with_file(
        "C:\\Windows\\Panther\\unattend.xml", FileState(7, "ab")
    ),
    "file/c:\\windows\\new.txt": lambda run: run.with_file("C:\\Windows\\new.txt", FileState(1, "cc")),
    f"file/{LOG.lower()}": lambda run: run.with_file(LOG, None),
    "registry/hklm\\system\\setup|cmdline": lambda run: run.with_registry(
        "HKLM\\SYSTEM\\Setup", CmdLine=["REG_SZ", "oobe"], SetupType=["REG_DWORD", 0]
    ),
    "registry/hklm\\system\\setup|setuptype": lambda run: run.with_registry(
        "HKLM\\SYSTEM\\Setup", CmdLine=["REG_SZ", ""], SetupType=["REG_SZ", "0"]
    ),
    "registry/hklm\\software\\new": lambda run: run.with_registry("HKLM\\SOFTWARE\\New"),
    "variable/osdcomputername": lambda run: replace(run, variables={"OSDComputerName": "PC-2"}),
    "request/GET /policy/aa": lambda run: replace(run, requests=[{**run.requests[0], "status": 404}]),
    "request/GET /content/x": lambda run: replace(
        run, requests=[*run.requests, {"method": "GET", "path": "/content/x", "status": 200}]
    ),
}


@pytest.mark.parametrize("key", PLANTED)
def test_a_planted_difference_is_found(key: str) -> None:
    found = differences(a_run().print(), PLANTED[key](a_run()).print())
    assert key in [item.key for item in found]


def test_equal_runs_do_not_differ_and_case_of_names_does_not_count() -> None:
    upper = a_run().with_file("C:\\Windows\\", None).with_file("C:\\WINDOWS\\", FileState(0))
    assert differences(a_run().print(), upper.print()) == []


def test_a_repeated_request_is_a_difference() -> None:
    twice = replace(a_run(), requests=a_run().requests * 2)
    (found,) = differences(a_run().print(), twice.print())
    assert (found.left, found.right) == ("200", "200 200")


def test_the_mask_hides_a_logs_content_but_not_its_absence() -> None:
    other = a_run().with_file(LOG, FileState(101, "bc"))
    assert differences(a_run().print(), other.print()) == []
    assert len(all_differences(a_run().print(), other.print())) == 2
    missing = differences(a_run().print(), a_run().with_file(LOG, None).print())
    assert f"file/{LOG.lower()}" in [item.key for item in missing]


def test_an_empty_mask_hides_nothing() -> None:
    other = a_run().with_file(LOG, FileState(101, "bb"))
    assert differences(a_run().print(), other.print(), ()) != []


def test_brackets_in_a_pattern_stand_for_themselves() -> None:
    left, right = {"file/c:\\a[1].txt|size": "1"}, {"file/c:\\a[1].txt|size": "2"}
    assert differences(left, right, (Noise("file/c:\\a[1].txt|size", "test"),)) == []
    assert differences({"file/c:\\a1.txt|size": "1"}, {}, (Noise("file/c:\\a[1].txt|size", "test"),)) != []


def test_every_noise_has_a_reason_and_names_one_kind_of_thing() -> None:
    for noise in NOISE:
        assert noise.reason
        # Partitions, registry, variables and requests have no noise.
        assert noise.pattern.split("/")[0] == "file"
        assert noise.pattern.count("*") <= 1
