"""The answer file: built, merged, kept, and written the same every time."""

from __future__ import annotations

import base64
from xml.dom import minidom

import pytest

from lab.sequence.model import Step
from lab.sequence.unattend import UnattendRefused, merge, network_settings, windows_settings
from tests.unit.sequence_world import World, apply_os, fields, partition, run, sequence, setup_windows

GOLDEN = """\
<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="specialize">
    <component name="Microsoft-Windows-Shell-Setup" processorArchitecture="amd64" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <ComputerName>PC-7</ComputerName>
      <ProductKey>AAAAA-BBBBB</ProductKey>
      <RegisteredOrganization>A &amp; B</RegisteredOrganization>
      <RegisteredOwner>Lab</RegisteredOwner>
      <TimeZone>W. Europe Standard Time</TimeZone>
    </component>
    <component name="Microsoft-Windows-UnattendedJoin" processorArchitecture="amd64" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <Identification>
        <Credentials>
          <Domain>CONTOSO</Domain>
          <Username>joiner</Username>
          <Password>p</Password>
        </Credentials>
        <JoinDomain>contoso.com</JoinDomain>
        <MachineObjectOU>OU=Lab,DC=contoso,DC=com</MachineObjectOU>
      </Identification>
    </component>
    <component name="Microsoft-Windows-TCPIP" processorArchitecture="amd64" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <Interfaces>
        <Interface xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add">
          <Identifier>52-54-00-00-00-01</Identifier>
          <Ipv4Settings>
            <DhcpEnabled>false</DhcpEnabled>
          </Ipv4Settings>
          <UnicastIpAddresses>
            <IpAddress xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add" \
wcm:keyValue="1">10.0.0.7/24</IpAddress>
          </UnicastIpAddresses>
          <Routes>
            <Route xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add">
              <Identifier>0</Identifier>
              <Prefix>0.0.0.0/0</Prefix>
              <NextHopAddress>10.0.0.1</NextHopAddress>
            </Route>
          </Routes>
        </Interface>
      </Interfaces>
    </component>
    <component name="Microsoft-Windows-DNS-Client" processorArchitecture="amd64" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <Interfaces>
        <Interface xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add">
          <Identifier>52-54-00-00-00-01</Identifier>
          <DNSDomain>contoso.com</DNSDomain>
          <DNSServerSearchOrder>
            <IpAddress xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add" \
wcm:keyValue="1">10.0.0.2</IpAddress>
            <IpAddress xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add" \
wcm:keyValue="2">10.0.0.3</IpAddress>
          </DNSServerSearchOrder>
        </Interface>
      </Interfaces>
    </component>
  </settings>
  <settings pass="oobeSystem">
    <component name="Microsoft-Windows-Shell-Setup" processorArchitecture="amd64" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <OOBE>
        <HideEULAPage>true</HideEULAPage>
        <ProtectYourPC>1</ProtectYourPC>
      </OOBE>
    </component>
    <component name="Microsoft-Windows-International-Core" processorArchitecture="amd64" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <UserLocale>de-DE</UserLocale>
    </component>
  </settings>
</unattend>
"""

VALUES = {
    "OSDComputerName": "PC-7", "OSDProductKey": "AAAAA-BBBBB", "OSDRegisteredOrgName": "A & B",
    "OSDRegisteredUserName": "Lab", "OSDTimeZone": "W. Europe Standard Time",
    "OSDWindowsSettingsUserLocale": "de-DE", "OSDNetworkJoinType": "0", "OSDDomainName": "contoso.com",
    "OSDDomainOUName": "LDAP://OU=Lab,DC=contoso,DC=com", "OSDJoinAccount": "CONTOSO\\joiner",
    "OSDJoinPassword": "p", "OSDAdapterCount": "1", "OSDAdapter0EnableDHCP": "false",
    "OSDAdapter0IPAddressList": "10.0.0.7", "OSDAdapter0SubnetMask": "255.255.255.0",
    "OSDAdapter0Gateways": "10.0.0.1", "OSDAdapter0DNSServerList": "10.0.0.2,10.0.0.3",
    "OSDAdapter0DNSDomain": "contoso.com", "OSDAdapter0MacAddress": "52:54:00:00:00:01",
}  # fmt: skip


def value(name: str) -> str:
    return VALUES.get(name, "")


def test_the_answer_file_is_as_expected() -> None:
    first = merge(None, windows_settings(value))
    assert merge(first, network_settings(value)) == GOLDEN
    # Doing it again changes nothing.
    assert merge(merge(GOLDEN, windows_settings(value)), network_settings(value)) == GOLDEN


def test_what_is_not_ours_is_kept() -> None:
    existing = """\ufeff<?xml version="1.0" encoding="utf-16"?>
<!-- made by hand -->
<u:unattend xmlns:u="urn:schemas-microsoft-com:unattend" xmlns:q="urn:other">
    <!-- inside -->
    <u:settings pass="specialize" wasPassProcessed="true">
        <u:component name="Microsoft-Windows-Shell-Setup" processorArchitecture="amd64">
            <u:ComputerName>old</u:ComputerName>
            <u:CopyProfile>true</u:CopyProfile>
        </u:component>
        <u:component name="Microsoft-Windows-Shell-Setup" processorArchitecture="x86">
            <u:ComputerName>other</u:ComputerName>
        </u:component>
    </u:settings>
    <q:offline at="&lt;1&gt;"/>
</u:unattend>"""
    text = merge(existing, windows_settings(value))
    for kept in (
        "<!-- made by hand -->", "<!-- inside -->", '<q:offline at="&lt;1&gt;"/>', 'wasPassProcessed="true"',
        "<u:CopyProfile>true</u:CopyProfile>", "<u:ComputerName>other</u:ComputerName>",
        "<u:ComputerName>PC-7</u:ComputerName>",
    ):  # fmt: skip
        assert kept in text
    assert "old" not in text
    assert (
        minidom.parseString(text.encode()).documentElement.namespaceURI
        == "urn:schemas-microsoft-com:unattend"
    )


@pytest.mark.parametrize(
    "existing",
    [
        "<unattend/>",
        "not xml",
        '<!DOCTYPE u [<!ENTITY a "x">]><unattend xmlns="urn:schemas-microsoft-com:unattend">&a;</unattend>',
        "<a>" * 1000,
    ],
)
def test_what_is_no_answer_file_is_refused(existing: str) -> None:
    with pytest.raises(UnattendRefused):
        merge(existing, windows_settings(value))


def test_bad_values_are_refused() -> None:
    with pytest.raises(UnattendRefused, match=r"10\.0\.0\.300"):
        bad = {**VALUES, "OSDAdapter0IPAddressList": "10.0.0.300"}
        network_settings(lambda name: bad.get(name, ""))
    with pytest.raises(UnattendRefused, match="character"):
        merge(None, windows_settings({**VALUES, "OSDComputerName": "a\x01"}.get))  # type: ignore[arg-type]


def test_a_password_is_not_in_clear() -> None:
    text = merge(None, windows_settings(lambda name: "Pa55" if name == "OSDLocalAdminPassword" else ""))
    hidden = base64.b64encode("Pa55AdministratorPassword".encode("utf-16-le")).decode()
    assert hidden in text and "Pa55" not in text


def settings_step(kind: str, **values: str) -> Step:
    return Step(f"SMS_TaskSequence_Apply{kind}SettingsAction", kind, variables=fields(**values))


def test_the_steps_write_one_file_and_setup_fills_it_in() -> None:
    world = World()
    tree = sequence(
        partition(),
        apply_os(),
        settings_step("Windows", OSDComputerName="%_SMSTSMachineName%", OSDRegisteredOrgName="%Later%"),
        settings_step("Network", OSDNetworkJoinType="1", OSDWorkgroupName="GROUP"),
        setup_windows(),
    )
    # %Later% is set by then, but is expanded as a field already; what nobody knew stays.
    assert run(tree, world, {"Org": "x"}).finished.result == "success"
    text = world.files["c:\\windows\\panther\\unattend\\unattend.xml"]
    for part in ("<ComputerName>PC-1<", "<JoinWorkgroup>GROUP<", "<RegisteredOrganization>%Later%<"):
        assert part in text


def test_setup_substitutes_escaped_values() -> None:
    world = World(packages={"LAB00001": ["a.wim"], "LAB00003": [], "LAB00005": ["u.xml"]})
    user = '<unattend xmlns="urn:schemas-microsoft-com:unattend"><a b="%Quote%">%quote% %None%</a></unattend>'
    world.files["c:\\_smstasksequence\\packages\\lab00005\\u.xml"] = user
    action = 'OSDApplyOS.exe /image:LAB00001,1 "/config:LAB00005,u.xml"'
    run(sequence(partition(), apply_os(action=action), setup_windows()), world, {"Quote": '<"&">'})
    text = world.files["c:\\windows\\panther\\unattend\\unattend.xml"]
    assert '<a b="&lt;&quot;&amp;&quot;&gt;">&lt;&quot;&amp;&quot;&gt; %None%</a>' in text


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (settings_step("Network", OSDNetworkJoinType="0"), 0x80070057),
        (settings_step("Network", OSDAdapterCount="1", OSDAdapter0EnableDHCP="false",
                       OSDAdapter0IPAddressList="no"), 0x8007000D),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_fail_the_step(step: Step, code: int) -> None:
    assert run(sequence(partition(), apply_os(), step), World()).finished.step_code == code


def test_settings_need_an_applied_system() -> None:
    assert run(sequence(settings_step("Windows")), World()).finished.step_code == 0x80070003


def test_names_suffixes_and_netbios_of_the_network() -> None:
    values = {
        "OSDAdapterCount": "1", "OSDAdapter0EnableDHCP": "true",
        "OSDAdapter0WINSServerList": "10.0.0.5,10.0.0.6",
        "OSDAdapter0TcpipNetbiosOptions": "2", "OSDAdapter0EnableDNSRegistration": "false",
        "OSDDNSDomain": "lab.example", "OSDDNSSuffixSearchOrder": "a.example; b.example",
    }  # fmt: skip
    text = merge(None, network_settings(lambda name: values.get(name, ""), "52:54:00:00:00:01"))
    for wanted in (
        "Microsoft-Windows-NetBT", "<NetbiosOptions>2</NetbiosOptions>", ">10.0.0.6</IpAddress>",
        "<DNSDomain>lab.example</DNSDomain>", ">b.example</DomainName>",
        "<DisableDynamicUpdate>true</DisableDynamicUpdate>",
    ):  # fmt: skip
        assert wanted in text


@pytest.mark.parametrize(
    ("given", "written"), [("pacific standard time", "Pacific Standard Time"), ("Ruritania Time", "UTC")]
)
def test_a_time_zone_that_windows_does_not_know_becomes_utc(given: str, written: str) -> None:
    from tests.unit.test_sequence_imaging import OS, disk, run, step

    settings = step("ApplyWindowsSettings", "S", "osdwinsettings.exe /config", OSDTimeZone=given)
    filters = step(
        "ApplyNetworkSettings", "N", "osdnetsettings.exe configure", OSDEnableTCPIPFiltering="true"
    )
    result, _, _ = run(disk(), OS, settings, filters)
    text = result.final_state.files["C:\\Windows\\Panther\\unattend\\unattend.xml"].text
    assert f"<TimeZone>{written}</TimeZone>" in str(text)
    assert ("knows no time zone" in result.log) == (written == "UTC")
    key = "HKLM\\SYSTEM\\ControlSet001\\Services\\Tcpip\\Parameters"
    assert result.final_state.registry[key]["EnableSecurityFilters"] == ["REG_DWORD", 1]
