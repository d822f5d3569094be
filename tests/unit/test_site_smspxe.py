"""SMSPXE.log: a golden file of every ending, read back by the lab's own log reader."""

from __future__ import annotations

from dataclasses import replace

from lab.logs.records import Record
from lab.logs.scan import scan
from lab.logs.source import Source
from lab.site.model import Deployment, Device, DistributionPoint, Settings
from lab.site.pxe import PxeRequest, decide
from lab.site.smspxe import lines
from tests.golden_file import check_golden
from tests.unit.test_site_pxe import BIOS, MAC, SITE, STRANGER, UEFI, UUID

AVAILABLE = (Deployment("LAB20002", "LAB00011", "Office"),)
UNKNOWN = (Deployment("LAB20003", "LAB00010", "All Unknown Computers"),)
RAN = Device("PC-1", MAC, UUID, last_pxe="LAB20001")
CASES = {
    "a required deployment": (SITE, UEFI),
    "an available one, x86 on an x64 CPU": (replace(SITE, deployments=AVAILABLE), BIOS),
    "it was offered already": (replace(SITE, devices=(RAN,)), UEFI),
    "an unknown computer": (replace(SITE, deployments=UNKNOWN), STRANGER),
    "unknown, and nothing for it": (SITE, STRANGER),
    "unknown computers get no answer": (
        replace(SITE, distribution_points=(DistributionPoint("DP1", unknown_computers=False),)), STRANGER,
    ),
    "a docking station's address": (replace(SITE, settings=Settings(shared_macs=(MAC,))), UEFI),
    "a GUID that many boards have": (replace(SITE, settings=Settings(shared_uuids=(UUID,))), UEFI),
    "an ignored address": (replace(SITE, settings=Settings(ignored_macs=(MAC,))), UEFI),
    "a client system that nobody knows": (SITE, PxeRequest(MAC, UUID, 99)),
}  # fmt: skip


def test_every_ending() -> None:
    parts = []
    for title, (site, request) in CASES.items():
        written = lines(site, request, decide(site, request), 1_763_776_800.25)
        raw = "".join(written).encode()
        read = [record for record in scan(Source("SMSPXE.log", raw, raw)) if isinstance(record, Record)]
        assert len(read) == len(written) and {record.component for record in read} == {"SMSPXE"}
        parts.append(f"{title}\n" + "".join(written).replace("\r\n", "\n"))
    check_golden("site/smspxe.log", "\n".join(parts))
