"""The step types for scripts, variables, readiness and network, each run by the engine."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from lab.sequence import effects as fx
from lab.sequence import effects_software as sfx
from lab.sequence.engine import variables_of
from lab.sequence.machinefacts import (
    MachineFacts,
)
from lab.sequence.model import Step
from tests.unit.sequence_world import World, command, run, sequence, set_variable
from tests.unit.software_world import MACHINE, full_os, only, ran, step

# PowerShell


def script(text: str = "exit 0", **more: str) -> Step:
    more.setdefault("OSDRunPowerShellScriptExecutionPolicy", "Bypass")
    source = base64.b64encode(b"\xff\xfe" + text.encode("utf-16-le")).decode()
    return step("RunPowerShellScript", "Do it", OSDRunPowerShellScriptSourceScript=source, **more)


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
