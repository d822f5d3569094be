"""WQL: what is read, what is refused and where, and which instances a query takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InputError
from lab.sequence import wmi
from lab.sequence.conditions import expressions
from lab.sequence.expressions import WMI
from lab.sequence.machinefacts import DiskFacts, MachineFacts, NicFacts, PartitionFacts, Smbios
from lab.sequence.wql import NOT_SUPPORTED, WqlError, parse
from lab.sequence.wqlrows import like, select
from lab.sequence.xmlformat import read_sequence

FIELD = Path(__file__).parents[2] / "../shared/field/sequences"

ROW: dict[str, Any] = {
    "Model": "Surface Pro 3", "Size": 10 << 30, "Boot": True, "Gone": None, "Types": [9], "OSLanguage": 1033,
    "BuildNumber": "22631", "Version": "10.0.22631", "Date": "20240101120000.000000+060", "Rate": 1.5,
}  # fmt: skip


def takes(where: str) -> bool:
    return bool(select(parse(f"SELECT * FROM Thing WHERE {where}"), [ROW]))


@pytest.mark.parametrize(
    ("where", "result"),
    [
        ("Model LIKE '%surface%'", True), ('MODEL like "%Book%"', False), ("Model = 'SURFACE PRO 3'", True),
        ("NOT Model LIKE '%hp%'", True), ("Model NOT LIKE 'Surf%'", False), ("'Surface Pro 3' = Model", True),
        ("Model LIKE '[r-t]urface [^a]ro _'", True), ("Model LIKE 'Surface [a=c]%'", False),
        ("Size > 5", True), ("5 < Size", True), ("Size = '10737418240'", True),
        ("Size <> 0x280000000", False),
        ("Size >= 10737418240 AND Size <= 10737418240", True), ("Rate > 1.4 AND Rate < 1.6e0", True),
        ("OSLanguage='1033'", True), ("OSLanguage != '1031'", True),
        # Numbers in a text: by number beside a number, by character beside a text.
        ("BuildNumber >= 9600", True), ("BuildNumber >= '9600'", False), ("Version < '6.1'", True),
        ("BuildNumber = 22631", True), ("Model > 5", False), ("Model <> 5", True),
        ("Boot = TRUE", True), ("Boot = 'false'", False), ("Boot = 1", True),
        ("Gone IS NULL", True), ("Gone IS NOT NULL", False), ("Gone = NULL", True), ("Model <> NULL", True),
        ("Gone = 'x'", False), ("Gone <> 'x'", True), ("Types IS NOT NULL", True),
        ("Date > '20240101105959.000000+000' AND Date < '20240101110001.000000+000'", True),
        # NOT before AND before OR, parentheses before all.
        ("Boot = TRUE OR Boot = TRUE AND Boot = FALSE", True),
        ("(Boot=TRUE OR Boot=TRUE) AND Boot=FALSE", False),
        ("NOT Boot = FALSE AND Boot = FALSE", False), ("NOT (Boot = FALSE AND Boot = FALSE)", True),
        ("NOT NOT Boot = TRUE", True), ("Thing.Model LIKE 'S%'", True),
        ("UPPER(Model) = 'SURFACE PRO 3'", True),
        ("__CLASS = 'thing'", True), ("__this ISA 'Thing'", True),
    ],
)  # fmt: skip
def test_comparisons(where: str, result: bool) -> None:
    assert takes(where) is result


@pytest.mark.parametrize(
    ("query", "offset", "says"),
    [
        ("", 0, "empty"), ("DELETE FROM x", 0, "SELECT"), ("SELECT FROM x", 7, "a property"),
        ("SELECT * x", 9, "FROM"), ("SELECT * FROM", 13, "the name of a class"),
        ("SELECT count(*) FROM x", 12, "FROM"),
        ("SELECT * FROM x WHERE", 21, "a property"), ("SELECT * FROM x WHERE a", 23, "an operator"),
        ("SELECT * FROM x WHERE a =", 25, "a property"), ("SELECT * FROM x WHERE 1 = 1", 24, "a property"),
        ("SELECT * FROM x WHERE (a = 1", 22, "no ')'"), ("SELECT * FROM x WHERE a = 1)", 27, "no '('"),
        ("SELECT * FROM x WHERE a = 'b", 26, "no end"), (r"SELECT * FROM x WHERE a = 'c:\w'", 29, "doubled"),
        ("SELECT * FROM x WHERE a LIKE 5", 29, "quotes"), ("SELECT * FROM x WHERE a < NULL", 24, "NULL"),
        ("SELECT * FROM x WHERE a LIKE “%b%”", 29, "not understood"),
        ("SELECT * FROM x;", 15, "not understood"),
        ("SELECT * FROM x WHERE a = 1 b = 2", 28, "the end"), ("SELECT * FROM x y", 16, "WHERE"),
        ("SELECT * FROM x WHERE a = 12ab", 26, "not a number"),
        ("SELECT * FROM x WHERE a == 1", 25, "a property"),
    ],
)  # fmt: skip
def test_what_wmi_would_refuse_is_named_with_its_place(query: str, offset: int, says: str) -> None:
    with pytest.raises(WqlError) as raised:
        parse(query)
    assert (raised.value.offset, says in raised.value.message) == (offset, True), raised.value.message


@pytest.mark.parametrize(
    "where", ["Types = 9", "Types LIKE '%9%'", "Nonsense = 1", "Size = 'big'", "Size = 'nan'"]
)
def test_what_cannot_be_compared_is_an_error(where: str) -> None:
    with pytest.raises(WqlError):
        takes(where)


def test_a_text_that_reads_like_no_number_equals_none() -> None:
    assert [
        select(parse("SELECT * FROM T WHERE Label = 5"), [{"Label": text}]) for text in ("nan", "inf")
    ] == [[], []]


def test_what_the_lab_cannot_ask() -> None:
    with pytest.raises(WqlError) as raised:
        parse("ASSOCIATORS OF {Win32_DiskDrive.DeviceID='x'} WHERE AssocClass = Y")
    assert raised.value.code == NOT_SUPPORTED


def test_a_hostile_query_takes_linear_time_and_no_recursion() -> None:
    begun = time.process_time()
    assert takes("(" * 20_000 + "Boot = TRUE" + ")" * 20_000)
    assert takes("NOT " * 10_000 + "Boot = TRUE")
    assert takes(" OR ".join(["Boot = FALSE"] * 3000 + ["Boot = TRUE"]))
    assert not like("a" * 4000, "%a" * 100 + "b")
    with pytest.raises(WqlError):
        parse("SELECT * FROM x WHERE a = " + "1" * 70_000)
    assert time.process_time() - begun < 20


def test_every_query_of_real_sequences_is_read() -> None:
    if not FIELD.is_dir():
        pytest.skip("the shared real sequences are not here")
    queries = set()
    for path in sorted(FIELD.glob("*.xml")):
        try:
            sequence = read_sequence(path.read_bytes(), path.name)
        except InputError:
            continue  # reading exports has tests of its own
        for _, _, item in sequence.walk():
            queries |= {node.value("Query") for node in expressions(item.condition) if node.kind == WMI}
    assert len(queries) > 50
    machine = MachineFacts(Smbios("Dell Inc.", "Latitude E7470", bios_version="1.11.3"))
    held = set()
    for text in queries:
        query = parse(text)
        if select(query, wmi.instances(machine, "root\\cimv2", query.class_name)):
            held.add(text)
    assert 'Select Model FROM Win32_ComputerSystem WHERE Model LIKE "%Latitude E7470%"' in held
    assert len(held) < len(queries) / 4


MACHINE = MachineFacts(
    smbios=Smbios(
        "Dell Inc.", "Latitude E7470", serial="S1", uuid="a-b", bios_date="08/20/2018", chassis_type=10,
    ),
    memory=(1 << 30, 1 << 30),
    processors=("CPU",),
    disks=(
        DiskFacts(0, 20 << 30, "GPT", partitions=(
            PartitionFacts(1, "EFI", 1 << 20, 100 << 20, "FAT32"),
            PartitionFacts(2, "MSR", 101 << 20, 16 << 20),
            PartitionFacts(3, "Primary", 117 << 20, 19 << 30, "NTFS", "Windows", "C:", free=18 << 30))),
    ),
    nics=(NicFacts("52:54:00:aa:00:01", 0x1AF4, 0x1000, (("10.0.0.9", "255.255.255.0"),), ("10.0.0.1",)),),
)  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM Win32_ComputerSystem WHERE PCSystemType = 2 AND TotalPhysicalMemory = 2147483648",
        "SELECT * FROM Win32_BIOS WHERE ReleaseDate > '20180101000000.000000+000' AND SerialNumber = 's1'",
        "SELECT * FROM Win32_ComputerSystemProduct WHERE UUID = 'A-B' AND Vendor LIKE 'Dell%'",
        # 20 GiB are 2,610 whole cylinders.
        "SELECT * FROM Win32_DiskDrive WHERE Size = 21467980800 AND Partitions = 2",
        "SELECT * FROM Win32_DiskPartition WHERE Index = 1 AND Type = 'GPT: Basic Data' AND Bootable = FALSE",
        "SELECT * FROM Win32_LogicalDisk WHERE DeviceID = 'C:' AND FreeSpace < Size AND DriveType = 3",
        "SELECT * FROM Win32_Volume WHERE Label = 'windows' AND SystemVolume = FALSE",
        "SELECT * FROM Win32_NetworkAdapterConfiguration WHERE IPEnabled = TRUE AND DHCPEnabled = TRUE",
        "SELECT * FROM Win32_OperatingSystem WHERE OSArchitecture = '64-bit'",
    ],
)
def test_a_machine_as_wmi_has_it(query: str) -> None:
    read = parse(query)
    assert len(select(read, wmi.instances(MACHINE, "\\\\.\\ROOT/cimv2", read.class_name))) == 1


def test_namespaces_and_classes_that_are_not_there() -> None:
    with pytest.raises(wmi.WmiError) as raised:
        wmi.instances(MACHINE, "root\\ccm", "CCM_Client")
    assert raised.value.code == wmi.INVALID_NAMESPACE
    with pytest.raises(wmi.WmiError) as raised:
        wmi.instances(MACHINE, "root\\cimv2", "Win32_Product")
    assert raised.value.code == wmi.INVALID_CLASS
    assert wmi.known_class("root\\x", "a") is None
    assert (wmi.known_class("root\\wmi", "a"), wmi.known_class("ROOT/CIMV2", "win32_BIOS")) == (False, True)


def test_every_class_is_filled_without_a_machine_too() -> None:
    for namespace, classes in wmi.NAMESPACES.items():
        for name in classes:
            for machine in (MACHINE, MachineFacts()):
                for row in wmi.instances(machine, namespace, name):
                    assert all(
                        isinstance(value, str | int | float | bool | list | None) for value in row.values()
                    )
