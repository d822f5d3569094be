"""The version of a Windows file, from the version resource of a PE executable.

Pure, standard library only. Source: the PE format and VS_FIXEDFILEINFO, documented: the structure begins with
a signature of its own, on a boundary of four bytes, behind the name VS_VERSION_INFO.
"""

from __future__ import annotations

import struct

_NAME = "VS_VERSION_INFO".encode("utf-16-le")
_SIGNATURE = 0xFEEF04BD


def file_version(data: bytes) -> str:
    """``10.0.19041.1``; "" when it is no executable or has no version."""
    if data[:2] != b"MZ":
        return ""
    at = data.find(_NAME)
    while at >= 0:
        # The name's end, then zeros up to the next boundary.
        for place in range(at + len(_NAME) + 2, at + len(_NAME) + 8):
            if data[place : place + 4] == _SIGNATURE.to_bytes(4, "little") and len(data) >= place + 16:
                high, low = struct.unpack_from("<II", data, place + 8)
                return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
        at = data.find(_NAME, at + 2)
    return ""
