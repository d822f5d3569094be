"""A machine in memory that performs the engine's effects, and short ways to write sequences for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.sequence import effects as fx
from lab.sequence import effects_software as sfx
from lab.sequence import wmi
from lab.sequence.engine import advance, next_effect, start
from lab.sequence.machinefacts import MachineFacts
from lab.sequence.model import Condition, Group, Step, StepVariable, TaskSequence
from lab.sequence.state import ExecutionState

GIB = 1024**3
PACKAGES = {
    "LAB00001": ["reference.wim"],
    "LAB00002": ["labpe-x64.efi"],
    "LAB00003": ["client.pyz"],
}


@dataclass
class World:
    """The machine. ``commands``: text in the command line -> exit code, or a whole outcome."""

    in_winpe: bool = True
    uefi: bool = True
    disk: int = 20 * GIB
    commands: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, list[str]] = field(default_factory=lambda: dict(PACKAGES))
    failing: dict[str, int] = field(default_factory=dict)
    volumes: dict[str, dict[str, int]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    registry: dict[str, dict[str, Any]] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)
    performed: list[fx.Effect] = field(default_factory=list)
    staged: bool = False
    comes_back_in_pe: bool = False
    policy: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: MachineFacts = field(default_factory=MachineFacts)
    scripts: dict[str, Any] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)

    @property
    def data_path(self) -> str:
        return "C:\\_SMSTaskSequence" if self.volumes else ""

    def perform(self, effect: fx.Effect) -> fx.Outcome:
        self.performed.append(effect)
        if effect.kind in self.failing:
            return fx.Outcome(self.failing[effect.kind])
        if isinstance(effect, fx.GatherFacts):
            return fx.Outcome(value=self.facts())
        if isinstance(effect, fx.RunCommand):
            return self.run(effect.command)
        if isinstance(effect, fx.PartitionDisk):
            self.volumes = {
                part.letter: {"disk": effect.disk, "partition": part.number}
                for part in effect.partitions
                if part.letter
            }
            return fx.Outcome(value={"volumes": dict(self.volumes)})
        if isinstance(effect, fx.DownloadContent):
            if effect.package not in self.packages:
                return fx.Outcome(
                    0x80070002, value={"status": 404, "location": "http://dp/" + effect.package}
                )
            names = self.packages[effect.package]
            listed = [{"name": name, "size": 1} for name in names]
            return fx.Outcome(value={"path": effect.destination, "files": listed, "location": "http://dp/x"})
        if isinstance(effect, fx.ApplyImage):
            return fx.Outcome(value={"image_name": "Lab", "architecture": "x64"})
        if isinstance(effect, sfx.ReadPolicy):
            section = self.policy.get(effect.section, {})
            if effect.name not in section:
                return fx.Outcome(0x80040104)
            return fx.Outcome(value={"found": section[effect.name]})
        if isinstance(effect, fx.QueryWmi):
            return fx.Outcome(
                value={"instances": wmi.instances(self.machine, effect.namespace, effect.class_name)}
            )
        if isinstance(effect, sfx.RunScript | sfx.AnswerStep):
            return self.answer(getattr(effect, "name", "") or getattr(effect, "step", ""))
        if isinstance(effect, sfx.ConnectFolder):
            return fx.Outcome(self.shares.get(effect.path, 0))
        if isinstance(effect, fx.FileFacts):
            there = effect.path.casefold() in self.files
            return fx.Outcome(value={"kind": "file" if there else "", "version": ""})
        if isinstance(effect, fx.ReadRegistry):
            if effect.key not in self.registry:
                return fx.Outcome(0x80070002)
            return fx.Outcome(value={"values": self.registry[effect.key]})
        if isinstance(effect, fx.WriteFile):
            self.files[effect.path.casefold()] = effect.text
        elif isinstance(effect, fx.ReadFile):
            if effect.path.casefold() not in self.files:
                return fx.Outcome(0x80070002)
            return fx.Outcome(value={"text": self.files[effect.path.casefold()]})
        elif isinstance(effect, fx.SetRegistry):
            self.registry.setdefault(effect.key, {}).update(effect.values)
        elif isinstance(effect, fx.StageBootImage):
            self.staged = True
        elif isinstance(effect, fx.Restart):
            self.restarts.append(effect.target)
            self.in_winpe = effect.target == "WinPE" or self.comes_back_in_pe
        return fx.Outcome()

    def facts(self) -> dict[str, Any]:
        return {
            "in_winpe": self.in_winpe,
            "uefi": self.uefi,
            "machine_name": "PC-1",
            "mac": "52:54:00:00:00:01",
            "uuid": "0000",
            "architecture": "x64",
            "disks": [{"index": 0, "sectors": self.disk // 512, "sector_size": 512}],
            "log_path": "X:\\WINDOWS\\TEMP\\SMSTSLog",
            "data_path": self.data_path,
            "volumes": dict(self.volumes),
            "launch_mode": "PXE",
            "bootable": bool(self.volumes),
        }

    def answer(self, name: str) -> fx.Outcome:
        found = self.scripts.get(name, 0)
        return found if isinstance(found, fx.Outcome) else fx.Outcome(found, "doubled")

    def run(self, command: str) -> fx.Outcome:
        for part, answer in self.commands.items():
            if part in command:
                return answer if isinstance(answer, fx.Outcome) else fx.Outcome(answer, "doubled")
        return fx.Outcome(0, "doubled")


@dataclass
class Told:
    """All that a run said, and its result."""

    finished: fx.Finished
    events: list[fx.EngineEvent]
    state: ExecutionState
    states: list[ExecutionState]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]

    def steps(self) -> dict[str, str]:
        return {data["name"]: data["result"] for data in self.of("step-finished")}

    def codes(self) -> dict[str, int]:
        return {data["name"]: data["code"] for data in self.of("step-finished")}

    def log(self) -> list[str]:
        return [data["message"] for data in self.of("record")]

    def text(self) -> str:
        return json.dumps([[event.kind, event.data] for event in self.events])


def run(
    sequence: TaskSequence,
    world: World,
    variables: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    *,
    through_json: bool = False,
    limit: int = 2000,
) -> Told:
    """Run to the end; ``through_json`` sends the state through text before every effect."""
    state = start(sequence, variables or {}, secrets)
    events: list[fx.EngineEvent] = []
    states = [state]
    for _ in range(limit):
        if through_json:
            state = ExecutionState.from_json(json.loads(json.dumps(state.to_json())))
        effect = next_effect(sequence, state)
        if isinstance(effect, fx.Finished):
            return Told(effect, events, state, states)
        state, said = advance(sequence, state, world.perform(effect))
        events += said
        states.append(state)
    raise AssertionError(f"the run did not end within {limit} effects")


def sequence(*children: Group | Step) -> TaskSequence:
    return TaskSequence("Test", children=children, package_id="LAB00009")


def group(name: str, *children: Group | Step, **more: Any) -> Group:
    return Group(name, children=children, **more)


def command(name: str, line: str = "", **more: Any) -> Step:
    more.setdefault("success_codes", (0, 3010))
    return Step(
        "SMS_TaskSequence_RunCommandLineAction", name, action=f"smsswd.exe /run: {line or name}", **more
    )


def set_variable(name: str, value: str, **more: Any) -> Step:
    fields = (
        StepVariable("VariableName", "VariableName", name, True),
        StepVariable("VariableValue", "VariableValue", value, True),
    )
    action = f'tsenv.exe "{name}={value}"'
    kind = "SMS_TaskSequence_SetVariableAction"
    return Step(kind, f"Set {name}", action=action, variables=fields, **more)


def reboot(target: str, name: str = "Restart", **more: Any) -> Step:
    return Step("SMS_TaskSequence_RebootAction", name, action=f"smsboot.exe /target:{target}", **more)


def fields(**values: str) -> tuple[StepVariable, ...]:
    return tuple(StepVariable(name, name, value) for name, value in values.items())


def partition(**more: Any) -> Step:
    array = fields(
        OSDPartitionStyle="GPT",
        OSDPartitions0Type="EFI",
        OSDPartitions0Size="500",
        OSDPartitions0FileSystem="FAT32",
        OSDPartitions1Type="Primary",
        OSDPartitions1FileSystem="NTFS",
        OSDPartitions1VolumeLetterVariable="OSDisk",
    )
    count = StepVariable("OSDPartitions", "Partitions", "2", True)
    kind = "SMS_TaskSequence_PartitionDiskAction"
    return Step(
        kind, "Partition", action="osddiskpart.exe", variables=(count, *array), run_in="WinPE", **more
    )


def apply_os(**more: Any) -> Step:
    more.setdefault("action", "OSDApplyOS.exe /image:LAB00001,%OSDImageIndex%")
    return Step(
        "SMS_TaskSequence_ApplyOperatingSystemAction",
        "Apply OS",
        variables=fields(OSDImageIndex="1"),
        run_in="WinPE",
        **more,
    )


def setup_windows(**more: Any) -> Step:
    return Step(
        "SMS_TaskSequence_SetupWindowsAndSMSAction",
        "Setup Windows",
        action="OSDSetupWindows.exe",
        variables=fields(_SMSClientPackageID="LAB00003"),
        **more,
    )


def when(variable: str, operator: str, value: str = "") -> Condition:
    values = (("Operator", operator), ("Variable", variable), ("Value", value))
    return Condition("and", operands=(Condition("SMS_TaskSequence_VariableConditionExpression", values),))


def positions(log: list[str], *starts: str) -> list[int]:
    """Where the messages that begin so stand in the log; each must be there."""
    return [next(index for index, message in enumerate(log) if message.startswith(text)) for text in starts]
