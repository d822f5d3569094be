"""dnsmasq's configuration as text, and what its log says (lines observed with 2.90)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.network.dnsmasq import Host, Line, LogReader, command, configuration, host_address, parse_line

PC1 = Host("PC-1", "52:54:00:11:22:33", "10.77.0.10")
ROOT = Path("/lab/run/tftp")

CONFIGURATION = """\
# written by osdlab for one run
port=0
interface=osdlab0
bind-interfaces
user=root
group=root
no-ping
dhcp-authoritative
dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,12h
dhcp-leasefile=/lab/leases
enable-ra
ra-param=osdlab0,0,0
dhcp-range=fd77::,ra-only
log-dhcp
dhcp-option=option:router
dhcp-option=option:dns-server
dhcp-userclass=set:ipxe,iPXE
dhcp-match=set:arch-0,option:client-arch,0
dhcp-match=set:arch-6,option:client-arch,6
dhcp-match=set:arch-7,option:client-arch,7
dhcp-match=set:arch-9,option:client-arch,9
dhcp-match=set:arch-11,option:client-arch,11
dhcp-option=tag:ipxe,encap:175,176,1b
tag-if=set:script,tag:ipxe,tag:!native
dhcp-boot=tag:script,tag:arch-0,boot-0.ipxe,,10.77.0.1
dhcp-boot=tag:script,tag:arch-6,boot-6.ipxe,,10.77.0.1
dhcp-boot=tag:script,tag:arch-7,boot-7.ipxe,,10.77.0.1
dhcp-boot=tag:script,tag:arch-9,boot-9.ipxe,,10.77.0.1
dhcp-boot=tag:script,tag:arch-11,boot-11.ipxe,,10.77.0.1
dhcp-boot=tag:arch-7,tag:!script,labpe-x64.efi,,10.77.0.1
dhcp-boot=tag:arch-9,tag:!script,labpe-x64.efi,,10.77.0.1
dhcp-boot=tag:arch-0,tag:!script,pxelinux.0,,10.77.0.1
dhcp-option-force=tag:arch-0,tag:!script,209,pxelinux.cfg/default
dhcp-vendorclass=set:firmware,PXEClient
dhcp-reply-delay=tag:native,tag:firmware,2
dhcp-vendorclass=set:http-boot,HTTPClient
dhcp-option-force=tag:http-boot,60,HTTPClient
dhcp-boot=tag:http-boot,http://10.77.0.1/boot/no-http-boot
enable-tftp
tftp-root=/lab/run/tftp
tftp-unique-root=mac
dhcp-host=52:54:00:11:22:33,10.77.0.10,PC-1
dhcp-host=52:54:00:11:22:44,set:native,10.77.0.11,PC-2
"""

# "~" stands for the blank that dnsmasq leaves at the end of some lines.
CONVERSATION = """\
dnsmasq[9]: started, version 2.90 DNS disabled
dnsmasq-dhcp[9]: DHCP, IP range 10.77.0.100 -- 10.77.0.199, lease time 12h
dnsmasq-dhcp[9]: RTR-ADVERT(osdlab0) fd77::
dnsmasq-dhcp[9]: 2927476320 available DHCP range: 10.77.0.100 -- 10.77.0.199
dnsmasq-dhcp[9]: 2927476320 vendor class: PXEClient:Arch:00007:UNDI:003010
dnsmasq-dhcp[9]: 2927476320 user class: iPXE
dnsmasq-dhcp[9]: 2927476320 DHCPDISCOVER(osdlab0) 52:54:00:11:22:33~
dnsmasq-dhcp[9]: 2927476320 tags: known, ipxe, efi-x64, osdlab0
dnsmasq-dhcp[9]: 2927476320 DHCPOFFER(osdlab0) 10.77.0.10 52:54:00:11:22:33~
dnsmasq-dhcp[9]: 2927476320 requested options: 66:tftp-server, 67:bootfile-name, 119:domain-search,~
dnsmasq-dhcp[9]: 2927476320 next server: 10.77.0.1
dnsmasq-dhcp[9]: 2927476320 sent size:  1 option: 53 message-type  2
dnsmasq-dhcp[9]: 2927476320 sent size: 10 option: 67 bootfile-name  boot-7.ipxe
dnsmasq-dhcp[9]: 2927476320 vendor class: PXEClient:Arch:00007:UNDI:003010
dnsmasq-dhcp[9]: 2927476320 user class: iPXE
dnsmasq-dhcp[9]: 2927476320 DHCPREQUEST(osdlab0) 10.77.0.10 52:54:00:11:22:33~
dnsmasq-dhcp[9]: 2927476320 DHCPACK(osdlab0) 10.77.0.10 52:54:00:11:22:33 pc-1
dnsmasq-dhcp[9]: 2927476320 sent size: 10 option: 67 bootfile-name  boot-7.ipxe
dnsmasq-tftp[9]: sent /lab/run/tftp/boot-7.ipxe to 10.77.0.10
dnsmasq-tftp[9]: error 8 User aborted the transfer received from 10.77.0.10
dnsmasq-tftp[9]: file /lab/run/tftp/none.efi not found for 10.77.0.10
dnsmasq-dhcp[9]: 77 DHCPDISCOVER(osdlab0) 52:54:00:aa:bb:cc no address available
""".replace("~", " ")


def test_the_configuration_is_this_text() -> None:
    native = Host("PC-2", "52:54:00:11:22:44", "10.77.0.11", native=True)
    assert configuration([PC1, native], tftp_root=ROOT, lease_file=Path("/lab/leases")) == CONFIGURATION


def test_it_stays_in_the_foreground_and_logs_to_standard_error() -> None:
    line = command(Path("/lab/dnsmasq.conf"))
    assert line[0] == "dnsmasq"
    assert {"--keep-in-foreground", "--log-facility=-", "--conf-file=/lab/dnsmasq.conf"} <= set(line)


def test_a_whole_conversation_becomes_events() -> None:
    reader = LogReader([PC1], tftp_root=ROOT)
    events = [event for text in CONVERSATION.splitlines() if (event := reader.feed(text)) is not None]
    client = {"vendor_class": "PXEClient:Arch:00007:UNDI:003010", "user_class": "iPXE"}
    mac, address = {"mac": PC1.mac}, {"address": PC1.address}
    assert events == [
        ("PC-1", "dhcp", "discover", {**mac, **client}),
        ("PC-1", "dhcp", "offer", {**address, **mac}),
        ("PC-1", "dhcp", "boot-file", {**mac, "file": "boot-7.ipxe"}),
        ("PC-1", "dhcp", "request", {**address, **mac, **client}),
        ("PC-1", "dhcp", "ack", {**address, **mac, "message": "pc-1"}),
        ("PC-1", "tftp", "sent", {"file": "boot-7.ipxe", **address}),
        ("PC-1", "tftp", "aborted", {"code": "8", "message": "User aborted the transfer", **address}),
        ("PC-1", "tftp", "not-found", {"file": "none.efi", **address}),
        ("", "dhcp", "no-address", {"mac": "52:54:00:aa:bb:cc"}),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dnsmasq-dhcp: 12 DHCPNAK(osdlab0) 10.77.0.9 52:54:00:11:22:33 wrong address",
         Line("dhcp", "nak", "12",
              {"address": "10.77.0.9", "mac": PC1.mac, "message": "wrong address"})),
        ("dnsmasq-tftp[3]: failed sending /lab/run/tftp/boot-7.ipxe to 10.77.0.10",
         Line("tftp", "failed", "", {"file": "/lab/run/tftp/boot-7.ipxe", "address": "10.77.0.10"})),
        ("dnsmasq-dhcp[3]: 12 bootfile name: labpe-x64.efi",
         Line("dhcp", "option", "12", {"name": "bootfile name", "value": "labpe-x64.efi"})),
        ("dnsmasq[3]: something else", None),
        ("", None),
    ],
)  # fmt: skip
def test_single_lines(text: str, expected: Line | None) -> None:
    assert parse_line(text) == expected


def test_a_file_whose_size_was_asked_is_not_sent_yet() -> None:
    """OVMF breaks a first transfer off to learn the size; dnsmasq calls that one sent, too (observed)."""
    reader = LogReader([PC1], tftp_root=ROOT)
    sent = "dnsmasq-tftp[9]: sent /lab/run/tftp/labpe-x64.efi to 10.77.0.10"
    log = ["dnsmasq-tftp[9]: error 8 User aborted the transfer received from 10.77.0.10", sent, sent]
    events = [event for text in log if (event := reader.feed(text)) is not None]
    assert [event[2] for event in events] == ["aborted", "sent"]


def test_addresses_stay_below_the_dynamic_range() -> None:
    assert [host_address(index) for index in (0, 1)] == ["10.77.0.10", "10.77.0.11"]


def test_a_native_machines_folder_is_not_part_of_a_files_name() -> None:
    native = Host("PC-2", "52:54:00:11:22:44", "10.77.0.11", native=True)
    reader = LogReader([PC1, native], tftp_root=ROOT)
    line = "dnsmasq-tftp[9]: sent /lab/run/tftp/52-54-00-11-22-44/pxelinux.cfg/default to 10.77.0.11"
    assert reader.feed(line) == (
        "PC-2", "tftp", "sent", {"file": "pxelinux.cfg/default", "address": "10.77.0.11"},
    )  # fmt: skip
