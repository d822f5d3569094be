"""PNG images from raw pixels, for hypervisors that give something else (libvirt before QEMU 7.1: PPM)."""

from __future__ import annotations

import struct
import zlib

from lab.hypervisor.errors import HypervisorError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(width: int, height: int, rgb: bytes) -> bytes:
    """A PNG of 8-bit RGB pixels, row by row. Raises ValueError when ``rgb`` is not width*height*3 bytes."""
    if len(rgb) != width * height * 3:
        raise ValueError(f"{width}x{height} pixels need {width * height * 3} bytes, got {len(rgb)}")
    row = width * 3
    # Each row is preceded by its filter type; 0 is "none".
    lines = b"".join(b"\0" + rgb[start : start + row] for start in range(0, len(rgb), row)) if rgb else b""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 6)) + _chunk(b"IEND", b"")
    )


def from_image(data: bytes) -> bytes:
    """A screenshot as PNG: a PNG as it is, a binary PPM (P6, 8 bit) converted.

    Raises HypervisorError on anything else, and on a PPM that was cut off.
    """
    if data.startswith(SIGNATURE):
        return data
    if not data.startswith(b"P6"):
        raise HypervisorError(f"the screenshot is neither PNG nor PPM (it begins with {data[:8]!r})")
    numbers: list[int] = []
    place = 2
    while len(numbers) < 3:
        while data[place : place + 1].isspace():
            place += 1
        if data[place : place + 1] == b"#":
            end = data.find(b"\n", place)
            place = end if end >= 0 else len(data)
            continue
        end = place
        while data[end : end + 1].isdigit():
            end += 1
        if end == place:
            raise HypervisorError("the screenshot's PPM header is cut off")
        numbers.append(int(data[place:end]))
        place = end
    width, height, depth = numbers
    pixels = data[place + 1 : place + 1 + width * height * 3]  # one white space ends the header
    if depth != 255 or len(pixels) != width * height * 3:
        raise HypervisorError(f"the screenshot's PPM has {len(pixels)} bytes for {width}x{height}x{depth}")
    return encode(width, height, pixels)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
