"""Disk layouts: from OSDPartitions variables and a disk's size to partitions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.sequence import codes, layout
from lab.sequence.layout import Impossible, Layout, plan, wanted_partitions
from lab.sequence.xmlformat import read_sequence

GIB = 1024**3
ROOT = Path(__file__).parents[2]
FIELD = Path(os.environ.get("OSDLAB_FIELD", ROOT.parent / "shared" / "field")) / "sequences"


def array(*partitions: dict[str, str]) -> tuple[layout.Wanted, ...] | Impossible:
    values = {
        f"osdpartitions{index}{name}".casefold(): value
        for index, entry in enumerate(partitions)
        for name, value in entry.items()
    }
    return wanted_partitions(lambda name: values.get(name.casefold(), ""), len(partitions))


EFI = {"Type": "EFI", "Size": "500", "SizeUnits": "MB", "FileSystem": "FAT32"}
MSR = {"TYPE": "msr", "Size": "128"}
WINDOWS = {
    "Type": "PRIMARY",
    "FileSystem": "ntfs",
    "Size": "95",
    "SizeUnits": "PERCENT",
    "VolumeName": "Windows",
}
REST = {"Type": "Recovery", "FileSystem": "NTFS", "Size": "100", "SizeUnits": "%"}


def test_the_usual_gpt_layout() -> None:
    wanted = array(EFI, MSR, {**WINDOWS, "VolumeLetterVariable": "OSDisk"}, REST)
    assert not isinstance(wanted, Impossible)
    planned = plan(wanted, "GPT", 20 * GIB)
    assert isinstance(planned, Layout)
    efi, msr, windows, recovery = planned.partitions
    assert (efi.start, efi.sectors, efi.letter) == (2048, 500 * 2048, "")
    assert (msr.start, msr.sectors, msr.file_system) == (501 * 2048, 128 * 2048, "")
    assert (windows.number, windows.letter, windows.label) == (3, "C:", "Windows")
    # Percent is of what was still free, the last one takes the rest before the backup table.
    free = (20 * GIB // 512 - 33) // 2048 * 2048 - windows.start
    assert windows.sectors == free * 95 // 100 // 2048 * 2048
    assert recovery.start + recovery.sectors == windows.start + free
    assert planned.letter_variables == (("OSDisk", "C:"),)


EXTENDED = {"Type": "Extended", "Size": "50", "SizeUnits": "Percent"}
LOGICAL = {"Type": "Logical", "FileSystem": "NTFS"}


def test_logical_partitions_share_the_extended_one() -> None:
    primary = {"Type": "Primary", "FileSystem": "NTFS"}
    half = {**LOGICAL, "Size": "50", "SizeUnits": "Percent", "VolumeLetterVariable": "Data"}
    wanted = array({**primary, "Size": "100"}, EXTENDED, half, LOGICAL, primary)
    assert not isinstance(wanted, Impossible)
    planned = plan(wanted, "MBR", GIB)
    assert isinstance(planned, Layout)
    system, extended, windows, data, rest = planned.partitions
    assert [part.number for part in planned.partitions] == [1, 2, 3, 5, 6], "as the table counts"
    assert extended.start == system.start + system.sectors and extended.file_system == extended.letter == ""
    assert windows.start == extended.start + extended.sectors, "a primary one lies outside"
    # Each logical one has 1 MiB with its boot record in front; percent is of what the extended one has left.
    assert data.start == extended.start + 2048
    assert data.sectors == (extended.sectors - 2048) // 2 // 2048 * 2048
    assert rest.start == data.start + data.sectors + 2048
    assert rest.start + rest.sectors == extended.start + extended.sectors
    assert [part.letter for part in planned.partitions] == ["C:", "", "D:", "E:", "F:"]
    assert planned.letter_variables == (("Data", "E:"),)


def test_letters_are_the_next_free_ones() -> None:
    efi = {**EFI, "AssignVolumeLetter": "true"}
    data = {"Type": "Primary", "FileSystem": "NTFS", "Size": "1", "SizeUnits": "GB"}
    bare = {"Type": "Primary", "Size": "10"}
    none = {**data, "AssignVolumeLetter": "false"}
    wanted = array(efi, bare, none, data, data)
    assert not isinstance(wanted, Impossible)
    planned = plan(wanted, "gpt", 20 * GIB, taken=("D:",))
    assert isinstance(planned, Layout)
    assert [part.letter for part in planned.partitions] == ["F:", "", "", "C:", "E:"]


@pytest.mark.parametrize(
    ("partitions", "style", "size", "code"),
    [
        ([], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Swap"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "FileSystem": "ext4"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "much"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "-1"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "0"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "101", "SizeUnits": "Percent"}], "GPT", GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "1", "SizeUnits": "TB"}], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary"}], "APM", 20 * GIB, codes.INVALID_PARAMETER),
        ([EFI], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "1"}] * 5, "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary", "Size": "9", "Bootable": "true"}] * 2, "MBR", GIB, codes.INVALID_PARAMETER),
        ([EXTENDED], "GPT", 20 * GIB, codes.INVALID_PARAMETER),
        ([EXTENDED, EXTENDED], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([LOGICAL, EXTENDED], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([EXTENDED, {**LOGICAL, "Bootable": "true"}], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([EXTENDED, *[{**LOGICAL, "Size": "1"}] * 57], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{**EXTENDED, "Size": "2"}, LOGICAL, LOGICAL], "MBR", 20 * GIB, codes.DISK_FULL),
        ([{"Type": "Primary", "VolumeName": 33 * "x"}], "MBR", 20 * GIB, codes.INVALID_PARAMETER),
        ([{"Type": "Primary"}, {"Type": "Primary"}], "GPT", 20 * GIB, codes.DISK_FULL),
        ([{"Type": "Primary", "Size": "21", "SizeUnits": "GB"}], "GPT", 20 * GIB, codes.DISK_FULL),
        ([{"Type": "Primary"}], "GPT", 0, codes.DISK_FULL),
    ],
)
def test_impossible_layouts_are_codes(
    partitions: list[dict[str, str]], style: str, size: int, code: int
) -> None:
    wanted = array(*partitions)
    planned = wanted if isinstance(wanted, Impossible) else plan(wanted, style, size)
    assert isinstance(planned, Impossible) and planned.code == code and planned.message


entries = st.fixed_dictionaries(
    {"Type": st.sampled_from(["Primary", "efi", "MSR", "Recovery", "Hidden", "Extended", "Logical"])},
    optional={
        "Size": st.integers(0, 3000).map(str),
        "SizeUnits": st.sampled_from(["MB", "gb", "Percent", "%", ""]),
        "FileSystem": st.sampled_from(["NTFS", "fat32", ""]),
        "AssignVolumeLetter": st.sampled_from(["true", "false", ""]),
        "Bootable": st.sampled_from(["true", "false"]),
    },
)


@given(st.lists(entries, max_size=8), st.sampled_from(["GPT", "MBR"]), st.integers(0, 4096 * GIB))
def test_a_layout_is_aligned_in_order_and_inside_the_disk(
    partitions: list[dict[str, str]], style: str, size: int
) -> None:
    wanted = array(*partitions)
    planned = wanted if isinstance(wanted, Impossible) else plan(wanted, style, size)
    if isinstance(planned, Impossible):
        assert planned.code in (codes.INVALID_PARAMETER, codes.DISK_FULL, codes.NOT_SUPPORTED)
        return
    end, inner, outer = 2048, 0, 0
    for part in planned.partitions:
        assert part.start % 2048 == 0 and part.sectors >= 2048 and part.sectors % 2048 == 0
        if part.type == "Logical":
            assert part.number >= 5 and part.start == inner + 2048
            inner = part.start + part.sectors
            assert inner <= outer
            continue
        assert part.start == end
        end = part.start + part.sectors
        if part.type == "Extended":
            inner, outer = part.start, end
    assert end <= size // 512 - (33 if style == "GPT" else 0)
    if style == "MBR":
        assert end <= 2**32
    letters = [part.letter for part in planned.partitions if part.letter]
    assert len(letters) == len(set(letters)) and "X:" not in letters


def test_every_layout_of_a_real_export_fits_a_large_disk() -> None:
    if not FIELD.is_dir():
        pytest.skip("no folder with real exports beside the repository (OSDLAB_FIELD)")
    seen = 0
    for path in sorted(FIELD.glob("*.xml")):
        try:
            sequence = read_sequence(path.read_bytes(), path.name)
        except InputError:
            continue
        for step in sequence.steps():
            values = {variable.name.casefold(): variable.value for variable in step.variables}
            if not values.get("osdpartitions", "").isdigit():
                continue
            seen += 1
            wanted = wanted_partitions(
                lambda name, values=values: values.get(name.casefold(), ""),  # type: ignore[misc]
                int(values["osdpartitions"]),
            )
            assert not isinstance(wanted, Impossible), (path.name, step.name, wanted)
            planned = plan(wanted, values.get("osdpartitionstyle") or "MBR", 1024 * GIB)
            assert isinstance(planned, Layout), (path.name, step.name, planned)
    assert seen
