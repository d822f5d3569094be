"""The formats that the boot image's builder writes itself: cpio, PE sections, hives, locks, recipe."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from lab.errors import InputError, LabFault
from lab.pe.cpio import Cpio
from lab.pe.modules import depends, lean, module_name
from lab.pe.recipe import FOLDER, Package, format_lock, parse_lock, read_recipe
from lab.pe.reference import settle
from lab.pe.uki import unified_image

SHA = "ab" * 32


def entries(archive: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """What a newc archive holds, read as its definition says: (mode, data, device)."""
    found = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        data_at = at + 110 + fields[11]
        data_at += -data_at % 4
        if name == "TRAILER!!!":
            return found
        data = archive[data_at : data_at + fields[6]]
        found[name] = (fields[1], data, (fields[9], fields[10]))
        at = data_at + fields[6]
        at += -at % 4


def test_a_cpio_holds_files_links_folders_and_devices() -> None:
    cpio = Cpio()
    cpio.file("bin/tool", b"12345", executable=True)
    cpio.link("bin/sh", "tool")
    cpio.device("dev/console", 5, 1)
    packed = cpio.pack()
    assert len(packed) % 512 == 0
    assert entries(packed) == {
        "bin": (0o040755, b"", (0, 0)),
        "bin/sh": (0o120777, b"tool", (0, 0)),
        "bin/tool": (0o100755, b"12345", (0, 0)),
        "dev": (0o040755, b"", (0, 0)),
        "dev/console": (0o020600, b"", (5, 1)),
    }


def stub(*, header_size: int = 1024) -> bytes:
    """A PE file of one code section at 0x1000, entry 0x1010, with what the image builder reads."""
    out = bytearray(header_size + 512)
    out[:2] = b"MZ"
    struct.pack_into("<I", out, 0x3C, 64)
    out[64:68] = b"PE\0\0"
    struct.pack_into("<HH", out, 68, 0x8664, 1)
    struct.pack_into("<H", out, 84, 240)
    struct.pack_into("<I", out, 88 + 16, 0x1010)
    struct.pack_into("<II", out, 88 + 32, 512, 512)
    struct.pack_into("<II", out, 88 + 56, 0x2000, header_size)
    struct.pack_into("<8sIIII", out, 88 + 240, b".text", 300, 0x1000, 512, header_size)
    return bytes(out)


def sections(image: bytes) -> dict[str, tuple[int, int, bytes]]:
    """name -> (address, size, content) of a PE file's sections."""
    count = struct.unpack_from("<H", image, 70)[0]
    found = {}
    for number in range(count):
        name, size, address, _, raw = struct.unpack_from("<8sIIII", image, 88 + 240 + 40 * number)
        found[name.rstrip(b"\0").decode()] = (address, size, image[raw : raw + size])
    return found


def test_sections_of_a_unified_image_hold_their_content_and_never_overlap() -> None:
    wanted = {".cmdline": b"quiet\0", ".initrd": bytes(range(256)) * 40, ".linux": b"K" * 5000}
    image = unified_image(stub(), wanted)
    found = sections(image)
    assert {name: found[name][2] for name in wanted} == wanted
    places = sorted((address, address + size) for address, size, _ in found.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    assert all(address % 4096 == 0 for address, _, _ in found.values())
    assert struct.unpack_from("<I", image, 88 + 56)[0] >= places[-1][1]  # SizeOfImage


def test_a_unified_image_starts_at_the_code_that_forgets_the_load_options_and_goes_on_to_the_stub() -> None:
    image = unified_image(stub(), {".linux": b"K"})
    address, size, code = sections(image)[".osdlab"]
    assert struct.unpack_from("<I", image, 88 + 16)[0] == address
    jump = size - 16 - 5  # before the identifier of the loaded image protocol
    assert code[jump] == 0xE9
    assert address + jump + 5 + struct.unpack_from("<i", code, jump + 1)[0] == 0x1010
    # lea rdx, [rip+..] at 10 must point to the identifier.
    assert 17 + struct.unpack_from("<i", code, 13)[0] == size - 16


def test_a_stub_without_room_for_more_sections_is_refused() -> None:
    with pytest.raises(LabFault, match="no room"):
        unified_image(stub(header_size=400), {".linux": b"K", ".initrd": b"I"})


def test_a_stub_that_is_no_pe_file_is_refused() -> None:
    with pytest.raises(LabFault):
        unified_image(b"MZ", {".linux": b"K"})


def test_a_lock_reads_as_it_was_written_and_is_sorted() -> None:
    packages = [Package("b", "1:2+x~y", "amd64", SHA, 7), Package("a", "1", "all", SHA, 1)]
    text = format_lock(packages, note="why")
    assert parse_lock(text) == tuple(sorted(packages))
    assert text.splitlines()[2].startswith("a 1 all ")


def test_every_wrong_line_of_a_lock_is_told() -> None:
    with pytest.raises(InputError) as caught:
        parse_lock(f"a 1 all {SHA} 5\nb 1 all 123 5\nc 1 all {SHA} x\n", "my.lock")
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_the_tracked_lock_covers_the_recipe() -> None:
    recipe = read_recipe()
    names = {package.name for package in parse_lock((FOLDER / "packages.lock").read_text())}
    roots = [{name.strip() for name in root.split("|")} for root in (*recipe.image, *recipe.tools)]
    assert [root for root in roots if not root & names and "" not in root] == []
    assert names & recipe.without == set()


def test_what_a_module_depends_on_includes_soft_dependencies() -> None:
    data = b"x\0depends=crc-t10dif,scsi_mod\0softdep=pre: crc32c post: other\0end"
    assert depends(data) == ("crc_t10dif", "scsi_mod", "crc32c")
    assert depends(b"\0depends=\0") == ()
    assert module_name("virtio-net.ko.xz") == "virtio_net"


def test_a_module_loses_its_signature_and_its_type_information_only() -> None:
    body = b"ELF..\0.text\0.BTF\0.data\0.."
    signature = b"S" * 300
    signed = (
        body + signature + bytes(8) + len(signature).to_bytes(4, "big") + b"~Module signature appended~\n"
    )
    assert lean(signed) == lean(body) == body.replace(b".BTF", b".xTF")


def test_the_times_and_the_identifier_of_a_wim_are_settled() -> None:
    xml = "<A><HIGHPART>0x01DC0000</HIGHPART><LOWPART>0x12345678</LOWPART></A>".encode("utf-16-le")
    wim = bytearray(208) + xml
    wim[:8] = b"MSWIM\0\0\0"
    struct.pack_into("<QQ", wim, 72, len(xml) | 2 << 56, 208)
    other = bytearray(wim)
    other[24:40] = b"R" * 16
    other[208:] = other[208:].replace("0x12345678".encode("utf-16-le"), "0x87654321".encode("utf-16-le"))
    settle(wim, "cd" * 32)
    settle(other, "cd" * 32)
    assert wim == other
    assert wim[24:40] == b"\xcd" * 16
    with pytest.raises(LabFault, match="not a WIM"):
        settle(bytearray(300), "cd" * 32)
