"""WMI's instances of disks, volumes and the system that runs: a pure mapping from ``MachineFacts``.

Engine room: pure. Property names, enumerations and shapes: documented classes.
"""

from __future__ import annotations

from typing import Any

from lab.sequence.machinefacts import DiskFacts, MachineFacts, PartitionFacts

Row = dict[str, Any]


def _parts(machine: MachineFacts) -> list[tuple[DiskFacts, PartitionFacts]]:
    return [(disk, part) for disk in machine.disks for part in disk.partitions]


def disk_drives(machine: MachineFacts) -> list[Row]:
    cylinder = 255 * 63
    return [
        {
            "Index": disk.index,
            "DeviceID": f"\\\\.\\PHYSICALDRIVE{disk.index}",
            "Name": f"\\\\.\\PHYSICALDRIVE{disk.index}",
            "Model": _DISK_MODELS.get(disk.bus, "Disk Device"),
            "Caption": _DISK_MODELS.get(disk.bus, "Disk Device"),
            "InterfaceType": "IDE" if disk.bus == "sata" else "SCSI",
            "MediaType": "Fixed hard disk media",
            # Documented: cylinders times tracks times sectors; what is over is not counted.
            "Size": disk.size // (cylinder * disk.sector_size) * cylinder * disk.sector_size,
            "BytesPerSector": disk.sector_size,
            "Partitions": len([part for part in disk.partitions if part.type != "MSR"]),
            "Status": "OK",
        }
        for disk in machine.disks
    ]


_DISK_MODELS = {"virtio": "Red Hat VirtIO SCSI Disk Device", "sata": "QEMU HARDDISK"}
_NO_PRIMARY = ("Extended", "Logical")
_GPT_TYPES = {"EFI": "GPT: System", "MSR": "GPT: Unknown", "Recovery": "GPT: Unknown"}


def disk_partitions(machine: MachineFacts) -> list[Row]:
    rows = []
    for disk in machine.disks:
        for index, part in enumerate(item for item in disk.partitions if item.type != "MSR"):
            name = f"Disk #{disk.index}, Partition #{index}"
            boots = part.type == "EFI" if disk.style == "GPT" else part.active
            kind = "Installable File System"
            if disk.style == "GPT":
                kind = _GPT_TYPES.get(part.type, "GPT: Basic Data")
            row = {"DiskIndex": disk.index, "Index": index, "Name": name, "DeviceID": name, "Type": kind}
            row |= {"Size": part.size, "StartingOffset": part.start, "BlockSize": disk.sector_size}
            row |= {"Bootable": boots, "BootPartition": boots}
            row |= {"PrimaryPartition": part.type not in _NO_PRIMARY}
            rows.append(row)
    return rows


def logical_disks(machine: MachineFacts) -> list[Row]:
    rows = [
        {
            "DeviceID": part.letter,
            "Name": part.letter,
            "Caption": part.letter,
            "DriveType": 3,
            "MediaType": 12,
            "FileSystem": part.file_system,
            "Size": part.size,
            "FreeSpace": part.free,
            "VolumeName": part.label,
            "Description": "Local Fixed Disk",
        }
        for _, part in _parts(machine)
        if part.letter
    ]
    if machine.system.in_winpe:
        memory: Row = {"DeviceID": "X:", "Name": "X:", "Caption": "X:", "DriveType": 3, "MediaType": 12}
        memory |= {"FileSystem": "NTFS", "Size": 512 << 20, "FreeSpace": 32 << 20, "VolumeName": "Boot"}
        rows.append({**memory, "Description": "Local Fixed Disk"})
    return rows


def volumes(machine: MachineFacts) -> list[Row]:
    return [
        {
            "DriveLetter": part.letter or None,
            "Name": f"{part.letter}\\" if part.letter else "",
            "Label": part.label,
            "FileSystem": part.file_system,
            "Capacity": part.size,
            "FreeSpace": part.free,
            "DriveType": 3,
            "BootVolume": part.letter == machine.system.drive,
            "SystemVolume": part.type == "EFI" or part.active,
        }
        for _, part in _parts(machine)
        if part.file_system
    ]


def msft_disks(machine: MachineFacts) -> list[Row]:
    return [
        {
            "Number": disk.index,
            "Size": disk.size,
            "PartitionStyle": {"MBR": 1, "GPT": 2}.get(disk.style, 0),
            "NumberOfPartitions": len(disk.partitions),
            "BusType": 11 if disk.bus == "sata" else 1,
            "FriendlyName": _DISK_MODELS.get(disk.bus, "Disk Device"),
            "Model": _DISK_MODELS.get(disk.bus, "Disk Device"),
            "IsOffline": False,
        }
        for disk in machine.disks
    ]


def physical_disks(machine: MachineFacts) -> list[Row]:
    return [
        {"DeviceId": str(row["Number"]), "MediaType": 0, "SpindleSpeed": 0, "HealthStatus": 0}
        | {name: row[name] for name in ("Size", "BusType", "FriendlyName", "Model")}
        for row in msft_disks(machine)
    ]


# the system


def operating_system(machine: MachineFacts) -> list[Row]:
    system = machine.system
    windows = f"{system.drive}\\Windows"
    return [
        {
            "Caption": system.caption,
            "Name": f"{system.caption}|{windows}|\\Device\\Harddisk0\\Partition1",
            "Version": system.version,
            "BuildNumber": system.build,
            "BuildType": "Multiprocessor Free",
            "OSArchitecture": "32-bit" if machine.architecture == "x86" else "64-bit",
            "OSLanguage": system.language,
            "Locale": f"{system.language:04x}",
            "CountryCode": "1",
            "CodeSet": "1252",
            "OSType": 18,
            "ProductType": system.product_type,
            "OperatingSystemSKU": system.sku,
            "SuiteMask": 272,
            "OSProductSuite": 256,
            "ServicePackMajorVersion": 0,
            "ServicePackMinorVersion": 0,
            "CSDVersion": None,
            "CSName": system.computer_name,
            "SystemDrive": system.drive,
            "SystemDirectory": f"{windows}\\system32",
            "WindowsDirectory": windows,
            "RegisteredUser": system.owner,
            "Organization": system.organization,
            "TotalVisibleMemorySize": sum(machine.memory) // 1024,
            "Primary": True,
            "PortableOperatingSystem": False,
            "MUILanguages": ["en-US"],
            "Status": "OK",
        }
    ]


def services(machine: MachineFacts) -> list[Row]:
    names = ["Dhcp", "Dnscache", "EventLog", "LanmanWorkstation", "RpcSs", "Winmgmt"]
    if not machine.system.in_winpe:
        names.append("CcmExec")
    state = {"State": "Running", "StartMode": "Auto", "Started": True, "Status": "OK"}
    return [{"Name": name, "DisplayName": name, **state} for name in names]


def processes(machine: MachineFacts) -> list[Row]:
    """What runs on every Windows while a task sequence does, nobody being logged on."""
    folder = f"{machine.system.drive}\\Windows\\System32"
    names = ["smss.exe", "csrss.exe", "winlogon.exe", "services.exe", "lsass.exe", "svchost.exe"]
    names.append("TSManager.exe" if machine.system.in_winpe else "CcmExec.exe")
    return [
        {"Name": name, "Caption": name, "Description": name, "ExecutablePath": f"{folder}\\{name}"}
        for name in names
    ]


def hot_fixes(machine: MachineFacts) -> list[Row]:
    return [{"HotFixID": name, "Description": "Update"} for name in machine.system.hot_fixes]


def environment(machine: MachineFacts) -> list[Row]:
    drive = machine.system.drive
    architecture = {"x86": "x86", "arm64": "ARM64"}.get(machine.architecture, "AMD64")
    values = {"OS": "Windows_NT", "windir": f"{drive}\\Windows", "PROCESSOR_ARCHITECTURE": architecture}
    named = {"UserName": "<SYSTEM>", "SystemVariable": True}
    return [{"Name": name, "VariableValue": value, **named} for name, value in values.items()]


def none(machine: MachineFacts) -> list[Row]:
    return []
