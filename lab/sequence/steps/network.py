"""Connect To Network Folder (smsnetuse.exe) and Join Domain or Workgroup (osdjoin.exe)."""

from __future__ import annotations

import re
from typing import Any

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext
from lab.sequence.effects import SetRegistry
from lab.sequence.effects_software import ConnectFolder
from lab.sequence.steps.programs import request_restart
from lab.sequence.steptype import Field

CONNECT_FIELDS = tuple(
    Field(f"SMSConnectNetworkFolder{name}") for name in ("Path", "DriveLetter", "Account", "Password")
)
JOIN_FIELDS = (
    Field("OSDJoinType", "0"),
    *(
        Field(f"OSDJoin{name}")
        for name in ("DomainName", "DomainOUName", "WorkgroupName", "Account", "Password")
    ),
    Field("OSDJoinSkipReboot", "false"),
)
#: Documented: D: to Z: without X:, which is WinPE's own.
_DRIVE = re.compile(r"[D-WYZ]:?", re.IGNORECASE)
_SHARE = re.compile(r"\\\\[^\\/:*?\"<>|\s]+\\[^\\/:*?\"<>|]+(\\[^/:*?\"<>|]*)*")
_DOMAIN_OU = re.compile(r"LDAP://.+", re.IGNORECASE)
_TCPIP = r"HKLM\SYSTEM\ControlSet001\Services\Tcpip\Parameters"
_JOIN = r"HKLM\SOFTWARE\osdlab\Join"
_LONGEST_WORKGROUP = 15


def connect_network_folder(context: StepContext) -> Behaviour:
    """Connect the share; a drive letter may be left out. It is gone after a restart."""
    path = context.value("SMSConnectNetworkFolderPath").strip()
    drive = context.value("SMSConnectNetworkFolderDriveLetter").strip()
    account = context.value("SMSConnectNetworkFolderAccount").strip()
    context.record("==============================[ smsnetuse.exe ]==============================")
    if not _SHARE.fullmatch(path):
        return context.fail(f"'{path}' is not the path of a share", 0x80070043)
    if drive and not _DRIVE.fullmatch(drive):
        return context.fail(f"'{drive}' cannot be the drive of a share", codes.INVALID_PARAMETER)
    letter = f"{drive[:1].upper()}:" if drive else ""
    outcome = yield ConnectFolder(path, letter, account, context.value("SMSConnectNetworkFolderPassword"))
    if not outcome.ok:
        return context.fail(f"Failed to connect {path}", outcome.code)
    context.record(f"Successfully connected {path}" + (f" as {letter}" if letter else ""))
    return 0


def join_domain_or_workgroup(context: StepContext) -> Behaviour:
    """Note in the system what it joins, and restart unless OSDJoinSkipReboot.

    The lab has no domain controller: the intent is recorded in the registry (Tcpip's ``NV Domain``, where
    Windows has the domain, and a key of the lab's own). Documented: a missing password is tried as a blank
    one. That a missing name or account ends with "parameter" is a guess.
    """
    context.record("==============================[ osdjoin.exe ]==============================")
    kind = context.value("OSDJoinType", "0").strip()
    values: dict[str, list[Any]]
    changes: list[tuple[str, dict[str, list[Any]]]]
    if kind == "0":
        name, account = context.value("OSDJoinDomainName").strip(), context.value("OSDJoinAccount").strip()
        unit = context.value("OSDJoinDomainOUName").strip()
        for given, what in ((name, "domain"), (account, "account")):
            if not given:
                return context.fail(f"The {what} to join with is missing", codes.INVALID_PARAMETER)
        if unit and not _DOMAIN_OU.fullmatch(unit):
            text = f"The organizational unit '{unit}' is not written as LDAP://OU=..,DC=.."
            return context.fail(text, codes.INVALID_PARAMETER)
        values = {
            "Type": ["REG_SZ", "domain"], "Name": ["REG_SZ", name], "Account": ["REG_SZ", account],
            "OU": ["REG_SZ", unit],
        }  # fmt: skip
        changes = [(_TCPIP, {"NV Domain": ["REG_SZ", name], "Domain": ["REG_SZ", name]}), (_JOIN, values)]
    elif kind == "1":
        name = context.value("OSDJoinWorkgroupName").strip()
        if not name or len(name) > _LONGEST_WORKGROUP:
            return context.fail(f"'{name}' is no name of a workgroup", codes.INVALID_PARAMETER)
        values = {"Type": ["REG_SZ", "workgroup"], "Name": ["REG_SZ", name]}
        changes = [(_TCPIP, {"NV Domain": ["REG_SZ", ""], "Domain": ["REG_SZ", ""]}), (_JOIN, values)]
    else:
        return context.fail(f"OSDJoinType is '{kind}', not 0 or 1", codes.INVALID_PARAMETER)
    for key, new in changes:
        outcome = yield SetRegistry("C:", key, new)
        if not outcome.ok:
            return context.fail(f"Failed to join {name}", outcome.code)
    context.record(f"Successfully joined the {'domain' if kind == '0' else 'workgroup'} {name}")
    if not context.enabled("OSDJoinSkipReboot"):
        request_restart(context)
    return 0
