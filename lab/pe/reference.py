"""Build the reference image: a real WIM of the Windows shape, the same bytes each time."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabFault
from lab.pe import windows_shape as shape
from lab.pe.programs import PackageTree
from lab.pe.recipe import digest
from lab.pe.regf import build_hive

#: Date of every file in the image, seconds since 1970: 1 January 2020.
DATE = 1577836800


def hives() -> dict[str, bytes]:
    """The shape's hives as artifacts."""
    return {f"hive:{name}": build_hive(name, keys) for name, keys in shape.HIVES.items()}


def build_wim(tree: PackageTree, artifacts: Mapping[str, bytes], staging: Path, wim: Path) -> None:
    """Lay the shape out in ``staging`` (an empty folder) and capture it to ``wim``.

    ``artifacts``: content by name, for every artifact of the shape. Not compressed: nearly all of it is
    compressed already, and under emulation a machine applies stored bytes quickest.
    """
    for folder in shape.FOLDERS:
        _place(staging, folder).mkdir(parents=True, exist_ok=True)
    for file in shape.FILES:
        place = _place(staging, file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(artifacts[file.artifact] if file.artifact else file.text.encode())
    for parent, _, names in os.walk(staging, topdown=False):
        for name in (*names, "."):
            os.utime(Path(parent, name), (DATE, DATE))
    properties = {
        "WINDOWS/ARCH": str(shape.ARCHITECTURE),
        "WINDOWS/PRODUCTNAME": shape.NAME,
        "WINDOWS/EDITIONID": "Professional",
        "WINDOWS/INSTALLATIONTYPE": "Client",
        "WINDOWS/PRODUCTTYPE": "WinNT",
        "WINDOWS/LANGUAGES/LANGUAGE": "en-US",
        "WINDOWS/LANGUAGES/DEFAULT": "en-US",
        "WINDOWS/VERSION/MAJOR": str(shape.VERSION[0]),
        "WINDOWS/VERSION/MINOR": str(shape.VERSION[1]),
        "WINDOWS/VERSION/BUILD": str(shape.VERSION[2]),
        "WINDOWS/VERSION/SPBUILD": "1",
        "WINDOWS/VERSION/SPLEVEL": "0",
        "WINDOWS/SYSTEMROOT": "WINDOWS",
    }
    tree.run(
        "usr/bin/wimlib-imagex", "capture", staging, wim, shape.NAME, shape.DESCRIPTION,
        "--compress=none", "--threads=1", "--no-acls",
        *(f"--image-property={name}={value}" for name, value in properties.items()),
        what="capturing the reference image", called="wimlib-imagex",
    )  # fmt: skip
    content = bytearray(wim.read_bytes())
    settle(content, digest(*(content for _, content in sorted(artifacts.items()))))
    wim.write_bytes(content)


def settle(wim: bytearray, seed: str) -> None:
    """Replace what differs from capture to capture: the GUID (by one made of ``seed``, hex) and the times
    in the XML. Header layout: GUID at 24, the XML's size (56 bits) and offset at 72 (documented)."""
    if wim[:8] != b"MSWIM\0\0\0" or len(wim) < 208:
        raise LabFault("the captured image is not a WIM file")
    wim[24:40] = bytes.fromhex(seed)[:16]
    size, offset = struct.unpack_from("<QQ", wim, 72)
    size &= (1 << 56) - 1
    text = wim[offset : offset + size].decode("utf-16-le")
    for part, value in _time_parts().items():
        text = re.sub(rf"(<{part}>)0x[0-9A-Fa-f]{{8}}(</{part}>)", rf"\g<1>{value}\g<2>", text)
    settled = text.encode("utf-16-le")
    if len(settled) != size:
        raise LabFault("the times in the captured image's XML are not as expected")
    wim[offset : offset + size] = settled


def _place(staging: Path, path: str) -> Path:
    return staging.joinpath(*path.split("\\"))


def _time_parts() -> dict[str, str]:
    stamp = (DATE + 11644473600) * 10_000_000
    return {"HIGHPART": f"0x{stamp >> 32:08X}", "LOWPART": f"0x{stamp & 0xFFFFFFFF:08X}"}
