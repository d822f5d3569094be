"""DownloadContent: files of a package from the distribution point, streamed to the disk and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from lab.guest import http, paths
from lab.sequence.effects import DownloadContent, Outcome

#: Codes of ``DownloadContent`` in lab/sequence/effects.py.
NOT_THERE = 0x80070002
NO_LOCATION = 0x80040102
HASH_MISMATCH = 0x80091007

#: Seconds of silence after which a distribution point counts as gone.
SILENCE = 60.0

#: Bytes per write: a user-space file system takes 25 times as long for pieces of 4 KiB (measured).
WRITE_SIZE = 1 << 20

Fetch = Callable[[str], http.Response]


def location(site: str, package: str) -> str:
    """The package's folder on the distribution point, as a URL."""
    return f"http://{site}/content/{package}"


def download(
    effect: DownloadContent,
    contents: Mapping[str, Any],
    site: str,
    drives: Mapping[str, str],
    fetch: Fetch | None = None,
) -> Outcome:
    """Carry the effect out. ``fetch`` gets a path of the site; by default over HTTP.

    A file that is there with the right content is not fetched again. Raises PathError for a name that leads
    out of the package's folder, and OSError when the disk does not take it.
    """
    fetch = fetch or (lambda path: http.get(site, path, timeout=SILENCE))
    value: dict[str, Any] = {"path": effect.destination, "files": [], "location": "", "status": 0}
    known = contents.get(effect.package)
    if known is None:
        return Outcome(NO_LOCATION, message=f"no distribution point has {effect.package}", value=value)
    value["location"] = location(site, effect.package)
    folder = paths.to_linux(effect.destination, drives)
    os.makedirs(folder, exist_ok=True)
    for file in known["files"]:
        name: str = file["name"]
        target = paths.below(folder, paths.parts_of(name))
        if not _has(target, file):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            outcome = _fetch_file(effect, file, target, fetch, value)
            if outcome is not None:
                return outcome
        value["files"].append({"name": name, "size": file["size"]})
    return Outcome(value=value)


def _fetch_file(
    effect: DownloadContent, file: Mapping[str, Any], target: str, fetch: Fetch, value: dict[str, Any]
) -> Outcome | None:
    name = file["name"].replace("\\", "/")
    part = target + ".part"
    try:
        response = fetch(f"/content/{effect.package}/{name}")
    except OSError as error:
        value["status"] = 0
        return Outcome(NOT_THERE, message=f"{value['location']}/{name}: {error}", value=value)
    value["status"] = response.status
    if response.status != 200:
        message = f"{value['location']}/{name} answered {response.status}"
        return Outcome(NOT_THERE, message=message, value=value)
    try:
        digest = _stream(response, part)
    except _BrokenOff as error:
        os.unlink(part)
        return Outcome(NOT_THERE, message=f"{value['location']}/{name}: {error}", value=value)
    if effect.verify and file.get("sha256") and digest != file["sha256"].lower():
        os.unlink(part)
        message = f"{value['location']}/{name} does not have the content that the policy promises"
        return Outcome(HASH_MISMATCH, message=message, value=value)
    os.replace(part, target)
    return None


class _BrokenOff(Exception):
    """The network, not the disk, ended a download."""


def _stream(response: http.Response, path: str) -> str:
    """Write a body to a file and give its SHA-256."""
    import hashlib

    digest = hashlib.sha256()
    with open(path, "wb", buffering=WRITE_SIZE) as file:
        while True:
            try:
                chunk = next(response.body, b"")
            except OSError as error:
                raise _BrokenOff(str(error)) from error
            if not chunk:
                break
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _has(path: str, file: Mapping[str, Any]) -> bool:
    """Whether a file is there with the promised size and content."""
    if not file.get("sha256") or not os.path.isfile(path) or os.path.getsize(path) != file["size"]:
        return False
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(http.CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == str(file["sha256"]).lower()
