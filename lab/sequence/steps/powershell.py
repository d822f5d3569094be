"""Run PowerShell Script: OSDRunPowerShellScript.exe, with a script of its own or one of a package."""

from __future__ import annotations

import base64
import re

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import WriteFile
from lab.sequence.effects_software import ReadPolicy, RunScript
from lab.sequence.steps.content import download
from lab.sequence.steptype import Field

_P = "OSDRunPowerShellScript"
SCRIPT_FIELDS = (
    Field(f"{_P}ScriptName"),
    Field(f"{_P}SourceScript"),
    Field(f"{_P}Parameters"),
    Field(f"{_P}ExecutionPolicy", "Restricted"),  # the class' default; the editor writes AllSigned
    Field(f"{_P}OutputVariableName"),
    Field(f"{_P}SuccessCodes", "0 3010"),
    Field(f"{_P}PackageID"),
    Field("_SMSTSRunPowerShellAsUser", "false"),
    Field("SMSTSRunPowerShellAsUser", "false"),
    Field("SMSTSRunPowerShellUserName"),
    Field("SMSTSRunPowerShellUserPassword"),
    Field("SMSTSRunPowerShellWorkingDirectory"),
    Field("OSDLogPowerShellParameters", "false"),
)
INVALID_DATA = 0x8007000D
#: Characters of output that a variable keeps (documented).
_KEPT = 1000
#: What a policy that wants signed scripts looks for, and what a refused script ends with (guess).
_SIGNATURE, _REFUSED = "# SIG # Begin signature block", 1
_POLICIES = ("restricted", "allsigned", "remotesigned", "unrestricted", "bypass", "undefined")


def decoded(source: str) -> str:
    """The text of a script as the editor stores it: base64 of UTF-16 with its mark, or UTF-8.

    Raises ValueError when it is neither.
    """
    try:
        data = base64.b64decode("".join(source.split()), validate=True)
    except ValueError as error:
        raise ValueError(f"the script is not base64: {error}") from error
    marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if marked else "utf-8-sig")


def run_powershell_script(context: StepContext) -> Behaviour:
    """Run the script and return its exit code.

    Documented: another account fails in WinPE; a package's file or a script of the step's own; parameters
    are not logged unless OSDLogPowerShellParameters is TRUE; the output variable keeps 1,000 characters.
    """
    context.record(
        "==============================[ OSDRunPowerShellScript.exe ]==============================="
    )
    as_user = context.enabled("_SMSTSRunPowerShellAsUser") or context.enabled("SMSTSRunPowerShellAsUser")
    if as_user and context.in_winpe:
        return context.fail("Running as another account is not possible in WinPE", codes.NOT_SUPPORTED)
    if as_user and not context.value("SMSTSRunPowerShellUserName"):
        return context.fail("No account is given to run the script as", codes.INVALID_PARAMETER)
    policy = context.value(f"{_P}ExecutionPolicy", "Restricted")
    if policy.casefold() not in _POLICIES:
        return context.fail(f"'{policy}' is no execution policy", codes.INVALID_PARAMETER)
    if context.in_winpe:
        parts = yield ReadPolicy("settings", "pe_components")
        if parts.ok and "PowerShell" not in (parts.value.get("found") or ()):
            return context.fail("The boot image has no PowerShell", codes.FILE_NOT_FOUND)
    package = context.value(f"{_P}PackageID").strip()
    source = context.value(f"{_P}SourceScript").strip()
    name = context.value(f"{_P}ScriptName").strip()
    folder, text, name_of = context.value("SMSTSRunPowerShellWorkingDirectory"), "", name
    if package:
        if not name:
            return context.fail("No script of the package is named", codes.INVALID_PARAMETER)
        content = yield from download(context, package)
        if content.code:
            return content.code
        # As exports write it: Fix.ps1, Scripts/Fix.ps1, .\Scripts\Fix.ps1.
        below = "\\".join(part for part in re.split(r"[\\/]+", name) if part not in ("", "."))
        if below.casefold() not in {file.replace("/", "\\").casefold() for file in content.files}:
            return context.fail(f"Package {package} has no script {name}", codes.FILE_NOT_FOUND)
        path, folder = f"{content.folder}\\{below}", folder or content.folder
    elif source:
        try:
            text = decoded(source)
        except ValueError as error:
            return context.fail(f"The step's script cannot be read: {error}", INVALID_DATA)
        root = "X:\\Windows\\Temp" if context.in_winpe else "C:\\Windows\\Temp"
        # The product takes a random name; the step's lets a double know the script.
        name_of = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name or context.step.name).strip(" .") + ".ps1"
        path = f"{root}\\smstspowershellscripts\\{name_of}"
        written = yield WriteFile(path, "\ufeff" + text)
        if not written.ok:
            return context.fail(f"Failed to write {path}", written.code)
    else:
        return context.fail("The step has no script", codes.INVALID_PARAMETER)
    unsigned = bool(text) and _SIGNATURE not in text
    if policy.casefold() == "restricted" or (policy.casefold() == "allsigned" and unsigned):
        return context.fail(f"The execution policy {policy} does not let {path} run", _REFUSED)
    return (yield from _run(context, path, folder, policy, name_of, text))


def _run(context: StepContext, path: str, folder: str, policy: str, name: str, text: str) -> Behaviour:
    parameters = context.value(f"{_P}Parameters")
    start = f'powershell.exe -NoLogo -NonInteractive -ExecutionPolicy {policy} -File "{path}"'
    command = f"{start} {parameters}".rstrip()
    written = context.step.variable(f"{_P}Parameters")
    hidden = not context.enabled("OSDLogPowerShellParameters") or context.is_secret_text(written)
    shown = f"{start} ***" if parameters and hidden else command
    context.record(f"Executing command line: {shown}", file="runpowershellscript.cpp:300")
    outcome = yield RunScript(
        command, text, name, folder, context.step.timeout, shown if shown != command else ""
    )
    code = codes.unsigned(outcome.code)
    output = str(outcome.value.get("output") or "")
    for printed in output.splitlines():
        context.record(printed, file="runpowershellscript.cpp:350")
    context.record(f"Process completed with exit code {code}", file="runpowershellscript.cpp:360")
    for variable, value in (outcome.value.get("sets") or {}).items():
        context.set_for_user(str(variable), str(value))
    target = context.value(f"{_P}OutputVariableName").strip()
    if target:
        context.set_for_user(target, output.strip()[-_KEPT:], secret=context.is_secret_text(written))
    return code
