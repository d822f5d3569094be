"""A whole deployment in the modelled world: from the network to a verdict's evidence, on a virtual clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from lab.clock import VirtualClock
from lab.disk.fingerprint import NOISE, differences, fingerprint
from lab.errors import LabFault, PhaseTimeout
from lab.guest.doubles import Double
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.sequence.effects import Finished
from lab.sequence.model import Group, Step, StepVariable, TaskSequence
from lab.simulation import windows, world
from lab.simulation.disks import Blob
from lab.simulation.machine import LOADER_PLACES, Machine
from lab.simulation.outcome import SimulatedRun
from lab.simulation.ports import ModelStore
from lab.simulation.reference import reference_image
from lab.simulation.run import simulate
from lab.simulation.site import SimContent, SimFile, SimImage
from lab.simulation.world import World
from lab.site.model import Purpose
from lab.timeline import Event, Timeline

GIB = 1 << 30
IMAGE = reference_image({"loader": Blob(9_000_000, "bb"), "root": Blob(20_000_000, "aa")})
CONTENTS = {
    "LAB00001": SimContent.listed(
        [{"name": "reference.wim", "size": 30_000_000, "sha256": "cc"}], images=(IMAGE,)
    ),
    "LAB00002": SimContent((SimFile("labpe-x64.efi", 45_000_000, "dd"),)),
    "LAB00003": SimContent((SimFile("client.zip", 200_000, "ee"),)),
}
VARIABLES = {
    "OSDComputerName": "PC-1",
    "_SMSTSBootImageID": "LAB00002",
    "_SMSTSClientPackageID": "LAB00003",
}
SPEC = MachineSpec(
    "PC-1", "a0000000-0000-0000-0000-0000000000b1", "uefi", 768, (DiskSpec(20 * GIB),),
    (NicSpec("52:54:00:aa:00:01"),),
)  # fmt: skip


def step(
    kind: str, name: str, action: str = "", *, variables: Mapping[str, str] | None = None, **more: Any
) -> Step:
    values = tuple(StepVariable(key, key, value) for key, value in (variables or {}).items())
    return Step(f"SMS_TaskSequence_{kind}", name, action=action, variables=values, **more)


def partitions(*rows: tuple[str, str, str, str, str]) -> dict[str, str]:
    values = {"OSDDiskIndex": "0", "OSDPartitionStyle": "GPT", "OSDPartitions": str(len(rows))}
    for index, (kind, size, units, file_system, label) in enumerate(rows):
        names = ("Type", "Size", "SizeUnits", "FileSystem", "VolumeName")
        for name, value in zip(names, (kind, size, units, file_system, label), strict=True):
            values[f"OSDPartitions{index}{name}"] = value
    return values


FORMAT = step(
    "PartitionDiskAction",
    "Format disk",
    "osddiskpart.exe",
    variables=partitions(
        ("EFI", "300", "MB", "FAT32", "System"),
        ("MSR", "16", "MB", "", ""),
        ("Primary", "100", "Percent", "NTFS", "Windows"),
    ),
)
APPLY = step(
    "ApplyOperatingSystemAction", "Apply image", "OSDApplyOS.exe /image:LAB00001,1",
    variables={"ImagePackageID": "LAB00001", "OSDImageIndex": "1"},
)  # fmt: skip
SETTINGS = step("ApplyWindowsSettingsAction", "Windows settings", "osdwinsettings.exe /config")
SETUP = step("SetupWindowsAndSMSAction", "Setup Windows", "OSDSetupWindows.exe")
COMMAND = step(
    "RunCommandLineAction", "Tell", "smsswd.exe /run: cmd /c tell", variables={"CommandLine": "cmd /c tell"}
)
TO_PE = step("RebootAction", "Restart to PE", "smsboot.exe /target:WinPE")
TO_DISK = step("RebootAction", "Restart to disk", "smsboot.exe /target:HD")
DOUBLE = Double("cmd /c tell", sets={"Told": "yes"}, writes={"C:\\told.txt": "told"}, takes=3)
BARE_METAL = (FORMAT, APPLY, SETTINGS, SETUP, COMMAND)


class Run:
    """A simulated run and its timeline. The wall clock is the virtual one."""

    def __init__(
        self,
        *steps: Step | Group,
        doubles: tuple[Double, ...] = (DOUBLE,),
        contents: Mapping[str, SimContent] = CONTENTS,
        purpose: Purpose = "available",
        spec: MachineSpec = SPEC,
    ) -> None:
        clock = VirtualClock()
        start = datetime(2026, 1, 1, 9, tzinfo=UTC)
        self.timeline = Timeline(clock, wall=lambda: start + timedelta(seconds=clock.now()))
        self.run: SimulatedRun = simulate(
            TaskSequence("Test", package_id="LAB00010", children=steps), spec,
            variables=VARIABLES, doubles=doubles, contents=contents, purpose=purpose,
            timeline=self.timeline, clock=clock,
        )  # fmt: skip

    @property
    def events(self) -> list[Event]:
        return self.timeline.events

    def kinds(self, source: str) -> list[str]:
        return [event.kind for event in self.events if event.source == source]

    def results(self) -> dict[str, str]:
        return {e.data["name"]: e.data["result"] for e in self.events if e.kind == "step-finished"}

    def print(self) -> dict[str, str]:
        return fingerprint(self.run.final_state, self.run.variables, self.run.requests)

    def paths(self) -> list[str]:
        told = [request for request in self.run.requests if request["path"] != "/status"]
        return [f"{request['status']} {request['path']}" for request in told]


def with_image(image: SimImage) -> dict[str, SimContent]:
    wim = replace(CONTENTS["LAB00001"].files[0], images=(image,))
    return {**CONTENTS, "LAB00001": SimContent((wim,))}


def test_a_bare_metal_deployment_succeeds_and_leaves_what_it_should() -> None:
    run = Run(*BARE_METAL)
    assert run.run.fault is None and run.run.result == "success"
    assert set(run.results().values()) == {"success"}
    final = run.run.final_state
    assert [p.type for p in final.disks[0].partitions] == ["EFI", "MSR", "Primary"]
    assert final.volumes == {"EFI:": "0,1", "C:": "0,3"}
    assert final.files["EFI:\\EFI\\Boot\\bootx64.efi"].sha256 == "bb"
    assert "PC-1" in (final.files["C:\\Windows\\Panther\\unattend\\unattend.xml"].text or "")
    assert final.files["C:\\told.txt"].text == "told"
    assert "C:\\Windows\\CCM\\Logs\\smsts.log" in final.files
    assert not [path for path in final.files if "_SMSTaskSequence" in path]
    key = "HKLM\\SYSTEM\\ControlSet001\\Control\\ComputerName\\ComputerName"
    assert final.registry[key]["ComputerName"] == ["REG_SZ", "PC-1"]
    assert final.registry["HKLM\\SYSTEM\\Setup"]["SystemSetupInProgress"] == ["REG_DWORD", 0]
    assert final.registry["HKLM\\SOFTWARE\\Microsoft\\CCM"]["HttpPort"] == ["REG_DWORD", 80]
    assert run.run.variables["Told"] == "yes"
    assert run.run.starts == 2
    assert run.paths() == [
        "200 /pxe/ipxe",
        "200 /boot/labpe-x64.efi",
        "200 /policy/52:54:00:aa:00:01",
        "200 /policy/52:54:00:aa:00:01/LAB20000",
        "200 /locations/LAB00001",
        "200 /content/LAB00001/reference.wim",
        "200 /locations/LAB00003",
        "200 /content/LAB00003/client.zip",
    ]


def test_every_effect_says_how_it_came_about() -> None:
    run = Run(*BARE_METAL)
    hows = [event.data["how"] for event in run.events if event.kind == "effect"]
    assert set(hows) == {"modelled", "doubled"}
    assert run.run.counts == {how: hows.count(how) for how in set(hows)}


def test_the_timeline_has_the_phases_and_kinds_of_a_real_run() -> None:
    run = Run(*BARE_METAL)
    phases: list[str] = []
    for event in run.events:
        if not phases or phases[-1] != event.phase:
            phases.append(event.phase)
    assert phases[:8] == ["off", "firmware", "dhcp", "boot-file", "pe-kernel", "pe-hello", "policy", "step"]
    assert "content" in phases
    assert phases[-7:] == ["step", "restart", "disk-boot", "os-hello", "step", "finished", "off"]
    assert run.kinds("hypervisor") == ["started", "reset", "stopped"]
    assert [e.data["phase"] for e in run.events if e.kind == "hello"] == ["pe", "os"]
    assert run.kinds("agent")[-2:] == ["variables", "bye"]
    assert {event.source for event in run.events if event.kind == "record"} == {"smsts"}
    assert run.kinds("dhcp")[:4] == ["discover", "offer", "request", "ack"]


def test_the_log_on_the_disk_is_what_was_recorded() -> None:
    run = Run(*BARE_METAL)
    log = run.run.final_state.files["C:\\Windows\\CCM\\Logs\\smsts.log"].text or ""
    messages = [event.data["message"] for event in run.events if event.kind == "record"]
    assert log == run.run.log
    assert log.count("<![LOG[") == len(messages)


def test_two_runs_are_the_same_and_nobody_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    first, second = Run(*BARE_METAL), Run(*BARE_METAL)
    assert not slept
    assert [event.to_json() for event in first.events] == [event.to_json() for event in second.events]
    assert first.run.seconds > 30
    assert differences(first.print(), second.print(), mask=()) == []


def test_a_planted_bug_shows_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Run(*BARE_METAL)
    monkeypatch.setattr("lab.simulation.performer.LOADER_PLACES", LOADER_PLACES[1:])
    bad = Run(*BARE_METAL)
    assert [item.key for item in differences(good.print(), bad.print(), mask=NOISE)] == [
        "file/efi:\\efi\\microsoft\\",
        "file/efi:\\efi\\microsoft\\boot\\",
        "file/efi:\\efi\\microsoft\\boot\\bootmgfw.efi",
    ]


def test_a_restart_into_pe_starts_the_staged_image_and_goes_on() -> None:
    run = Run(FORMAT, TO_PE, COMMAND)
    assert run.run.result == "success" and run.run.starts == 2
    assert run.results() == {"Format disk": "success", "Restart to PE": "success", "Tell": "success"}
    assert run.paths().count("200 /policy/52:54:00:aa:00:01") == 1
    assert run.paths().count("200 /boot/labpe-x64.efi") == 1
    assert run.paths()[-1] == "200 /content/LAB00002/labpe-x64.efi"


@pytest.mark.parametrize("continues", [False, True])
def test_a_restart_before_any_disk_is_formatted_fails_the_sequence(continues: bool) -> None:
    run = Run(replace(TO_DISK, continue_on_error=continues), COMMAND)
    assert run.run.result == "failed" and run.run.starts == 1
    assert "Tell" not in run.results()
    assert run.run.final_state.disks[0].style == ""


def test_missing_content_fails_the_step_with_its_code() -> None:
    gone = replace(CONTENTS["LAB00001"], distributed="missing")
    run = Run(*BARE_METAL, contents={**CONTENTS, "LAB00001": gone})
    assert run.run.finished is not None
    assert (run.run.result, run.run.finished.failed_step) == ("failed", "Apply image")
    assert run.run.finished.step_code == 0x80070002
    assert "404 /content/LAB00001/reference.wim" in run.paths()
    assert run.events[-1].phase == "off" and "failed" in {event.phase for event in run.events}


def test_a_command_without_a_double_is_the_labs_fault() -> None:
    run = Run(*BARE_METAL, doubles=())
    assert isinstance(run.run.fault, LabFault) and "'Tell'" in run.run.fault.message
    assert run.run.finished is None
    assert "lab-error" in run.kinds("agent")


def test_without_the_clients_hook_nobody_continues_the_machine() -> None:
    """A command overwrites SetupComplete.cmd: after the next restart the system is up and nothing goes on."""
    hook = "C:\\Windows\\Setup\\Scripts\\SetupComplete.cmd"
    run = Run(*BARE_METAL, TO_DISK, doubles=(replace(DOUBLE, writes={hook: "rem mine\r\n"}),))
    assert run.run.fault is None and run.run.finished is None and run.run.starts == 3
    assert "nobody continues this machine" in run.run.unfinished
    assert "unfinished" in run.kinds("lab") and "stalled" not in run.kinds("lab")


@pytest.mark.parametrize("data_first", [False, True])
def test_a_data_volume_may_be_larger_than_windows_own_and_stand_before_it(data_first: bool) -> None:
    """State and content are on the larger volume, which has another letter in the new system."""
    windows_own = ("Primary", "4096" if data_first else "8192", "MB", "NTFS", "Windows")
    data = ("Primary", "10240" if data_first else "100", "MB" if data_first else "Percent", "NTFS", "Data")
    both = (data, windows_own) if data_first else (windows_own, data)
    values = partitions(("EFI", "300", "MB", "FAT32", "System"), ("MSR", "16", "MB", "", ""), *both)
    number = 3 if data_first else 2
    values[f"OSDPartitions{number}VolumeLetterVariable"] = "OSDisk"
    form = step("PartitionDiskAction", "Format disk", "osddiskpart.exe", variables=values)
    apply = replace(APPLY, variables=(*APPLY.variables, StepVariable("OSDTargetDrive", "x", "%OSDisk%")))
    apply = replace(apply, action="OSDApplyOS.exe /image:LAB00001,1 /target:%OSDisk%")
    run = Run(form, apply, SETTINGS, SETUP, COMMAND)
    assert run.run.fault is None and run.run.result == "success", run.run
    assert run.run.variables["OSDisk"] == "C:"
    moved = "Path variable OSDisk converted from D: to C:"
    assert (moved in run.run.log) == data_first
    assert "D:\\_SMSTaskSequence" in run.run.log or data_first
    assert not [path for path in run.run.final_state.files if "_SMSTaskSequence" in path]


def test_the_post_action_is_spawned_at_the_very_end_and_its_end_is_nobodys_business() -> None:
    after = step("SetVariableAction", "After", 'tsenv.exe "SMSTSPostAction=wipe.exe /%Told%"',
                 variables={"VariableName": "SMSTSPostAction",
                            "VariableValue": "wipe.exe /%Told%"})  # fmt: skip
    for doubles in ((DOUBLE,), (DOUBLE, Double("wipe.exe /yes", exit=5)), (DOUBLE, BY_ITSELF_AT_THE_END)):
        run = Run(*BARE_METAL, after, doubles=doubles)
        assert run.run.result == "success" and run.run.starts == 2
        kinds = [event.data["effect"] for event in run.events if event.kind == "effect"]
        assert kinds[-2:] == ["CleanUp", "RunCommand"]
        assert not [path for path in run.run.final_state.files if "_SMSTaskSequence" in path]


BY_ITSELF_AT_THE_END = Double("wipe.exe /yes", restarts="always")
FIRMWARE = step("RunCommandLineAction", "Firmware", "smsswd.exe /run: fw.exe")
BY_ITSELF = Double("fw.exe", restarts="always")


def test_a_required_deployment_is_not_offered_to_a_machine_that_restarted_by_itself() -> None:
    run = Run(FIRMWARE, *BARE_METAL, doubles=(BY_ITSELF,), purpose="required")
    assert run.run.fault is None and run.run.finished is None and run.run.starts == 2
    decisions = [event.data["action"] for event in run.events if event.kind == "pxe"]
    assert decisions == ["boot", "abort"]
    assert "unexpected-reset" in run.kinds("lab")
    assert "the site's PXE decision is abort" in run.run.unfinished
    assert "was offered already" in run.run.unfinished
    assert run.kinds("agent").count("hello") == 1, "the second start got no boot image"
    resets = [event for event in run.events if event.kind == "reset"]
    assert [(event.phase, event.data["expected"]) for event in resets] == [("firmware", False)]


def test_an_available_one_starts_afresh_and_a_command_may_restart_the_first_time_only() -> None:
    once = replace(BY_ITSELF, restarts="once")
    run = Run(FIRMWARE, *BARE_METAL, doubles=(once, DOUBLE))
    assert run.run.result == "success" and run.run.starts == 3
    assert run.kinds("engine").count("sequence-started") == 2
    for_ever = Run(FIRMWARE, doubles=(BY_ITSELF,)).run
    assert isinstance(for_ever.fault, LabFault) and "50 times" in for_ever.fault.message


@pytest.mark.parametrize("restarts", ["once", "always"])
def test_in_the_full_os_the_saved_environment_goes_on_after_a_restart_nobody_asked_for(restarts: str) -> None:
    kept = replace(FIRMWARE, continue_on_error=True)
    double = replace(BY_ITSELF, restarts=restarts)
    run = Run(*BARE_METAL[:-1], kept, COMMAND, doubles=(double, DOUBLE))
    assert run.run.result == "success" and run.run.starts == 3
    assert run.results()["Firmware"] == "failed", "what was lost is not run again"


def test_without_its_environment_the_full_os_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the state when the machine comes back: there is nothing to go on with."""
    monkeypatch.setattr(ModelStore, "load", lambda self: None)
    run = Run(*BARE_METAL[:-1], FIRMWARE, doubles=(BY_ITSELF,))
    assert run.run.finished == Finished("failed", 0x80070002)
    assert "Task Sequence environment not found" in run.run.log


def test_a_finished_machine_that_is_started_again_just_stays_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """SetupComplete.cmd counts on the first start only; its client went with the sequence's data folder."""
    worlds, first_run = list[World](), World.run
    monkeypatch.setattr(World, "run", lambda self: (worlds.append(self), first_run(self))[1])
    run = Run(*BARE_METAL)
    assert run.run.result == "success"
    before, hellos = run.run.final_state, run.kinds("agent").count("hello")
    monkeypatch.setattr(world, "MAX_STARTS", 1)  # those of an earlier power-on do not count
    again = worlds[0].run()
    assert again.fault is None and again.not_started == "no task sequence is going on; the system stays up"
    assert run.kinds("agent").count("hello") == hellos and again.final_state == before


def test_a_hook_without_its_client_is_a_fault_at_the_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "client_hook", lambda volume: "gone")
    fault = Run(*BARE_METAL).run.fault
    assert isinstance(fault, LabFault) and "holds no client.zip" in fault.message


def test_a_restart_to_an_image_that_setup_did_not_prepare_fails() -> None:
    run = Run(FORMAT, APPLY, TO_DISK)
    assert run.run.result == "failed" and run.run.starts == 1


def test_an_image_that_cannot_start_stalls_in_the_disk_boot() -> None:
    files = {path: data for path, data in IMAGE.files.items() if "squashfs" not in path}
    run = Run(*BARE_METAL, contents=with_image(replace(IMAGE, files=files)))
    assert isinstance(run.run.fault, PhaseTimeout) and "disk-boot" in run.run.fault.message


def test_a_machine_that_comes_back_by_the_network_gets_a_new_decision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lost loader: the firmware goes on to the network, and the site starts the deployment again."""
    monkeypatch.setattr(Machine, "_file", lambda self, entry: False)
    monkeypatch.setattr(Machine, "_fallback_loader", lambda self: False)
    run = Run(*BARE_METAL)
    assert run.paths().count("200 /policy/52:54:00:aa:00:01") == 50
    assert isinstance(run.run.fault, LabFault) and "50 times" in run.run.fault.message


@pytest.mark.parametrize(
    ("firmware", "files"),
    [
        ("uefi", ["labpe-x64.efi"]),
        ("bios", ["pxelinux.0", "ldlinux.c32", "pxelinux.cfg/default", "labpe-x64.krn", "labpe-x64.img"]),
    ],
)
def test_a_native_start_takes_all_by_tftp(firmware: Literal["uefi", "bios"], files: list[str]) -> None:
    spec = replace(SPEC, firmware=firmware, nics=(NicSpec("52:54:00:aa:00:01", native=True),))
    run = Run(spec=spec)
    assert run.run.result == "success"
    sent = [event for event in run.events if (event.source, event.kind) == ("tftp", "sent")]
    assert [event.data["file"] for event in sent] == files
    asked = [f"200 /policy/52:54:00:aa:00:01{deployment}" for deployment in ("", "/LAB20000")]
    assert run.paths() == asked


def test_nothing_to_start_from_is_the_labs_fault() -> None:
    alone = replace(SPEC, nics=(NicSpec("52:54:00:aa:00:01", pxe=False),))
    fault = Run(*BARE_METAL, spec=alone).run.fault
    assert isinstance(fault, LabFault) and "nothing to boot from" in fault.message
