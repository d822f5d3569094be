"""No door lets a secret out: a run full of marked values, and every byte that it left or printed."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path

import pytest

import lab.cli
from lab.report.allure_results import write_run
from lab.run.live_simulated import SimulatedRun
from lab.scenario.loader import load_scenarios
from lab.settings import Settings

#: Stands in every secret value, and nowhere else.
MARK = "Zq7Secret"


def secret(name: str) -> str:
    return f"{MARK}-{name}"


def step(kind: str, name: str, action: str = "x.exe", hidden: str = "", **values: str) -> str:
    inner = "".join(
        f'<variable name="{key}" property="{key}">{escape(value)}</variable>' for key, value in values.items()
    )
    return (
        f'<step type="SMS_TaskSequence_{kind}Action" name="{name}" continueOnError="true">'
        f"<action>{escape(action)}</action><defaultVarList>{inner}{hidden}</defaultVarList></step>"
    )


def script(name: str, **more: str) -> str:
    text = base64.b64encode(b"\xff\xfe" + "Get-Thing".encode("utf-16-le")).decode()
    values = {f"OSDRunPowerShellScript{key}": value for key, value in more.items() if key[0].isupper()}
    return step(
        "RunPowerShellScript", name, OSDRunPowerShellScriptSourceScript=text,
        OSDRunPowerShellScriptExecutionPolicy="Bypass", **values,
    )  # fmt: skip


RULES = (
    "<Rules><Rule><Variables><Variable Name='Plain' IsSecret='true'>" + secret("rule") + "</Variable>"
    "<Variable Name='TeamPassword' IsSecret='false'>"
    + secret("named")
    + "</Variable></Variables></Rule></Rules>"
)
STEPS = (
    step("SetVariable", "Hidden", 'tsenv.exe "Token=%HiddenValue%"', VariableName="Token",
         HiddenVariableValue=secret("hidden"), DoNotShowVariableValue="true"),
    step("SetVariable", "Made of it", 'tsenv.exe "Made=pre-%Token%"', VariableName="Made",
         VariableValue="pre-%Token%"),
    step("SetVariable", "Key", f'tsenv.exe "OSDProductKey={secret("key")}"', VariableName="OSDProductKey",
         VariableValue=secret("key")),
    step("SetDynamicVariables", "Rules", OSDSetDynamicVariablesRules=RULES),
    step("RunCommandLine", "Command", "smsswd.exe /run: tool.exe /key:%Token% /p:%TeamPassword% /v:%Given%"),
    step("RunCommandLine", "As user", "smsswd.exe /run: whoami.exe", SMSTSRunCommandLineAsUser="true",
         SMSTSRunCommandLineUserName="LAB\\me", SMSTSRunCommandLineUserPassword=secret("runas")),
    script("Script", Parameters=f"-Pin {secret('parameter')} -Token %Token%"),
    script("Failing script", Parameters="-Token %Token%", OutputVariableName="Output"),
    step("ConnectNetworkFolder", "Share", SMSConnectNetworkFolderPath="\\\\srv\\s",
         SMSConnectNetworkFolderDriveLetter="Z:", SMSConnectNetworkFolderAccount="LAB\\me",
         SMSConnectNetworkFolderPassword=secret("share")),
    step("ConnectNetworkFolder", "Wrong", SMSConnectNetworkFolderPath="\\\\srv\\s",
         SMSConnectNetworkFolderAccount="LAB\\me", SMSConnectNetworkFolderPassword=secret("wrong")),
    step("PartitionDisk", "Partition", "osddiskpart.exe", OSDDiskIndex="0", OSDPartitionStyle="GPT",
         OSDPartitions="2", OSDPartitions0Type="EFI", OSDPartitions0Size="500",
         OSDPartitions0FileSystem="FAT32", OSDPartitions1Type="Primary", OSDPartitions1FileSystem="NTFS",
         OSDPartitions1VolumeLetterVariable="OSDisk"),
    step("ApplyOperatingSystem", "Apply", "OSDApplyOS.exe /image:LAB00001,1", OSDImageIndex="1"),
    step("ApplyWindowsSettings", "Windows", OSDLocalAdminPassword=secret("admin"),
         OSDRandomAdminPassword="false", OSDProductKey=secret("key2")),
    step("ApplyNetworkSettings", "Network", OSDNetworkJoinType="0", OSDDomainName="lab.test",
         OSDJoinAccount="LAB\\joiner", OSDJoinPassword=secret("join")),
    step("OfflineEnableBitLocker", "Provision", OSDBitLockerRecoveryPassword=secret("recovery")),
    step("SetupWindowsAndSMS", "Setup", "OSDSetupWindows.exe", _SMSClientPackageID="LAB00003"),
    step("EnableBitLocker", "BitLocker", "OSDBitLocker.exe /enable /wait:False /mode:TPMAndPIN /pwd:None",
         OSDBitLockerPIN=secret("pin"), OSDBitLockerRecoveryPassword=secret("recovery2"),
         OSDBitLockerStartupKey=secret("startup")),
    step("JoinDomainWorkgroup", "Join", OSDJoinType="0", OSDJoinDomainName="lab.test", OSDJoinAccount="j",
         OSDJoinPassword=secret("join2")),
    step("CaptureUserState", "State", OSDMigrateLocalAccounts="true",
         OSDMigrateLocalAccountPassword=secret("state")),
    step("CaptureSystemImage", "Capture", OSDCaptureDestination="\\\\srv\\s\\a.wim", OSDCaptureAccount="me",
         OSDCaptureAccountPassword=secret("capture")),
    step("UpgradeOperatingSystem", "Upgrade", OSDUpgradeOsProductKey=secret("upgrade"),
         OSDUpgradeInstallPackageID="LAB00001"),
    step("RunCommandLine", "Last", "smsswd.exe /run: fails.exe %Token%"),
)  # fmt: skip
SCENARIO = f"""scenario: Secrets
machine: uefi-x64
sequence: s.xml
variables:
  Given: {{value: {secret("given")}, secret: true}}
  OSDJoinPassword: {secret("device")}
doubles:
  - command: tool.exe*
    output: "it got {secret("hidden")}"
  - command: fails.exe*
    exit: 5
  - script: Failing*
    exit: 7
    output: "{secret("hidden")}"
    sets: {{ScriptPassword: {secret("set")}}}
  - script: '*'
  - command: '*'
shares:
  \\\\srv\\s: {{account: LAB\\me, password: {secret("share")}}}
expect:
  result: failed
  variables: {{Token: {{contains: nothing like it}}}}
  log: [{{contains: never said}}]
  disk:
    C:\\Windows\\Panther\\unattend.xml: {{contains: "{secret("key2")}"}}
"""


def doors(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def leaks(found: dict[str, bytes]) -> list[str]:
    marks = (
        MARK.encode(),
        MARK.encode("utf-16-le"),
        base64.b64encode(MARK.encode())[:10],
        base64.b64encode(MARK.encode("utf-16-le"))[:20],
    )
    return [
        f"{name}: …{data[max(0, at - 60) : at + 60]!r}"
        for name, data in found.items()
        for mark in marks
        if (at := data.find(mark)) >= 0
    ]


def test_no_secret_leaves_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.xml").write_text(f'<sequence version="3.10">{"".join(STEPS)}</sequence>', encoding="utf-8")
    (tmp_path / "a.yaml").write_text(SCENARIO, encoding="utf-8")
    reports = tmp_path / "reports"
    monkeypatch.setenv("OSDLAB_REPORTS", str(reports))
    monkeypatch.setenv("OSDLAB_CACHE", str(tmp_path / "cache"))
    with lab.cli.OUT.capture() as out, lab.cli.ERR.capture() as err:
        lab.cli.osdlab.main(
            ["run", str(tmp_path / "a.yaml"), "--fidelity", "sim", "-v"], standalone_mode=False
        )
    (run,) = [path for path in reports.iterdir() if path.is_dir() and not path.is_symlink()]
    assert write_run(run, tmp_path / "allure") is not None
    found = {**doors(run), **doors(tmp_path / "allure")}
    found |= {"stdout": out.get().encode(), "stderr": err.get().encode()}
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["machines"], "it ran"
    log = found["PC-1/smsts.log"].decode()
    ran = [line.split('name="')[1].split('"')[0] for line in STEPS]
    assert [name for name in ran if f"({name})" not in log and name not in log] == []
    assert leaks(found) == []


def test_no_secret_is_kept_of_a_machine_that_a_test_drove(tmp_path: Path) -> None:
    (tmp_path / "s.xml").write_text(f'<sequence version="3.10">{"".join(STEPS)}</sequence>', encoding="utf-8")
    (tmp_path / "a.yaml").write_text(SCENARIO, encoding="utf-8")
    (loaded,) = load_scenarios([tmp_path / "a.yaml"])
    with SimulatedRun(loaded, Settings(tmp_path, tmp_path / "cache", tmp_path / "reports")) as live:
        live.power_on()
        assert MARK in (live.folder / "PC-1" / "final-state.json").read_text(), (
            "until its end it may be asked"
        )
    assert leaks(doors(live.folder)) == []


def test_the_search_itself_finds_a_secret() -> None:
    assert leaks({"a": b"x", "b": secret("x").encode("utf-16-le")}) != []


@pytest.mark.parametrize("form", ["text", "json"])
def test_show_shows_no_secret(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.xml").write_text(f'<sequence version="3.10">{"".join(STEPS)}</sequence>', encoding="utf-8")
    more = ["--json"] if form == "json" else []
    lab.cli.osdlab.main(["sequence", "show", str(tmp_path / "s.xml"), *more], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "Made of it" in shown
    assert leaks({form: shown.encode()}) == []
