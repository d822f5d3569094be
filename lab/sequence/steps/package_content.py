"""Download Package Content: OSDDownloadContent.exe."""

from __future__ import annotations

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.steps.content import download
from lab.sequence.steps.programs import standalone
from lab.sequence.steptype import Field

CONTENT_FIELDS = (
    Field("OSDDownloadDestinationLocationType", "TSCache"),
    Field("OSDDownloadDestinationPath"),
    Field("OSDDownloadDestinationVariable"),
    Field("OSDDownloadDownloadPackages"),
    Field("OSDDownloadContinueDownloadOnError", "true"),
)
CLIENT_CACHE = "C:\\Windows\\ccmcache"


def download_package_content(context: StepContext) -> Behaviour:
    """Download each package; NAME01, NAME02, … say where each is.

    Documented: the custom path gets the package's id appended; the client's cache is not there in WinPE; not
    on stand-alone media. That a package that failed leaves its variable unset is a guess.
    """
    context.record("==============================[ OSDDownloadContent.exe ]==============================")
    if standalone(context):
        return context.fail("Content cannot be downloaded from stand-alone media", codes.NOT_SUPPORTED)
    listed = context.value("OSDDownloadDownloadPackages").replace(";", ",").split(",")
    packages = [package.strip() for package in listed if package.strip()]
    if not packages:
        return context.fail("No package is named", codes.INVALID_PARAMETER)
    kind = context.value("OSDDownloadDestinationLocationType", "TSCache").strip().casefold()
    custom = context.value("OSDDownloadDestinationPath").strip().rstrip("\\")
    if kind == "ccmcache" and context.in_winpe:
        return context.fail("The client's cache cannot be used in WinPE", codes.NOT_SUPPORTED)
    if kind not in ("tscache", "ccmcache", "custom") or (kind == "custom" and not custom):
        return context.fail("It is not said where the content goes", codes.INVALID_PARAMETER)
    root = {"ccmcache": CLIENT_CACHE, "custom": custom}.get(kind, f"{context.data_path}\\Packages")
    goes_on = context.value("OSDDownloadContinueDownloadOnError", "true").strip().casefold() == "true"
    name, failed = context.value("OSDDownloadDestinationVariable").strip(), 0
    for number, package in enumerate(packages, 1):
        content = yield from download(context, package, f"{root}\\{package}")
        if content.code:
            failed = failed or content.code
            if not goes_on:
                break
        elif name:
            code = context.set_for_user(f"{name}{number:02}", content.folder)
            if code:
                return code
    return failed
