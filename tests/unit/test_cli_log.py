"""`osdlab log`, `replay` and `code`: what they print of a log of our own, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lab.cli
from lab.sequence import smsts

LINES = (
    "The task execution engine started execution",
    "Start executing an instruction. Instruction name: One. Instruction pointer: 0",
    "Start executing the command line: smsswd.exe /run: one",
    "Successfully completed the action (One) with the exit win32 code 0",
    "The action (One) initiated a reboot request",
    "Execution engine result code: Reboot (2)",
    "Start executing an instruction. Instruction name: Two. Instruction pointer: 1",
    "Start executing the command line: smsswd.exe /run: two",
    "Failed to run the action: Two. \nAccess is denied. (Error: 80070005; Source: Windows)",
    "Task sequence execution failed with error code 80004005",
)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(lab.cli.osdlab, [str(item) for item in arguments], standalone_mode=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path, LINES)


def written(folder: Path, lines: tuple[str, ...]) -> Path:
    path = folder / "smsts.log"
    path.write_bytes(smsts.BOM + "".join(
        smsts.format_record(line, component="TSManager", time=f"09:00:{at:02}.000+000", date="01-01-2026",
                            type=3 if "ailed" in line else 1, thread=1, file="a.cxx:1")
        for at, line in enumerate(lines)
    ).encode())  # fmt: skip
    return path


def test_records_and_damage_are_told_as_json(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"torn off\r\n")
    told = json.loads(call("log", "show", log, "--json").output)
    assert set(told) == {"records", "damage"}
    assert [record["message"].split("\n")[0] for record in told["records"]] == [
        line.split("\n")[0].rstrip("\r") for line in LINES
    ]
    assert told["damage"] and told["damage"][0]["offset"] > 0


def test_a_trace_tells_steps_restarts_and_the_failure_in_the_logs_order(log: Path) -> None:
    shown = call("log", "trace", log).output.splitlines()
    assert ["One" in shown[0], "restart" in shown[1], "Two" in shown[2]] == [True] * 3, shown
    assert "failed step: Two" in shown[-1] and "0x80070005" in shown[-1]
    told = json.loads(call("log", "trace", log, "--json").output)
    assert (told["result"], told["failed_step"], told["code"]) == ("failed", "Two", 0x80070005)
    assert [(item["name"], item["kind"], item["status"]) for item in told["items"]] == [
        ("One", "step", "succeeded"), ("Two", "step", "failed"),
    ]  # fmt: skip


def test_a_log_without_a_task_sequence_says_so_and_where_to_look(tmp_path: Path) -> None:
    path = written(tmp_path, ("Task Sequence environment not found: failed",))
    shown = call("log", "trace", path).output
    assert "no instruction of a task sequence is in it" in shown and "log show --errors" in shown
    assert "environment not found" in call("log", "show", path, "--errors").output


def test_codes_in_any_notation(log: Path) -> None:
    for text in ("0x80070005", "-2147024891", "2147942405", "80070005"):
        assert "Access is denied" in call("code", text).output
    told = json.loads(call("code", "0x80070005", "--json").output)
    assert told["known"] and told["meanings"][0]["hex"] == "0x80070005"


@pytest.mark.parametrize("command", [("log", "show"), ("log", "trace"), ("replay",)])
def test_a_file_that_is_not_there_is_bad_input(command: tuple[str, ...], tmp_path: Path) -> None:
    missing = tmp_path / "gone.log"
    assert lab.cli.guarded(lambda: lab.cli.osdlab.main([*command, str(missing)], standalone_mode=False)) == 3
