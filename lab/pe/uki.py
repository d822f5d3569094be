"""Make a unified kernel image: the EFI stub with kernel, command line and initrd as sections of its own.

Format: PE/COFF, and the section names of systemd's stub (documented in systemd-stub(7)).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from lab.errors import LabFault

_PAGE = 4096
_READ_DATA = 0x40000040  # initialised data, readable
_READ_CODE = 0x60000020  # code, readable and executable

# The stub prefers load options to the command line in its image, and iPXE always passes some (the file's
# name), as a boot entry may too. So the image starts here: forget the load options, go on to the stub.
#   push rcx; push rdx; sub rsp, 0x28         image handle, system table; shadow space and one local
#   mov rax, [rdx+0x60]                       boot services
#   lea rdx, [rip+guid]; lea r8, [rsp+0x20]
#   call [rax+0x98]                           HandleProtocol(image, loaded image protocol, &local)
#   test rax, rax; jnz out
#   mov rax, [rsp+0x20]; mov dword ptr [rax+0x30], 0      LoadOptionsSize
#   out: add rsp, 0x28; pop rdx; pop rcx; jmp <the stub's entry>
_FORGET_OPTIONS = bytes.fromhex(
    "51 52 4883ec28 488b4260 488d1527000000 4c8d442420 ff9098000000 4885c0 750c"
    "488b442420 c7403000000000 4883c428 5a 59 e9"
)
_LOADED_IMAGE = bytes.fromhex("a1311b5b 6295 d211 8e3f 00a0c969723b")


def unified_image(stub: bytes, sections: Mapping[str, bytes]) -> bytes:
    """``stub`` with ``sections`` (name, at most 8 characters -> content) put behind its own, in order.

    Addresses start at the first page after everything the stub has and never overlap. Raises LabFault
    when the stub is not a PE file or its header has no room for that many sections.
    """
    try:
        (header,) = struct.unpack_from("<I", stub, 0x3C)
        if stub[header : header + 4] != b"PE\0\0":
            raise LabFault("the EFI stub is not a PE file")
        (count,) = struct.unpack_from("<H", stub, header + 6)
        (optional_size,) = struct.unpack_from("<H", stub, header + 20)
        optional = header + 24
        (file_alignment,) = struct.unpack_from("<I", stub, optional + 36)
        (header_size,) = struct.unpack_from("<I", stub, optional + 60)
        table = optional + optional_size
        old = [struct.unpack_from("<8sIIII", stub, table + 40 * number) for number in range(count)]
    except struct.error as error:
        raise LabFault("the EFI stub is cut short", causes=[error]) from error
    (entry,) = struct.unpack_from("<I", stub, optional + 16)
    end_of_table = table + 40 * (count + len(sections) + 1)
    first_content = min([header_size, *(raw for *_, raw_size, raw in old if raw_size)])
    if end_of_table > first_content:
        raise LabFault(f"the EFI stub's header has no room for {len(sections) + 1} more sections")

    out = bytearray(stub)
    address = max(virtual + max(size, raw_size) for _, size, virtual, raw_size, _ in old)
    address += -address % _PAGE
    struct.pack_into("<I", out, optional + 16, address)  # AddressOfEntryPoint
    jump = struct.pack("<i", entry - (address + len(_FORGET_OPTIONS) + 4))
    everything = {".osdlab": _FORGET_OPTIONS + jump + _LOADED_IMAGE, **sections}
    for number, (name, content) in enumerate(everything.items(), count):
        address += -address % _PAGE
        out += bytes(-len(out) % file_alignment)
        raw_size = len(content) + -len(content) % file_alignment
        struct.pack_into(
            "<8sIIIIIIHHI", out, table + 40 * number,
            name.encode(), len(content), address, raw_size, len(out), 0, 0, 0, 0,
            _READ_CODE if number == count else _READ_DATA,
        )  # fmt: skip
        out += content + bytes(raw_size - len(content))
        address += len(content)
    struct.pack_into("<H", out, header + 6, count + len(everything))
    struct.pack_into("<I", out, optional + 56, address + -address % _PAGE)  # SizeOfImage
    struct.pack_into("<I", out, optional + 64, 0)  # CheckSum: none, as the firmware does not ask
    return bytes(out)
