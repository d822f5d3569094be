"""The live display: what it shows on a terminal of several widths, and line by line without one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab.clock import VirtualClock
from lab.report.progress import Progress
from tests.golden_file import check_golden
from tests.story import Story, bad_run, good_run


def frame(story: Story, events: int, width: int) -> str:
    clock = VirtualClock()
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    progress = Progress(console, "bare-metal", template="uefi-x64", clock=clock)
    for event in story.events[:events]:
        progress.on_event(event)
    clock.pause(41)
    lines = [line.plain for line in progress.lines(width)]
    assert all(len(line) <= width for line in lines)
    return "\n".join(lines) + "\n\n"


def starting() -> Story:
    story = Story()
    story.say("hypervisor", "started", "firmware")
    story.say("console", "line", "boot-file", text="iPXE  initialising [devices]...")
    return story


@pytest.mark.parametrize("width", [40, 80, 110])
def test_frames(width: int) -> None:
    good, bad = good_run(), bad_run()
    frames = [
        frame(starting(), 2, width),
        frame(good, 9, width),
        frame(good, len(good.events), width),
        frame(bad, len(bad.events), width),
    ]
    check_golden(f"report/progress-{width}.txt", "".join(frames))


def plain(story: Story) -> str:
    out = io.StringIO()
    with Progress(Console(file=out, width=60), "bare-metal", template="uefi-x64") as progress:
        for event in story.events:
            progress.on_event(event)
    return out.getvalue()


def test_without_a_terminal_each_change_is_one_line() -> None:
    check_golden("report/progress-plain.txt", plain(good_run()) + "\n" + plain(bad_run()))


def test_a_broken_lab_is_told() -> None:
    story = starting()
    story.say("agent", "lab-error", message="no double answers [x]", hint="")
    assert "the lab broke: no double answers [x]" in plain(story)


def test_a_machine_that_waits_or_has_nothing_to_do_says_why() -> None:
    story = starting()
    story.say("agent", "wizard", page="choose", title="Select a task sequence to run", items=[])
    story.say("agent", "wizard", page="variable", name="Role", secret=False)
    story.say("lab", "not-started", reason="F12 was not pressed")
    shown = " ".join(plain(story).split())
    assert "asks for the task sequence to run" in shown and "asks for variable Role" in shown
    assert "no sequence began: F12 was not pressed" in shown


def test_the_live_display_draws_and_stops_on_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal, as in CI, has no cursor to give back
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    progress = Progress(console, "bare-metal", clock=VirtualClock())
    with pytest.raises(RuntimeError), progress:
        for event in good_run().events:
            progress.on_event(event)
        raise RuntimeError
    shown = out.getvalue()
    assert "Execution complete." in shown and "100 %" in shown
    assert shown.endswith("\x1b[?25h")  # the cursor is back
