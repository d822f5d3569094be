"""In which phase of its life a machine is, told from what is observed; how long each may be silent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabFault, PhaseTimeout
from lab.network.dnsmasq import BIOS_FILES, LAST_FILES
from lab.network.ipxe import DECIDED, GAVE_UP
from lab.timeline import PHASES

#: Seconds without any progress signal that a phase may take on the accelerator probe's reference host; the
#: host's factor scales them. Several times what was seen there: a busy host must not look like a stall.
LIMITS: Mapping[str, float] = {
    "firmware": 60.0,
    "dhcp": 40.0,
    "boot-file": 40.0,
    "pe-kernel": 90.0,
    "pe-hello": 45.0,
    "policy": 45.0,
    "content": 60.0,
    "step": 120.0,
    "restart": 60.0,
    "disk-boot": 90.0,
    "os-hello": 60.0,
    "finished": 60.0,
    "failed": 60.0,
}

#: What the stall report says was waited for, in each phase.
WAITED_FOR: Mapping[str, str] = {
    "firmware": "the firmware to ask for an address by DHCP",
    "dhcp": "the machine to take its address and fetch a boot file",
    "boot-file": "the transfer of the boot file to go on",
    "pe-kernel": "the boot image to start and its agent to report",
    "pe-hello": "the agent to fetch the policy",
    "policy": "the agent to start the sequence",
    "content": "the download of content to go on",
    "step": "the current step to go on",
    "restart": "the machine to go down for its restart",
    "disk-boot": "the system on the disk to start and its agent to report",
    "os-hello": "the agent to continue the sequence",
    "finished": "the machine to power off after the sequence",
    "failed": "the machine to power off after the sequence",
}

#: What is the usual cause of a stall.
USUAL_CAUSE: Mapping[str, str] = {
    "firmware": "no boot device answers: the network card has no PXE, or comes later in the boot order",
    "dhcp": "the machine refuses the offer, or its card lost the link",
    "boot-file": "block loss, or an MTU below 1500 on the PXE network",
    "pe-kernel": "too little memory for the boot image, or a kernel that lacks the console",
    "pe-hello": "the agent has no network, or waits for an address",
    "policy": "the agent stopped; see the end of console.log",
    "content": "the site's service or the link stopped in the middle of a file",
    "step": "a command that never ends; see the last records of smsts.log",
    "restart": "the machine does not go down; see the end of console.log",
    "disk-boot": "the boot loader is missing or does not find its volume; see the screen",
    "os-hello": "the agent found no saved state; see the end of console.log",
    "finished": "the agent does not power off; see the end of console.log",
    "failed": "the agent does not power off; see the end of console.log",
}

_BEFORE_BOOT_FILE = ("firmware", "dhcp")
_BEFORE_KERNEL = ("firmware", "dhcp", "boot-file")
_BEFORE_STEPS = ("pe-hello", "os-hello", "policy", "content")


@dataclass(frozen=True)
class Seen:
    """Something observed about a machine, before it is an event. Times in seconds."""

    machine: str
    source: str
    kind: str
    data: Mapping[str, Any]
    source_time: float | None = None


def next_phase(current: str, seen: Seen, *, restart_target: str = "") -> str | None:
    """The machine's phase from this observation on, or None when it stays.

    ``restart_target``: "HD" or "WinPE" when the agent announced a restart that has not happened yet.
    """
    match seen.source:
        case "hypervisor":
            return _lifecycle(seen.kind, restart_target)
        case "dhcp":
            asks = seen.kind in ("discover", "request")
            by_firmware = str(seen.data.get("vendor_class", "")).startswith("PXEClient")
            return (
                "dhcp" if asks and by_firmware and current in ("firmware", "disk-boot", "restart") else None
            )
        case "tftp":
            if seen.kind == "sent" and seen.data.get("file") in LAST_FILES and current in _BEFORE_KERNEL:
                return "pe-kernel"
            return "boot-file" if current in _BEFORE_BOOT_FILE else None
        case "http":
            return _request(current, seen)
        case "agent" | "engine":
            return _agent(seen)
    return None


def _lifecycle(kind: str, restart_target: str) -> str | None:
    if kind == "started":
        return "firmware"
    if kind == "reset":
        return "disk-boot" if restart_target else "firmware"
    return "off" if kind in ("stopped", "crashed") else None


def _request(current: str, seen: Seen) -> str | None:
    path = str(seen.data.get("path", ""))
    if path.startswith("/boot/"):
        whole = seen.kind == "request" and seen.data.get("status") == 200
        whole = whole and seen.data.get("bytes") == seen.data.get("total")
        # A BIOS machine's iPXE fetches the kernel first, then the initrd.
        if whole and current in _BEFORE_KERNEL and not path.endswith(Path(BIOS_FILES[0]).suffix):
            return "pe-kernel"
        return "boot-file" if current in _BEFORE_BOOT_FILE else None
    if path.startswith("/policy/") and current in ("pe-kernel", "pe-hello", "disk-boot", "os-hello"):
        return "policy"
    return "content" if path.startswith("/content/") and current in _BEFORE_STEPS else None


def _agent(seen: Seen) -> str | None:
    match seen.kind:
        case "hello":
            return "os-hello" if seen.data.get("phase") == "os" else "pe-hello"
        case "phase":
            name = str(seen.data.get("name", ""))
            return name if name in PHASES else None
        case "instruction":
            return "step"
        case "restart":
            return "restart"
        case "sequence-finished":
            return "finished" if seen.data.get("result") == "success" else "failed"
    return None


def limit(phase: str, *, factor: float, own: Mapping[str, float], patience: float) -> float:
    """Seconds this phase may be without a progress signal, on this host."""
    base = own.get(phase, LIMITS.get(phase, 60.0)) * factor
    return base + patience if phase == "step" else base


def stall(machine: str, phase: str, *, allowed: float, signal: str, last: str, screen: str) -> PhaseTimeout:
    """What to raise of a machine that is silent for too long. ``signal``: the source that stopped, or "";
    ``screen``: the picture's file in the run's folder, or ""."""
    stopped = f"signal that stopped: {signal}" if signal else "no signal ever came"
    where = f"; screen: {screen}" if screen else ""
    return PhaseTimeout(
        f"{WAITED_FOR.get(phase, phase)} (machine '{machine}', phase {phase}, {stopped})",
        seconds=allowed,
        last_seen=last,
        hint=f"usual cause: {USUAL_CAUSE.get(phase, 'unknown')}{where}",
    )


_NOTHING_BOOTABLE = ("Shell>", "No bootable option", "No bootable device")
#: What a system on the disk says that no client continues.
_LEFT_ALONE = ("nobody continues this machine", "no task sequence is going on")


def left_alone(text: str) -> bool:
    """Whether a line of the console says that the machine stays up and has nothing more to do."""
    return any(mark in text for mark in _LEFT_ALONE)


#: What the kernel of an x64 boot image says on a processor without the long mode (observed).
_WRONG_PROCESSOR = "This kernel requires"


def cannot_start(text: str) -> str:
    """Why the boot image cannot start on this machine, told from a line of the console; "" when it can."""
    if _WRONG_PROCESSOR not in text:
        return ""
    said = text[text.index(_WRONG_PROCESSOR) :].strip()
    return f"the boot image is not for this machine's processor: {said}"


def left_network(text: str) -> bool:
    """Whether a line of the console says that the machine's start from the network has led nowhere: by
    iPXE's script, or by the UEFI firmware's own PXE (observed)."""
    return text.startswith(DECIDED) or ("failed to load Boot" in text and '"UEFI PXE' in text)


def nothing_bootable(text: str) -> bool:
    """Whether the firmware says that it has tried everything."""
    return any(mark in text for mark in _NOTHING_BOOTABLE)


def firmware_trouble(machine: str, phase: str, text: str) -> LabFault | None:
    """What a line of the console says that keeps a machine from starting, while its firmware runs."""
    if GAVE_UP in text:
        return LabFault(
            f"machine '{machine}' could not fetch its boot file: {text.partition(GAVE_UP)[2].strip()}",
            hint="see the http events of timeline.jsonl: was it asked for, and what was answered?",
        )
    if nothing_bootable(text):
        return LabFault(
            f"machine '{machine}' found nothing to boot from (its firmware says '{text}')",
            hint=USUAL_CAUSE.get(phase, ""),
        )
    return None
