"""DownloadContent on the modelled machine: one location after the other, with the account of the policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from lab.sequence.effects import DownloadContent, Outcome
from lab.simulation.bench import PATH_NOT_FOUND, Bench
from lab.simulation.disks import Blob, Content, Growing
from lab.simulation.site import SimFile

FILE_NOT_FOUND = 0x80070002
ACCESS_DENIED = 0x80070005
NO_SHARE = 0x80070043
NO_LOCATION = 0x80040102
HASH_MISMATCH = 0x80091007

#: The hash of bytes that are not those of any package.
DAMAGED = "damaged"


def download(effect: DownloadContent, bench: Bench) -> Outcome:
    """Codes and value are those that ``lab.sequence.effects`` documents."""
    answer = bench.site.locations(effect.package)
    locations = answer["locations"]
    value: dict[str, Any] = {
        "path": effect.destination, "files": [], "version": answer["version"],
        "location": "", "distribution_point": "", "status": 0, "tried": [],
    }  # fmt: skip
    if not locations:
        return _modelled(NO_LOCATION, f"no distribution point has {effect.package}", value)
    if effect.direct:
        locations = [one for one in locations if one["share"]]
        if not locations:
            return _modelled(NO_SHARE, f"{effect.package} is on no package share", value)
    for location in locations:
        outcome = _from(location, effect, bench, value)
        value["tried"].append({key: value[key] for key in ("location", "distribution_point", "status")})
        if outcome.ok:
            break
    return outcome


def _from(
    location: Mapping[str, Any], effect: DownloadContent, bench: Bench, value: dict[str, Any]
) -> Outcome:
    """One location's turn. What came from another one before is not fetched again."""
    url, point = str(location["url"]), str(location["distribution_point"])
    value |= {"files": [], "location": url, "distribution_point": point, "status": 0}
    if effect.direct:
        value["path"] = str(location["share"])
        bench.machine.use_share(value["path"])
    place = bench.machine.locate(value["path"])
    if place is None:
        return _modelled(PATH_NOT_FOUND, f"there is no drive {effect.destination[:2]}", value)
    files, folder = place
    files.make_folder(folder)
    naa = bench.policy.get("naa")
    account = (str(naa["user"]), str(naa["password"])) if naa else None
    package = url.rpartition("/")[2]  # as the site writes it
    for file in bench.site.files(package):
        target = f"{folder}\\" + file.name.replace("/", "\\")
        if effect.direct or not _is_there(files.get(target), file):
            answer = bench.site.file(package, file, point, account)
            value["status"] = answer.status
            if answer.status != 200:
                code = ACCESS_DENIED if answer.status == 401 else FILE_NOT_FOUND
                return _modelled(code, f"{url}/{file.name} on {point} answered {answer.status}", value)
            if answer.damaged and effect.verify:
                message = f"{url}/{file.name} on {point} came with another SHA-256 than the site has for it"
                return _modelled(HASH_MISMATCH, message, value)
            files.put(target, Blob(file.size, DAMAGED) if answer.damaged else _content(file))
        value["files"].append({"name": file.name, "size": file.size})
    return _modelled(value=value)


def _modelled(code: int = 0, message: str = "", value: dict[str, Any] | None = None) -> Outcome:
    return Outcome(code, "modelled", message, value or {})


def _content(file: SimFile) -> Content:
    return file.data if file.data is not None else Blob(file.size, file.sha256, file.images)


def _is_there(found: Content | None, file: SimFile) -> bool:
    """Whether a file has the promised size and hash already, so that it is not fetched again."""
    if not file.sha256 or found is None or isinstance(found, Growing):
        return False
    if isinstance(found, Blob):
        return (found.size, found.sha256) == (file.size, file.sha256)
    return hashlib.sha256(found).hexdigest() == file.sha256.lower()
