"""DownloadContent: files of a package from its distribution points, streamed to the disk and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from lab.guest import http, paths
from lab.sequence.effects import DownloadContent, Outcome

#: Codes of ``DownloadContent`` in lab/sequence/effects.py.
NOT_THERE = 0x80070002
ACCESS_DENIED = 0x80070005
NO_SHARE = 0x80070043
NO_LOCATION = 0x80040102
HASH_MISMATCH = 0x80091007

#: Seconds of silence after which a distribution point counts as gone.
SILENCE = 60.0

#: Bytes per write: a user-space file system takes 25 times as long for pieces of 4 KiB (measured).
WRITE_SIZE = 1 << 20

#: In memory: what is used from a package share.
SHARES = "/run/osdlab/shares"

#: URL of a file, distribution point, account -> answer.
Fetch = Callable[[str, str, tuple[str, str] | None], http.Response]


def fetch_file(url: str, distribution_point: str, account: tuple[str, str] | None) -> http.Response:
    """Ask a distribution point for a file. Raises OSError."""
    host, port, path = http.split_url(url)
    query = {"dp": distribution_point}
    return http.get(host, path, timeout=SILENCE, port=port, query=query, account=account)


def account_of(policy: Mapping[str, Any]) -> tuple[str, str] | None:
    """User and password of the Network Access Account that the policy brought, if it brought one."""
    account = policy.get("naa")
    return (str(account["user"]), str(account["password"])) if account else None


def download(
    effect: DownloadContent,
    answer: Mapping[str, Any],
    account: tuple[str, str] | None,
    drives: dict[str, str],
    fetch: Fetch = fetch_file,
    shares: str = SHARES,
) -> Outcome:
    """Carry the effect out, with the site's answer to the question where the package is.

    One location is tried after the other. A file that is there with the right content is not fetched again.
    Raises PathError for a name that leads out of the package's folder, and OSError when the disk does not
    take it.
    """
    value: dict[str, Any] = {
        "path": effect.destination, "files": [], "version": answer.get("version", 0),
        "location": "", "distribution_point": "", "status": 0, "tried": [],
    }  # fmt: skip
    locations = list(answer.get("locations") or ())
    if not locations:
        return Outcome(NO_LOCATION, message=f"no distribution point has {effect.package}", value=value)
    if effect.direct:
        locations = [one for one in locations if one.get("share")]
        if not locations:
            return Outcome(NO_SHARE, message=f"{effect.package} is on no package share", value=value)
    outcome = Outcome(NOT_THERE, value=value)
    for location in locations:
        outcome = _Try(effect, location, account, drives, fetch, value).run(answer["files"], shares)
        value["tried"].append({key: value[key] for key in ("location", "distribution_point", "status")})
        if outcome.ok:
            break
    return outcome


class _Try:
    """One location's turn."""

    def __init__(
        self,
        effect: DownloadContent,
        location: Mapping[str, Any],
        account: tuple[str, str] | None,
        drives: dict[str, str],
        fetch: Fetch,
        value: dict[str, Any],
    ) -> None:
        self._effect = effect
        self._url = str(location["url"]).rstrip("/")
        self._point = str(location["distribution_point"])
        self._share = str(location.get("share") or "")
        self._account = account
        self._drives = drives
        self._fetch = fetch
        self._value = value

    def run(self, files: list[Mapping[str, Any]], shares: str) -> Outcome:
        value = self._value
        value.update(files=[], location=self._url, distribution_point=self._point, status=0)
        if self._effect.direct:
            # The share is a folder in memory, filled as it is read: no disk holds a copy.
            share = paths.share_of(self._share)
            self._drives.setdefault(share, paths.below(shares, paths.parts_of(share)))
            value["path"] = self._share
        folder = paths.to_linux(value["path"], self._drives)
        os.makedirs(folder, exist_ok=True)
        for file in files:
            target = paths.below(folder, paths.parts_of(file["name"]))
            if self._effect.direct or not _has(target, file):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                outcome = self._file(file, target)
                if outcome is not None:
                    return outcome
            value["files"].append({"name": file["name"], "size": file["size"]})
        return Outcome(value=value)

    def _file(self, file: Mapping[str, Any], target: str) -> Outcome | None:
        value, part = self._value, target + ".part"
        url = f"{self._url}/{file['name']}".replace("\\", "/")
        try:
            response = self._fetch(url, self._point, self._account)
        except OSError as error:
            value["status"] = 0
            return Outcome(NOT_THERE, message=f"{url}: {error}", value=value)
        value["status"] = response.status
        if response.status != 200:
            code = ACCESS_DENIED if response.status in (401, 403) else NOT_THERE
            return Outcome(
                code,
                message=f"{url} on {self._point} answered {response.status}{self._hint(code)}",
                value=value,
            )
        try:
            digest = _stream(response, part)
        except _BrokenOff as error:
            os.unlink(part)
            return Outcome(NOT_THERE, message=f"{url}: {error}", value=value)
        if self._effect.verify and file.get("sha256") and digest != file["sha256"].lower():
            os.unlink(part)
            message = f"{url} on {self._point} came with another SHA-256 than the site has for it"
            return Outcome(HASH_MISMATCH, message=message, value=value)
        os.replace(part, target)
        return None

    def _hint(self, code: int) -> str:
        if code != ACCESS_DENIED:
            return ""
        return " to the Network Access Account" if self._account else ": there is no Network Access Account"


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
