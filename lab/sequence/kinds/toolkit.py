"""The step types of the Microsoft Deployment Toolkit: scripts, run with the step's fields as variables."""

from __future__ import annotations

from lab.sequence.steps import toolkit
from lab.sequence.steptype import Environment, Field, StepType

#: Type, name in the editor, script, variables, and where the type itself may run.
_SCRIPTS: tuple[tuple[str, str, str, str, Environment], ...] = (
    ("BDD_Validate", "Validate", "ZTIValidate.wsf",
     "ImageSize ImageProcessorSpeed ImageMemory VerifyOS", "WinPEandFullOS"),
    ("BDD_InstallOS", "Install Operating System", "LTIApply.wsf",
     "OSGUID DestinationDisk DestinationPartition DestinationOSDriveLetter DestinationOSVariable"
     " DestinationOSRefresh DestinationOSInstallType", "WinPEandFullOS"),
    ("BDD_UpgradeOS", "Upgrade Windows", "LTIUpgrade.wsf",
     "OSGUID IsOSUpgrade DynamicallyUpdateWinSetup", "WinPEandFullOS"),
    ("BDD_InstallApplication", "Install Application", "ZTIApplications.wsf",
     "ApplicationGUID ApplicationSuccessCodes", "WinPEandFullOS"),
    ("BDD_InjectDrivers", "Inject Drivers", "ZTIDrivers.wsf",
     "DriverSelectionProfile DriverInjectionMode", "WinPEandFullOS"),
    ("BDD_InstallUpdatesOffline", "Install Updates Offline", "ZTIPatches.wsf",
     "PackageSelectionProfile", "WinPEandFullOS"),
    ("BDD_InstallLanguagePacksOffline", "Install Language Packs Offline", "ZTIPatches.wsf", "", "WinPE"),
    ("BDD_InstallLanguagePacksOnline", "Install Language Packs Online", "ZTILangPacksOnline.wsf",
     "", "FullOS"),
    ("BDD_RunPowerShellAction", "Run PowerShell Script", "ZTIPowerShell.wsf",
     "ScriptName Parameters PackageID", "WinPEandFullOS"),
    ("BDD_RecoverDomainJoin", "Recover From Domain Join Failure", "ZTIDomainJoin.wsf",
     "DomainErrorRecovery", "WinPEandFullOS"),
    ("BDD_InstallRoles", "Install Roles and Features", "ZTIOSRole.wsf",
     "OSRoleIndex OSRoles OSRoleServices OSFeatures", "WinPEandFullOS"),
    ("BDD_UninstallRoles", "Uninstall Roles and Features", "ZTIOSRole.wsf",
     "OSRoleIndex UninstallOSRoles UninstallOSRoleServices UninstallOSFeatures CompletelyRemove",
     "WinPEandFullOS"),
    ("BDD_AuthorizeDHCP", "Authorize DHCP Server", "ZTIAuthorizeDHCP.wsf", "", "WinPEandFullOS"),
    ("BDD_ConfigureADDS", "Configure ADDS", "ZTIConfigureADDS.wsf",
     "ReplicaOrNewDomain NewDomain NewDomainDNSName DomainNetBiosName ParentDomainDNSName ChildName"
     " ReplicaDomainDNSName ReplicationSourceDC ForestLevel DomainLevel DatabasePath ADDSLogPath SysVolPath"
     " SiteName SafeModeAdminPassword AutoConfigDNS ConfirmGC CriticalReplicationOnly", "WinPEandFullOS"),
    ("BDD_ConfigureDHCP", "Configure DHCP", "ZTIConfigureDHCP.wsf", "", "WinPEandFullOS"),
    ("BDD_ConfigureDNS", "Configure DNS", "ZTIConfigureDNS.wsf", "", "WinPEandFullOS"),
    ("BDD_ExecuteRunbook", "Execute Runbook", "ZTIExecuteRunbook.wsf",
     "OrchestratorServer RunbookName RunbookID RunbookParameterMode RunbookParameters WaitUntilComplete",
     "WinPEandFullOS"),
    ("SMS_TaskSequence_VirtualHardDiskAction", "Create VHD Disk", "ZTIVHDCreate.wsf",
     "VHDInputVariable VHDOutputVariable VHDCreateFileName VHDCreateSizePercent VHDCreateSizeMax"
     " VHDCreateType VHDCreateDiffVHD", "WinPEandFullOS"),
)  # fmt: skip


def _fields(names: str) -> tuple[Field, ...]:
    return tuple(Field(name) for name in names.split())


TOOLKIT: tuple[StepType, ...] = (
    StepType(
        "BDD_UsePackage", "Use Toolkit Package", "ZTISCCM.wsf", "ZTISCCM", "WinPEandFullOS",
        toolkit.use_package, runs_commands=True, variables=_fields("PackageID"),
    ),
    StepType(
        "BDD_Gather", "Gather", "ZTIGather.wsf", "ZTIGather", "WinPEandFullOS",
        toolkit.gather, runs_commands=True, variables=_fields("GatherLocalOnly RulesFile"),
    ),
    *(
        StepType(
            kind, name, script, script.partition(".")[0], environment, toolkit.script,
            runs_commands=True, variables=_fields(names),
        )
        for kind, name, script, names, environment in _SCRIPTS
    ),
)  # fmt: skip
