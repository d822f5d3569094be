"""Getting a package's content, as every step does that needs some. Records as observed in smsts.log."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.sequence import codes
from lab.sequence.context import StepContext
from lab.sequence.effects import DownloadContent, Effect, Outcome
from lab.sequence.effects_software import Pause

#: More files than this are counted, not listed.
_LISTED = 20

#: Documented: further tries of a download, and seconds before each.
RETRIES, DELAY = 2, 15
#: A distribution point that does not give what it should may do so later. That a content without any location
#: is not asked for again is a guess.
_RETRIED = frozenset({codes.FILE_NOT_FOUND, codes.ACCESS_DENIED, codes.HASH_MISMATCH})

_REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}

Record = Callable[[str, int, str], None]
Lookup = Callable[[str], str | None]


@dataclass(frozen=True)
class Content:
    """What a download gave: ``code`` 0, the folder, and the relative names of its files."""

    code: int
    folder: str = ""
    files: tuple[str, ...] = ()


def download(
    context: StepContext, package: str, folder: str = "", *, direct: bool = False
) -> Generator[Effect, Outcome, Content]:
    """Get ``package`` into ``folder`` (default: the data path's Packages folder).

    Where the deployment runs from the distribution point, or the step accesses content ``direct``ly there, a
    package without a ``folder`` of its own stays on the package share, and its hash is not looked at
    (documented).
    """
    direct = not folder and (direct or (context.lookup("_SMSTSRunFromDP") or "").casefold() == "true")
    destination = folder or f"{context.data_path}\\Packages\\{package}"
    if direct:
        effect = DownloadContent(package, "", verify=False, direct=True)
        text = f"The content of {package} is accessed directly from the distribution point"
        context.record(text, file="resolvesource.cpp:3050")
    else:
        effect = DownloadContent(package, destination)
        text = "DownloadOnDemand flag is true. Attempting to download content locally for Package"
        context.record(f"{text} {package}.", file="resolvesource.cpp:3100")
    outcome = yield from fetched(effect, context.record, context.lookup)
    if not outcome.ok:
        return Content(resolved(package, outcome, context.record))
    path = str(outcome.value.get("path") or destination)
    files = tuple(str(file["name"]) for file in outcome.value.get("files") or ())
    if direct:
        context.record(f"Resolved source to '{path}'", file="resolvesource.cpp:3200")
        return Content(0, path, files)
    location = str(outcome.value.get("location") or "")
    for name in files[:_LISTED]:
        place = f"{path}\\{name}".replace("/", "\\")
        context.record(f"Downloaded file from {location}/{name} to {place}", file="downloadcontent.cpp:1626")
    context.record("VerifyContentHash: Hash algorithm is 32780", file="resolvesource.cpp:2060")
    context.record(f"Content successfully downloaded at {path}.", file="resolvesource.cpp:3150")
    return Content(0, path, files)


def fetched(effect: DownloadContent, record: Record, lookup: Lookup) -> Generator[Effect, Outcome, Outcome]:
    """Have a package fetched, again as often as SMSTSDownloadRetryCount says, SMSTSDownloadRetryDelay seconds
    apart; the last outcome."""
    retries = _number(lookup("SMSTSDownloadRetryCount"), RETRIES)
    delay = _number(lookup("SMSTSDownloadRetryDelay"), DELAY)
    tried = 0
    while True:
        outcome = yield effect
        for text, type, file in _said(effect, outcome):
            record(text, type, file)
        if outcome.ok or codes.unsigned(outcome.code) not in _RETRIED or tried >= retries:
            return outcome
        tried += 1
        # Wording not observed.
        text = f"Download of {effect.package} failed; trying again in {delay} seconds ({tried} of {retries})"
        record(text, 2, "downloadcontent.cpp:1300")
        if delay:
            yield Pause(delay)


def resolved(package: str, outcome: Outcome, record: Record) -> int:
    """Say that a package cannot be had; the code of the step that needed it.

    Reference of errors: where a distribution point refuses an account, its 401 stands in the log only.
    """
    code = codes.unsigned(outcome.code)
    if code == codes.ACCESS_DENIED and outcome.value.get("status") in (401, 403):
        code = codes.FILE_NOT_FOUND
    text = f"Failed to resolve the source for SMS PKGID={package}, hr=0x{codes.hexadecimal(code)}"
    record(text, 3, "resolvesource.cpp:2900")
    return code


def _said(effect: DownloadContent, outcome: Outcome) -> Iterator[tuple[str, int, str]]:
    """What the log has of one try: every location that was tried, and how it answered."""
    code = codes.unsigned(outcome.code)
    if code == codes.NO_LOCATION:
        version = outcome.value.get("version")
        shown = f"{effect.package}:{version}" if version else effect.package
        text = f"Content location request for {shown} failed. (Code 0x{code:08X})"
        yield text, 3, "libsmsmessaging.cpp:9000"
        return
    tried = outcome.value.get("tried") or [outcome.value]
    if outcome.value.get("tried") and not effect.direct:
        yield f"Locations: Multicast = 0, HTTP = {len(tried)}, SMB = 0.", 1, "resolvesource.cpp:3120"
    for one in tried:
        if one.get("location"):
            yield f"Trying {one['location']}.", 1, "downloadcontent.cpp:1200"
        yield from _refused(one)
    if code == codes.HASH_MISMATCH:
        yield "The hash value is not correct.", 3, "resolvesource.cpp:2100"


def _refused(tried: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """What the log has of a location that did not give the content (observed in public posts)."""
    status = int(tried.get("status") or 0)
    if status < 400:
        return
    reason = f" ({_REASONS[status]})" if status in _REASONS else ""
    yield f"WinHttpQueryHeaders() returns status code {status}{reason}", 3, "downloadcontent.cpp:1090"
    yield f"Download() failed with 0x{0x80190000 + status:08X}", 3, "downloadcontent.cpp:1175"


def _number(text: str | None, default: int) -> int:
    """A variable that is a whole number; anything else counts as not set (a guess)."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else default
