"""Tests in Python, seen from a pytest of its own: machines, waits, which news is what. In the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SEQUENCE = """<sequence version="3.10"><referenceList>{content}</referenceList>
<step type="SMS_TaskSequence_SetVariableAction" name="Say hello" runIn="WinPEandFullOS">
<action>tsenv.exe "Hello=%Token%"</action></step>
<step type="SMS_TaskSequence_RunCommandLineAction" name="Break" runIn="WinPEandFullOS">
<action>smsswd.exe /run: break.exe</action><defaultVarList>
<variable name="CommandLine" property="CommandLine">break.exe</variable></defaultVarList></step>
<step type="SMS_TaskSequence_SetVariableAction" name="Never" runIn="WinPEandFullOS">
<action>tsenv.exe "Never=1"</action></step></sequence>"""
HEAD = """
import pytest
from lab.errors import InputError, LabFault, UsageError

BREAKS = [{"command": "*break.exe", "exit": 5}]

def make(lab, **more):
    return lab.machine("uefi-x64", sequence="hello.xml", doubles=BREAKS, **more)
"""


class Suite:
    """A folder with one test file, and pytest on it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.reports = pytester.path / "reports"

    def run(self, body: str, *, content: str = "") -> pytest.RunResult:
        folder = self._pytester.mkdir("scenarios")
        (folder / "hello.xml").write_text(SEQUENCE.format(content=content), encoding="utf-8")
        (folder / "test_it.py").write_text(HEAD + body, encoding="utf-8")
        return self._pytester.runpytest_inprocess(
            "-p", "lab.pytest_plugin", "-p", "no:cacheprovider", "scenarios", "--fidelity=sim", "-rs"
        )


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    for name in ("REPORTS", "CACHE"):
        monkeypatch.setenv(f"OSDLAB_{name}", str(pytester.path / name.lower()))
        (pytester.path / name.lower()).mkdir()
    monkeypatch.setenv("OSDLAB_PROJECT", str(ROOT))
    return Suite(pytester)


def test_a_machine_is_driven_and_asked(suite: Suite) -> None:
    result = suite.run("""
def test_it(lab):
    machine = make(lab, variables={"Token": "world"}, hold_before="Say hello")
    assert machine.run.result == "" and not machine.run.steps
    machine.power_on().wait_for(held="Say hello")
    machine.go_on()
    machine.wait_for(step="Break")
    assert machine.wait_for_end().result == "failed"
    assert machine.run.failed_step == "Break"
    assert machine.run.steps["Break"].code == 5 and "Never" not in machine.run.steps
    assert machine.run.variables["Hello"] == "world"
    assert "Set a global environment variable Hello=world" in machine.log
    assert machine.disk.state.disks[0].style == ""
    assert machine.disk.file("C:\\\\nothing") is None
    with pytest.raises(AssertionError, match="there is no key"):
        machine.disk.registry("HKLM\\\\SYSTEM\\\\Setup")
""")
    result.assert_outcomes(passed=1)


def test_a_step_that_never_came_is_a_failure_that_says_what_came_instead(suite: Suite) -> None:
    result = suite.run("""
def test_it(lab):
    make(lab).power_on().wait_for(step="Never")
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*waited for step 'Never' to begin; the sequence ended before: failed at step 'Break', 0x*",
            "*the machine's evidence*",
            "reports/*-test-it-sim",
        ]
    )


def test_the_labs_trouble_in_the_middle_of_a_test_is_an_error_and_no_failure(suite: Suite) -> None:
    result = suite.run("""
def test_it(lab):
    make(lab).wait_for(step="Break")

def test_usage(lab):
    make(lab).wait_for(step="Brake")

def test_expectation(lab):
    assert False
""")
    result.assert_outcomes(errors=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*waited 900 s for step 'Break' to begin; last seen: nothing (power_on() comes first)*",
            "*the sequence has no step 'Brake'*",
        ]
    )


def test_content_that_the_lab_does_not_have_is_an_error(suite: Suite) -> None:
    result = suite.run(
        """
def test_it(lab):
    make(lab)
""",
        content='<reference package="ABC00042" />',
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*refers to ABC00042, and there is no content for it*"])


def test_what_is_wrong_in_a_call_is_told_with_file_and_line(suite: Suite) -> None:
    result = suite.run("""
def test_it(lab):
    with pytest.raises(InputError) as raised:
        lab.machine("uefi-x46", sequence="hello.xml")
    assert str(raised.value).startswith("scenarios/test_it.py:12:1: unknown template 'uefi-x46'; did you")
    with pytest.raises(InputError, match="unknown key 'variable'; did you mean 'variables'"):
        lab.machine("uefi-x64", sequence="hello.xml", variable={})
""")
    result.assert_outcomes(passed=1)


def test_what_needs_a_real_machine_is_skipped_with_the_remedy(suite: Suite) -> None:
    result = suite.run("""
@pytest.mark.parametrize("verb", ["host", "cut", "screen"])
def test_it(lab, verb):
    machine = make(lab).power_on()
    {"host": lambda: machine.host, "cut": machine.cut_power, "screen": machine.screenshot}[verb]()
""")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*needs a real machine (run it without --fidelity sim)*"])


def test_a_machine_starts_again_and_its_required_deployment_when_it_was_cleared(suite: Suite) -> None:
    result = suite.run("""
def test_it(lab):
    machine = make(lab, deployment={"purpose": "required"})
    assert machine.power_on().wait_for_end().failed_step == "Break"
    machine.shutdown()
    for _ in range(2):
        assert machine.power_on().wait_for_end().result == "not-started"
        assert "offered already" in machine.run.reason and machine.run.code is None
        with pytest.raises(AssertionError, match="phase 'policy'; the machine is not-started: the site"):
            machine.wait_for(phase="policy")
        machine.cut_power()
    machine.clear_required()
    assert machine.power_on().wait_for_end().result == "failed"
    assert [event.data["action"] for event in machine.run.events if event.kind == "pxe"] == [
        "boot", "abort", "abort", "boot"]
    times = [event.time for event in machine.run.events]
    assert times == sorted(times) and [event.seq for event in machine.run.events] == list(
        range(1, len(times) + 1))
""")
    result.assert_outcomes(passed=1)
    [folder] = [path for path in suite.reports.iterdir() if not path.is_symlink()]
    timeline = (folder / "timeline.jsonl").read_text(encoding="utf-8")
    assert timeline.count('"kind":"run-started"') == timeline.count('"kind":"run-ended"') == 1
    assert timeline.count('"kind":"cleared"') == 1
    assert (folder / "SMSPXE.log").read_text(encoding="utf-8-sig").count("no advertisements found") == 2
    log = (folder / "PC-1" / "smsts.log").read_text(encoding="utf-8-sig")
    assert log.count("Start executing an instruction. Instruction name: Say hello.") == 2


def test_a_modules_machine_serves_all_its_tests(suite: Suite) -> None:
    result = suite.run("""
@pytest.fixture(scope="module")
def machine(lab_module):
    return make(lab_module).power_on()

def test_one(machine):
    assert machine.run.result == "failed"

def test_two(machine):
    assert machine.run.code == 0x80004005
""")
    result.assert_outcomes(passed=2)
    assert len([path for path in suite.reports.iterdir() if not path.is_symlink()]) == 1


def test_a_scenario_file_runs_from_python(suite: Suite) -> None:
    result = suite.run("""
from pathlib import Path

SCENARIO = '''scenario: a token
machine: uefi-x64
sequence: hello.xml
variables:
  Token: {value: hush-hush-1, secret: true}
  Plain: to be seen
doubles:
  - {command: "*break.exe"}
expect:
  result: success
'''

def test_it(run):
    (Path(__file__).parent / "token.yml").write_text(SCENARIO)
    done = run("token.yml")
    assert done.result == "success" and done.record.exit_code == 0
    assert done.variables["Plain"] == "to be seen" and "Token" not in done.variables
""")
    result.assert_outcomes(passed=1)
    # A variable that the scenario calls secret is shown by nothing that a run leaves behind.
    files = [path for path in suite.reports.rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    assert any("to be seen" in text for text in texts)
    assert not any("hush-hush-1" in text for text in texts)
    result.stdout.no_fnmatch_line("*hush-hush-1*")
