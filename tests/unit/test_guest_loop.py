"""The loop: what it keeps before each effect, and how it resumes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lab.clock import VirtualClock
from lab.guest.loop import FORMAT, Loop, Restarting, Savable
from lab.sequence.effects import Effect, Finished, Outcome
from lab.sequence.model import Step, StepVariable, TaskSequence

DATA = "C:\\_SMSTaskSequence"
DISKS = [{"index": 0, "sectors": 1 << 25, "sector_size": 512}]
RAM_LOG = "X:\\Windows\\temp\\smstslog"


class World:
    """A machine in memory: performs by a table, keeps a store, a log and the events."""

    def __init__(self, answers: dict[str, Outcome] | None = None, data_path: str = "") -> None:
        self.answers = answers or {}
        self.data_path = data_path
        self.performed: list[Effect] = []
        self.saves: list[dict[str, Any]] = []
        self.folders: list[str] = []
        self.log_folders: list[str] = []
        self.lines: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.removed = False
        self.winpe = not data_path
        self.at_partition: tuple[str, str] | None = None

    def perform(self, effect: Effect) -> Outcome:
        assert not self.saves or self.removed or self.saves[-1]["pending"] == effect.to_json(), "saved before"
        self.performed.append(effect)
        if effect.kind == "GatherFacts":
            facts: dict[str, Any] = {"in_winpe": self.winpe, "uefi": True, "data_path": self.data_path}
            facts |= {"log_path": self.data_path + "\\Logs\\smstslog" if self.data_path else RAM_LOG}
            return Outcome(value={**facts, "bootable": bool(self.data_path), "volumes": {}, "disks": DISKS})
        if effect.kind == "PartitionDisk":
            self.at_partition = (self.folders[-1], self.log_folders[-1])
        return self.answers.get(effect.kind, Outcome())

    def save(self, saved: Savable) -> None:
        self.saves.append(copy.deepcopy(saved.to_json()))

    def load(self) -> dict[str, Any] | None:
        return self.saves[-1] if self.saves else None

    def relocate(self, data_path: str) -> None:
        self.folders.append(data_path)

    def remove(self) -> None:
        self.removed = True

    def write(self, lines: str) -> None:
        self.lines.append(lines)

    def move(self, folder: str) -> None:
        self.log_folders.append(folder)

    def loop(self, sequence: TaskSequence, mark: str, saved: dict[str, Any] | None = None) -> Loop:
        ports = (self, self, lambda kind, data: self.events.append((kind, data)), VirtualClock(), mark)
        named: dict[str, Any] = {"log": self, "wall": lambda: 0.0}
        return Loop.of_saved(saved, *ports, **named) if saved else Loop(sequence, *ports, **named)

    def kinds(self, *wanted: str) -> list[dict[str, Any]]:
        return [data for kind, data in self.events if kind in wanted]


def command(name: str, line: str) -> Step:
    return Step("SMS_TaskSequence_RunCommandLineAction", name, action=f"smsswd.exe /run: {line}")


RESTART = Step(
    "SMS_TaskSequence_RebootAction",
    "Restart",
    action="smsboot.exe /target:HD",
    variables=(StepVariable("SMSRebootTarget", "Target", "HD"),),
)
COMMANDS = TaskSequence("Commands", children=(command("One", "one.exe"), command("Two", "two.exe")))
RESTARTS = TaskSequence("Restarts", children=(RESTART, command("After", "after.exe")))


def restarted() -> World:
    """A run that stands before its restart, on a machine with a system on its disk."""
    world = World(data_path=DATA)
    assert world.loop(RESTARTS, "boot-1").start({}) == Restarting("HD")
    return world


def test_each_effect_is_saved_before_it_is_performed() -> None:
    world = World({"RunCommand": Outcome(how="doubled")})
    loop = world.loop(COMMANDS, "boot-1")
    assert loop.start({"A": "b"}) == Finished("success", 0)
    kinds = [effect.kind for effect in world.performed]
    assert kinds == ["GatherFacts", "RunCommand", "RunCommand", "CleanUp"]
    assert [saved["pending"]["kind"] for saved in world.saves] == kinds
    assert {saved["mark"] for saved in world.saves} == {"boot-1"}
    assert loop.counts == {"real": 2, "doubled": 2}
    assert loop.public_variables()["A"] == "b"
    assert world.removed


def test_effects_and_records_are_told_with_place_and_time() -> None:
    world = World({"RunCommand": Outcome(3, message="no")})
    world.loop(COMMANDS, "boot-1").start({})
    effects = [(data["effect"], data["pointer"], data["how"], data["code"]) for data in world.kinds("effect")]
    assert effects == [("GatherFacts", 0, "real", 0), ("RunCommand", 0, "real", 3), ("CleanUp", 0, "real", 0)]
    record = world.kinds("record")[0]
    assert (record["time"], record["date"]) == ("00:00:00.000+000", "01-01-1970")
    assert "".join(world.lines).count("\r\n") == len(world.kinds("record"))
    assert world.lines[0].startswith("<![LOG[") and world.lines[0].endswith("\r\n")


def test_state_and_log_follow_the_data_path() -> None:
    world = World(data_path=DATA)
    world.loop(COMMANDS, "boot-1").start({})
    assert world.folders == [DATA]
    assert world.log_folders == [DATA + "\\Logs\\smstslog", "C:\\Windows\\CCM\\Logs"]


def test_while_a_disk_is_partitioned_state_and_log_are_in_memory() -> None:
    values = {"OSDDiskIndex": "0", "OSDPartitionStyle": "GPT", "OSDPartitions": "1"}
    values |= {"OSDPartitions0Type": "Primary", "OSDPartitions0FileSystem": "NTFS"}
    partition = Step(
        "SMS_TaskSequence_PartitionDiskAction",
        "Format",
        action="osddiskpart.exe",
        variables=tuple(StepVariable(name, name[3:], value) for name, value in values.items()),
    )
    world = World(data_path=DATA)
    world.winpe = True
    world.loop(TaskSequence("Wipe", children=(partition,)), "boot-1").start({})
    assert "PartitionDisk" in [effect.kind for effect in world.performed]
    assert world.at_partition == ("", RAM_LOG)
    assert world.folders[:2] == [DATA, ""]


def test_a_pending_restart_with_a_new_mark_happened() -> None:
    world = restarted()
    assert world.events[-1] == ("restart", {"target": "HD"})
    saved = world.load()
    assert saved is not None
    assert world.loop(RESTARTS, "boot-2", saved).resume(saved) == Finished("success", 0)
    after = [effect.kind for effect in world.performed]
    assert after[after.index("Restart") :] == ["Restart", "GatherFacts", "RunCommand", "CleanUp"]
    assert [data["code"] for data in world.kinds("effect") if data["effect"] == "Restart"] == [0]


def test_a_pending_restart_with_the_same_mark_did_not_happen() -> None:
    world = restarted()
    saved = world.load()
    assert saved is not None
    result = world.loop(RESTARTS, "boot-1", saved).resume(saved)
    assert isinstance(result, Finished) and result.result == "failed"
    assert "RunCommand" not in [effect.kind for effect in world.performed]


@pytest.mark.parametrize(("pending", "performed"), [("RunCommand", 0), ("CleanUp", 1)])
def test_after_an_interruption_only_what_is_repeatable_is_performed_again(
    pending: str, performed: int
) -> None:
    world = World(data_path=DATA)
    world.loop(COMMANDS, "boot-1").start({})
    saved = next(saved for saved in world.saves if saved["pending"]["kind"] == pending)
    resumed = World(data_path=DATA)
    result = resumed.loop(COMMANDS, "boot-2", saved).resume(saved)
    assert [effect.kind for effect in resumed.performed].count(pending) == performed
    interrupted = [data for data in resumed.kinds("effect") if data["code"] == 0x800704C7]
    assert bool(interrupted) == (performed == 0)
    assert isinstance(result, Finished) and (result.result == "success") == bool(performed)


def test_a_restart_that_cannot_begin_is_the_steps_failure() -> None:
    world = World({"Restart": Outcome(5, message="refused")}, data_path=DATA)
    result = world.loop(RESTARTS, "boot-1").start({})
    assert isinstance(result, Finished) and result.result == "failed"


def test_another_format_is_refused() -> None:
    world = restarted()
    saved = {**(world.load() or {}), "format": FORMAT + 1}
    with pytest.raises(ValueError, match="format"):
        world.loop(RESTARTS, "boot-2", saved)


@pytest.mark.parametrize(("value", "quiet"), [("True", True), ("false", False), ("", False)])
def test_a_variable_says_whether_one_lost_status_message_is_the_last(value: str, quiet: bool) -> None:
    loop = World(data_path=DATA).loop(TaskSequence("s", children=(command("a", "x"),)), "m")
    loop.start({"SMSTSDisableStatusRetry": value} if value else {})
    assert loop.keeps_quiet is quiet
