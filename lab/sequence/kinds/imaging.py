"""The step types that touch disks, images, drivers, state and settings."""

from __future__ import annotations

from lab.sequence.steps import image, settings
from lab.sequence.steptype import StepType

IMAGING: tuple[StepType, ...] = (
    StepType(
        "SMS_TaskSequence_ApplyOperatingSystemAction", "Apply Operating System Image", "OSDApplyOS.exe",
        "ApplyOperatingSystem", "WinPE", image.apply_operating_system,
    ),
    StepType(
        "SMS_TaskSequence_ApplyWindowsSettingsAction", "Apply Windows Settings", "osdwinsettings.exe",
        "OSDWinSettings", "WinPE", settings.apply_windows_settings,
    ),
    StepType(
        "SMS_TaskSequence_ApplyNetworkSettingsAction", "Apply Network Settings", "osdnetsettings.exe",
        "OSDNetSettings", "WinPE", settings.apply_network_settings,
    ),
)  # fmt: skip
