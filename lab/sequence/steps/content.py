"""Getting a package's content, as every step does that needs some. Records as observed in smsts.log."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from lab.sequence import codes
from lab.sequence.context import StepContext
from lab.sequence.effects import DownloadContent, Effect, Outcome

#: More files than this are counted, not listed.
_LISTED = 20


@dataclass(frozen=True)
class Content:
    """What a download gave: ``code`` 0, the folder, and the relative names of its files."""

    code: int
    folder: str = ""
    files: tuple[str, ...] = ()


def download(
    context: StepContext, package: str, folder: str = "", *, verify: bool = True
) -> Generator[Effect, Outcome, Content]:
    """Download ``package`` to ``folder`` (default: the data path's Packages folder)."""
    destination = folder or f"{context.data_path}\\Packages\\{package}"
    context.record(
        f"DownloadOnDemand flag is true. Attempting to download content locally for Package {package}.",
        file="resolvesource.cpp:3100",
    )
    outcome = yield DownloadContent(package, destination, verify)
    location = str(outcome.value.get("location") or "")
    if location:
        context.record(f"Trying {location}.", file="downloadcontent.cpp:1200")
    if not outcome.ok:
        code = codes.unsigned(outcome.code)
        if code == codes.NO_LOCATION:
            text = f"Content location request for {package} failed. (Code 0x{code:08X})"
            context.record(text, 3, "libsmsmessaging.cpp:9000")
        elif code == codes.HASH_MISMATCH:
            context.record("The hash value is not correct.", 3, "resolvesource.cpp:2100")
        elif outcome.value.get("status"):
            text = f"The distribution point answered {outcome.value['status']} for {package}"
            context.record(text, 3, "downloadcontent.cpp:1210")
        context.record(
            f"Failed to resolve the source for SMS PKGID={package}, hr=0x{codes.hexadecimal(code)}",
            3,
            "resolvesource.cpp:2900",
        )
        return Content(code)
    path = str(outcome.value.get("path") or destination)
    files = tuple(str(file["name"]) for file in outcome.value.get("files") or ())
    for name in files[:_LISTED]:
        place = f"{path}\\{name}".replace("/", "\\")
        context.record(f"Downloaded file from {location}/{name} to {place}", file="downloadcontent.cpp:1626")
    if verify:
        context.record("VerifyContentHash: Hash algorithm is 32780", file="resolvesource.cpp:2060")
    context.record(f"Content successfully downloaded at {path}.", file="resolvesource.cpp:3150")
    return Content(0, path, files)
