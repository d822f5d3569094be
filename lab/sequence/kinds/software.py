"""The step types for scripts, variables, network, software, content and nested sequences."""

from __future__ import annotations

from lab.sequence.nested import SUBSEQUENCE
from lab.sequence.steps import (
    applications,
    dynamic,
    network,
    package_content,
    powershell,
    readiness,
    software,
    subsequence,
    updates,
)
from lab.sequence.steptype import StepType

SOFTWARE: tuple[StepType, ...] = (
    StepType(
        "SMS_TaskSequence_RunPowerShellScriptAction", "Run PowerShell Script", "OSDRunPowerShellScript.exe",
        "RunPowerShellScript", "WinPEandFullOS", powershell.run_powershell_script, runs_commands=True,
        variables=powershell.SCRIPT_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_SetDynamicVariablesAction", "Set Dynamic Variables", "OSDSetDynamicVariables.exe",
        "SetDynamicVariables", "WinPEandFullOS", dynamic.set_dynamic_variables,
        variables=dynamic.DYNAMIC_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_ConnectNetworkFolderAction", "Connect To Network Folder", "smsnetuse.exe",
        "ConnectNetworkFolder", "WinPEandFullOS", network.connect_network_folder,
        variables=network.CONNECT_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_JoinDomainWorkgroupAction", "Join Domain or Workgroup", "osdjoin.exe",
        "OSDJoin", "FullOS", network.join_domain_or_workgroup, variables=network.JOIN_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_PrestartCheckAction", "Check Readiness", "OSDPrestartCheck.exe",
        "OSDPrestartCheck", "WinPEandFullOS", readiness.check_readiness,
        variables=readiness.READINESS_FIELDS,
    ),
    StepType(
        SUBSEQUENCE, "Run Task Sequence", "SubTasksequence.exe", "TSManager", "WinPEandFullOS",
        subsequence.run_task_sequence, fatal=True,
    ),
    StepType(
        "SMS_TaskSequence_DownloadPackageContentAction", "Download Package Content", "OSDDownloadContent.exe",
        "OSDDownloadContent", "WinPEandFullOS", package_content.download_package_content,
        variables=package_content.CONTENT_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_InstallSoftwareAction", "Install Package", "smsswd.exe", "InstallSoftware",
        "FullOS", software.install_package, variables=software.SOFTWARE_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_InstallApplicationAction", "Install Application", "smsappinstall.exe",
        "InstallApplication", "FullOS", applications.install_application,
        variables=applications.APPLICATION_FIELDS,
    ),
    StepType(
        "SMS_TaskSequence_InstallUpdateAction", "Install Software Updates", "TSInstallSWUpdate.exe",
        "TSInstallSWUpdate", "FullOS", updates.install_updates, variables=updates.UPDATE_FIELDS,
    ),
)  # fmt: skip
