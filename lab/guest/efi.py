"""UEFI boot entries as bytes: EFI_LOAD_OPTION, BootOrder, BootNext. Pure.

Source: UEFI specification, "Boot Manager" and "Device Path Protocol".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from lab.guest.gpt import GptPartition, guid_bytes

#: The namespace of the boot variables.
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#: Non-volatile, boot services, runtime: the attributes of a boot variable, as efivarfs puts them in front.
ATTRIBUTES = struct.pack("<I", 7)

_ACTIVE = 1


def hard_drive_path(partition: GptPartition) -> bytes:
    """The device path node ``HD(number,GPT,guid,start,size)``."""
    return (
        struct.pack("<BBHIQQ", 4, 1, 42, partition.number, partition.start, partition.sectors)
        + guid_bytes(partition.guid)
        + bytes((2, 2))  # format GPT, signature is a GUID
    )


def load_option(description: str, partition: GptPartition, file: str) -> bytes:
    """An active EFI_LOAD_OPTION that starts ``file`` (``\\EFI\\...``) of the EFI system partition."""
    name = file.encode("utf-16-le") + b"\0\0"
    path = hard_drive_path(partition) + struct.pack("<BBH", 4, 4, 4 + len(name)) + name
    path += struct.pack("<BBH", 0x7F, 0xFF, 4)
    return struct.pack("<IH", _ACTIVE, len(path)) + description.encode("utf-16-le") + b"\0\0" + path


def description_of(option: bytes) -> str:
    """The description of an EFI_LOAD_OPTION."""
    text = option[6:]
    end = next((at for at in range(0, len(text) - 1, 2) if text[at : at + 2] == b"\0\0"), len(text))
    return text[:end].decode("utf-16-le", "replace")


def boot_number(options: Mapping[int, bytes], description: str) -> int:
    """The number for an entry with this description: the one it has, or the lowest that is free."""
    for number in sorted(options):
        if description_of(options[number]) == description:
            return number
    return next(number for number in range(0x10000) if number not in options)


def boot_order_with(order: bytes, number: int) -> bytes:
    """BootOrder's data with ``number`` moved to, or put at, the front."""
    numbers = [item for (item,) in struct.iter_unpack("<H", order[: len(order) // 2 * 2])]
    return struct.pack("<H", number) + b"".join(struct.pack("<H", item) for item in numbers if item != number)


def boot_next(number: int) -> bytes:
    return struct.pack("<H", number)
