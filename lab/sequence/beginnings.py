"""The three beginnings of a new sequence (R30): build and capture, install an image, custom.

Engine room: pure. The groups and steps are those that the documentation's wizard makes, with its names; what
a user changes afterwards is ``lab.sequence.editing``'s.
"""

from __future__ import annotations

from dataclasses import replace

from lab.sequence.model import Condition, Group, Reference, Step, StepVariable, TaskSequence

_TYPE = "SMS_TaskSequence_{}Action"
_IN_PE, _IN_OS, _BOTH = "WinPE", "FullOS", "WinPEandFullOS"
_Partition = dict[str, str]

#: Documented sizes of the wizard's UEFI layout: EFI 500 MB, MSR 128 MB, Windows, recovery 1 %.
_GPT: tuple[_Partition, ...] = (
    {"Type": "EFI", "FileSystem": "FAT32", "Size": "500", "SizeUnits": "MB", "AssignVolumeLetter": "false"},
    {"Type": "MSR", "Size": "128", "SizeUnits": "MB", "AssignVolumeLetter": "false"},
    {"Type": "Primary", "FileSystem": "NTFS", "Size": "99", "SizeUnits": "Percent", "VolumeName": "Windows",
     "VolumeLetterVariable": "OSDisk"},
    {"Type": "Recovery", "FileSystem": "NTFS", "Size": "100", "SizeUnits": "Percent",
     "VolumeName": "Recovery", "AssignVolumeLetter": "false"},
)  # fmt: skip
_MBR: tuple[_Partition, ...] = (
    {"Type": "Primary", "FileSystem": "NTFS", "Size": "350", "SizeUnits": "MB", "Bootable": "true",
     "VolumeName": "System Reserved", "AssignVolumeLetter": "false"},
    {"Type": "Primary", "FileSystem": "NTFS", "Size": "99", "SizeUnits": "Percent", "VolumeName": "Windows",
     "VolumeLetterVariable": "OSDisk"},
    {"Type": "Recovery", "FileSystem": "NTFS", "Size": "100", "SizeUnits": "Percent",
     "VolumeName": "Recovery", "AssignVolumeLetter": "false"},
)  # fmt: skip


def custom(name: str) -> TaskSequence:
    """A sequence with nothing in it."""
    return TaskSequence(name)


def install_image(name: str, *, image: str, index: int = 1, client: str) -> TaskSequence:
    """Install an existing image: ``image`` and ``client`` are package ids."""
    return TaskSequence(
        name,
        references=(Reference(package=image), Reference(package=client)),
        children=(
            Group(
                "Install Operating System",
                description="Actions to install the operating system",
                children=(*_prepare(), *_apply(image, index), _drivers()),
            ),
            Group(
                "Setup Operating System",
                description="Actions to complete the setup",
                children=(_setup(client), _updates()),
            ),
        ),
    )


def build_and_capture(
    name: str, *, image: str, index: int = 1, client: str, destination: str
) -> TaskSequence:
    """Build a reference machine and capture it to ``destination``, the path of a WIM file on a share."""
    built = install_image(name, image=image, index=index, client=client)
    capture = Group(
        "Capture the Reference Machine",
        description="Actions to prepare and capture the reference machine",
        children=(
            _step(
                "PrepareSMSClient", "Prepare Configuration Manager Client", "osdpreparesmsclient.exe", _IN_OS
            ),
            _step(
                "PrepareOS", "Prepare Operating System",
                "osdprepareos.exe /activate:%OSDKeepActivation% /bmsd:%OSDBuildStorageDriverList%", _IN_OS,
                OSDBuildStorageDriverList="false", OSDKeepActivation="false",
            ),
            _step(
                "CaptureSystemImage", "Capture the Reference Machine", "osdcapturesystemimage.exe", _IN_PE,
                OSDCaptureDestination=destination, OSDCaptureAccount="", OSDCaptureAccountPassword="",
                OSDImageCreator="", OSDImageDescription="", OSDImageVersion="",
            ),
        ),
    )  # fmt: skip
    return replace(built, children=(*built.children, capture))


def _step(kind: str, name: str, action: str, run_in: str, /, **variables: str) -> Step:
    return Step(
        _TYPE.format(kind),
        name,
        run_in=run_in,
        action=action,
        variables=tuple(
            StepVariable(key, key.removeprefix("OSD"), value) for key, value in variables.items()
        ),
    )


def _variable(name: str, operator: str, value: str = "") -> Condition:
    return Condition(
        "SMS_TaskSequence_VariableConditionExpression",
        (("Operator", operator), ("Value", value), ("Variable", name)),
    )


def _where(step: Step, *conditions: Condition) -> Step:
    return replace(step, condition=Condition("and", operands=conditions))


def _prepare() -> tuple[Step, Step, Step]:
    """To Windows PE, and a disk for the firmware that the machine has."""
    restart = _where(
        _step("Reboot", "Restart in Windows PE", "smsboot.exe /target:WinPE", _IN_OS, SMSRebootTimeout="30"),
        _variable("_SMSTSInWinPE", "equals", "false"),
    )
    blank = (
        _variable("_SMSTSClientCache", "notExists"),
        _variable("_SMSTSMediaType", "notEquals", "OEMMedia"),
    )
    return (
        restart,
        _where(
            _partition("Partition Disk 0 - BIOS", "MBR", _MBR),
            *blank,
            _variable("_SMSTSBootUEFI", "notEquals", "true"),
        ),
        _where(
            _partition("Partition Disk 0 - UEFI", "GPT", _GPT),
            *blank,
            _variable("_SMSTSBootUEFI", "equals", "true"),
        ),
    )


def _partition(name: str, style: str, partitions: tuple[_Partition, ...]) -> Step:
    """The editor's array: ``OSDPartitions`` is the count, fields carry a partition's number (observed)."""
    flat = {"OSDDiskIndex": "0", "OSDPartitionStyle": style}
    for number, fields in enumerate(partitions):
        complete = {"Bootable": "false", "QuickFormat": "true", "AssignVolumeLetter": "true", **fields}
        flat |= {f"OSDPartitions{number}{key}": value for key, value in complete.items()}
    step = _step("PartitionDisk", name, "osddiskpart.exe", _IN_PE, **flat)
    count = StepVariable("OSDPartitions", "Partitions", str(len(partitions)), hidden=True)
    return replace(step, variables=(*step.variables, count))


def _apply(image: str, index: int) -> tuple[Step, Step, Step]:
    apply = _step(
        "ApplyOperatingSystem", "Apply Operating System",
        f"OSDApplyOS.exe /image:{image},%OSDImageIndex% /target:%OSDisk%", _IN_PE, OSDImageIndex=str(index),
    )  # fmt: skip
    argument = StepVariable("ImagePackageID", "ImagePackageID", image, hidden=True)
    return (
        replace(apply, variables=(*apply.variables, argument)),
        _step(
            "ApplyWindowsSettings", "Apply Windows Settings", "osdwinsettings.exe /config", _IN_PE,
            OSDComputerName="%_SMSTSMachineName%", OSDRandomAdminPassword="true", OSDTimeZone="UTC",
        ),
        _step(
            "ApplyNetworkSettings", "Apply Network Settings", "osdnetsettings.exe configure", _IN_PE,
            OSDNetworkJoinType="1", OSDWorkgroupName="WORKGROUP",
        ),
    )  # fmt: skip


def _drivers() -> Step:
    step = _step(
        "AutoApply", "Apply Device Drivers",
        "osddriverclient.exe /auto /bestmatch:%OSDAutoApplyDriverBestMatch% "
        "/unsigned:%OSDAllowUnsignedDriver%",
        _IN_PE, OSDAutoApplyDriverBestMatch="true", OSDAllowUnsignedDriver="false",
    )  # fmt: skip
    return _where(step, _variable("_SMSTSMediaType", "notEquals", "FullMedia"))


def _setup(client: str) -> Step:
    return _step(
        "SetupWindowsAndSMS", "Setup Windows and Configuration Manager", "OSDSetupWindows.exe", _BOTH,
        _SMSClientPackageID=client, SMSClientInstallProperties="",
    )  # fmt: skip


def _updates() -> Step:
    return _step(
        "InstallUpdate", "Install Updates", "TSInstallSWUpdate.exe /target:%SMSInstallUpdateTarget%", _IN_OS,
        SMSInstallUpdateTarget="Mandatory",
    )  # fmt: skip
