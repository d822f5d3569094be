"""Windows' answer file: the settings of a sequence built into, or merged with, an unattend.xml.

Engine room: pure; XML modules are imported when first needed. What is in an existing file and is not set
here stays. Document types and entities are refused. The output depends on the input only. Names of passes,
components and elements are Microsoft's documented ones.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

NAMESPACE = "urn:schemas-microsoft-com:unattend"
WCM = "http://schemas.microsoft.com/WMIConfig/2002/State"
SHELL = "Microsoft-Windows-Shell-Setup"
INTERNATIONAL = "Microsoft-Windows-International-Core"
JOIN = "Microsoft-Windows-UnattendedJoin"
TCPIP = "Microsoft-Windows-TCPIP"
DNS = "Microsoft-Windows-DNS-Client"
NETBT = "Microsoft-Windows-NetBT"

_ARCHITECTURES = {"x64": "amd64", "x86": "x86", "arm64": "arm64"}
_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_HEADER = '<?xml version="1.0" encoding="utf-8"?>\n'
_ADD = ("wcm:action", "add")


class UnattendRefused(ValueError):
    """The existing answer file cannot be used, or a setting's value cannot be written."""


@dataclass(frozen=True)
class Node:
    """An element to be there: merged with an existing one of its tag, or in its place (``replace``)."""

    tag: str
    text: str = ""
    children: tuple[Node, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    replace: bool = False


@dataclass(frozen=True)
class Setting:
    """Elements of one component in one pass ("specialize", "oobeSystem")."""

    configuration_pass: str
    component: str
    nodes: tuple[Node, ...]


def windows_settings(value: Callable[[str], str]) -> list[Setting]:
    """What Apply Windows Settings puts in; ``value(name)`` gives the OSD variables ("" when not set).

    With OSDRandomAdminPassword and no password there is no AdministratorPassword element: the lab has no
    chance in it, and Windows then leaves the account disabled.
    """
    specialize = [Node("ComputerName", value("OSDComputerName") or value("_SMSTSMachineName") or "*")]
    for tag, name in (
        ("ProductKey", "OSDProductKey"),
        ("RegisteredOrganization", "OSDRegisteredOrgName"),
        ("RegisteredOwner", "OSDRegisteredUserName"),
        ("TimeZone", "OSDTimeZone"),
    ):
        if value(name):
            specialize.append(Node(tag, value(name)))
    oobe = [Node("OOBE", children=(Node("HideEULAPage", "true"), Node("ProtectYourPC", "1")))]
    if value("OSDLocalAdminPassword") and value("OSDRandomAdminPassword").casefold() != "true":
        hidden = hidden_password(value("OSDLocalAdminPassword"))
        password = Node(
            "AdministratorPassword",
            children=(Node("Value", hidden), Node("PlainText", "false")),
        )
        oobe.append(Node("UserAccounts", children=(password,)))
    settings = [
        Setting("specialize", SHELL, tuple(specialize)),
        Setting("oobeSystem", SHELL, tuple(oobe)),
    ]
    locales = tuple(
        Node(tag, value(f"OSDWindowsSettings{tag}"))
        for tag in ("InputLocale", "SystemLocale", "UILanguage", "UILanguageFallback", "UserLocale")
        if value(f"OSDWindowsSettings{tag}")
    )
    if locales:
        settings.append(Setting("oobeSystem", INTERNATIONAL, locales))
    return settings


def network_settings(value: Callable[[str], str], mac: str = "") -> list[Setting]:
    """What Apply Network Settings puts in; ``mac`` names the adapter when the variables do not.

    Raises UnattendRefused for an address or mask that is none.
    """
    settings = [Setting("specialize", JOIN, (Node("Identification", children=_join(value), replace=True),))]
    text = value("OSDAdapterCount").strip()
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0
    adapters = [_Adapter(value, index, mac) for index in range(count)]
    domain = value("OSDDNSDomain")
    searched = _words(value("OSDDNSSuffixSearchOrder"))
    everywhere = [Node("DNSDomain", domain)] if domain else []
    if searched:
        names = tuple(
            Node("DomainName", suffix, attributes=(_ADD, ("wcm:keyValue", str(number))))
            for number, suffix in enumerate(searched, 1)
        )
        everywhere.append(Node("DNSSuffixSearchOrder", children=names, replace=True))
    for component, more, found in (
        (TCPIP, [], [adapter.tcpip() for adapter in adapters]),
        (DNS, everywhere, [node for adapter in adapters for node in adapter.dns()]),
        (NETBT, [], [node for adapter in adapters for node in adapter.netbios()]),
    ):
        nodes = [*more, *([Node("Interfaces", children=tuple(found), replace=True)] if found else [])]
        if nodes:
            settings.append(Setting("specialize", component, tuple(nodes)))
    return settings


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.replace(";", ",").split(",") if word.strip()]


def _join(value: Callable[[str], str]) -> tuple[Node, ...]:
    if value("OSDNetworkJoinType").strip() != "0":
        return (Node("JoinWorkgroup", value("OSDWorkgroupName") or "WORKGROUP"),)
    domain = value("OSDDomainName")
    account = value("OSDJoinAccount")
    of_account, _, user = account.rpartition("\\")
    # A missing password is tried as a blank one (documented).
    credentials = (
        Node("Domain", of_account or domain),
        Node("Username", user),
        Node("Password", value("OSDJoinPassword")),
    )
    unit = value("OSDDomainOUName")
    nodes = [Node("Credentials", children=credentials), Node("JoinDomain", domain)]
    if unit:
        nodes.append(Node("MachineObjectOU", unit[7:] if unit[:7].casefold() == "ldap://" else unit))
    return tuple(nodes)


class _Adapter:
    """One entry of the OSDAdapter array."""

    def __init__(self, value: Callable[[str], str], index: int, mac: str) -> None:
        self._variable = value
        self._index = index
        self._identifier = (self._value("MacAddress") or mac or self._value("Name")).replace(":", "-")

    def _value(self, name: str) -> str:
        return self._variable(f"OSDAdapter{self._index}{name}").strip()

    def _list(self, name: str) -> list[str]:
        return _words(self._value(name))

    def tcpip(self) -> Node:
        dynamic = self._value("EnableDHCP").casefold() != "false"
        children = [Node("Identifier", self._identifier)]
        children.append(Node("Ipv4Settings", children=(Node("DhcpEnabled", "true" if dynamic else "false"),)))
        if not dynamic:
            masks = self._list("SubnetMask")
            addresses = tuple(
                _keyed(number, _with_prefix(address, masks[min(number, len(masks)) - 1] if masks else ""))
                for number, address in enumerate(self._list("IPAddressList"), 1)
            )
            children.append(Node("UnicastIpAddresses", children=addresses))
            routes = tuple(
                Node(
                    "Route",
                    children=(
                        Node("Identifier", str(number)),
                        Node("Prefix", "0.0.0.0/0"),
                        Node("NextHopAddress", _address(gateway)),
                    ),
                    attributes=(_ADD,),
                )
                for number, gateway in enumerate(self._list("Gateways"))
            )
            if routes:
                children.append(Node("Routes", children=routes))
        return Node("Interface", children=tuple(children), attributes=(_ADD,))

    def dns(self) -> list[Node]:
        servers = self._list("DNSServerList")
        domain = self._value("DNSDomain") or self._value("DNSSuffix")
        registers = self._value("EnableDNSRegistration").casefold()
        fully = self._value("EnableFullDNSRegistration").casefold()
        if not (servers or domain or registers or fully):
            return []
        children = [Node("Identifier", self._identifier)]
        if registers:
            children.append(Node("DisableDynamicUpdate", "true" if registers == "false" else "false"))
        if fully:
            text = "true" if fully == "true" else "false"
            children.append(Node("EnableAdapterDomainNameRegistration", text))
        if domain:
            children.append(Node("DNSDomain", domain))
        if servers:
            order = tuple(_keyed(number, _address(server)) for number, server in enumerate(servers, 1))
            children.append(Node("DNSServerSearchOrder", children=order))
        return [Node("Interface", children=tuple(children), attributes=(_ADD,))]

    def netbios(self) -> list[Node]:
        """WINS servers and NetBIOS over TCP/IP (TcpipNetbiosOptions 0 by DHCP, 1 on, 2 off)."""
        servers, choice = self._list("WINSServerList"), self._value("TcpipNetbiosOptions")
        children = [Node("Identifier", self._identifier)]
        if choice in ("0", "1", "2"):
            children.append(Node("NetbiosOptions", choice))
        if servers:
            order = tuple(_keyed(number, _address(server)) for number, server in enumerate(servers, 1))
            children.append(Node("NameServerList", children=order))
        return [Node("Interface", children=tuple(children), attributes=(_ADD,))] if len(children) > 1 else []


def _keyed(number: int, text: str) -> Node:
    return Node("IpAddress", text, attributes=(_ADD, ("wcm:keyValue", str(number))))


def _address(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise UnattendRefused(str(error)) from None


def _with_prefix(address: str, mask: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_interface(f"{address}/{mask}" if mask else address))
    except ValueError as error:
        raise UnattendRefused(str(error)) from None


def merge(existing: str | None, settings: Iterable[Setting], architecture: str = "x64") -> str:
    """The answer file with the settings in it. ``architecture`` x64, x86 or arm64, of the image.

    Raises UnattendRefused when ``existing`` is not an answer file.
    """
    if existing is None or not existing.strip("\ufeff \t\r\n"):
        existing = f'<unattend xmlns="{NAMESPACE}"/>'
    document = _parse(existing)
    root = document.documentElement
    if root is None or root.localName != "unattend" or root.namespaceURI != NAMESPACE:
        raise UnattendRefused("the existing file is not an answer file")
    for setting in settings:
        component = _component(document, root, setting, _ARCHITECTURES.get(architecture, "amd64"))
        for node in setting.nodes:
            _put(document, component, node)
    _strip(root)
    body: str = root.toprettyxml(indent="  ")
    outside = [node.toxml() for node in document.childNodes if node.nodeType == node.COMMENT_NODE]
    return _HEADER + "".join(f"{comment}\n" for comment in outside) + body


def _parse(text: str) -> Any:
    from xml.dom import minidom

    from lab.errors import InputError
    from lab.sequence.xmltree import read_document

    # The text is decoded already: a declaration that says UTF-16 would now be wrong.
    data = _DECLARATION.sub("", text.lstrip("\ufeff")).encode("utf-8", "surrogatepass")
    try:
        read_document(data, "unattend.xml")
    except InputError as error:
        raise UnattendRefused(error.message) from None
    parse: Callable[[bytes], Any] = minidom.parseString
    return parse(data)


def _elements(parent: Any, tag: str) -> list[Any]:
    return [
        child
        for child in parent.childNodes
        if child.nodeType == child.ELEMENT_NODE and (child.localName or child.tagName) == tag
    ]


def _new(document: Any, parent: Any, tag: str) -> Any:
    prefix = f"{parent.prefix}:" if parent.prefix else ""
    element = document.createElementNS(NAMESPACE, prefix + tag)
    parent.appendChild(element)
    return element


def _component(document: Any, root: Any, setting: Setting, architecture: str) -> Any:
    for section in _elements(root, "settings"):
        if section.getAttribute("pass") == setting.configuration_pass:
            break
    else:
        section = _new(document, root, "settings")
        section.setAttribute("pass", setting.configuration_pass)
    for component in _elements(section, "component"):
        if (
            component.getAttribute("name") == setting.component
            and component.getAttribute("processorArchitecture") == architecture
        ):
            return component
    component = _new(document, section, "component")
    for name, value in (
        ("name", setting.component),
        ("processorArchitecture", architecture),
        ("publicKeyToken", "31bf3856ad364e35"),
        ("language", "neutral"),
        ("versionScope", "nonSxS"),
    ):
        component.setAttribute(name, value)
    return component


def _put(document: Any, parent: Any, node: Node) -> None:
    found = _elements(parent, node.tag) if not node.attributes else []
    if node.replace:
        for element in found:
            parent.removeChild(element)
        found = []
    element = found[0] if found else _new(document, parent, node.tag)
    for name, value in node.attributes:
        if not element.hasAttribute("xmlns:wcm"):
            element.setAttribute("xmlns:wcm", WCM)
        element.setAttribute(name, value)
    if node.children:
        for child in node.children:
            _put(document, element, child)
        return
    for child in list(element.childNodes):
        element.removeChild(child)
    if node.text:
        element.appendChild(document.createTextNode(_writable(node.text)))


def _writable(text: str) -> str:
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text):
        raise UnattendRefused("a value holds a character that XML cannot")
    return text


def _strip(element: Any) -> None:
    """Take white space between elements away, so that writing and reading again changes nothing."""
    children = list(element.childNodes)
    if any(child.nodeType == child.ELEMENT_NODE for child in children):
        for child in children:
            if child.nodeType == child.TEXT_NODE and not child.data.strip():
                element.removeChild(child)
            elif child.nodeType == child.ELEMENT_NODE:
                _strip(child)


def escape(text: str) -> str:
    """A value for the text of an XML element or attribute."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def hidden_password(password: str) -> str:
    """The administrator's password as an answer file hides it (documented): no secret, only unreadable."""
    return base64.b64encode(f"{password}AdministratorPassword".encode("utf-16-le")).decode("ascii")
