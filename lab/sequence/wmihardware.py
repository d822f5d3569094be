"""WMI's instances of the hardware: a pure mapping from ``MachineFacts``.

Engine room: pure. Property names, enumerations and shapes: documented classes.
"""

from __future__ import annotations

from typing import Any

from lab.sequence.machinefacts import MachineFacts, NicFacts, Smbios

Row = dict[str, Any]


def computer_system(machine: MachineFacts) -> list[Row]:
    smbios, system = machine.smbios, machine.system
    return [
        {
            "Manufacturer": smbios.manufacturer,
            "Model": smbios.product,
            "SystemFamily": smbios.family,
            "SystemSKUNumber": smbios.sku,
            "Name": system.computer_name,
            "Caption": system.computer_name,
            "DNSHostName": system.computer_name,
            "Domain": system.workgroup,
            "Workgroup": system.workgroup,
            "PartOfDomain": False,
            "DomainRole": 0 if system.product_type == 1 else 2,
            "TotalPhysicalMemory": sum(machine.memory),
            "NumberOfProcessors": len(machine.processors),
            "NumberOfLogicalProcessors": len(machine.processors),
            "SystemType": _SYSTEM_TYPES.get(machine.architecture, "x64-based PC"),
            "PCSystemType": 2 if _portable(smbios) else 1,
            "PCSystemTypeEx": 2 if _portable(smbios) else 1,
            "ChassisSKUNumber": "",
            "HypervisorPresent": True,
            "PrimaryOwnerName": system.owner,
            "UserName": None,
            "Status": "OK",
            "Roles": ["LM_Workstation", "LM_Server", "NT"],
            "BootupState": "Normal boot",
            "CreationClassName": "Win32_ComputerSystem",
        }
    ]


_SYSTEM_TYPES = {"x64": "x64-based PC", "x86": "X86-based PC", "arm64": "ARM64-based PC"}
_PORTABLE = frozenset({8, 9, 10, 11, 14, 30, 31, 32})


def _portable(smbios: Smbios) -> bool:
    return smbios.chassis_type in _PORTABLE


def product(machine: MachineFacts) -> list[Row]:
    smbios = machine.smbios
    return [
        {
            "Vendor": smbios.manufacturer,
            "Name": smbios.product,
            "Caption": "Computer System Product",
            "Version": smbios.version,
            "IdentifyingNumber": smbios.serial,
            "UUID": smbios.uuid.upper(),
            "SKUNumber": None,
        }
    ]


def bios(machine: MachineFacts) -> list[Row]:
    smbios = machine.smbios
    month, _, rest = smbios.bios_date.partition("/")
    day, _, year = rest.partition("/")
    released = f"{year}{month}{day}000000.000000+000" if len(year + month + day) == 8 else None
    return [
        {
            "Manufacturer": smbios.bios_vendor,
            "SMBIOSBIOSVersion": smbios.bios_version,
            "Name": smbios.bios_version,
            "Caption": smbios.bios_version,
            "Description": smbios.bios_version,
            "Version": smbios.bios_version,
            "BIOSVersion": [smbios.bios_version],
            "ReleaseDate": released,
            "SerialNumber": smbios.serial,
            "SMBIOSPresent": True,
            "SMBIOSMajorVersion": 2,
            "SMBIOSMinorVersion": 8,
            "PrimaryBIOS": True,
            "Status": "OK",
        }
    ]


def base_board(machine: MachineFacts) -> list[Row]:
    smbios = machine.smbios
    return [
        {
            "Manufacturer": smbios.board_manufacturer,
            "Product": smbios.board_product,
            "Version": smbios.board_version,
            "SerialNumber": smbios.board_serial,
            "Name": "Base Board",
            "Model": None,
            "Status": "OK",
        }
    ]


def enclosure(machine: MachineFacts) -> list[Row]:
    smbios = machine.smbios
    return [
        {
            "ChassisTypes": [smbios.chassis_type],
            "Manufacturer": smbios.chassis_manufacturer,
            "SerialNumber": smbios.chassis_serial,
            "SMBIOSAssetTag": smbios.asset_tag,
            "Name": "System Enclosure",
            "Tag": "System Enclosure 0",
        }
    ]


def system_information(machine: MachineFacts) -> list[Row]:
    smbios = machine.smbios
    return [
        {
            "SystemManufacturer": smbios.manufacturer,
            "SystemProductName": smbios.product,
            "SystemFamily": smbios.family,
            "SystemVersion": smbios.version,
            "SystemSKU": smbios.sku,
            "BaseBoardManufacturer": smbios.board_manufacturer,
            "BaseBoardProduct": smbios.board_product,
            "BaseBoardVersion": smbios.board_version,
            "BIOSVendor": smbios.bios_vendor,
            "BIOSVersion": smbios.bios_version,
            "BIOSReleaseDate": smbios.bios_date,
        }
    ]


def processors(machine: MachineFacts) -> list[Row]:
    width = 32 if machine.architecture == "x86" else 64
    return [
        {
            "DeviceID": f"CPU{index}",
            "SocketDesignation": f"CPU {index}",
            "Name": name,
            "Manufacturer": machine.processor_vendor,
            "Architecture": {"x86": 0, "arm64": 12}.get(machine.architecture, 9),
            "AddressWidth": width,
            "DataWidth": width,
            "NumberOfCores": 1,
            "NumberOfLogicalProcessors": 1,
            "MaxClockSpeed": machine.clock,
            "CurrentClockSpeed": machine.clock,
            "ProcessorType": 3,
            "Status": "OK",
        }
        for index, name in enumerate(machine.processors)
    ]


def memory(machine: MachineFacts) -> list[Row]:
    return [
        {
            "Tag": f"Physical Memory {index}",
            "Capacity": size,
            "DeviceLocator": f"DIMM {index}",
            "FormFactor": 8,
        }
        for index, size in enumerate(machine.memory)
    ]


def battery(machine: MachineFacts) -> list[Row]:
    status = 1 if machine.battery == "draining" else 2
    row = {"Name": "Battery", "DeviceID": "Battery 0", "BatteryStatus": status}
    return [{**row, "EstimatedChargeRemaining": 100}] if machine.battery else []


def tpm(machine: MachineFacts) -> list[Row]:
    if not machine.tpm:
        return []
    on = {f"Is{what}_InitialValue": True for what in ("Enabled", "Activated", "Owned")}
    return [{**on, "SpecVersion": f"{machine.tpm}, 0, 1.38", "ManufacturerIdTxt": "IBM"}]


def video(machine: MachineFacts) -> list[Row]:
    return [
        {
            "Name": "Microsoft Basic Display Adapter",
            "Caption": "Microsoft Basic Display Adapter",
            "AdapterCompatibility": "(Standard display types)",
            "PNPDeviceID": _pnp(vendor, device),
            "DeviceID": f"VideoController{index}",
        }
        for index, (vendor, device) in enumerate(machine.video, 1)
    ]


def _pnp(vendor: int, device: int) -> str:
    return f"PCI\\VEN_{vendor:04X}&DEV_{device:04X}"


#: PCI vendor, device -> the name that Windows' driver gives the card.
_CARDS = {
    (0x1AF4, 0x1000): "Red Hat VirtIO Ethernet Adapter",
    (0x1AF4, 0x1041): "Red Hat VirtIO Ethernet Adapter",
    (0x8086, 0x100E): "Intel(R) PRO/1000 MT Network Connection",
    (0x8086, 0x10D3): "Intel(R) 82574L Gigabit Network Connection",
}


def adapters(machine: MachineFacts) -> list[Row]:
    return [
        {
            "Index": index,
            "DeviceID": str(index),
            "Name": _CARDS.get((nic.vendor, nic.device), "Ethernet Adapter"),
            "MACAddress": nic.mac.upper(),
            "AdapterType": "Ethernet 802.3",
            "AdapterTypeID": 0,
            "NetConnectionID": "Ethernet" if not index else f"Ethernet {index + 1}",
            "NetConnectionStatus": 2 if nic.addresses else 7,
            "NetEnabled": bool(nic.addresses),
            "PhysicalAdapter": True,
            "PNPDeviceID": _pnp(nic.vendor, nic.device),
        }
        for index, nic in enumerate(machine.nics)
    ]


def net_adapters(machine: MachineFacts) -> list[Row]:
    """Of the namespace StandardCimv2, which knows the medium; 9: native 802.11, 14: 802.3."""
    return [
        {
            "InterfaceDescription": row["Name"],
            "Name": row["NetConnectionID"],
            "PermanentAddress": nic.mac.upper().replace(":", ""),
            "NdisPhysicalMedium": 9 if nic.wireless else 14,
            "MediaConnectState": 1 if nic.addresses else 2,
            "Virtual": False,
        }
        for row, nic in zip(adapters(machine), machine.nics, strict=True)
    ]


def configurations(machine: MachineFacts) -> list[Row]:
    return [
        {
            "Index": index,
            "Description": _CARDS.get((nic.vendor, nic.device), "Ethernet Adapter"),
            "MACAddress": nic.mac.upper(),
            "IPEnabled": bool(nic.addresses),
            "IPAddress": [address for address, _ in nic.addresses] or None,
            "IPSubnet": [mask for _, mask in nic.addresses] or None,
            "DefaultIPGateway": list(nic.gateways) or None,
            "DNSServerSearchOrder": list(nic.dns) or None,
            "DHCPEnabled": True,
            "DHCPServer": nic.dhcp_server or None,
            "DNSHostName": machine.system.computer_name,
        }
        for index, nic in enumerate(machine.nics)
    ]


def pnp_entities(machine: MachineFacts) -> list[Row]:
    cards = [(_CARDS.get(ids, "Ethernet Adapter"), ids) for nic in machine.nics if (ids := _ids(nic))]
    screens = [("Microsoft Basic Display Adapter", ids) for ids in machine.video]
    return [
        {"Name": name, "Caption": name, "DeviceID": _pnp(*ids), "PNPDeviceID": _pnp(*ids), "Status": "OK",
         "HardwareID": [_pnp(*ids)], "ConfigManagerErrorCode": 0}
        for name, ids in (*cards, *screens)
    ]  # fmt: skip


def _ids(nic: NicFacts) -> tuple[int, int]:
    return nic.vendor, nic.device
