"""Restarts, Setup Windows and the image: what needs a disk, and what is fatal without one."""

from __future__ import annotations

import pytest

from lab.sequence import effects as fx
from lab.sequence.engine import advance, next_effect, start
from lab.sequence.state import ExecutionState, variables_of
from tests.unit.sequence_world import (
    World,
    apply_os,
    command,
    group,
    partition,
    positions,
    reboot,
    run,
    sequence,
    set_variable,
    setup_windows,
)

# restarts


@pytest.mark.rule("R66")
@pytest.mark.parametrize("target", ["HD", "WinPE"])
def test_a_restart_with_nothing_formatted_is_fatal_whatever_the_error_handling_says(target: str) -> None:
    tree = sequence(
        group("G", reboot(target, continue_on_error=True), command("later"), continue_on_error=True),
        command("last"),
    )
    world = World()
    told = run(tree, world, {"_SMSTSBootImageID": "LAB00002"})
    assert told.finished == fx.Finished("failed", 0x80004005, "Restart", 0x80004005)
    assert told.steps() == {"Restart": "success"}
    assert world.restarts == []
    positions(
        told.log(),
        "Failed to reboot the system",
        "CheckForRebootRequest(&bRebootInitiated), HRESULT=80004005",
        "Fatal error is returned in check for reboot request of the action (Restart).",
        "An error (0x80004005) is encountered in execution of the task sequence",
        "Error Task Sequence Manager failed to execute task sequence. Code 0x80004005",
    )
    assert world.performed[-1] == fx.CleanUp("", "")


def test_a_restart_to_the_disk_before_setup_windows_is_fatal() -> None:
    world = World()
    told = run(sequence(partition(), apply_os(), reboot("HD", continue_on_error=True)), world)
    assert told.finished.result == "failed" and world.restarts == []
    positions(
        told.log(),
        "Task sequence cannot continue after reboot because TS Manager is not configured to auto-start or "
        "GINA is not installed",
    )
    assert world.performed[-1] == fx.CleanUp("C:\\SMSTSLog", "C:\\_SMSTaskSequence")


def test_a_restart_to_pe_stages_the_boot_image_and_goes_on_with_the_next_step() -> None:
    world = World()
    tree = sequence(partition(), set_variable("Kept", "yes"), reboot("WinPE"), command("after %Kept%"))
    told = run(tree, world, {"_SMSTSBootImageID": "LAB00002"})
    kinds = [effect.kind for effect in world.performed]
    at = kinds.index("Restart")
    assert kinds[at - 2 : at + 2] == ["DownloadContent", "StageBootImage", "Restart", "GatherFacts"]
    assert world.performed[at - 2] == fx.DownloadContent("LAB00002", "C:\\_SMSTaskSequence\\WinPE")
    assert told.steps()["after %Kept%"] == "success"
    assert [effect.command for effect in world.performed if isinstance(effect, fx.RunCommand)] == [
        "after yes"
    ]
    said = positions(
        told.log(),
        "Successfully completed the action (Restart)",
        "The action (Restart) initiated a reboot request",
        "Reboot to WinPE",
        "Execution engine result code: Reboot (2)",
    )
    assert said == sorted(said)


@pytest.mark.parametrize("missing", ["no image", "no content", "staging"])
def test_a_restart_to_pe_without_a_boot_image_is_fatal(missing: str) -> None:
    world = World(failing={"StageBootImage": 5} if missing == "staging" else {})
    if missing == "no content":
        world.packages.pop("LAB00002")
    given = {} if missing == "no image" else {"_SMSTSBootImageID": "LAB00002"}
    told = run(sequence(partition(), reboot("WinPE", continue_on_error=True), command("x")), world, given)
    assert told.finished.result == "failed" and "x" not in told.steps() and world.restarts == []


def test_a_restart_that_did_not_happen_is_fatal() -> None:
    world = World(in_winpe=False, volumes={"C:": {"disk": 0, "partition": 3}}, failing={"Restart": 1})
    told = run(sequence(reboot("HD")), world)
    assert told.finished.result == "failed"
    assert "Failed to reboot the system\nIncorrect function. (Error: 00000001; Source: Windows)" in told.log()


@pytest.mark.parametrize("in_winpe", [True, False])
def test_3010_is_success_and_restarts_to_the_same_environment(in_winpe: bool) -> None:
    world = World(in_winpe=in_winpe, commands={"update": 3010}, volumes={"C:": {"disk": 0, "partition": 3}})
    told = run(sequence(command("update"), command("next")), world, {"_SMSTSBootImageID": "LAB00002"})
    assert world.restarts == (["WinPE"] if in_winpe else ["HD"])
    assert told.steps() == {"update": "success", "next": "success"}
    assert told.finished.result == "success"


def test_3010_outside_the_success_list_is_a_failure_without_restart() -> None:
    world = World(in_winpe=False, commands={"update": 3010}, volumes={"C:": {"disk": 0, "partition": 3}})
    told = run(sequence(command("update", success_codes=(0,))), world)
    assert told.finished.step_code == 3010 and world.restarts == []


@pytest.mark.rule("R11")
def test_a_script_may_ask_for_a_restart_and_to_be_run_again() -> None:
    asked = fx.Outcome(
        value={"sets": {"SMSTSRebootRequested": "HD", "SMSTSRetryRequested": "true", "N": "1"}}
    )
    world = World(in_winpe=False, commands={"again": asked}, volumes={"C:": {"disk": 0, "partition": 3}})
    tree = sequence(command("again"), command("next"))
    state = start(tree, {})
    runs = 0
    events: list[fx.EngineEvent] = []
    while not isinstance(effect := next_effect(tree, state), fx.Finished):
        if isinstance(effect, fx.RunCommand) and effect.command == "again":
            runs += 1
            if runs == 2:
                world.commands = {}
        state, said = advance(tree, state, world.perform(effect))
        events += said
    assert (runs, world.restarts, effect.result) == (2, ["HD"], "success")
    finished = [event.data["name"] for event in events if event.kind == "step-finished"]
    assert finished == ["again", "next"]
    assert "The action (again) requested a retry" in [event.data.get("message") for event in events]
    assert variables_of(state)["N"] == "1"


# Setup Windows


def test_setup_windows_begins_in_pe_and_ends_in_the_new_system() -> None:
    world = World()
    tree = sequence(partition(), apply_os(), setup_windows(), command("in the new system", run_in="FullOS"))
    told = run(tree, world)
    assert told.finished.result == "success" and world.restarts == ["HD"]
    assert [data["name"] for data in told.of("step-finished")].count("Setup Windows") == 1
    assert world.files["c:\\windows\\setup\\scripts\\setupcomplete.cmd"] == (
        "%windir%\\system32\\osdsetuphook.exe /execute /client:C:\\_SMSTaskSequence\\OSD\\LAB00003\r\n"
    )
    assert world.registry["HKLM\\SYSTEM\\Setup"]["CmdLine"] == ["REG_SZ", ""]
    assert "HKLM\\SOFTWARE\\Microsoft\\CCM" in world.registry
    assert world.performed[-1] == fx.CleanUp("C:\\Windows\\CCM\\Logs", "C:\\_SMSTaskSequence")


def test_setup_windows_that_fails_is_fatal() -> None:
    world = World(packages={"LAB00001": ["a.wim"]})
    tree = sequence(
        group("G", partition(), apply_os(), setup_windows(continue_on_error=True), continue_on_error=True),
        command("never"),
    )
    told = run(tree, world)
    assert told.finished == fx.Finished("failed", 0x80004005, "Setup Windows", 0x80070002)
    assert "never" not in told.steps()


def test_a_machine_that_comes_back_in_pe_does_not_set_up_windows_for_ever() -> None:
    world = World(comes_back_in_pe=True)
    told = run(sequence(partition(), apply_os(), setup_windows()), world)
    assert told.finished.failed_step == "Setup Windows" and world.restarts == ["HD"]


@pytest.mark.rule("R08")
def test_missing_content_fails_the_step_that_needs_it() -> None:
    tree = sequence(partition(), apply_os(continue_on_error=True), command("next"))
    told = run(tree, World(packages={}))
    assert told.steps() == {"Partition": "success", "Apply OS": "failed", "next": "success"}
    assert "Failed to resolve the source for SMS PKGID=LAB00001, hr=0x80070002" in told.log()


@pytest.mark.parametrize(
    ("target", "volume"),
    [("C:", "C:"), ("c:\\", "C:"), ("0,2", "C:"), ("%OSDisk%", "C:"), ("", "C:"), ("D:", ""), ("%No%", "")],
)
def test_the_target_of_an_image(target: str, volume: str) -> None:
    option = f" /target:{target}" if target else ""
    action = f"OSDApplyOS.exe /image:LAB00001,%OSDImageIndex%{option} /runfromnet:False"
    world = World()
    told = run(sequence(partition(), apply_os(action=action)), world)
    applied = [effect for effect in world.performed if isinstance(effect, fx.ApplyImage)]
    if not volume:
        assert told.finished.step_code == 0x80070003 and not applied
        return
    image = "C:\\_SMSTaskSequence\\Packages\\LAB00001\\reference.wim"
    assert applied == [fx.ApplyImage(image, 1, volume, ("_SMSTaskSequence", "UserState"))]
    assert fx.InstallBootFiles(volume) in world.performed
    assert variables_of(told.state)["OSDTargetSystemDrive"] == volume


def test_a_configuration_package_is_laid_down_as_answer_file() -> None:
    world = World(packages={"LAB00001": ["a.wim"], "LAB00005": ["u.xml"]})
    world.files["c:\\_smstasksequence\\packages\\lab00005\\u.xml"] = "<unattend/>"
    action = 'OSDApplyOS.exe /image:LAB00001,1 "/config:LAB00005,u.xml" /target:C:'
    assert run(sequence(partition(), apply_os(action=action)), world).finished.result == "success"
    assert world.files["c:\\windows\\panther\\unattend\\unattend.xml"] == "<unattend/>"


@pytest.mark.parametrize("wiping", ["nothing", "disk", "volume"])
def test_a_run_from_the_installed_system_may_return_to_it_until_it_is_wiped(wiping: str) -> None:
    between = {"nothing": (), "disk": (partition(),), "volume": (apply_os(),)}[wiping]
    world = World(in_winpe=False, volumes={"C:": {"disk": 0, "partition": 3}})
    tree = sequence(reboot("WinPE"), *between, reboot("HD", "Back"))
    told = run(tree, world, {"_SMSTSBootImageID": "LAB00002"})
    assert told.finished.result == ("success" if wiping == "nothing" else "failed")
    assert world.restarts == (["WinPE", "HD"] if wiping == "nothing" else ["WinPE"])


def test_a_disk_laid_out_again_has_its_volumes_free_again() -> None:
    told = run(
        sequence(partition(), apply_os(), apply_os(continue_on_error=True), partition(), apply_os()), World()
    )
    assert [data["result"] for data in told.of("step-finished")] == [
        "success", "success", "failed", "success", "success",
    ]  # fmt: skip


def test_a_disk_that_is_not_there_fails_the_step() -> None:
    told = run(sequence(partition()), World(), {"OSDDiskIndex": "1"})
    assert told.finished.step_code == 0x80070490


def test_partitions_given_by_variables_replace_the_steps_own_as_a_whole() -> None:
    world = World()
    given = {"OSDPartitions0Type": "Primary", "osdpartitions0filesystem": "NTFS", "OSDPartitions0Size": "900"}
    assert run(sequence(partition()), world, given).finished.result == "success"
    laid = [effect for effect in world.performed if isinstance(effect, fx.PartitionDisk)]
    assert [(part.type, part.sectors, part.letter) for part in laid[0].partitions] == [
        ("Primary", 900 * 2048, "C:")
    ]


def test_a_retry_that_asks_for_no_restart_is_forgotten() -> None:
    world = World(in_winpe=False, volumes={"C:": {"disk": 0, "partition": 3}})
    world.commands = {"odd": fx.Outcome(value={"sets": {"SMSTSRetryRequested": "true"}})}
    told = run(sequence(command("odd"), reboot("HD"), command("end")), world)
    assert (world.restarts, told.finished.result) == (["HD"], "success")
    assert list(told.steps()) == ["odd", "Restart", "end"]


def test_a_later_restart_has_a_delay_of_its_own() -> None:
    """SMSTSRebootDelayNext: documented, from the second restart on."""
    ask = fx.Outcome(0, "doubled", value={"sets": {"SMSTSRebootRequested": "HD"}})
    world = World(commands={"ask": ask}, volumes={"C:": {"disk": 0, "partition": 3}}, in_winpe=False)
    plan = sequence(command("a", "ask 1"), command("b", "ask 2"), command("c", "ask 3"))
    run(plan, world, {"SMSTSRebootDelay": "60", "SMSTSRebootDelayNext": "5"})
    delays = [effect.delay for effect in world.performed if isinstance(effect, fx.Restart)]
    assert delays == [60, 5, 5]


def test_the_read_only_variables_are_those_of_the_phase() -> None:
    names = ("_SMSTSInWinPE", "_SMSTSMDataPath", "_SMSTSClientCache", "_SMSTSType", "_SMSTSOrgName")

    def values(state: ExecutionState) -> list[str]:
        return [state.variables.value(name) for name in names]

    world = World()
    told = run(sequence(command("first"), partition(), command("then")), world)
    before = next(state for state in told.states if state.pending and state.pending.kind == "RunCommand")
    assert values(before) == ["true", "X:\\_SMSTaskSequence", "", "2", "IT Organization"]
    on_disk = ["true", "C:\\_SMSTaskSequence", "C:\\_SMSTaskSequence", "2", "IT Organization"]
    assert values(told.state) == on_disk
    generic = World(volumes={"C:": {"disk": 0, "partition": 3}}, in_winpe=False)
    assert values(run(sequence(command("x")), generic).state)[::3] == ["false", "1"]


def test_status_messages_carry_the_ids_that_a_site_gets() -> None:
    plan = sequence(command("bad", continue_on_error=True), command("good"))
    told = run(plan, World(commands={"bad": 1}))
    assert [(data["id"], data["name"]) for data in told.of("status")] == [(11144, "Test"), (11138, "bad")]
    client = World(volumes={"C:": {"disk": 0, "partition": 3}}, in_winpe=False)
    assert [data["id"] for data in run(sequence(command("x")), client).of("status")] == [11140]


def test_the_local_data_drive_is_the_one_asked_for() -> None:
    volumes = {"C:": {"disk": 0, "partition": 3}, "D:": {"disk": 1, "partition": 1}}
    told = run(sequence(command("x")), World(volumes=volumes), {"SMSTSLocalDataDrive": "d:"})
    assert told.state.memory.facts["data_path"] == "D:\\_SMSTaskSequence"
    absent = run(sequence(command("x")), World(volumes=volumes), {"SMSTSLocalDataDrive": "Q:"})
    assert absent.state.memory.facts["data_path"] == "C:\\_SMSTaskSequence"
