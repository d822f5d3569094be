"""dnsmasq for the private network: its configuration and command line, and what its log says; all pure.

It answers DHCP with a fixed address per machine and gives boot files by TFTP. iPXE is known by its user
class and gets the script of its client architecture (RFC 4578), which asks the site. Whoever asks otherwise
gets its boot file at once: 7 or 9, a UEFI x64 firmware, the UEFI executable; 0, a BIOS, PXELINUX. So does a
machine that is to start natively, whatever its card says of itself: SeaBIOS has no PXE but the card's, and
QEMU's cards have iPXE, which then does no more than any PXE ROM.

A native machine cannot ask the site itself: its TFTP folder is its own (``folder_name``), empty at first, and
laid by the site's decision when its firmware asks for an address. That offer comes ``HOLD`` seconds late, so
that what was decided is there before the machine can ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.network.inside import ADDRESS, BRIDGE

#: The file a UEFI x64 firmware takes by TFTP, and the script iPXE takes.
BOOT_FILE = "labpe-x64.efi"
#: The same for BIOS, which iPXE starts: kernel and initrd.
BIOS_FILES = ("labpe-x64.krn", "labpe-x64.img")
#: What each client architecture's iPXE gets: x86 BIOS, x86 UEFI, x64 UEFI (twice, documented), arm64 UEFI.
CLIENT_SYSTEMS = (0, 6, 7, 9, 11)
#: What a BIOS takes by TFTP: PXELINUX, which fetches its module, its configuration, and ``BIOS_FILES``.
PXELINUX_FILES = ("pxelinux.0", "ldlinux.c32")
PXELINUX_CONFIGURATION = "pxelinux.cfg/default"
#: Whose transfer by TFTP is the last one of a native start.
LAST_FILES = (BOOT_FILE, BIOS_FILES[1])
#: What firmware is told to fetch by HTTP boot, which the lab's site does not have.
NO_HTTP_BOOT = "no-http-boot"
#: Seconds that a native machine's offer is held back. Firmware waits 4 s (OVMF) or asks again (iPXE).
HOLD = 2


@dataclass(frozen=True)
class Host:
    """A machine on the network, known by its MAC ("52:54:00:.."). ``native``: not by iPXE's script."""

    name: str
    mac: str
    address: str
    native: bool = False


def host_address(index: int) -> str:
    """The address of the machine number ``index``, from 0."""
    return f"10.77.0.{10 + index}"


def script_name(client_system: int) -> str:
    """The file iPXE of this client architecture takes by TFTP."""
    return f"boot-{client_system}.ipxe"


def folder_name(mac: str) -> str:
    """A native machine's folder below the root of TFTP; dnsmasq looks nowhere else when it is there."""
    return mac.lower().replace(":", "-")


def configuration(hosts: Sequence[Host], *, tftp_root: Path, lease_file: Path) -> str:
    """The text of dnsmasq.conf."""
    lines = [
        "# written by osdlab for one run",
        "port=0",  # no DNS
        f"interface={BRIDGE}",
        "bind-interfaces",
        "user=root",  # of the lab's own namespace
        "group=root",
        "no-ping",  # every address is ours; a ping costs the machine up to three seconds
        "dhcp-authoritative",
        "dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,12h",
        f"dhcp-leasefile={lease_file}",
        # iPXE takes an address only when IPv6 has settled too: unanswered, that costs it 16 s (observed). The
        # announced router has no lifetime, so nothing is routed through it.
        "enable-ra",
        f"ra-param={BRIDGE},0,0",
        "dhcp-range=fd77::,ra-only",
        "log-dhcp",
        "dhcp-option=option:router",  # an option without a value is not sent
        "dhcp-option=option:dns-server",
        "dhcp-userclass=set:ipxe,iPXE",
        *(f"dhcp-match=set:arch-{number},option:client-arch,{number}" for number in CLIENT_SYSTEMS),
        "dhcp-option=tag:ipxe,encap:175,176,1b",  # iPXE: do not wait for a proxy DHCP server
        "tag-if=set:script,tag:ipxe,tag:!native",
        *(f"dhcp-boot=tag:script,tag:arch-{number},{script_name(number)},,{ADDRESS}"
          for number in CLIENT_SYSTEMS),
        f"dhcp-boot=tag:arch-7,tag:!script,{BOOT_FILE},,{ADDRESS}",
        f"dhcp-boot=tag:arch-9,tag:!script,{BOOT_FILE},,{ADDRESS}",
        f"dhcp-boot=tag:arch-0,tag:!script,{PXELINUX_FILES[0]},,{ADDRESS}",
        # PXELINUX would try eleven names of its own first.
        f"dhcp-option-force=tag:arch-0,tag:!script,209,{PXELINUX_CONFIGURATION}",
        "dhcp-vendorclass=set:firmware,PXEClient",
        # Firmware's only: meanwhile dnsmasq answers nobody, and a system asks again each second.
        f"dhcp-reply-delay=tag:native,tag:firmware,{HOLD}",
        # A UEFI firmware that PXE gave nothing tries HTTP boot, unanswered for a minute; nothing is there.
        "dhcp-vendorclass=set:http-boot,HTTPClient",
        "dhcp-option-force=tag:http-boot,60,HTTPClient",
        f"dhcp-boot=tag:http-boot,http://{ADDRESS}/boot/{NO_HTTP_BOOT}",
        "enable-tftp",
        f"tftp-root={tftp_root}",
        "tftp-unique-root=mac",
    ]  # fmt: skip
    for host in hosts:
        tag = "set:native," if host.native else ""
        lines.append(f"dhcp-host={host.mac},{tag}{host.address},{host.name}")
    return "\n".join(lines) + "\n"


def command(config: Path) -> list[str]:
    """The command line: in the foreground, logging to standard error."""
    return ["dnsmasq", "--keep-in-foreground", "--log-facility=-", f"--conf-file={config}", "--pid-file="]


@dataclass(frozen=True)
class Line:
    """What one log line says.

    ``kind`` of source dhcp: discover, offer, request, ack, nak, decline, release, inform, no-address, option;
    of source tftp: sent, not-found, aborted, failed. ``data`` has what the line names of mac, address, name,
    value, file, code, message; ``transaction`` is DHCP's.
    """

    source: Literal["dhcp", "tftp"]
    kind: str
    transaction: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


_ADDRESS = r"\d+\.\d+\.\d+\.\d+"
_DHCP = re.compile(r"dnsmasq-dhcp(?:\[\d+\])?: (?:(?P<xid>\d+) )?(?P<text>.*)")
_TFTP = re.compile(r"dnsmasq-tftp(?:\[\d+\])?: (?P<text>.*)")
_MESSAGE = re.compile(
    rf"DHCP(?P<kind>[A-Z]+)\([^)]*\)(?: (?P<address>{_ADDRESS}))?"
    r" (?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2}){5})(?: (?P<rest>.*))?"
)
_OPTION = re.compile(r"(?P<name>vendor class|user class|bootfile name|next server|tags): (?P<value>.*)")
_BOOT_FILE = re.compile(r"sent size: +\d+ option: 67 bootfile-name +(?P<value>\S+)$")
_SENT = re.compile(rf"sent (?P<file>.+) to (?P<address>{_ADDRESS})$")
_NOT_FOUND = re.compile(rf"file (?P<file>.+) not found for (?P<address>{_ADDRESS})$")
_ERROR = re.compile(rf"error (?P<code>\d+) (?P<message>.*) received from (?P<address>{_ADDRESS})$")
_FAILED = re.compile(rf"failed sending (?P<file>.+) to (?P<address>{_ADDRESS})$")


def parse_line(line: str) -> Line | None:
    """Read one line of dnsmasq's log (observed with 2.90); None for what says nothing about a machine."""
    if found := _DHCP.match(line):
        return _dhcp(found["text"], found["xid"] or "")
    if found := _TFTP.match(line):
        return _tftp(found["text"])
    return None


def _dhcp(text: str, xid: str) -> Line | None:
    if found := _MESSAGE.match(text):
        data = {key: value for key in ("address", "mac") if (value := found[key])}
        rest = found["rest"] or ""
        if rest == "no address available":
            return Line("dhcp", "no-address", xid, data)
        return Line("dhcp", found["kind"].lower(), xid, {**data, "message": rest} if rest else data)
    if found := _OPTION.match(text):
        return Line("dhcp", "option", xid, {"name": found["name"], "value": found["value"]})
    if found := _BOOT_FILE.match(text):
        return Line("dhcp", "option", xid, {"name": "bootfile name", "value": found["value"]})
    return None


def _tftp(text: str) -> Line | None:
    for kind, pattern in (
        ("sent", _SENT), ("not-found", _NOT_FOUND), ("aborted", _ERROR), ("failed", _FAILED),
    ):  # fmt: skip
        if found := pattern.match(text):
            return Line("tftp", kind, "", found.groupdict())
    return None


class LogReader:
    """Puts the lines of one dnsmasq together: whose they are, and what a client said it is.

    ``feed`` gives (machine name or "", source, kind, data) for each line worth an event: a DHCP message with
    what is known of its transaction (vendor_class, user_class), a boot file offered, a transfer's end.
    """

    def __init__(self, hosts: Sequence[Host], *, tftp_root: Path) -> None:
        self._by_mac = {host.mac.lower(): host for host in hosts}
        self._by_address = {host.address: host for host in hosts}
        self._root = tftp_root
        self._said: dict[str, dict[str, str]] = {}
        self._mac: dict[str, str] = {}
        self._offered: dict[str, str] = {}
        self._aborted: set[str] = set()

    def feed(self, text: str) -> tuple[str, str, str, dict[str, str]] | None:
        line = parse_line(text)
        if line is None:
            return None
        if line.source == "tftp":
            address = line.data.get("address", "")
            if line.kind == "aborted":
                self._aborted.add(address)
            elif line.kind in ("sent", "failed") and address in self._aborted:
                self._aborted.remove(address)
                return None  # of the transfer that was broken off, to learn the size
            host = self._by_address.get(address)
            return host.name if host else "", "tftp", line.kind, self._relative(line.data)
        if line.kind == "option":
            return self._option(line)
        mac = line.data.get("mac", "")
        self._mac[line.transaction] = mac
        host = self._by_mac.get(mac)
        said = self._said.get(line.transaction, {}) if line.kind in ("discover", "request", "inform") else {}
        return host.name if host else "", "dhcp", line.kind, {**line.data, **said}

    def _option(self, line: Line) -> tuple[str, str, str, dict[str, str]] | None:
        name, value = line.data["name"], line.data["value"]
        if name in ("vendor class", "user class"):
            self._said.setdefault(line.transaction, {})[name.replace(" ", "_")] = value
            return None
        if name != "bootfile name" or self._offered.get(line.transaction) == value:
            return None  # offer and acknowledgement both name it
        self._offered[line.transaction] = value
        mac = self._mac.get(line.transaction, "")
        host = self._by_mac.get(mac)
        return host.name if host else "", "dhcp", "boot-file", {"mac": mac, "file": value}

    def _relative(self, data: Mapping[str, str]) -> dict[str, str]:
        result = dict(data)
        if "file" in result:
            result["file"] = result["file"].removeprefix(f"{self._root}/")
            if (host := self._by_address.get(result.get("address", ""))) is not None and host.native:
                result["file"] = result["file"].removeprefix(f"{folder_name(host.mac)}/")
        return result
