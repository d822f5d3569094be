"""A console export's objects as the content list of a site: pure values, nothing opened.

Source of the layout: observed exports (one folder per object, ``<class>/<id>/object.xml``;
PACKAGE_CONTENT.xml with the content's guid, Manifest.xml with each content's folder below ``<zip>_files``,
ReferencesInfo.xml with the kind and name of what a sequence refers to).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.sequence.references import child_sequences
from lab.sequence.xmlformat import Export, properties_of
from lab.sequence.xmltree import Document, read_document

#: WMI class -> kind of content
KINDS = {
    "SMS_Package": "package",
    "SMS_TaskSequencePackage": "task-sequence",
    "SMS_BootImagePackage": "boot-image",
    "SMS_ImagePackage": "os-image",
    "SMS_OperatingSystemInstallPackage": "os-install-package",
    "SMS_DriverPackage": "driver-package",
    "SMS_SoftwareUpdatesPackage": "software-update-package",
    "SMS_VhdPackage": "vhd",
    "SMS_Application": "application",
    "SMS_ApplicationLatest": "application",
}
#: PackageType of SMS_PackageBaseclass -> kind (documented)
_TYPES = {
    "0": "package", "3": "driver-package", "4": "task-sequence", "5": "software-update-package",
    "8": "application", "257": "os-image", "258": "boot-image", "259": "os-install-package", "260": "vhd",
}  # fmt: skip


@dataclass(frozen=True)
class Content:
    """Something the sequences of an export need a site for.

    ``kind``: one of KINDS' values; ``place``: its folder in the export, "" when the export does not have it;
    ``files``: its content beside the export, "" when there is none; ``used_by``: names of sequences.
    """

    id: str
    kind: str
    name: str = ""
    place: str = ""
    files: str = ""
    used_by: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        """The sequences need it and the export does not have it."""
        return not self.place

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id, "kind": self.kind, "name": self.name, "place": self.place, "files": self.files,
            "missing": self.missing, "used_by": list(self.used_by),
        }  # fmt: skip


@dataclass(frozen=True)
class Member:
    """An object of an export: its folder, its WMI class, its XML, or what was read of it as a sequence."""

    place: str
    kind: str
    data: bytes
    export: Export | None


def contents(
    objects: Sequence[Member], others: Mapping[str, bytes], files: Sequence[Path]
) -> tuple[Content, ...]:
    """The content list, by id. ``others``: the export's other XML files; ``files``: the folder beside the
    export, and what it holds."""
    found: dict[str, Content] = {}
    folders = _folders(others)
    for item in objects:
        content = _object(item)
        if content is not None:
            guid = _text(others.get(f"{item.place}/PACKAGE_CONTENT.xml", b"")).strip()
            place = _beside(files, folders.get(guid.casefold(), ""), content.id)
            found[content.id.upper()] = replace(content, files=place)
    told = _told(others)
    for one in (one for item in objects if item.export for one in item.export.found):
        children = child_sequences(one.sequence)
        wanted = [(reference.package, reference.application) for reference in one.sequence.references]
        wanted += [(package, "") for package in (*children, one.properties.get("BootImageID", ""))]
        for package, application in wanted:
            key = (package or application).upper()
            if not key:
                continue
            kind, name = told.get(key, ("", ""))
            if key in children:
                kind = kind or "task-sequence"
            usual = "application" if application else "package"
            before = found.get(key) or Content(package or application, kind or usual, name)
            users = dict.fromkeys((*before.used_by, one.sequence.name))
            found[key] = replace(before, name=before.name or name, used_by=tuple(users))
    return tuple(found[key] for key in sorted(found))


def of_applications(
    identifiers: Iterable[str], others: Mapping[str, bytes], files: Sequence[Path]
) -> tuple[Content, ...]:
    """The files of applications' deployment types, as far as they lie beside the export (the manifest's guid
    with or without ``Content_`` before it: guess)."""
    folders = _folders(others)
    found = []
    for identifier in dict.fromkeys(identifiers):
        guid = identifier.casefold().removeprefix("content_")
        place = _beside(files, folders.get(identifier.casefold()) or folders.get(guid, ""), identifier)
        if place:
            found.append(Content(identifier, "application", place="Manifest.xml", files=place))
    return tuple(found)


def parsed(data: bytes | str) -> Document | None:
    """XML that only adds to what is known of an export: None where there is none, or it is damaged."""
    try:
        return read_document(data, "") if data.strip() else None
    except InputError:
        return None


def _object(item: Member) -> Content | None:
    if item.export is not None:
        sequence = item.export.found[0].sequence
        package = sequence.package_id or item.place.rpartition("/")[2]
        if not (package and item.place):
            return None
        return Content(package, KINDS[item.kind], sequence.name, item.place)
    document = parsed(item.data)
    said: dict[str, str] = {}
    if document is not None:
        for above, element in document.walk():
            if element.name == "INSTANCE":
                said = properties_of((*above, element))
                break
    kind = KINDS.get(item.kind, item.kind)
    identifier = said.get("PackageID") or said.get("ModelName") or item.place.rpartition("/")[2]
    name = said.get("LocalizedDisplayName") or said.get("Name") or ""
    return Content(identifier, kind, name, item.place)


def _text(data: bytes) -> str:
    document = parsed(data)
    return document.root.text if document else ""


def _folders(others: Mapping[str, bytes]) -> dict[str, str]:
    """guid (folded) -> folder of the content, relative to the folder beside the zip."""
    document = parsed(others.get("Manifest.xml", b""))
    if document is None:
        return {}
    return {
        element.attributes.get("UniqueId", "").casefold(): element.attributes.get("RelativePath", "")
        for _, element in document.walk()
        if element.name == "Content"
    }


def _beside(files: Sequence[Path], folder: str, identifier: str) -> str:
    """The path of a content: a name in the folder beside the export, never a path that leads elsewhere."""
    wanted = {name.strip("\\/ ").casefold() for name in (folder, identifier) if name}
    return next((str(path) for path in files[1:] if path.name.casefold() in wanted), "")


def _told(others: Mapping[str, bytes]) -> dict[str, tuple[str, str]]:
    """Id (upper case) -> (kind, name) as the export's ReferencesInfo.xml say."""
    found: dict[str, tuple[str, str]] = {}
    for name, data in others.items():
        if not name.casefold().endswith("referencesinfo.xml"):
            continue
        document = parsed(data)
        for text in _strings(document):
            inner = parsed(text)
            said = properties_of((inner.root,)) if inner else {}
            identifier = said.get("ReferencePackageID") or said.get("ModelName") or ""
            kind = _TYPES.get(said.get("ReferencePackageType", ""), "")
            if identifier:
                found.setdefault(identifier.upper(), (kind, said.get("ReferenceName", "")))
    return found


def _strings(document: Document | None) -> Iterable[str]:
    return [child.text for child in document.root.children] if document else []
