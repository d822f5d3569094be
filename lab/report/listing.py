"""What stands on a machine's disks as a page of text: partitions, volumes, files, keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.disk.state import DiskState, FinalState

_SECTOR = 512


def disk_listing(state: FinalState) -> str:
    """The listing, lines of text with a final line end."""
    return "\n".join(_lines(state)) + "\n"


def _lines(state: FinalState) -> Iterator[str]:
    for disk in state.disks:
        yield from _disk(disk, state)
        yield ""
    for note in state.notes:
        yield f"note: {note}"
    yield f"{len(state.files)} files and folders"
    wide = max((len(str(file.size)) for file in state.files.values()), default=0)
    for path, file in sorted(state.files.items(), key=lambda item: item[0].casefold()):
        size = "" if path.endswith("\\") else str(file.size)
        yield f"  {size:>{wide}}  {path}"
    yield ""
    yield f"{len(state.registry)} registry keys that were asked about"
    for key, values in sorted(state.registry.items()):
        yield f"  {key}"
        for name, value in values.items():
            kind, data = value[0], value[-1]
            yield f"    {name or '(Default)'}  {kind}  {data}"


def _disk(disk: DiskState, state: FinalState) -> Iterator[str]:
    style = disk.style or "no partition table"
    yield f"Disk {disk.index}: {size_text(disk.size)}, {style}"
    rows = [("", "type", "size", "files", "label", "volume")]
    for part in disk.partitions:
        place = f"{disk.index},{part.number}"
        names = " ".join(name for name, where in state.volumes.items() if where == place)
        kind = part.type + (" (active)" if part.bootable else "")
        size = size_text(part.sectors * _SECTOR)
        rows.append((str(part.number), kind, size, part.file_system or "-", part.label or "-", names))
    if len(rows) > 1:
        yield from _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def size_text(size: int) -> str:
    """Bytes in the largest unit that says it exactly or to a tenth: ``500 MiB``, ``19.5 GiB``."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            number = f"{size / factor:.1f}".removesuffix(".0")
            return f"{number} {unit}"
    return f"{size} bytes"
