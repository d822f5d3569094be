"""Firmware that starts by TFTP alone: its folder is laid as the site decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lab.clock import VirtualClock
from lab.hypervisor.protocol import MachineSpec, NicSpec
from lab.network.dnsmasq import HOLD
from lab.run.native import NativeStarts
from lab.run.phases import Seen
from lab.run.plan import MachinePlan, RunPlan

MAC = "52:54:00:00:00:01"
ABORT = {"action": "abort", "reasons": ["no deployment applies"], "boot_image": "", "mandatory": False}
AVAILABLE = {"action": "boot", "reasons": [], "boot_image": "LAB00002", "mandatory": False}
REQUIRED = {**AVAILABLE, "mandatory": True}


class Native:
    """A native machine, its site and its clock. ``takes``: seconds the site needs."""

    def __init__(self, folder: Path, firmware: Literal["uefi", "bios"], **answers: Any) -> None:
        spec = MachineSpec("PC-1", "u", firmware, 512, (), (NicSpec(MAC, native=True),))
        names = ("labpe-x64.efi", "labpe-x64.krn", "labpe-x64.img", "pxelinux.0", "ldlinux.c32")
        for name in names:
            (folder / name).write_text(name)
        plan = RunPlan(
            "n", folder, folder, folder, (MachinePlan(spec, "10.77.0.10", {}, answers=answers),), {},
            {name: str(folder / name) for name in names}, command_line="quiet",
            boot_images={"LAB00002": {"uefi": names[0], "bios": names[1:3]}},
        )  # fmt: skip
        self.clock, self.told, self.asked = VirtualClock(), list[Seen](), list[dict[str, str]]()
        self.decision: dict[str, Any] = REQUIRED
        self.takes = 0.0
        root = folder / "tftp"
        root.mkdir()
        self.starts = NativeStarts(plan, root, ask=self._ask, clock=self.clock, tell=self.told.append)
        self.folder = root / "52-54-00-00-00-01"
        self.starts.started("PC-1")

    def _ask(self, question: Any) -> dict[str, Any]:
        self.asked.append(dict(question))
        self.clock.pause(self.takes)
        return self.decision

    def asks(self, number: int) -> list[str]:
        self.starts.asked("PC-1", f"PXEClient:Arch:{number:05}:UNDI:003000")
        return sorted(path.name for path in self.folder.rglob("*") if not path.is_dir())


def test_a_native_machines_folder_is_laid_when_its_firmware_asks(tmp_path: Path) -> None:
    native = Native(tmp_path, "uefi")
    assert native.folder.is_dir(), "from the beginning, or dnsmasq would look elsewhere"
    native.starts.asked("PC-1", "udhcp 1.35.0")
    assert native.asked == []
    assert native.asks(7) == ["labpe-x64.efi"] and native.asks(7) == ["labpe-x64.efi"]
    assert native.asked == [
        {"mac": MAC, "uuid": "u", "client_system": "7", "cpu": "x64", "start": f"pxe-{MAC}-1"}
    ]
    native.starts.started("PC-1")
    native.decision = ABORT
    assert native.asks(7) == [] and native.asked[-1]["start"] == f"pxe-{MAC}-2"
    assert native.told == []


def test_a_uefi_firmware_cannot_ask_so_f12_is_asked_before(tmp_path: Path) -> None:
    native = Native(tmp_path, "uefi", f12=False)
    native.decision = AVAILABLE
    assert native.asks(7) == []


def test_a_bios_gets_a_loader_that_asks_starts_or_leaves(tmp_path: Path) -> None:
    native = Native(tmp_path, "bios", f12=False)
    for decision, word in ((REQUIRED, "PROMPT 0"), (AVAILABLE, "ONTIMEOUT leave"), (ABORT, "LOCALBOOT")):
        native.decision = decision
        native.starts.started("PC-1")
        assert "pxelinux.0" in native.asks(0)
        assert word in (native.folder / "pxelinux.cfg" / "default").read_text()
    native.decision = {**ABORT, "action": "ignore"}
    native.starts.started("PC-1")
    assert native.asks(0) == []


def test_a_decision_that_comes_too_late_is_no_refusal(tmp_path: Path) -> None:
    native = Native(tmp_path, "uefi")
    native.takes = HOLD + 0.1
    native.asks(7)
    native.starts.started("PC-1")
    native.takes, native.decision = 0.0, {}
    native.asks(7)
    assert [seen.kind for seen in native.told] == ["pxe-unanswered"] * 2
