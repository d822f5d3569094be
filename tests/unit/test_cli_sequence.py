"""``osdlab run --sequence``: an export without a scenario file, in the simulator."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cli import guarded, osdlab
from lab.judge.record import read_record

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "scenarios" / "sequences" / "bare-metal.xml").read_text(encoding="utf-8")


def field(name: str) -> Path:
    """An export of other people's, read where it is and never copied; else a skip that says where."""
    beside = Path("shared") / "field" / "sequences" / name
    # A second worktree shares the environment of the checkout that the field files stand beside.
    for checkout in (ROOT.resolve(), (ROOT / ".venv").resolve().parent):
        if (checkout.parent / beside).is_file():
            return checkout.parent / beside
    pytest.skip(f"the field file '../{beside}' is not beside this checkout")


class Told:
    """What a command said, and its exit code."""

    def __init__(self, reports: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
        words = ["run", *arguments, "--fidelity", "sim"]
        self.code = guarded(lambda: osdlab.main(words, standalone_mode=False))
        captured = capsys.readouterr()
        self.out, self.err = captured.out, captured.err
        self.reports = reports

    def offered(self) -> list[str]:
        """The words of the first line that may be pasted, without the command itself."""
        line = next(line for line in self.out.splitlines() if " osdlab run " in line)
        return shlex.split(line.partition(" osdlab run ")[2])


Run = Callable[..., Told]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("REPORTS", "CACHE"):
        monkeypatch.setenv(f"OSDLAB_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("OSDLAB_PROJECT", str(ROOT))
    (tmp_path / "cache").mkdir()
    return lambda *arguments: Told(tmp_path / "reports", capsys, [str(word) for word in arguments])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """The project's own sample as somebody else's site would have exported it: other ids, another index,
    and no command that wants a double."""
    made = tmp_path / "my export.xml"
    text = SAMPLE.replace("LAB00001", "XYZ00A01").replace("LAB00003", "XYZ00A03")
    text, commands = re.subn(r"<step [^>]*RunCommandLineAction.*?</step>", "", text, flags=re.S)
    changed = text.replace('property="ImageIndex">1<', 'property="ImageIndex">6<')
    assert commands and changed != text
    made.write_text(changed, encoding="utf-8")
    return made


def test_a_package_without_content_is_an_error_whose_offered_line_works(run: Run, export: Path) -> None:
    told = run("--sequence", export, "--machine", "uefi-x64")
    assert told.code == 4 and "the sequence refers to XYZ00A01, XYZ00A03" in told.out
    words = told.offered()
    assert {"XYZ00A01=reference-image", "XYZ00A03=client", "OSDImageIndex=1"} < set(words)
    assert words[words.index("--sequence") + 1] == str(export)
    again = run(*words)
    assert again.code == 0, again.out
    (verdict,) = read_record(again.reports / "latest").verdicts
    assert (str(verdict.place), verdict.status) == ("the command line", "held")


def test_what_its_sequence_says_and_hardly_means_is_warned_of_before_it_runs(run: Run, export: Path) -> None:
    export.write_text(export.read_text().replace('<sequence version="3.10"', '<sequence version="9.99"'))
    told = run("--sequence", export, "--machine", "uefi-x64")
    assert re.search(r"^warning .*my export\.xml:\d+:\d+: schema version '9.99'", told.err, re.MULTILINE)


def test_what_is_given_stays_in_the_offered_line(run: Run, export: Path) -> None:
    arguments = ["--content", "xyz00a03=client", "--variable", "OSDImageIndex=1"]
    words = run("--sequence", export, "--machine", "uefi-x64", *arguments).offered()
    assert words.count("OSDImageIndex=1") == 1
    assert [word for word in words if word.endswith("=client")] == ["xyz00a03=client"]


def test_a_sequence_that_fails_is_told_with_the_line_to_run_it_again(run: Run, export: Path) -> None:
    arguments = ["--content", "XYZ00A01=missing", "--content", "XYZ00A03=client"]
    told = run("--sequence", export, "--machine", "uefi-x64", *arguments)
    assert told.code == 1 and "place      the command line" in told.out
    assert told.offered()[:2] == ["--sequence", str(export)] and "XYZ00A01=missing" in told.offered()


def test_a_command_without_a_double_is_told_with_a_scenario_file_to_save(
    run: Run, export: Path, tmp_path: Path
) -> None:
    export.write_text(
        export.read_text().replace(
            "</sequence>",
            '<step type="SMS_TaskSequence_RunCommandLineAction" name="Only on Windows">'
            "<action>smsswd.exe /run: setup.exe /quiet</action></step></sequence>",
        )
    )
    told = run(*run("--sequence", export, "--machine", "uefi-x64").offered())
    assert told.code == 4
    lines = [line[13:] for line in told.out.splitlines()]
    text = "\n".join(lines[lines.index(next(line for line in lines if line.startswith("scenario: "))) :])
    saved = tmp_path / "saved.yaml"
    saved.write_text(text[: text.index("    exit: 0")] + "    exit: 0\n", encoding="utf-8")
    again = run(saved)
    assert again.code == 0, again.out + saved.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--machine", "uefi-x46"], "did you mean 'uefi-x64'?"),
        ([], "--sequence goes with --machine"),
        (["--machine", "uefi-x64", "a.yaml"], "without scenarios"),
        (["--machine", "uefi-x64", "--content", "XYZ00A01"], "NAME=VALUE, not 'XYZ00A01'"),
        (["--machine", "uefi-x64", "--content", "XYZ=client"], "'XYZ' is not a package id"),
        (["--machine", "uefi-x64", "--variable", "A=1", "--variable", "A=2"], "names 'A' twice"),
        (["--machine", "uefi-x64", "--variable", "A=1", "--variable", "a=2"], "are the same name"),
        (["--machine", "uefi-x64", "--content", "XYZ00A01=referense-image"], "mean 'reference-image'?"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    run: Run, export: Path, arguments: list[str], said: str
) -> None:
    told = run("--sequence", export, *arguments)
    assert told.code == 2 and said in told.err


def test_options_of_a_sequence_alone_need_one(run: Run) -> None:
    assert run("a.yaml", "--machine", "uefi-x64").code == 2
    assert run().code == 2


def test_a_real_export_runs_to_its_end(run: Run) -> None:
    first = run("--sequence", field("cm-hubsh-19H2.xml"), "--machine", "uefi-x64")
    assert first.code == 4
    assert run(*first.offered()).code == 0


def test_everything_unknown_in_an_export_is_told_at_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.xml"
    kinds = ("SMS_TaskSequence_OddAction", "XYZ_Newer")
    steps = "\n".join(f'  <step type="{kind}" name="{kind[:3]}"><action/></step>' for kind in kinds)
    path.write_text(f'<sequence version="3.10">\n{steps}\n</sequence>', encoding="utf-8")
    told = run("--sequence", path, "--machine", "uefi-x64")
    assert told.code == 3 and not (told.reports / "latest").exists()
    lines = told.err.splitlines()
    for kind in kinds:
        (line,) = [line for line in lines if f"has the type '{kind}'" in line]
        number, column = map(int, line.removeprefix(f"{path}:").split(":")[:2])
        written = path.read_text(encoding="utf-8").splitlines()[number - 1][column - 1 :]
        assert written.startswith("<step ") and kind in written
    assert lines[-1] == "2 problems, nothing was started."


@pytest.mark.parametrize("name", ["build-and-capture", "refresh"])
def test_the_samples_that_touch_images_and_user_state_hold_in_the_simulator(run: Run, name: str) -> None:
    told = run(ROOT / "scenarios" / f"{name}.yaml")
    assert told.code == 0, told.out
    assert read_record(told.reports / "latest").verdicts


COMMANDS = """<sequence version="3.10">
<step type="SMS_TaskSequence_RunCommandLineAction" name="One"><action>one.exe /quiet</action></step>
<step type="SMS_TaskSequence_RunCommandLineAction" name="Two"><action>two.exe</action></step></sequence>"""


def test_doubles_come_from_a_file_and_what_is_missing_is_offered(run: Run, tmp_path: Path) -> None:
    export, doubles = tmp_path / "my.xml", tmp_path / "doubles.yaml"
    export.write_text(COMMANDS, encoding="utf-8")
    doubles.write_text("doubles:\n  - command: one.exe*\n", encoding="utf-8")
    words = ("--sequence", export, "--machine", "uefi-x64", "--doubles", doubles)
    told = run(*words)
    assert told.code == 4 and "add these to the file of --doubles" in told.out and "two.exe" in told.out
    with doubles.open("a", encoding="utf-8") as file:
        file.write("  - command: two.exe\n")
    told = run(*words)
    assert told.code == 0 and "2 doubled" in told.out
    assert read_record(told.reports / "latest").arguments.endswith(f"--doubles {doubles}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("doubles:\n  - comand: one.exe\n", "2:5: unknown key 'comand'"),
        ("content: {}\n", "1:1: unknown key 'content'"),
        ("- one\n", "1:1: has no doubles"),
    ],
)
def test_a_wrong_file_of_doubles_is_told_with_its_place(
    run: Run, export: Path, tmp_path: Path, text: str, said: str
) -> None:
    doubles = tmp_path / "doubles.yaml"
    doubles.write_text(text, encoding="utf-8")
    told = run("--sequence", export, "--machine", "uefi-x64", "--doubles", doubles)
    assert told.code == 3 and said in told.err and str(doubles) in told.err
