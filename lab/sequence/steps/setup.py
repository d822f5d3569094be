"""Setup Windows and ConfigMgr: begins in Windows PE, ends in the new system. Its failure is fatal.

Documented: replaces %Name% in the answer file, downloads the client package, installs the setup hook, then
asks for a retry and a restart to the disk; in the new system the client is installed and the step ends.
"""

from __future__ import annotations

from lab.sequence import codes, unattend
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import ReadFile, SetRegistry, WriteFile
from lab.sequence.steps.content import download
from lab.sequence.steps.image import UNATTEND

SETUP_KEY = r"HKLM\SYSTEM\Setup"
CLIENT_KEY = r"HKLM\SOFTWARE\Microsoft\CCM"


def setup_windows(context: StepContext) -> Behaviour:
    """One half or the other, by where the machine is."""
    if not context.in_winpe:
        if not context.retries:
            return context.fail("This step must begin in Windows PE", codes.NOT_SUPPORTED)
        return (yield from _in_new_system(context))
    context.record("==============================[ OSDSetupWindows.exe ]==============================")
    if context.retries:
        # The disk did not start: running the first half again would go round for ever.
        return context.fail("The machine came back in Windows PE instead of the new system", codes.E_FAIL)
    return (yield from _in_winpe(context))


def _in_winpe(context: StepContext) -> Behaviour:
    drive = context.variables.value("OSDTargetSystemDrive")
    if not drive:
        return context.fail("No operating system was applied before this step", codes.PATH_NOT_FOUND)
    package = context.value("_SMSClientPackageID").strip() or context.value("_SMSTSClientPackageID").strip()
    if not package:
        return context.fail("The client package is not known", codes.ELEMENT_NOT_FOUND)
    path = f"{drive}\\{UNATTEND}"
    read = yield ReadFile(path)
    text = str(read.value.get("text") or "") if read.ok else unattend.merge(None, ())
    written = yield WriteFile(path, context.expand_with(text, unattend.escape))
    if not written.ok:
        return context.fail(f"Failed to write {path}", written.code)
    context.record(f"Replaced variables in {path}", file="setupwindows.cpp:300")
    content = yield from download(context, package, f"{context.data_path}\\OSD\\{package}")
    if content.code:
        return content.code
    context.record("Installing setup hook", file="setupwindows.cpp:800")
    script = f"%windir%\\system32\\osdsetuphook.exe /execute /client:{content.folder}\r\n"
    written = yield WriteFile(f"{drive}\\Windows\\Setup\\Scripts\\SetupComplete.cmd", script)
    if not written.ok:
        text = f"Failed to install setup hook ({codes.hexadecimal(written.code)})"
        return context.fail(text, written.code)
    # What a generalised Windows has when it is about to go through its setup.
    values: dict[str, list[object]] = {
        "CmdLine": ["REG_SZ", r"oobe\windeploy.exe"],
        "SetupType": ["REG_DWORD", 2],
        "SystemSetupInProgress": ["REG_DWORD", 1],
        "OOBEInProgress": ["REG_DWORD", 1],
    }
    registry = yield SetRegistry(drive, SETUP_KEY, values)
    if not registry.ok:
        return context.fail("Failed to set the new system's setup values", registry.code)
    context.remember(hook=True)
    context.record("Successfully installed setup hook", file="setupwindows.cpp:820")
    context.set("SMSTSRetryRequested", "true")
    context.set("SMSTSRebootRequested", "HD")
    return 0


def _in_new_system(context: StepContext) -> Behaviour:
    drive = context.variables.value("OSDTargetSystemDrive") or "C:"
    context.component = "OSDSetupHook"
    context.record("Executing task sequence", file="osdsetuphook.cpp:200")
    context.record("Installing SMS client", file="installclient.cpp:100")
    properties = context.value("SMSClientInstallProperties")
    context.record(f"Client installation properties: {properties}", file="installclient.cpp:120")
    # Windows setup leaves these behind when it is done.
    done: dict[str, list[object]] = {
        "CmdLine": ["REG_SZ", ""],
        "SetupType": ["REG_DWORD", 0],
        "SystemSetupInProgress": ["REG_DWORD", 0],
        "OOBEInProgress": ["REG_DWORD", 0],
    }
    registry = yield SetRegistry(drive, SETUP_KEY, done)
    if not registry.ok:
        return context.fail("Failed to end the system's setup", registry.code)
    client: dict[str, list[object]] = {
        "HttpPort": ["REG_DWORD", _port(context, "_SMSTSHTTPPort", 80)],
        "HttpsPort": ["REG_DWORD", _port(context, "_SMSTSHTTPSPort", 443)],
        "TempDir": ["REG_SZ", f"{drive}\\Windows\\CCM\\Temp\\"],
    }
    registry = yield SetRegistry(drive, CLIENT_KEY, client)
    if not registry.ok:
        return context.fail("Failed to install the client", registry.code)
    context.record("Successfully installed the client", file="installclient.cpp:300")
    return 0


def _port(context: StepContext, name: str, default: int) -> int:
    text = context.variables.value(name).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else default
