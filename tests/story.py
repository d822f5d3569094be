"""A made-up run for the tests of judge and report: events by the real Timeline, and a final state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lab.clock import VirtualClock
from lab.disk.state import DiskState, FileState, FinalState, PartitionState
from lab.timeline import Event, Timeline

MIB = 2048  # sectors


class Story:
    """Writes events one second apart."""

    def __init__(self, machine: str = "PC-1") -> None:
        self._clock = VirtualClock()
        start = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
        self._timeline = Timeline(self._clock, wall=lambda: start + timedelta(seconds=self._clock.now()))
        self.machine = machine
        self._pointer = 0

    @property
    def events(self) -> list[Event]:
        return self._timeline.events

    def say(self, source: str, kind: str, phase: str | None = None, **data: Any) -> Event:
        self._clock.pause(1.0)
        return self._timeline.append(source, kind, machine=self.machine, phase=phase, details=data)

    def begin(self, steps: int = 4) -> None:
        self._timeline.append(
            "lab", "accelerator", choice="tcg", reason="KVM unusable here: 210 times slower", factor=2.5
        )
        self.say("engine", "sequence-started", "step", name="Bare metal", steps=steps, instructions=steps)

    def instruction(self, name: str) -> None:
        self._pointer += 1
        self.say(
            "engine", "instruction", name=name, pointer=self._pointer, type="SMS", depth=0, n=self._pointer
        )

    def finish_step(self, name: str, result: str = "success", code: int = 0, **more: Any) -> None:
        self.say(
            "engine", "step-finished", name=name, pointer=self._pointer, result=result, code=code, **more
        )

    def step(self, name: str, result: str = "success", code: int = 0, **more: Any) -> None:
        self.instruction(name)
        self.finish_step(name, result, code, **more)

    def record(self, message: str, component: str = "TSManager", severity: int = 1) -> Event:
        return self.say(
            "smsts", "record", message=message, component=component, type=severity, file="x.cpp:1"
        )

    def effect(self, effect: str, how: str = "real", code: int = 0, **more: Any) -> None:
        self.say(
            "agent", "effect", effect=effect, how=how, code=code, pointer=self._pointer, seconds=1.0, **more
        )

    def request(self, path: str, status: int = 200) -> None:
        self.say("http", "request", method="GET", path=path, status=status, bytes=1)

    def end(self, result: str = "success", code: int = 0, failed_step: str = "", step_code: int = 0) -> None:
        self.say(
            "engine", "sequence-finished", "finished" if result == "success" else "failed",
            result=result, code=code, failed_step=failed_step, step_code=step_code,
        )  # fmt: skip


def good_run() -> Story:
    """A sequence that succeeds: partitioning, an image, a doubled command."""
    story = Story()
    story.begin()
    story.record("The task execution engine started execution\nin two lines")
    story.step("Format and Partition Disk")
    story.effect("PartitionDisk")
    story.instruction("Apply Operating System")
    story.request("/content/LAB00001/install.wim")
    story.effect("ApplyImage")
    story.record("Applied image 1 of LAB00001 to volume C:", "ApplyOperatingSystem")
    story.finish_step("Apply Operating System")
    story.effect("RunCommand", "doubled")
    story.step("Optional", "skipped", reason="the condition is false")
    story.record("Execution complete.")
    story.say("engine", "variable", name="OSDPassword", value="***", secret=True)
    story.say("agent", "variables", OSDComputerName="PC-1", Empty="")
    story.end()
    return story


def bad_run() -> Story:
    """A package that the distribution point does not have."""
    story = Story()
    story.begin()
    story.step("Format and Partition Disk")
    story.effect("PartitionDisk")
    story.instruction("Download drivers")
    story.request("/content/LAB00009/drivers.cab", 404)
    story.effect("DownloadContent", code=0x80070002)
    story.record("Failed to resolve package source 'LAB00009'", "OSDDownloadContent", 3)
    story.finish_step("Download drivers", "failed", 0x80070002)
    story.say("agent", "variables")
    story.end("failed", 0x80004005, "Download drivers", 0x80070002)
    return story


def final_state(**changes: object) -> FinalState:
    partitions = (
        PartitionState(1, "EFI", MIB, 500 * MIB, "FAT32", "System"),
        PartitionState(2, "MSR", 501 * MIB, 16 * MIB),
        PartitionState(3, "Primary", 517 * MIB, 19_000 * MIB, "NTFS", "Windows"),
    )
    values: dict[str, object] = {
        "disks": (DiskState(0, 20 << 30, "GPT", partitions),),
        "volumes": {"C:": "0,3", "EFI:": "0,1"},
        "files": {
            "C:\\Windows\\": FileState(0),
            "C:\\Windows\\Boot\\EFI\\bootmgfw.efi": FileState(9, "aa"),
            "C:\\Windows\\Panther\\unattend.xml": FileState(
                40, "bb", "<a>\r\n<ComputerName>PC-1</ComputerName>"
            ),
            "C:\\big.bin": FileState(1 << 40),
            "EFI:\\EFI\\Microsoft\\Boot\\bootmgfw.efi": FileState(9, "aa"),
        },
        "registry": {
            "HKLM\\SYSTEM\\Setup": {"CmdLine": ["REG_SZ", ""], "SetupType": ["REG_DWORD", 2]},
            "HKLM\\SYSTEM\\Select": {"Current": ["REG_DWORD", 2]},
            "HKLM\\SYSTEM\\ControlSet002\\Control": {"List": ["REG_MULTI_SZ", ["a", "b"]]},
        },
    }
    return FinalState(**{**values, **changes})  # type: ignore[arg-type]
