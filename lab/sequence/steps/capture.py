"""Making a reference image: the tools, the client and Windows are prepared, then the volumes are captured.

Prepare Windows for Capture runs sysprep, which the lab does not have: what sysprep is asked for is an Intent,
and the state it leaves in registry and files is made for real, so that a captured image sets itself up again.
"""

from __future__ import annotations

from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import SetRegistry
from lab.sequence.effects_imaging import CaptureImage, CopyTree, Intent, ReadHive, RemoveFiles
from lab.sequence.steps.content import download
from lab.sequence.steps.image import DATA_FOLDER, UNATTEND

TCPIP_KEY = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
_IMAGE_STATE_KEY = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State"
_GENERALIZED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
#: Documented limits of the capture's texts.
_LONGEST = {"OSDCaptureDestination": 255, "OSDImageCreator": 255, "OSDImageDescription": 255,
            "OSDImageVersion": 32}  # fmt: skip


def install_deploy_tools(context: StepContext) -> Behaviour:
    """Put the sysprep package on the system's disk, where old Windows versions want it."""
    context.record("==============================[ OSDPrepareOS.exe ]==============================")
    package = context.argument("SysprepPackageID")
    if not package:
        return context.fail("No sysprep package is given", codes.INVALID_PARAMETER)
    content = yield from download(context, package)
    if content.code:
        return content.code
    copied = yield CopyTree(content.folder, "C:\\Sysprep")
    if not copied.ok:
        return context.fail("Failed to install the deployment tools", copied.code)
    context.record(f"Installed {copied.value.get('files', 0)} deployment tools in C:\\Sysprep")
    return 0


def prepare_client(context: StepContext) -> Behaviour:
    """Take the client's identity away, so that no two machines made of the image share it."""
    context.record("==============================[ OSDPrepareSmsClient.exe ]==============================")
    uninstall = context.value("SMSTSUninstallCCMClient").strip().casefold() == "true"
    outcome = yield Intent(
        "prepare-client", {"remove-certificates": "true", "uninstall": "true" if uninstall else "false"}
    )
    if not outcome.ok:
        return context.fail("Failed to prepare the client", outcome.code)
    removed = yield RemoveFiles((r"C:\Windows\SMSCFG.ini",))
    if not removed.ok:
        return context.fail("Failed to remove the client's identity", removed.code)
    context.record("Successfully prepared the client for capture")
    return 0


def prepare_windows(context: StepContext) -> Behaviour:
    """Generalise the running Windows and ask for a restart to Windows PE.

    Documented: fails on a machine that is joined to a domain. The code of that is a guess.
    """
    context.record("==============================[ OSDPrepareOS.exe ]==============================")
    read = yield ReadHive("C:", TCPIP_KEY)
    if not read.ok:
        return context.fail("Failed to read the network settings", read.code)
    domain = text_of(read.value, "Domain")
    if domain:
        return context.fail(
            f"The computer is joined to the domain {domain}; sysprep needs a workgroup", codes.E_FAIL
        )
    parameters = {
        "command": r"C:\Windows\System32\sysprep\sysprep.exe /quiet /generalize /oobe /quit",
        "keep-activation": context.value("OSDKeepActivation", "false"),
        "build-storage-driver-list": context.value("OSDBuildStorageDriverList", "false"),
    }
    outcome = yield Intent("sysprep", parameters)
    if not outcome.ok:
        return context.fail("sysprep failed", outcome.code)
    for key, values in _generalized():
        changed = yield SetRegistry("C:", key, values)
        if not changed.ok:
            return context.fail(f"Failed to generalise {key}", changed.code)
    # Windows Setup is to begin anew from the image: neither its marks nor old answers may be in it.
    removed = yield RemoveFiles(
        (
            r"C:\Windows\Panther\setupact.log",
            f"C:\\{UNATTEND}",
            r"C:\Windows\Setup\Scripts\SetupComplete.cmd",
        )
    )
    if not removed.ok:
        return context.fail("Failed to remove the marks of Windows Setup", removed.code)
    context.record("Windows is prepared for capture")
    context.set("OSDTargetSystemRoot", r"C:\Windows")
    context.set("SMSTSRebootRequested", "WinPE")
    return 0


def _generalized() -> list[tuple[str, dict[str, list[Any]]]]:
    return [
        (_IMAGE_STATE_KEY, {"ImageState": ["REG_SZ", _GENERALIZED]}),
        (r"HKLM\SYSTEM\Setup\Status\SysprepStatus", {"GeneralizationState": ["REG_DWORD", 7]}),
        (
            r"HKLM\SYSTEM\Setup",
            {
                "CmdLine": ["REG_SZ", r"oobe\windeploy.exe"],
                "SetupType": ["REG_DWORD", 2],
                "SystemSetupInProgress": ["REG_DWORD", 1],
                "OOBEInProgress": ["REG_DWORD", 1],
            },
        ),
    ]


def capture_image(context: StepContext) -> Behaviour:
    """Capture every volume with a letter, one image each (documented: NTFS and FAT32, no USB)."""
    context.record(
        "==============================[ OSDCaptureSystemImage.exe ]=============================="
    )
    destination = context.value("OSDCaptureDestination").strip().replace("/", "\\")
    for name, longest in _LONGEST.items():
        if len(context.value(name)) > longest:
            return context.fail(f"{name} has more than {longest} characters", codes.INVALID_PARAMETER)
    if not destination.casefold().endswith(".wim"):
        text = f"The capture destination '{destination}' is no path of a WIM file"
        return context.fail(text, codes.INVALID_PARAMETER)
    known: dict[str, Any] = context.facts.get("volumes") or {}
    volumes = tuple(letter for letter in sorted(known) if letter not in ("X:", destination[:2].upper()))
    if not volumes:
        return context.fail("There is no volume to capture", codes.PATH_NOT_FOUND)
    properties = {
        name: context.value(variable)
        for name, variable in (("CREATOR", "OSDImageCreator"), ("VERSION", "OSDImageVersion"))
        if context.value(variable)
    }
    context.record(f"Capturing {', '.join(volumes)} to {destination}")
    captured = yield CaptureImage(
        destination,
        volumes,
        tuple(f"Volume {letter[0]}" for letter in volumes),
        context.value("OSDImageDescription"),
        properties,
        (DATA_FOLDER,),
    )
    if not captured.ok:
        return context.fail(f"Failed to capture to {destination}", captured.code)
    images, size = captured.value.get("images", 0), captured.value.get("size", 0)
    context.record(f"Successfully captured {images} images, {size} bytes, to {destination}")
    return 0


def text_of(value: dict[str, Any], name: str) -> str:
    """A value of what ReadHive gave, as text; names ignore case."""
    for known, (_, data) in (value.get("values") or {}).items():
        if known.casefold() == name.casefold():
            return str(data)
    return ""
