"""The step types the engine knows: one table, one generator per type.

Engine room: pure. A behaviour yields effects, gets their outcomes and returns the exit code of the step's
program. ``environment`` is where the program itself can run (documented); the step's runIn is checked too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from lab.sequence.context import Behaviour, StepContext
from lab.sequence.steps import command, disk, image, reboot, settings, setup, variable

Environment = Literal["WinPE", "FullOS", "WinPEandFullOS"]


@dataclass(frozen=True)
class StepType:
    """A step type: its XML type, its name in the editor, its program and that program's log component.

    ``fatal``: its failure ends the sequence whatever its error handling says (documented).
    ``runs_commands``: exit code 3010 restarts the machine, OSDDoNotLogCommand hides its command line.
    """

    type: str
    name: str
    program: str
    component: str
    environment: Environment
    behaviour: Callable[[StepContext], Behaviour]
    fatal: bool = False
    runs_commands: bool = False


STEP_TYPES: dict[str, StepType] = {
    kind.type: kind
    for kind in (
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
        StepType(
            "SMS_TaskSequence_SetupWindowsAndSMSAction", "Setup Windows and Configuration Manager",
            "OSDSetupWindows.exe", "OSDSetupWindows", "WinPEandFullOS", setup.setup_windows, fatal=True,
        ),
    )
}  # fmt: skip

#: What each type of step does, by its XML type.
StepTypes = Mapping[str, StepType]


def may_run(kind: StepType, run_in: str, in_winpe: bool) -> bool:
    """Whether a step of this type with this runIn may run in the environment the machine is in."""
    wrong = "fullos" if in_winpe else "winpe"
    return wrong not in (kind.environment.casefold(), run_in.strip().casefold())
