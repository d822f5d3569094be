"""The step types that touch disks, images, drivers, state and settings.

Sources: the documented steps and variables, names and defaults as real exports have them.
"""

from __future__ import annotations

from lab.sequence.steps import capture, drivers, encryption, image, migration, settings, toolkit, upgrade
from lab.sequence.steptype import Field, StepType


def _fields(*names: str, **defaults: str) -> tuple[Field, ...]:
    return (*(Field(name) for name in names), *(Field(name, value) for name, value in defaults.items()))


_MIGRATION = _fields(
    "OSDStateStorePath", "OSDMigrateConfigFiles",
    OSDMigrateMode="Simple", OSDMigrateEnableVerboseLogging="false",
)  # fmt: skip

IMAGING: tuple[StepType, ...] = (
    StepType(
        "SMS_TaskSequence_ApplyOperatingSystemAction", "Apply Operating System Image", "OSDApplyOS.exe",
        "ApplyOperatingSystem", "WinPE", image.apply_operating_system,
        variables=_fields(
            "OSDConfigFileName", "OsdLayeredDriver", "_SMSTSUserStatePath",
            OSDImageIndex="1", OSDInstallEditionIndex="1",
        ),
    ),
    StepType(
        "SMS_TaskSequence_ApplyDataImageAction", "Apply Data Image", "OSDApplyOS.exe",
        "ApplyOperatingSystem", "WinPE", image.apply_data_image,
        variables=_fields(OSDDataImageIndex="1", OSDWipeDestinationPartition="true"),
    ),
    StepType(
        "SMS_TaskSequence_ApplyWindowsSettingsAction", "Apply Windows Settings", "osdwinsettings.exe",
        "OSDWinSettings", "WinPE", settings.apply_windows_settings,
        variables=_fields(
            "OSDProductKey", "OSDLocalAdminPassword", "OSDRegisteredOrgName", "OSDRegisteredUserName",
            "OSDTimeZone", "OSDServerLicenseMode", "OSDServerLicenseConnectionLimit",
            "OSDWindowsSettingsInputLocale", "OSDWindowsSettingsSystemLocale", "OSDWindowsSettingsUILanguage",
            "OSDWindowsSettingsUILanguageFallback", "OSDWindowsSettingsUserLocale",
            OSDComputerName="%_SMSTSMachineName%", OSDRandomAdminPassword="true",
        ),
    ),
    StepType(
        "SMS_TaskSequence_ApplyNetworkSettingsAction", "Apply Network Settings", "osdnetsettings.exe",
        "OSDNetSettings", "WinPE", toolkit.scripted(settings.apply_network_settings),
        variables=_fields(
            "OSDDomainName", "OSDDomainOUName", "OSDWorkgroupName", "OSDJoinAccount", "OSDJoinPassword",
            "OSDAdapterCount", "OSDDNSDomain", "OSDDNSSuffixSearchOrder",
            OSDNetworkJoinType="1", OSDEnableTCPIPFiltering="false",
        ),
    ),
    StepType(
        "SMS_TaskSequence_ApplyDriverPackageAction", "Apply Driver Package", "osddriverclient.exe",
        "OSDDriverClient", "WinPE", drivers.apply_driver_package,
        variables=_fields(
            "OSDApplyDriverBootCriticalContentUniqueID", "OSDApplyDriverBootCriticalINFFile",
            "OSDApplyDriverBootCriticalHardwareComponent", "OSDApplyDriverBootCriticalID",
            "OSDInstallDriversAdditionalOptions", OSDAllowUnsignedDriver="false", OSDRecurse="false",
        ),
    ),
    StepType(
        "SMS_TaskSequence_AutoApplyAction", "Auto Apply Drivers", "osddriverclient.exe",
        "OSDDriverClient", "WinPE", drivers.auto_apply_drivers,
        variables=_fields(
            "OSDAutoApplyDriverCategoryList",
            OSDAutoApplyDriverBestMatch="true", OSDAllowUnsignedDriver="false",
        ),
    ),
    StepType(
        "SMS_TaskSequence_ConvertDiskAction", "Convert Disk to Dynamic", "osddiskpart.exe",
        "OSDDiskPart", "WinPEandFullOS", encryption.convert_disk,
        variables=_fields(OSDConvertDiskIndex="0"),
    ),
    StepType(
        "SMS_TaskSequence_EnableBitLockerAction", "Enable BitLocker", "OSDBitLocker.exe",
        "OSDBitLocker", "FullOS", toolkit.scripted(encryption.enable_bitlocker),
        variables=_fields(
            "OSDBitLockerPIN", "OSDBitLockerRecoveryPassword", "OSDBitLockerStartupKey",
        ),
    ),
    StepType(
        "SMS_TaskSequence_DisableBitLockerAction", "Disable BitLocker", "OSDBitLocker.exe",
        "OSDBitLocker", "FullOS", encryption.disable_bitlocker,
        variables=_fields("OSDBitLockerRebootCountOverride", OSDBitLockerRebootCount="1"),
    ),
    StepType(
        "SMS_TaskSequence_OfflineEnableBitLockerAction", "Pre-provision BitLocker", "OSDOfflineBitlocker.exe",
        "OSDOfflineBitLocker", "WinPE", encryption.preprovision_bitlocker,
        variables=_fields("OSDBitLockerDestinationVariable", OSDBitLockerSkipWhenTPMInvalid="true"),
    ),
    StepType(
        "SMS_TaskSequence_UpgradeOperatingSystemAction", "Upgrade Operating System", "OSDUpgradeOS.exe",
        "OSDUpgradeOS", "FullOS", upgrade.upgrade_operating_system,
        variables=_fields(
            "OSDUpgradeInstallPackageID", "OSDUpgradeInstallPath", "OSDUpgradeOsProductKey",
            "OSDUpgradeStagedContent", "OSDUpgradeDriverPackageID", "OSDUpgradeSetupTimeout",
            "OSDSetupAdditionalUpgradeOptions", OSDUpgradeInstallEditionIndex="1",
            OSDUpgradeScanOnly="false", OSDUpgradeIgnoreMessages="false",
            OSDUpgradeDynamicUpdateSettings="Disable", OSDUpgradePreserveSettings="Upgrade",
        ),
    ),
    StepType(
        "SMS_TaskSequence_InstallDeployToolsAction", "Install Deployment Tools", "osdprepareos.exe",
        "OSDPrepareOS", "FullOS", capture.install_deploy_tools,
    ),
    StepType(
        "SMS_TaskSequence_PrepareSMSClientAction", "Prepare ConfigMgr Client for Capture",
        "osdpreparesmsclient.exe", "OSDPrepareSmsClient", "FullOS", capture.prepare_client,
        variables=_fields(SMSTSUninstallCCMClient="false"),
    ),
    StepType(
        "SMS_TaskSequence_PrepareOSAction", "Prepare Windows for Capture", "osdprepareos.exe",
        "OSDPrepareOS", "FullOS", capture.prepare_windows,
        variables=_fields(OSDKeepActivation="false", OSDBuildStorageDriverList="false"),
    ),
    StepType(
        "SMS_TaskSequence_CaptureSystemImageAction", "Capture Operating System Image",
        "osdcapturesystemimage.exe", "OSDCaptureSystemImage", "WinPE", capture.capture_image,
        variables=_fields(
            "OSDCaptureDestination", "OSDCaptureAccount", "OSDCaptureAccountPassword",
            "OSDImageCreator", "OSDImageDescription", "OSDImageVersion",
        ),
    ),
    StepType(
        "SMS_TaskSequence_CaptureNetworkSettingsAction", "Capture Network Settings", "osdnetsettings.exe",
        "OSDNetSettings", "FullOS", migration.capture_network_settings,
        variables=_fields(OSDMigrateNetworkMembership="false", OSDMigrateAdapterSettings="true"),
    ),
    StepType(
        "SMS_TaskSequence_CaptureWindowsSettingsAction", "Capture Windows Settings", "osdwinsettings.exe",
        "OSDWinSettings", "WinPEandFullOS", migration.capture_windows_settings,
        variables=_fields(
            OSDMigrateComputerName="true", OSDMigrateRegistrationInfo="true", OSDMigrateTimeZone="true",
        ),
    ),
    StepType(
        "SMS_TaskSequence_RequestStateStoreAction", "Request State Store", "osdsmpclient.exe",
        "OSDSMPClient", "WinPEandFullOS", migration.request_state_store,
        variables=_fields(
            OSDStateFallbackToNAA="false", OSDStateSMPRetryCount="0", OSDStateSMPRetryTime="0",
        ),
    ),
    StepType(
        "SMS_TaskSequence_ReleaseStateStoreAction", "Release State Store", "osdsmpclient.exe",
        "OSDSMPClient", "WinPEandFullOS", migration.release_state_store,
        variables=_fields("OSDStateStorePath"),
    ),
    StepType(
        "SMS_TaskSequence_CaptureUserStateAction", "Capture User State", "osdmigrateuserstate.exe",
        "OSDMigrateUserState", "WinPEandFullOS", migration.capture_user_state,
        variables=(
            *_MIGRATION,
            *_fields(
                "_OSDMigrateUsmtPackageID", "OSDMigrateAdditionalCaptureOptions", "_OSDMigrateUseHardlinks",
                OSDMigrateContinueOnLockedFiles="true", OSDMigrateSkipEncryptedFiles="false",
            ),
        ),
    ),
    StepType(
        "SMS_TaskSequence_RestoreUserStateAction", "Restore User State", "osdmigrateuserstate.exe",
        "OSDMigrateUserState", "FullOS", migration.restore_user_state,
        variables=(
            *_MIGRATION,
            *_fields(
                "_OSDMigrateUsmtRestorePackageID", "OSDMigrateAdditionalRestoreOptions",
                "OSDMigrateLocalAccountPassword",
                OSDMigrateContinueOnRestore="true", OSDMigrateLocalAccounts="false",
            ),
        ),
    ),
)  # fmt: skip
