"""The step types of every deployment's frame: commands, variables, restarts, disks, Setup Windows."""

from __future__ import annotations

from lab.sequence.steps import command, disk, reboot, setup, variable
from lab.sequence.steptype import StepType

CORE: tuple[StepType, ...] = (
    StepType(
        "SMS_TaskSequence_RunCommandLineAction", "Run Command Line", "smsswd.exe", "InstallSoftware",
        "WinPEandFullOS", command.run_command_line, runs_commands=True,
    ),
    StepType(
        "SMS_TaskSequence_SetVariableAction", "Set Task Sequence Variable", "tsenv.exe", "tsenv",
        "WinPEandFullOS", variable.set_variable,
    ),
    StepType(
        "SMS_TaskSequence_RebootAction", "Restart Computer", "smsboot.exe", "Reboot",
        "WinPEandFullOS", reboot.restart_computer,
    ),
    StepType(
        "SMS_TaskSequence_PartitionDiskAction", "Format and Partition Disk", "osddiskpart.exe",
        "OSDDiskPart", "WinPE", disk.partition_disk,
    ),
    StepType(
        "SMS_TaskSequence_SetupWindowsAndSMSAction", "Setup Windows and Configuration Manager",
        "OSDSetupWindows.exe", "OSDSetupWindows", "WinPEandFullOS", setup.setup_windows, fatal=True,
    ),
)  # fmt: skip
