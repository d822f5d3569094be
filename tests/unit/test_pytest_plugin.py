"""The pytest plugin, seen from a pytest of its own: what becomes of each kind of news. In the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lab.pytest_plugin.items as items
from lab.network.prerequisites import Prerequisite

pytest_plugins = ["pytester"]

#: A pytest within one that has imported the plugin already says so, or not: by how the outer one was called.
QUIET = "-Wignore::pytest.PytestAssertRewriteWarning"

ROOT = Path(__file__).parents[2]
_CONTENT = '<reference package="ABC00042" />'
SEQUENCE = """<sequence version="3.10"><referenceList>{content}</referenceList>
<step type="SMS_TaskSequence_SetVariableAction" name="Say hello" runIn="WinPEandFullOS">
<action>tsenv.exe "Hello=world"</action><defaultVarList>
<variable name="DoNotShowVariableValue" property="DoNotShowVariableValue">{hides}</variable>
</defaultVarList></step></sequence>"""
SCENARIO = """\
scenario: A sequence says hello
machine: uefi-x64
sequence: hello.xml
severity: critical
expect:
  result: success
  variables:
    Hello: {hello}
"""


class Suite:
    """A folder of scenarios, and pytest on it."""

    def __init__(self, pytester: pytest.Pytester, folder: Path) -> None:
        self._pytester = pytester
        self.folder = folder
        self.reports = folder.parent / "reports"

    def write(self, name: str = "hello.yaml", *, text: str = SCENARIO, hello: str = "world") -> None:
        (self.folder / name).write_text(text.replace("{hello}", hello), encoding="utf-8")

    def sequence(self, content: str = "", *, hides: bool = False) -> None:
        text = SEQUENCE.format(content=content, hides="true" if hides else "false")
        (self.folder / "hello.xml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        return self._pytester.runpytest_inprocess(
            "-p",
            "lab.pytest_plugin",
            "-p",
            "no:cacheprovider",
            *(arguments or ("scenarios", "--fidelity=sim")),
        )

    def runs(self) -> int:
        return len(list(self.reports.glob("*/run.json"))) - (self.reports / "latest").exists()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    for name in ("REPORTS", "CACHE"):
        monkeypatch.setenv(f"OSDLAB_{name}", str(pytester.path / name.lower()))
        (pytester.path / name.lower()).mkdir()
    monkeypatch.setenv("OSDLAB_PROJECT", str(ROOT))
    folder = pytester.mkdir("scenarios")
    made = Suite(pytester, folder)
    made.sequence()
    return made


def test_each_expectation_is_an_item_and_the_scenario_runs_once(suite: Suite) -> None:
    suite.write()
    result = suite.run("scenarios", "--fidelity=sim", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["scenarios/hello.yaml::the sequence succeeds PASSED*",
         "scenarios/hello.yaml::variable Hello is 'world' at the end PASSED*"]
    )  # fmt: skip
    assert suite.runs() == 1


def test_collecting_runs_nothing(suite: Suite) -> None:
    suite.write()
    result = suite.run("scenarios", "--fidelity=sim", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["scenarios/hello.yaml::variable Hello is 'world' at the end"])
    assert not list(suite.reports.iterdir())


def test_one_expectation_can_be_chosen(suite: Suite) -> None:
    suite.write()
    name = "scenarios/hello.yaml::variable Hello is 'world' at the end"
    suite.run(name, "--fidelity=sim").assert_outcomes(passed=1)


def test_an_expectation_that_does_not_hold_is_a_failure_in_the_summarys_words(suite: Suite) -> None:
    suite.write(hello="moon")
    result = suite.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["  expected   variable Hello is 'moon' at the end",
         "  seen       it is 'world'",
         "  place      scenarios/hello.yaml:8:5",
         "  again      osdlab run scenarios/hello.yaml --fidelity sim"]
    )  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*items.py*")


def test_a_lab_fault_is_an_error_of_every_item_with_the_line_to_paste(suite: Suite) -> None:
    suite.write()
    suite.sequence(_CONTENT)
    result = suite.run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["  broke      the sequence refers to ABC00042, and there is no content for it",
         "*  ABC00042: path/of/its/content"]
    )  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")
    assert suite.runs() == 1


def test_an_expectation_without_evidence_is_an_error_and_the_others_stay_what_they_are(suite: Suite) -> None:
    # A value that the sequence hides is told to nobody.
    suite.write()
    suite.sequence(hides=True)
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["  seen       no evidence:*"])


def test_a_bug_of_ours_is_an_error_with_its_traceback_and_told_once_for_each_item(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def broken(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(items, "run_scenario", broken)
    suite.write()
    result = suite.run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["E*ZeroDivisionError: ours"])
    assert len(calls) == 1


def test_what_the_host_cannot_do_is_skipped_with_the_remedy(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = [Prerequisite("dnsmasq", False, "not installed", "as root: apt-get install dnsmasq-base")]
    monkeypatch.setattr(items, "lacking", lambda settings, firmware: lacks)
    suite.write()
    result = suite.run("scenarios", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*dnsmasq: not installed*apt-get install dnsmasq-base"])
    assert suite.runs() == 0


def test_bad_input_is_a_collection_error_with_every_problem(suite: Suite) -> None:
    suite.write()
    suite.write("wrong.yaml", text=SCENARIO.replace("uefi-x64", "uefi-x46").replace("hello.xml", "helo.xml"))
    suite.write("misspelt.yaml", text=SCENARIO.replace("scenario:", "scenaro:"))
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["scenarios/misspelt.yaml:1:1: unknown key 'scenaro'*",
         "scenarios/wrong.yaml:2:10: unknown template 'uefi-x46'; did you mean 'uefi-x64'?",
         "scenarios/wrong.yaml:3:11: there is no task sequence 'helo.xml'*",
         "2 problems, nothing was started."]
    )  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*loader.py*")


def test_yaml_that_is_no_scenario_is_left_alone(suite: Suite, pytester: pytest.Pytester) -> None:
    suite.write()
    pytester.path.joinpath("compose.yaml").write_text("services: {}\n")
    (suite.folder / "sites").mkdir()
    (suite.folder / "sites" / "contoso.yaml").write_text("site: contoso\n")
    suite.run(".", "--fidelity=sim").assert_outcomes(passed=2)


def test_a_project_below_a_folder_of_that_name_is_no_scenario(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    project = suite.folder / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "compose.yaml").write_text("services: {}\n")
    suite.run(str(project)).assert_outcomes()


def test_the_same_clause_twice_makes_two_names(suite: Suite) -> None:
    twice = "  log:\n    - contains: The task execution\n    - contains: The task execution\n"
    suite.write(text=SCENARIO + twice)
    result = suite.run("scenarios", "--fidelity=sim", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*'The task execution' (2) PASSED*"])


def test_allure_gets_steps_evidence_and_the_kinds_of_news(suite: Suite, pytester: pytest.Pytester) -> None:
    suite.write(hello="moon")
    (suite.folder / "broken").mkdir()
    broken = SCENARIO.replace("hello.xml", "broken.xml")
    (suite.folder / "broken" / "broken.yaml").write_text(broken.replace("{hello}", "world"))
    (suite.folder / "broken" / "broken.xml").write_text(SEQUENCE.format(content=_CONTENT, hides="false"))
    suite.run("scenarios", "--fidelity=sim", "--alluredir=allure")
    folder = pytester.path / "allure"
    found = [json.loads(path.read_text()) for path in folder.glob("*-result.json")]
    statuses = {(result["fullName"].split("#")[0].split(".")[-1], result["status"]) for result in found}
    assert statuses == {("hello", "passed"), ("hello", "failed"), ("broken", "broken")}
    (failed,) = [result for result in found if result["status"] == "failed"]
    assert "expected   variable Hello is 'moon'" in failed["statusDetails"]["message"]
    (step,) = [step for step in failed["steps"] if not step["name"].startswith("PC-1 ")]
    assert (step["name"], step["status"]) == ("Say hello", "passed") and step["start"] <= step["stop"]
    attached = {item["name"]: folder / item["source"] for item in failed["attachments"]}
    assert set(attached) >= {"PC-1: smsts.log", "PC-1: disks.txt", "PC-1: final-state.json", "run.json"}
    assert "Say hello" in attached["PC-1: smsts.log"].read_text(encoding="utf-8-sig")
    assert {"name": "severity", "value": "critical"} in failed["labels"]
    assert "fidelity = sim" in (folder / "environment.properties").read_text()
    assert [row["name"] for row in json.loads((folder / "categories.json").read_text())][:2] == [
        "An expectation does not hold", "A bug of osdlab",
    ]  # fmt: skip


@pytest.mark.parametrize("differs", [False, True])
def test_a_run_on_machines_can_be_held_against_the_simulator(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, differs: bool
) -> None:
    """The simulator stands in for the machine; where they are to differ, what it left is another value."""
    real = items.run_scenario

    def on_machine(loaded: Any, settings: Any, follow: Any, **given: Any) -> Any:
        record = real(loaded, settings, follow, **{**given, "fidelity": "sim"})
        if differs:
            path = settings.reports / record.run / "timeline.jsonl"
            path.write_text(path.read_text().replace('"world"', '"moon"'))
        return record

    monkeypatch.setattr(items, "lacking", lambda settings, firmware: [])
    monkeypatch.setattr(items, "run_scenario", on_machine)
    suite.write()
    result = suite.run("scenarios", "--against-sim")
    result.assert_outcomes(passed=2 if differs else 3, failed=int(differs))
    if differs:
        result.stdout.fnmatch_lines(
            ["*the simulator tells the same*", "virtual machine and simulator differ:", "- *",
             "variable/hello: 'moon' / 'world'"]
        )  # fmt: skip
    assert suite.runs() == 1  # the simulator's run is none of the reports


def test_without_machines_there_is_nothing_to_hold_against_the_simulator(suite: Suite) -> None:
    suite.write()
    suite.run("scenarios", "--fidelity=sim", "--against-sim").assert_outcomes(passed=2)


_SITE = """\
site: LAB
devices: {PC-1: {mac: 52:54:00:00:00:01}, PC-2: }
collections: {Machines: {members: [PC-1]}}
boot_images: {LAB00002: }
sequences: {LAB00010: {sequence: hello.xml, boot_image: LAB00002}}
deployments: {LAB20001: {sequence: LAB00010, collection: Machines, purpose: required}}
"""


@pytest.mark.parametrize("errors", [False, True])
def test_what_a_site_hardly_means_is_one_warning_of_pytests_however_many_have_the_site(
    suite: Suite, pytester: pytest.Pytester, errors: bool
) -> None:
    (suite.folder / "sites").mkdir()
    (suite.folder / "sites" / "lab.yaml").write_text(_SITE)
    known = SCENARIO.replace("sequence: hello.xml", "site: lab\nmac: 52:54:00:00:00:01")
    suite.write(text=known)
    suite.write("again.yaml", text=known)
    test = "def test_it(lab):\n    lab.machine('uefi-x64', site='lab', mac='52:54:00:00:00:01')\n"
    (suite.folder / "test_it.py").write_text(test)
    # What a user's own pytest does with a file's warnings, whatever this one was told.
    result = suite.run("scenarios", "--fidelity=sim", "-Werror" if errors else "-Wdefault", QUIET)
    told = "device 'PC-2' has neither MAC address nor GUID: no computer is found to be it"
    if errors:
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.no_fnmatch_line("*warned.py*")
    else:
        result.assert_outcomes(passed=5, warnings=1)
        result.stdout.fnmatch_lines(["*sites/lab.yaml:2*"])
    # As an error it is one of both files, whichever is collected first.
    assert result.stdout.str().count(told) == (2 if errors else 1)
    if errors:  # of a test, too, only its own lines are shown, with the place in the site's file
        result = suite.run("scenarios/test_it.py", "--fidelity=sim", "-Werror", QUIET)
        result.stdout.no_fnmatch_line("*warned.py*")
        result.stdout.fnmatch_lines(["*lab.machine('uefi-x64'*", "E *sites/lab.yaml:2:43: *"])
