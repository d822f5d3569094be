"""Content on the way to a step: tries again, what the log has of it, and a package used on its share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.sequence import codes
from lab.sequence import effects as fx
from lab.sequence import effects_software as sfx
from lab.sequence.model import StepVariable
from tests.unit.sequence_world import Told, World, apply_os, command, partition, run, sequence

STEP = replace(command("Needs it", "setup.exe"), action='smsswd.exe /run:LAB00004 "setup.exe"')


class Points(World):
    """A machine whose distribution points answer a download, one outcome for each try."""

    def __init__(self, *answers: fx.Outcome) -> None:
        super().__init__()
        self.answers = list(answers)

    def perform(self, effect: fx.Effect) -> fx.Outcome:
        if isinstance(effect, fx.DownloadContent):
            self.performed.append(effect)
            return self.answers.pop(0)
        return super().perform(effect)

    def pauses(self) -> list[float]:
        return [effect.seconds for effect in self.performed if isinstance(effect, sfx.Pause)]


def refused(code: int, *statuses: int) -> fx.Outcome:
    tried = [
        {"location": f"http://site/content/LAB00004?{n}", "distribution_point": f"DP{n}", "status": status}
        for n, status in enumerate(statuses, 1)
    ]
    return fx.Outcome(code, value={**(tried[-1] if tried else {}), "tried": tried, "version": 3})


GIVEN = fx.Outcome(
    value={
        "path": "C:\\Packages\\LAB00004",
        "files": [{"name": "setup.exe", "size": 1}],
        "location": "http://site/content/LAB00004",
        "status": 200,
    }
)


def ran(world: Points, **variables: str) -> Told:
    return run(sequence(STEP), world, variables, through_json=True)


@pytest.mark.rule("R62")
def test_a_download_is_tried_again_twice_fifteen_seconds_apart() -> None:
    world = Points(refused(codes.FILE_NOT_FOUND, 404), refused(codes.HASH_MISMATCH, 200), GIVEN)
    told = ran(world)
    assert told.finished.result == "success"
    assert world.pauses() == [15, 15]
    log = told.log()
    assert "WinHttpQueryHeaders() returns status code 404 (Not Found)" in log
    assert "The hash value is not correct." in log
    assert "Download of LAB00004 failed; trying again in 15 seconds (2 of 2)" in log


@pytest.mark.rule("R08")
@pytest.mark.rule("R42")
def test_content_that_no_try_gets_fails_its_step_and_the_sequence() -> None:
    told = ran(Points(*[refused(codes.FILE_NOT_FOUND, 404, 404)] * 3))
    assert told.codes() == {"Needs it": codes.FILE_NOT_FOUND}
    assert (told.finished.result, told.finished.code) == ("failed", codes.E_FAIL)
    log = told.log()
    assert "Locations: Multicast = 0, HTTP = 2, SMB = 0." in log
    assert "Trying http://site/content/LAB00004?2." in log
    assert "Failed to resolve the source for SMS PKGID=LAB00004, hr=0x80070002" in log


@pytest.mark.rule("R08")
def test_a_step_that_continues_on_error_goes_on_without_its_content() -> None:
    tree = sequence(replace(STEP, continue_on_error=True), command("Next"))
    told = run(tree, Points(refused(codes.NO_LOCATION)))
    assert told.steps() == {"Needs it": "failed", "Next": "success"}


@pytest.mark.rule("R60")
def test_content_without_a_location_is_the_steps_error_at_once() -> None:
    world = Points(refused(codes.NO_LOCATION))
    told = ran(world)
    assert told.codes() == {"Needs it": codes.NO_LOCATION}
    assert world.pauses() == []
    assert "Content location request for LAB00004:3 failed. (Code 0x80040102)" in told.log()


@pytest.mark.rule("R72")
def test_a_refused_account_stands_in_the_log_by_its_http_status() -> None:
    told = ran(Points(*[refused(codes.ACCESS_DENIED, 401)] * 3))
    assert told.codes() == {"Needs it": codes.FILE_NOT_FOUND}
    assert "WinHttpQueryHeaders() returns status code 401 (Unauthorized)" in told.log()
    assert "Download() failed with 0x80190191" in told.log()


@pytest.mark.parametrize(
    ("count", "delay", "pauses"), [("1", "3", [3]), ("0", "3", []), ("3", "0", []), ("x", "", [15, 15])]
)
def test_the_variables_say_how_often_and_how_far_apart(count: str, delay: str, pauses: list[int]) -> None:
    world = Points(*[refused(codes.FILE_NOT_FOUND, 404)] * 4)
    ran(world, SMSTSDownloadRetryCount=count, SMSTSDownloadRetryDelay=delay)
    assert world.pauses() == pauses
    tries = {"1": 2, "0": 1, "3": 4, "x": 3}[count]
    assert sum(isinstance(effect, fx.DownloadContent) for effect in world.performed) == tries


@pytest.mark.rule("R63")
def test_run_from_distribution_point_uses_the_share_and_fetches_nothing() -> None:
    share = "\\\\DP1\\SMSPKGC$\\LAB00004"
    value: dict[str, Any] = {"path": share, "files": [{"name": "setup.exe", "size": 1}]}
    world = Points(fx.Outcome(value=value))
    told = ran(world, _SMSTSRunFromDP="true")
    assert told.finished.result == "success"
    (asked,) = [effect for effect in world.performed if isinstance(effect, fx.DownloadContent)]
    assert (asked.direct, asked.verify, asked.destination) == (True, False, "")
    (line,) = [effect for effect in world.performed if isinstance(effect, fx.RunCommand)]
    assert line.working_directory == share
    assert not [text for text in told.log() if "Downloaded file" in text or "VerifyContentHash" in text]


@pytest.mark.rule("R63")
def test_run_from_distribution_point_needs_a_package_share() -> None:
    world = Points(fx.Outcome(0x80070043))
    told = ran(world, _SMSTSRunFromDP="true")
    assert told.codes() == {"Needs it": 0x80070043}
    assert world.pauses() == []


@pytest.mark.rule("R63")
@pytest.mark.parametrize("option", ["attribute", "field"])
def test_an_image_that_its_step_accesses_directly_is_applied_from_the_share(option: str) -> None:
    share = "\\\\DP1\\SMSPKGC$\\LAB00001"
    value: dict[str, Any] = {"path": share, "files": [{"name": "a.wim", "size": 1}]}
    step = apply_os(run_from_net=option == "attribute")
    if option == "field":
        step = replace(step, variables=(*step.variables, StepVariable("RunFromNet", "RunFromNet", "True")))
    world = Points(fx.Outcome(value=value), GIVEN)
    told = run(sequence(partition(), step, STEP), world)
    assert told.finished.result == "success"
    image, other = [effect for effect in world.performed if isinstance(effect, fx.DownloadContent)]
    assert (image.direct, image.verify, image.destination) == (True, False, "")
    assert (other.direct, other.verify) == (False, True), "the option is that step's alone"
    (applied,) = [effect for effect in world.performed if isinstance(effect, fx.ApplyImage)]
    assert applied.image == f"{share}\\a.wim"
