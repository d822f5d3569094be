"""Exported task sequences as files: plain XML, a console export's zip, the same taken apart, the JSON form.

The only place that opens one. What a zip holds is not believed: names that leave the folder, encrypted or
broken members and more than it could honestly hold are an InputError; nothing is ever unpacked to a file.
"""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import InputError, Problem, UsageError
from lab.sequence import codec
from lab.sequence.model import TaskSequence
from lab.sequence.nested import found_in
from lab.sequence.xmlbuild import document_of
from lab.sequence.xmlformat import Export, Found, export_of, read_export
from lab.sequence.xmltree import MAX_BYTES
from lab.sequence.xmlwrite import FORMAT, document_from_json
from lab.site.contents import Content, Member, contents, of_applications
from lab.site.software import Software, software_of

#: Of one zip: members, and bytes of XML read from it.
MAX_MEMBERS = 20_000
MAX_TOTAL = 4 * MAX_BYTES

_SEQUENCES = "SMS_TaskSequencePackage"
_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError,
)  # fmt: skip


@dataclass(frozen=True)
class ExportFile:
    """What a file holds. ``exports``: each document with its sequences; ``content``: what its site needs;
    ``software``: programs and applications."""

    path: Path
    exports: tuple[Export, ...]
    content: tuple[Content, ...]
    software: Software = field(default_factory=Software)

    @property
    def library(self) -> dict[str, Path]:
        """Package id -> its content beside the export."""
        return {item.id.upper(): Path(item.files) for item in self.content if item.files}

    @property
    def found(self) -> tuple[tuple[Export, Found], ...]:
        """Every sequence with the document it is in."""
        return tuple((export, found) for export in self.exports for found in export.found)

    def choose(self, name: str = "") -> tuple[Export, Found]:
        """The sequence of this name or package id; the only one when ``name`` is "". Raises UsageError."""
        wanted = name.strip().casefold()
        every = self.found
        if wanted:
            every = tuple(
                (export, found) for export, found in every
                if wanted in (found.sequence.name.casefold(), found.sequence.package_id.casefold())
            )  # fmt: skip
        if len(every) == 1:
            return every[0]
        known = ", ".join(label(found.sequence) for _, found in self.found)
        if not every:
            raise UsageError(f"{self.path} holds no sequence '{name}'", hint=f"it holds {known}")
        raise UsageError(
            f"{self.path} holds {len(every)} sequences" + (f" of the name '{name}'" if wanted else ""),
            hint=f"say which by --name, with its name or package id: {known}",
        )

    def start(self, name: str = "") -> TaskSequence:
        """The sequence that a run starts with: as ``choose``, but without a name the only one that no other
        of the export runs. Raises UsageError."""
        every = [found.sequence for _, found in self.found]
        if not name.strip() and len(every) > 1:
            run = [(one, child) for one in every for child in found_in(one, {}, every).values()]
            tops = [one for one in every if not any(child is one and by is not one for by, child in run)]
            if len(tops) == 1:
                return tops[0]
        return self.choose(name)[1].sequence


def label(sequence: TaskSequence) -> str:
    """A sequence by its name and, where it has one, its package."""
    return f"'{sequence.name}'" + (f" ({sequence.package_id})" if sequence.package_id else "")


def read_file(path: Path) -> ExportFile:
    """Read whatever of these a path is. Raises InputError with every problem, each with its place."""
    try:
        if path.is_dir():
            return _console(path, _folder(path))
        if not path.is_file():
            raise _wrong(str(path), "is no file" if path.exists() else "there is no such file")
        with path.open("rb") as stream:
            head = stream.read(4)
            if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
                return _console(path, _zip(path))
            data = head + stream.read(MAX_BYTES + 1 - len(head))
    except OSError as error:
        raise _wrong(str(path), f"cannot be read: {error.strerror or error}") from error
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        export = _from_json(data, str(path))
    else:
        export = read_export(data, str(path))
    return ExportFile(path, (export,), contents([Member("", _SEQUENCES, b"", export)], {}, ()))


def is_export_folder(path: Path) -> bool:
    """Whether a folder is a console export taken apart."""
    return (path / _SEQUENCES).is_dir()


def _wrong(path: str, message: str, hint: str = "") -> InputError:
    return InputError([Problem(path, 0, 0, message, hint)])


def _from_json(data: bytes, path: str) -> Export:
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError([Problem(path, error.lineno, error.colno, f"is no JSON: {error.msg}")]) from None
    except (ValueError, RecursionError) as error:
        raise InputError([Problem(path, 1, 1, f"is no JSON that can be read: {error}")]) from None
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return export_of(document_from_json(value, path), path)
    try:
        return export_of(document_of(codec.from_json(value)), path)
    except (ValueError, RecursionError) as error:
        raise InputError([Problem(path, 1, 1, str(error) or "nested too deep")]) from None


def _console(path: Path, members: Iterator[tuple[str, bytes]]) -> ExportFile:
    """A console export: one folder per object, each with its object.xml, and a list of their content."""
    objects: list[Member] = []
    others: dict[str, bytes] = {}
    problems: list[Problem] = []
    for name, data in members:
        parts = name.split("/")
        last = parts[-1].casefold()
        if not last.endswith(".xml"):
            continue
        kind = parts[-3] if len(parts) > 2 else ""
        place = "/".join(parts[:-1])
        if last != "object.xml":
            others[name] = data
            if kind.startswith("SMS_") or last in ("manifest.xml", "[content_types].xml"):
                continue
        elif kind and kind != _SEQUENCES:
            objects.append(Member(place, kind, data, None))
            continue
        try:
            export = read_export(data, f"{path}!{name}")
        except InputError as error:
            # A zip holds other XML as well: only a sequence's own object must hold one.
            if last == "object.xml":
                problems += error.problems
            continue
        objects.append(Member(place, _SEQUENCES, b"", export))
    exports = tuple(item.export for item in objects if item.export is not None)
    if problems:
        raise InputError(problems)
    if not exports:
        raise _wrong(
            str(path), "holds no task sequence", f"a console export has {_SEQUENCES}/<package>/object.xml"
        )
    files = path.with_name(f"{path.stem if path.is_file() else path.name}_files")
    software = software_of([*(item.data for item in objects if item.export is None), *others.values()])
    beside = _listing(files)
    listed = (*contents(objects, others, beside), *of_applications(software.contents, others, beside))
    return ExportFile(path, exports, listed, software)


def _listing(folder: Path) -> tuple[Path, ...]:
    """What a content folder holds directly; where there is none, nothing."""
    try:
        return (folder, *sorted(folder.iterdir()))
    except OSError:
        return ()


def _folder(root: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    for count, path in enumerate(sorted(root.rglob("*.xml"))):
        if count > MAX_MEMBERS:
            raise _wrong(str(root), f"holds more than {MAX_MEMBERS} files")
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            continue
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        total += len(data)
        if total > MAX_TOTAL:
            raise _wrong(str(root), f"holds more than {MAX_TOTAL} bytes of XML")
        yield path.relative_to(root).as_posix(), data


def _zip(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise _wrong(str(path), f"is a broken zip: {error}", "export it again, or copy it again") from None
    with archive:
        infos = archive.infolist()
        if len(infos) > MAX_MEMBERS:
            raise _wrong(str(path), f"has {len(infos)} members, the limit is {MAX_MEMBERS}")
        seen: set[str] = set()
        total = 0
        for info in infos:
            name = info.filename.replace("\\", "/")
            if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
                raise _wrong(str(path), f"has a member that leads out of its folder: '{name[:100]}'")
            if name.casefold() in seen:
                raise _wrong(str(path), f"has two members of the name '{name[:100]}'")
            seen.add(name.casefold())
            if info.is_dir() or not name.casefold().endswith(".xml"):
                continue
            if info.flag_bits & 1:
                raise _wrong(f"{path}!{name}", "is encrypted", "a console export is not; save it without")
            try:
                with archive.open(info) as stream:
                    data = stream.read(MAX_BYTES + 1)
            except _BROKEN as error:
                raise _wrong(f"{path}!{name}", f"cannot be unpacked: {error}") from None
            total += len(data)
            if len(data) > MAX_BYTES or total > MAX_TOTAL:
                raise _wrong(f"{path}!{name}", f"unpacks to more than {MAX_BYTES} bytes, or the zip to more "
                             f"than {MAX_TOTAL}")  # fmt: skip
            yield name, data
