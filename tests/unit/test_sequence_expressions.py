"""Conditions that ask the machine, in a run: what is asked, what it means, what the log says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from lab.sequence import effects as fx
from lab.sequence import registrykeys, wmi
from lab.sequence.asking import with_environment
from lab.sequence.conditioncheck import condition_problems, condition_warnings
from lab.sequence.conditions import Evaluation
from lab.sequence.dynamicrules import machine_variables
from lab.sequence.expressions import version_order
from lab.sequence.machinefacts import MachineFacts, NicFacts, Smbios
from lab.sequence.model import Condition, Position
from lab.sequence.msi import packed
from tests.unit.sequence_world import World, command, group, run, sequence, set_variable

MACHINE = MachineFacts(
    Smbios("Dell Inc.", "Latitude E7470", serial="S-1", uuid="AA-BB", asset_tag="A7"),
    processors=("CPU",),
    nics=(NicFacts("52:54:00:00:00:01", addresses=(("10.0.0.9", "255.0.0.0"),), gateways=("10.0.0.1",)),),
)
CODE = "{26A24AE4-039D-4CA4-87B4-2F64180101F0}"
KEY = "HKLM\\SOFTWARE\\Lab"
REGISTRY = {
    KEY: {"Text": ["REG_SZ", "Yes"], "Number": ["REG_DWORD", 10], "List": ["REG_MULTI_SZ", ["a", "b"]]},
    f"HKLM\\SOFTWARE\\Classes\\Installer\\Products\\{packed(CODE)}": {},
    f"HKLM\\SOFTWARE\\Classes\\Installer\\UpgradeCodes\\{packed(CODE)}": {
        "4EA42A62D9304AC4784BF2468110100F": ["REG_SZ", ""]
    },
}
FILES = {
    "c:\\a.exe": {"kind": "file", "version": "10.0.9.1", "modified": "20240601000000"},
    "c:\\dir": {"kind": "folder", "version": "", "modified": "20240601000000"},
    "x:\\windows\\a.txt": {"kind": "file", "version": "", "modified": "20240601000000"},
}


class Asked(World):
    """A machine that answers to conditions, too."""

    def perform(self, effect: fx.Effect) -> fx.Outcome:
        if isinstance(effect, fx.QueryWmi):
            self.performed.append(effect)
            try:
                rows = wmi.instances(MACHINE, effect.namespace, effect.class_name)
            except wmi.WmiError as error:
                return fx.Outcome(error.code, message=str(error))
            return fx.Outcome(value={"instances": rows})
        if isinstance(effect, fx.ReadRegistry):
            self.performed.append(effect)
            values = registrykeys.find(REGISTRY, registrykeys.resolve(effect.key))
            return fx.Outcome(0x80070002) if values is None else fx.Outcome(value={"values": values})
        if isinstance(effect, fx.FileFacts):
            self.performed.append(effect)
            none = {"kind": "", "version": "", "modified": ""}
            return fx.Outcome(value=FILES.get(effect.path.casefold(), none))
        return super().perform(effect)


def expression(kind: str, **values: str) -> Condition:
    return Condition(
        f"SMS_TaskSequence_{kind}ConditionExpression", tuple(values.items()), (), Position("s", 3, 4)
    )


def query(text: str, namespace: str = "root\\cimv2") -> Condition:
    return expression("WMI", Namespace=namespace, Query=text)


def registry(operator: str, value: str = "", data: str = "", kind: str = "", key: str = KEY) -> Condition:
    return expression("Registry", KeyPath=key, Operator=operator, Value=value, Data=data, Type=kind)


def software(operator: str, product: str = "", upgrade: str = "") -> Condition:
    return expression("Software", Operator=operator, ProductCode=product, UpgradeCode=upgrade)


def holds(condition: Condition, variables: Mapping[str, str] | None = None, **world: Any) -> bool:
    told = run(sequence(command("x", condition=condition)), Asked(**world), variables, through_json=True)
    assert told.finished.result == "success"
    return told.steps()["x"] == "success"


OLD, NEW = "20200101000000.000000+000", "20300101000000.000000+000"


@pytest.mark.rule("R03")
@pytest.mark.parametrize(
    ("condition", "result"),
    [
        (query("SELECT * FROM Win32_ComputerSystem WHERE Model LIKE '%E7470%'"), True),
        (query("SELECT * FROM Win32_ComputerSystem WHERE Model LIKE '%E7480%'"), False),
        (query("SELECT * FROM Win32_Nothing"), False), (query("SELECT * FROM X", "root\\nowhere"), False),
        (query("nonsense"), False), (query("SELECT * FROM Win32_BIOS WHERE Nothing = 1"), False),
        (query("SELECT * FROM CIM_DataFile WHERE Name='C:\\\\a.exe' AND Version = '10.0.9.1'"), True),
        (query("SELECT * FROM CIM_DataFile WHERE Name='C:\\\\b.exe'"), False),
        (query("SELECT * FROM CIM_DataFile WHERE Drive='C:'"), False),
        (query("SELECT __RELPATH FROM Win32_Process WHERE Caption = 'explorer.exe'"), False),
        (query("SELECT * FROM Win32_Process WHERE Name = 'winlogon.exe'"), True),
        (query("SELECT * FROM Win32_Directory WHERE Name = 'c:\\\\DIR' AND Drive = 'C:'"), True),
        (registry("exists"), True), (registry("exists", key="HKLM\\SOFTWARE\\None"), False),
        (registry("nonExists", key="HKLM\\SOFTWARE\\None"), True), (registry("notExists"), False),
        (registry("exists", "text"), True), (registry("exists", "None"), False),
        (registry("exists", "Text", kind="REG_DWORD"), False),
        (registry("notExists", "Text", kind="REG_DWORD"), True),
        (registry("equals", "Text", "yes"), True), (registry("notEquals", "Text", "yes"), False),
        (registry("equals", "Number", "0xA", "REG_SZ"), True), (registry("greater", "Number", "9"), True),
        (registry("less", "Number", "9"), False), (registry("equals", "List", "a\nb"), True),
        (registry("notEquals", "None", "x"), False), (registry("equals", "Text", "%Wanted%"), True),
        (expression("File", Path="C:\\a.exe"), True), (expression("File", Path="C:\\b.exe"), False),
        (expression("File", Path="C:\\dir"), False), (expression("Folder", Path="c:\\DIR"), True),
        (expression("Folder", Path="c:\\a.exe"), False),
        (expression("File", Path="C:\\a.exe", VersionOperator="greater", Version="10.0.10"), False),
        (expression("File", Path="C:\\a.exe", VersionOperator="lessEqual", Version="10.0.10"), True),
        (expression("File", Path="C:\\a.exe", DateTimeOperator="greater", DateTime=OLD), True),
        (expression("File", Path="C:\\a.exe", DateTimeOperator="greaterEqual", DateTime=NEW), False),
        (expression("File", Path="C:\\a.exe", VersionOperator="greater", Version="1", DateTimeOperator="less",
                    DateTime=OLD), False),
        (expression("File", Path="%SystemRoot%\\a.txt"), True),
        (expression("File", Path="%Place%\\a.exe"), True),
        (software("ThisVersion", CODE), True), (software("AnyVersion", upgrade=CODE), True),
        (software("ThisVersion", CODE.replace("2", "3")), False), (software("AnyVersion"), False),
        (expression("MakeModel", Make="dell*", Model="Latitude E74?0"), True),
        (expression("MakeModel", Make="*", Model="*"), True),
        (expression("MakeModel", Make="HP", Model="*"), False),
        (expression("Computer", AssetTag="a7", UUID="", SerialNumber="x"), True),
        (expression("Computer", MACAddress="52-54-00-00-00-01"), True),
        (expression("Computer", UUID="CC"), False),
        (expression("Location", DefaultGateway="10.0.0.1"), True),
        (expression("Location", DefaultGateway="10.0.0.2"), False),
    ],
)  # fmt: skip
def test_expressions(condition: Condition, result: bool) -> None:
    variables = {"Place": "C:", "Wanted": "Yes"}
    assert holds(Condition("and", (), (condition,)), variables) is result
    # What is false, also because it cannot be asked, is true where none may be true.
    assert holds(Condition("not", (), (condition,)), variables) is not result


def test_the_log_says_what_was_asked_and_why_it_failed() -> None:
    text = "SELECT * FROM Win32_Nothing"
    told = run(sequence(command("x", condition=query(text))), Asked())
    log = [(data["message"], data["type"]) for data in told.of("record")]
    begin = log.index(("Evaluating a WMI condition expression", 1))
    assert [entry[0] for entry in log[begin + 1 : begin + 3]] == [
        "Expand a string: root\\cimv2", f"Expand a string: {text}",
    ]  # fmt: skip
    assert log[begin + 3][1] == 3 and "Win32_Nothing" in log[begin + 3][0] and "80041010" in log[begin + 3][0]
    assert (
        log[begin + 4][0] == "The action (x) has been skipped because the condition is evaluated to be false"
    )


@pytest.mark.rule("R05")
def test_a_group_that_asks_is_one_decision_and_only_what_is_open_is_asked() -> None:
    no, yes = query("SELECT * FROM Win32_Battery"), query("SELECT * FROM Win32_BIOS")
    world = Asked()
    inner = command("inner", condition=query("SELECT * FROM Win32_BaseBoard"))
    told = run(
        sequence(
            group("out", inner, condition=Condition("and", (), (no, yes))),
            group("in", inner, condition=Condition("or", (), (yes, no))),
            set_variable("After", "1"),
        ),
        world,
        through_json=True,
    )
    assert told.steps() == {"inner": "success", "Set After": "success"}
    results = {data["name"]: data["result"] for data in told.of("group-finished")}
    assert results == {"out": "skipped", "in": "success"}
    asked = [effect.class_name for effect in world.performed if isinstance(effect, fx.QueryWmi)]
    assert asked == ["Win32_Battery", "Win32_BIOS", "Win32_BaseBoard"]


def test_the_32_bit_view_is_asked_for_in_the_full_system_only() -> None:
    def view(in_winpe: bool, **variables: str) -> int:
        world = Asked(in_winpe=in_winpe)
        run(sequence(command("x", condition=registry("exists"))), world, variables)
        return next(effect.view for effect in world.performed if isinstance(effect, fx.ReadRegistry))

    assert [view(True), view(False), view(False, SMSTSDisableWow64Redirection="True")] == [64, 32, 64]


def test_conditions_nest_to_any_depth() -> None:
    node = query("SELECT * FROM Win32_BIOS")
    for depth in range(50_001):
        node = Condition(("not", "and", "or")[depth % 3], (), (node,))
    evaluation = Evaluation(node, lambda name: None, str)
    assert isinstance(evaluation.begin(), Condition)
    # 16,667 of them turn it round.
    assert evaluation.answer(True) is False
    # Taken apart from outside: Python frees what is nested by recursion.
    while node.operands:
        inner = node.operands[0]
        object.__setattr__(node, "operands", ())
        node = inner


def test_what_set_dynamic_variables_sets_of_the_machine() -> None:
    class Run:
        facts: ClassVar[dict[str, Any]] = {}

        def lookup(self, name: str) -> str | None:
            return None

        def expand(self, text: str) -> str:
            return text

        def record(self, message: str, type: int = 1, file: str = "", component: str = "") -> None:
            raise AssertionError(message)

    asking, world = machine_variables(Run()), Asked()
    effect = next(asking)
    with pytest.raises(StopIteration) as stop:
        while True:
            effect = asking.send(world.perform(effect))
    assert stop.value.value == {
        "_SMSTSMake": "Dell Inc.", "_SMSTSModel": "Latitude E7470", "_SMSTSSerialNumber": "S-1",
        "_SMSTSAssetTag": "A7", "_SMSTSUUID": "AA-BB", "_SMSTSMacAddresses": "52:54:00:00:00:01",
        "_SMSTSIPAddresses": "10.0.0.9", "_SMSTSDefaultGateways": "10.0.0.1",
    }  # fmt: skip


def test_small_parts() -> None:
    assert packed("{26A24AE4-039D-4CA4-87B4-2F64180101F0}") == "4EA42A62D9304AC4784BF2468110100F"
    assert packed("26A24AE4-039D-4CA4-87B4") == ""
    assert version_order("10.0.19041.1", "10.0.9") == 1 and version_order("1.2", "1.2.0.0") == 0
    assert version_order("", "1") is None
    assert with_environment("%windir%\\%Nothing%\\%ProgramFiles(x86)%", False) == (
        "C:\\Windows\\%Nothing%\\C:\\Program Files (x86)"
    )
    resolve = registrykeys.resolve
    assert resolve("hkey_local_machine\\System\\CurrentControlSet\\x\\") == "HKLM\\System\\ControlSet001\\x"
    assert resolve("HKEY_CLASSES_ROOT\\.txt") == "HKLM\\SOFTWARE\\Classes\\.txt"
    assert registrykeys.in_32_bit_view("HKLM\\Software\\Vendor") == "HKLM\\SOFTWARE\\WOW6432Node\\Vendor"
    assert registrykeys.in_32_bit_view("HKLM\\SOFTWARE\\Classes\\x") == "HKLM\\SOFTWARE\\Classes\\x"
    assert registrykeys.file_in_32_bit_view("c:\\windows\\system32\\a.dll") == "C:\\Windows\\SysWOW64\\a.dll"
    assert registrykeys.file_in_32_bit_view("C:\\Windows\\System32\\drivers\\etc\\hosts")[11:19] == "System32"
    for effect in (fx.QueryWmi("a", "b"), fx.ReadRegistry("k", 32), fx.FileFacts("C:\\x")):
        assert fx.Effect.from_json(json.loads(json.dumps(effect.to_json()))) == effect


def test_what_is_wrong_is_said_before_the_run() -> None:
    def variable(operator: str, value: str) -> Condition:
        return expression("Variable", Operator=operator, Variable="v", Value=value)

    whole = Condition("and", (), (
        expression("Moon"), registry("resembles"), software("SomeVersion"), variable("greater", "5"),
        expression("File", Path="x", VersionOperator="newer", Version="1"), registry("nonExists"),
        expression("Folder", Path="x", DateTimeOperator="", DateTime=""),
    ))  # fmt: skip
    said = [problem.message for problem in condition_problems(whole, "it")]
    assert [text.rsplit(" ", 1)[-1] for text in said[1:]] == ["'resembles'", "'SomeVersion'", "'newer'"]
    assert "MoonCondition" in said[0] and len(said) == 4
    doubtful = Condition("or", (), (
        variable("greater", "b"), variable("less", "10"), variable("less", "%x%"),
        registry("less", "v", "1.0"),
        software("AnyVersion"), software("ThisVersion", CODE), query("SELECT * FROM Win32_BIOS WHERE a b"),
        query("SELECT * FROM Win32_Product"), query("SELECT * FROM a", "root\\ccm"),
        query("SELECT * FROM Win32_BIOS"),
    ))  # fmt: skip
    warned = list(condition_warnings(doubtful, "it"))
    assert [(problem.path, problem.line, problem.column) for problem in warned] == [("s", 3, 4)] * 6
    words = (
        "'b' as text",
        "'1.0' as text",
        "UpgradeCode",
        "character 34",
        "no class Win32_Product",
        "no namespace",
    )
    assert [word in problem.message for word, problem in zip(words, warned, strict=True)] == [True] * 6
