"""The bytes and scripts that LabPE writes: GPT, boot entries, registry, HTTP."""

from __future__ import annotations

import struct

import pytest

from lab.guest import efi, gpt, hive, http
from lab.sequence.effects import Partition

ESP = gpt.GptPartition(
    1, gpt.TYPES["EFI"][0], "BF3CE27B-6493-4174-8F1F-DB70A5FD81E7", 2048, 409600, "EFI system partition"
)


def test_sgdisk_gets_exact_sectors_and_types() -> None:
    arguments = gpt.sgdisk_arguments((Partition(3, "Recovery", 4096, 2048, "NTFS"),))
    assert "--new=3:4096:6143" in arguments
    assert "--typecode=3:DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" in arguments
    assert "--attributes=3:set:0" in arguments and "--attributes=3:set:63" in arguments
    with pytest.raises(ValueError, match="Extended"):
        gpt.sgdisk_arguments((Partition(1, "Extended", 0, 1),))


def test_a_hidden_partition_is_data_with_attributes() -> None:
    arguments = gpt.sgdisk_arguments((Partition(2, "Hidden", 4096, 2048, "NTFS"),))
    assert arguments[-2:] == ["--attributes=2:set:62", "--attributes=2:set:63"]
    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 2, 128)
    kind, own = gpt.guid_bytes(gpt.TYPES["Hidden"][0]), bytes(15) + b"1"
    plain = kind + own + struct.pack("<QQQ", 2048, 4095, 0) + bytes(72)
    hidden = kind + own + struct.pack("<QQQ", 4096, 6143, 1 << 62 | 1 << 63) + bytes(72)
    assert [part.hidden for part in gpt.parse_entries(header, plain + hidden)] == [False, True]


def test_a_gpt_is_read_back() -> None:
    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 4, 128)
    entry = gpt.guid_bytes(ESP.type) + gpt.guid_bytes(ESP.guid) + struct.pack("<QQQ", 2048, 411647, 0)
    entry += ESP.name.encode("utf-16-le").ljust(72, b"\0")
    assert gpt.header_extent(header) == (1024, 512)
    [found] = gpt.parse_entries(header, entry + bytes(384))
    assert found == ESP
    with pytest.raises(ValueError):
        gpt.header_extent(bytes(512))


def test_a_boot_entry_is_a_load_option_with_a_short_hard_drive_path() -> None:
    option = efi.load_option("Windows Boot Manager", ESP, "\\EFI\\Microsoft\\Boot\\bootmgfw.efi")
    attributes, length = struct.unpack_from("<IH", option)
    text = "Windows Boot Manager".encode("utf-16-le") + b"\0\0"
    path = option[6 + len(text) :]
    assert attributes == 1 and option[6:].startswith(text) and len(path) == length
    # HD(1,GPT,BF3CE27B-...,0x800,0x64000), as real firmware stores it.
    assert path[:42].hex() == (
        "04012a0001000000000800000000000000400600000000007be23cbf936474418f1fdb70a5fd81e70202"
    )
    assert path[42:44] == b"\x04\x04" and path[-4:] == b"\x7f\xff\x04\x00"
    assert efi.description_of(option) == "Windows Boot Manager"


def test_a_boot_entry_keeps_its_number_and_goes_first() -> None:
    options = {0: efi.load_option("UEFI Shell", ESP, "\\a"), 2: efi.load_option("Mine", ESP, "\\b")}
    assert efi.boot_number(options, "Mine") == 2
    assert efi.boot_number(options, "New") == 1
    assert efi.boot_order_with(struct.pack("<3H", 0, 2, 5), 2) == struct.pack("<3H", 2, 0, 5)
    assert efi.boot_order_with(b"", 7) == b"\x07\x00"


def test_a_key_is_found_in_its_hive() -> None:
    assert hive.locate("HKLM\\SYSTEM\\CurrentControlSet\\Control") == ("SYSTEM", ("ControlSet001", "Control"))
    assert hive.locate("HKCU\\Environment") == ("DEFAULT", ("Environment",)), "of Local System"
    for key in ("HKU\\S-1-5-21\\Software", "HKLM\\HARDWARE\\X", "HKLM", "HKLM\\SYSTEM\\a\ncommit"):
        with pytest.raises(ValueError):
            hive.locate(key)


def test_a_script_makes_the_missing_keys_and_writes_all_values() -> None:
    values = {"A": hive.encode("REG_SZ", "ä"), "N": hive.encode("REG_DWORD", -1)}
    assert hive.write_script(("Setup", "My Key"), 1, values) == (
        "cd \\Setup\nadd My Key\ncd My Key\nsetval 2\nA\nhex:1:e4000000\nN\nhex:4:ffffffff\ncommit\n"
    )
    assert hive.go_to(()) == "cd \\ \n", "readline takes a last backslash as a continuation"


def test_values_that_hivexsh_lists_are_understood() -> None:
    listing = (
        '"@"="abc"\n"Cmd\\"Line"="C:\\\\\\"\n1"\n"N"=dword:00000010\n"M"=str(2):"%X%"\n"B"=hex(3):00,ff\n'
    )
    assert hive.parse_values(listing) == {
        "": (1, "abc\0".encode("utf-16-le")),
        'Cmd"Line': (1, 'C:\\"\n1\0'.encode("utf-16-le")),
        "N": (4, b"\x10\0\0\0"),
        "M": (2, "%X%\0".encode("utf-16-le")),
        "B": (3, b"\x00\xff"),
    }
    with pytest.raises(ValueError):
        hive.parse_values("nonsense\n")


def test_a_changed_value_keeps_its_neighbours_and_its_spelling() -> None:
    old = {"CmdLine": (1, b"a"), "Other": (4, b"b")}
    assert hive.merged(old, {"cmdline": (1, b"c")}) == {"CmdLine": (1, b"c"), "Other": (4, b"b")}


def test_an_http_answer_is_read() -> None:
    assert http.parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y") == (200, 12)
    assert http.parse_head(b"HTTP/1.0 404 Not Found") == (404, None)
    with pytest.raises(http.HttpError):
        http.parse_head(b"SSH-2.0-OpenSSH")
    with pytest.raises(http.HttpError):
        http.parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: many")
    assert http.request("10.0.0.1", "/content/LAB1/a b.wim").startswith(
        b"GET /content/LAB1/a%20b.wim HTTP/1.0"
    )
