"""The step types for scripts, variables, network, software and content, each run by the engine."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from lab.sequence import effects as fx
from lab.sequence import effects_software as sfx
from lab.sequence.engine import variables_of
from lab.sequence.machinefacts import (
    DiskFacts,
    MachineFacts,
    NicFacts,
    PartitionFacts,
    Smbios,
    SystemFacts,
)
from lab.sequence.model import Step, StepVariable
from tests.unit.sequence_world import Told, World, command, fields, run, sequence, set_variable

MACHINE = MachineFacts(
    Smbios("Contoso", "Desk 400 G5", serial="SN-7", asset_tag="A1", uuid="AB-CD"),
    SystemFacts(False, version="10.0.19045", drive="C:"),
    memory=(2048 << 20,),
    processors=("CPU",),
    clock=2000,
    disks=(DiskFacts(0, 40000 << 20, "GPT", partitions=(
        PartitionFacts(1, "Primary", 0, 40000 << 20, "NTFS", letter="C:", free=30000 << 20),
    )),),
    nics=(NicFacts("52:54:00:00:00:01", addresses=(("10.0.0.5", "255.0.0.0"),), gateways=("10.0.0.1",)),),
)  # fmt: skip


def step(kind: str, name: str = "it", hidden: dict[str, str] | None = None, **values: str) -> Step:
    arguments = tuple(StepVariable(key, key, value, True) for key, value in (hidden or {}).items())
    return Step(
        f"SMS_TaskSequence_{kind}Action",
        name,
        action="program.exe",
        variables=(*fields(**values), *arguments),
    )


def only(item: Step, world: World, variables: dict[str, str] | None = None) -> Told:
    """Run one step, through JSON at every effect."""
    return run(sequence(item), world, variables or {}, through_json=True)


# PowerShell


def script(text: str = "exit 0", **more: str) -> Step:
    more.setdefault("OSDRunPowerShellScriptExecutionPolicy", "Bypass")
    source = base64.b64encode(b"\xff\xfe" + text.encode("utf-16-le")).decode()
    return step("RunPowerShellScript", "Do it", OSDRunPowerShellScriptSourceScript=source, **more)


def full_os(**more: Any) -> World:
    return World(in_winpe=False, volumes={"C:": {"disk": 0, "partition": 3}}, machine=MACHINE, **more)


def test_a_script_of_the_step_is_written_and_run_with_its_output_in_a_variable() -> None:
    world = full_os(
        scripts={"Do it.ps1": fx.Outcome(0, value={"output": "x" * 2000, "sets": {"Found": "1"}})}
    )
    told = only(script("Get-Thing", OSDRunPowerShellScriptOutputVariableName="Out"), world)
    assert world.files[r"c:\windows\temp\smstspowershellscripts\do it.ps1"] == "\ufeffGet-Thing"
    [ran] = [effect for effect in world.performed if isinstance(effect, sfx.RunScript)]
    assert ran.script == "Get-Thing"
    assert variables_of(told.state)["Out"] == "x" * 1000
    assert variables_of(told.state)["Found"] == "1"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"OSDRunPowerShellScriptExecutionPolicy": "Restricted"}, 1),
        ({"OSDRunPowerShellScriptExecutionPolicy": "AllSigned"}, 1),
        ({"OSDRunPowerShellScriptExecutionPolicy": "Whatever"}, 0x80070057),
        ({"OSDRunPowerShellScriptSourceScript": "%%%"}, 0x8007000D),
        ({"OSDRunPowerShellScriptSourceScript": ""}, 0x80070057),
        ({"_SMSTSRunPowerShellAsUser": "true"}, 0x80070057),
        ({"OSDRunPowerShellScriptPackageID": "LAB00003"}, 0x80070057),
        (
            {"OSDRunPowerShellScriptPackageID": "LAB00003", "OSDRunPowerShellScriptScriptName": "no.ps1"},
            0x80070002,
        ),
    ],
)
def test_a_script_that_cannot_run_fails_its_step(more: dict[str, str], code: int) -> None:
    item = script()
    values = {variable.name: variable.value for variable in item.variables} | more
    assert only(step("RunPowerShellScript", **values), full_os()).finished.step_code == code


@pytest.mark.parametrize("name", ["Fix.ps1", "scripts/fix.ps1", ".\\Scripts\\Fix.ps1"])
def test_a_packages_script_is_named_as_exports_write_it(name: str) -> None:
    more = {"OSDRunPowerShellScriptPackageID": "LAB00005", "OSDRunPowerShellScriptScriptName": name}
    world = full_os(packages={"LAB00005": ["Fix.ps1", "Scripts/Fix.ps1"]})
    item = step("RunPowerShellScript", OSDRunPowerShellScriptExecutionPolicy="Bypass", **more)
    told = only(item, world)
    assert told.finished.result == "success"
    [ran] = [effect for effect in world.performed if isinstance(effect, sfx.RunScript)]
    path = ran.command.split('"')[1]
    assert path.casefold().endswith("fix.ps1") and "\\.\\" not in path and "/" not in path
    assert any("LAB00005\\Scripts\\Fix.ps1" in line for line in told.log())
    out = {**more, "OSDRunPowerShellScriptScriptName": "..\\Fix.ps1"}
    leaves = step("RunPowerShellScript", OSDRunPowerShellScriptExecutionPolicy="Bypass", **out)
    assert only(leaves, world).finished.step_code == 0x80070002


def test_in_pe_a_script_needs_the_component_and_no_account() -> None:
    bare = World(policy={"settings": {"pe_components": ["WMI"]}})
    assert only(script(), bare).finished.step_code == 0x80070002
    able = World(policy={"settings": {"pe_components": ["PowerShell"]}})
    assert only(script(), able).finished.result == "success"
    assert only(script(_SMSTSRunPowerShellAsUser="true"), able).finished.step_code == 0x80070032


def test_parameters_of_a_script_are_in_the_log_only_when_asked_for() -> None:
    item = script(OSDRunPowerShellScriptParameters="-Where here")
    assert "-Where here" not in "\n".join(only(item, full_os()).log())
    assert "-Where here" in "\n".join(only(item, full_os(), {"OSDLogPowerShellParameters": "TRUE"}).log())


# Set Dynamic Variables


def rules(*texts: str) -> Step:
    return step("SetDynamicVariables", OSDSetDynamicVariablesRules=f"<Rules>{''.join(texts)}</Rules>")


def rule(kind: str, values: dict[str, str], sets: dict[str, str], secret: str = "false") -> str:
    inner = "".join(f'<variable name="{name}">{value}</variable>' for name, value in values.items())
    kind_of = f"SMS_TaskSequence_{kind}ConditionExpression"
    condition = f'<condition><expression type="{kind_of}">{inner}</expression></condition>'
    made = "".join(
        f'<Variable Name="{name}" IsSecret="{secret}">{value}</Variable>' for name, value in sets.items()
    )
    return f"<Rule>{condition if kind else ''}<Variables>{made}</Variables></Rule>"


@pytest.mark.parametrize(
    ("kind", "values", "holds"),
    [
        ("MakeModel", {"Make": "contoso", "Model": "Desk*G?"}, True),
        ("MakeModel", {"Make": "Contoso", "Model": "Lap*"}, False),
        ("Computer", {"AssetTag": "other", "SerialNumber": "sn-7", "UUID": "", "MACAddress": ""}, True),
        ("Computer", {"AssetTag": "", "MACAddress": "52-54-00-00-00-01"}, True),
        ("Computer", {"AssetTag": "", "SerialNumber": "", "UUID": "", "MACAddress": ""}, False),
        ("Location", {"DefaultGateway": "10.0.0.1"}, True),
        ("Location", {"DefaultGateway": "10.0.0.9"}, False),
        ("Variable", {"Operator": "equals", "Variable": "Kind", "Value": "NEW"}, True),
    ],
)
def test_the_rules_of_dynamic_variables(kind: str, values: dict[str, str], holds: bool) -> None:
    told = only(rules(rule(kind, values, {"Got": "%Kind%"})), full_os(), {"Kind": "new"})
    assert variables_of(told.state).get("Got") == ("new" if holds else None)
    assert variables_of(told.state)["_SMSTSMake"] == "Contoso"
    assert variables_of(told.state)["_SMSTSDefaultGateways"] == "10.0.0.1"


@pytest.mark.rule("R17")
def test_a_rule_keeps_secrets_and_may_not_set_what_is_read_only() -> None:
    told = only(rules(rule("", {}, {"Pin": "s3cr3t-text"}, "true")), full_os())
    assert "s3cr3t-text" not in told.text()
    refused = only(rules(rule("", {}, {"_SMSTSMake": "Other"})), full_os())
    assert refused.finished.step_code == 0x80070005
    broken = step("SetDynamicVariables", OSDSetDynamicVariablesRules="<Rules><Rule>")
    assert only(broken, full_os()).finished.step_code == 0x8007000D


# Check Readiness


def test_every_readiness_check_is_made_before_the_step_fails() -> None:
    item = step("PrestartCheck", OSDMemory="4096", OSDFreeDiskSpace="99999", OSDCheckDeviceUEFI="true")
    told = only(item, full_os())
    assert told.finished.step_code == 4316
    known = variables_of(told.state)
    wanted = {"MEMORY": "0", "SPEED": "1", "DISK": "0", "OSTYPE": "1", "UEFI": "1"}
    assert {name: known[f"_TS_CR{name}"] for name in wanted} == wanted
    assert "_TS_CRWIRED" not in known


@pytest.mark.parametrize(
    ("check", "output", "met", "unmet"),
    [
        ("PowerState", "ACPOWER", replace(MACHINE, battery="mains"), replace(MACHINE, battery="draining")),
        ("NetworkConnected", "NETWORK", MACHINE, replace(MACHINE, nics=())),
        ("NetworkWired", "WIRED", MACHINE, replace(MACHINE, nics=(replace(MACHINE.nics[0], wireless=True),))),
        ("TPMEnabled", "TPMENABLED", replace(MACHINE, tpm="2.0"), MACHINE),
        ("OSType", "OSTYPE", MACHINE, replace(MACHINE, system=replace(MACHINE.system, product_type=3))),
        (
            "MinOSVersion",
            "MINOSVER",
            MACHINE,
            replace(MACHINE, system=replace(MACHINE.system, version="6.1")),
        ),
    ],
)
def test_a_check_asks_the_machine(check: str, output: str, met: MachineFacts, unmet: MachineFacts) -> None:
    item = step("PrestartCheck", **{f"OSDCheck{check}": "true", "OSDMinOSVersion": "10.0"})
    for machine, code in ((met, "1"), (unmet, "0")):
        told = only(item, World(in_winpe=False, machine=machine))
        assert variables_of(told.state)[f"_TS_CR{output}"] == code


# network


def test_a_share_is_connected_as_a_drive() -> None:
    world = full_os(shares={r"\\srv\gone": 0x80070035})
    good = step(
        "ConnectNetworkFolder",
        SMSConnectNetworkFolderPath=r"\\srv\s",
        SMSConnectNetworkFolderDriveLetter="Z:",
    )
    assert only(good, world).finished.result == "success"
    assert world.performed[-2] == sfx.ConnectFolder(r"\\srv\s", "Z:")
    for path, drive, code in (
        (r"\\srv\gone", "", 0x80070035), ("C:\\x", "", 0x80070043), (r"\\srv\s", "X:", 0x80070057),
    ):  # fmt: skip
        item = step(
            "ConnectNetworkFolder", SMSConnectNetworkFolderPath=path, SMSConnectNetworkFolderDriveLetter=drive
        )
        assert only(item, world).finished.step_code == code


def join(**more: str) -> Step:
    values = {"OSDJoinType": "0", "OSDJoinDomainName": "lab.example", "OSDJoinAccount": "LAB\\me"} | more
    return step("JoinDomainWorkgroup", **values)


def test_joining_a_domain_is_noted_and_restarts() -> None:
    world = full_os()
    assert only(join(), world).finished.result == "success"
    assert world.restarts == ["HD"]
    [tcpip] = [key for key in world.registry if key.endswith("Tcpip\\Parameters")]
    assert world.registry[tcpip]["NV Domain"] == ["REG_SZ", "lab.example"]
    quiet = full_os()
    only(join(OSDJoinSkipReboot="true"), quiet)
    assert quiet.restarts == []
    assert only(join(OSDJoinAccount=""), full_os()).finished.step_code == 0x80070057
    assert only(join(), World()).finished.step_code == 0x80070032


# packages


PROGRAMS = {"packages": {"LAB00003": {"programs": {
    "Install": {"command": "setup.exe"}, "Alone": {"command": "x.exe", "install_without_deployment": False},
}}}}  # fmt: skip


def package(
    program: str = "Install", base: str = "", goes_on: str = "False", identifier: str = "LAB00003"
) -> Step:
    hidden = {"PackageID": identifier, "BaseVariableName": base, "ContinueOnInstallError": goes_on}
    return step("InstallSoftware", hidden=hidden, _SMSSWDProgramName=program)


def ran(world: World) -> list[str]:
    return [effect.command for effect in world.performed if isinstance(effect, fx.RunCommand)]


@pytest.mark.rule("R43")
def test_a_package_is_installed_again() -> None:
    world = full_os(policy=PROGRAMS)
    run(sequence(package(), package()), world)
    assert ran(world) == ["setup.exe", "setup.exe"]


@pytest.mark.parametrize(
    ("exit", "result", "restarts"),
    [(3010, "success", ["HD"]), (1641, "success", ["HD"]), (1603, "failed", [])],
)
def test_the_exit_code_of_a_packages_program(exit: int, result: str, restarts: list[str]) -> None:
    world = full_os(policy=PROGRAMS, commands={"setup": exit})
    assert only(package(), world).finished.result == result
    assert world.restarts == restarts


def test_a_dynamic_list_of_packages_ends_at_its_first_gap() -> None:
    names = {"P001": "LAB00003:Install", "P002": "LAB00003:install", "P004": "nonsense", "P01": "nonsense"}
    world = full_os(policy=PROGRAMS)
    assert only(package(base="P"), world, names).finished.result == "success"
    assert ran(world) == ["setup.exe"] * 2
    nothing = full_os(policy=PROGRAMS)
    assert only(package(base="Q"), nothing, names).finished.result == "success"
    assert ran(nothing) == []
    for wrong in ("lab00003:Install", "LAB00003", "nonsense"):
        assert (
            only(package(base="P"), full_os(policy=PROGRAMS), {"P001": wrong}).finished.step_code
            == 0x80070057
        )
    failing = full_os(policy=PROGRAMS, commands={"setup": 5})
    assert only(package(base="P", goes_on="True"), failing, names).finished.result == "success"
    assert len(ran(failing)) == 2


def test_a_package_without_policy_program_or_permission_fails() -> None:
    codes = [
        only(item, full_os(policy=PROGRAMS)).finished.step_code
        for item in (package("No"), package(identifier="LAB0000F"), package("Alone"))
    ]
    assert codes == [0x80040104, 0x80040104, 0x80004005]


# applications


def app(**more: Any) -> dict[str, Any]:
    return {"name": "App", "install": "app.exe", "detection": [{"file": "C:\\app.txt"}], **more}


def applications(**apps: dict[str, Any]) -> dict[str, Any]:
    return {"applications": apps}


def install(names: str = "App", base: str = "", goes_on: str = "False") -> Step:
    hidden = {"ApplicationName": names, "BaseVariableName": base, "ContinueOnInstallError": goes_on}
    return step("InstallApplication", hidden=hidden)


class Installing(World):
    """A machine on which the application's installer leaves its file."""

    def run(self, command: str) -> fx.Outcome:
        self.files["c:\\app.txt"] = "there"
        return super().run(command)


def test_an_application_is_installed_once() -> None:
    world = Installing(in_winpe=False, policy=applications(App=app()))
    told = run(sequence(install(), install()), world)
    assert ran(world) == ["app.exe"]
    assert variables_of(told.state)["_TSAppInstallStatus"] == "Success"


@pytest.mark.parametrize(
    ("more", "exit", "code", "status"),
    [
        ({}, 0, 16389, "Error"),  # it is not detected
        ({"detection": []}, 1603, 16389, "Error"),
        ({"detection": []}, 1707, 0, "Success"),
        ({"detection": [], "return_codes": {"7": "success"}}, 7, 0, "Success"),
        ({"detection": []}, 3010, 0, "Success"),
        ({"requirements": [{"memory": 9000}]}, 0, 0, "Warning"),
        ({"dependencies": ["Missing"]}, 0, 16389, "Error"),
        ({"allow_task_sequence": False}, 0, 16389, "Error"),
    ],
)
def test_how_an_application_ends(more: dict[str, Any], exit: int, code: int, status: str) -> None:
    world = full_os(policy=applications(App=app(**more)), commands={"app.exe": exit})
    told = only(install(), world)
    assert (told.finished.step_code, variables_of(told.state)["_TSAppInstallStatus"]) == (code, status)
    assert world.restarts == (["HD"] if exit == 3010 else [])


def test_an_unmet_requirement_fails_only_where_warnings_are_errors() -> None:
    policy = applications(App=app(requirements=[{"architecture": "arm64"}]))
    told = only(install(), full_os(policy=policy), {"TSErrorOnWarning": "true"})
    assert told.finished.step_code == 16389


def test_failed_applications_are_tried_again_as_often_as_asked() -> None:
    policy = applications(App=app(detection=[]))
    world = full_os(policy=policy, commands={"app.exe": 1603})
    only(install(), world, {"OSDAppInstallRetries": "2", "OSDAppInstallRetryTimeout": "5000"})
    assert len(ran(world)) == 3
    assert [effect.seconds for effect in world.performed if isinstance(effect, sfx.Pause)] == [5.0, 5.0]
    once = full_os(policy=policy, commands={"app.exe": 1603})
    only(install(goes_on="True"), once, {"OSDAppInstallRetries": "2"})
    assert len(ran(once)) == 1
    busy = full_os(policy=policy, commands={"app.exe": 1618})
    only(install(), busy)
    assert len(ran(busy)) == 4


def test_a_dynamic_list_of_applications_passes_over_what_is_unknown_and_ends_at_a_gap() -> None:
    policy = applications(App=app(detection=[]), Far=app(install="far.exe", detection=[]))
    names = {"A01": "app", "A02": "App", "A04": "Far"}  # case counts
    world = full_os(policy=policy)
    assert only(install("", "A"), world, names).finished.result == "success"
    assert ran(world) == ["app.exe"]
    assert only(install("App,Unknown"), full_os(policy=policy)).finished.step_code == 16389


class Interrupted(World):
    """A machine that loses power during the first ``times`` installations."""

    times = 2

    def run(self, command: str) -> fx.Outcome:
        self.times -= 1
        return fx.INTERRUPTED if self.times >= 0 else super().run(command)


def test_an_unexpected_restart_is_borne_as_often_as_the_step_says() -> None:
    policy = applications(App=app(detection=[]))
    hidden = {"ApplicationName": "App", "RetryCount": "2"}
    patient = Interrupted(in_winpe=False, policy=policy)
    assert only(step("InstallApplication", hidden=hidden), patient).finished.result == "success"
    assert len(ran(patient)) == 3
    once = step("InstallApplication", hidden=hidden | {"RetryCount": "1"})
    assert only(once, Interrupted(in_winpe=False, policy=policy)).finished.step_code == 16389
    # Any other step does not bear it: a package's program fails.
    told = only(package(), Interrupted(in_winpe=False, policy=PROGRAMS))
    assert told.finished.step_code == 0x800704C7


# updates and content


def test_updates_by_target() -> None:
    updates = [{"name": "KB1"}, {"name": "KB2", "mandatory": False}]
    for target, wanted in (("Mandatory", ["KB1"]), ("All", ["KB1", "KB2"])):
        world = full_os(policy={"settings": {"updates": updates}})
        only(step("InstallUpdate", SMSInstallUpdateTarget=target), world)
        assert [
            effect.update for effect in world.performed if isinstance(effect, sfx.InstallUpdate)
        ] == wanted


def test_downloaded_packages_are_where_the_numbered_variables_say() -> None:
    item = step(
        "DownloadPackageContent",
        OSDDownloadDestinationLocationType="Custom",
        OSDDownloadDestinationPath="C:\\Store\\",
        OSDDownloadDestinationVariable="PKG",
        OSDDownloadDownloadPackages="LAB00001, LAB0000F,LAB00003",
        OSDDownloadContinueDownloadOnError="true",
    )
    told = only(item, full_os())
    known = variables_of(told.state)
    assert known["PKG01"] == "C:\\Store\\LAB00001"
    assert known["PKG03"] == "C:\\Store\\LAB00003"
    assert "PKG02" not in known
    assert told.finished.step_code == 0x80070002
    cache = step(
        "DownloadPackageContent",
        OSDDownloadDestinationLocationType="CCMCache",
        OSDDownloadDownloadPackages="LAB00001",
    )
    assert only(cache, World()).finished.step_code == 0x80070032


# what a run holds against limits, at every door


@pytest.mark.rule("R18")
def test_a_value_over_the_limit_is_refused_at_every_door() -> None:
    long = "x" * 2001
    twice = set_variable("Long", "%Half%%Half%", continue_on_error=True)
    dynamic = rules(rule("", {}, {"Long": "%Half%%Half%"}))
    for item in (twice, dynamic):
        told = only(item, full_os(), {"Half": long})
        assert told.codes() == {item.name: 0x8007000D}
        assert "Long" not in variables_of(told.state)
    from_script = full_os(scripts={"Do it.ps1": fx.Outcome(value={"sets": {"Long": long * 2, "1st": "x"}})})
    told = only(script(), from_script)
    assert {"Long", "1st"}.isdisjoint(variables_of(told.state))
    assert told.finished.result == "success"


def test_mdt_command_lines_are_the_action_itself() -> None:
    world = World()
    item = Step("", "Check BIOS", action="cscript.exe bios.wsf")
    assert run(sequence(item, command("after")), world).finished.result == "success"
    assert ran(world) == ["cscript.exe bios.wsf", "after"]
    assert json.dumps([effect.to_json() for effect in world.performed])
