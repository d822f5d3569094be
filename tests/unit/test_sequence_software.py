"""The step types for packages, applications, updates and content, each run by the engine."""

from __future__ import annotations

from typing import Any

import pytest

from lab.sequence import effects as fx
from lab.sequence import effects_software as sfx
from lab.sequence.engine import variables_of
from lab.sequence.model import Step
from tests.unit.sequence_world import World, run, sequence
from tests.unit.software_world import full_os, only, ran, step

# packages


PROGRAMS = {"packages": {"LAB00003": {"programs": {
    "Install": {"command": "setup.exe"}, "Alone": {"command": "x.exe", "install_without_deployment": False},
}}}}  # fmt: skip


def package(
    program: str = "Install", base: str = "", goes_on: str = "False", identifier: str = "LAB00003"
) -> Step:
    hidden = {"PackageID": identifier, "BaseVariableName": base, "ContinueOnInstallError": goes_on}
    return step("InstallSoftware", hidden=hidden, _SMSSWDProgramName=program)


@pytest.mark.rule("R43")
def test_a_package_is_installed_again() -> None:
    world = full_os(policy=PROGRAMS)
    run(sequence(package(), package()), world)
    assert ran(world) == ["setup.exe", "setup.exe"]


@pytest.mark.parametrize(
    ("exit", "result", "restarts"),
    [(3010, "success", ["HD"]), (1641, "success", ["HD"]), (1603, "failed", [])],
)
def test_the_exit_code_of_a_packages_program(exit: int, result: str, restarts: list[str]) -> None:
    world = full_os(policy=PROGRAMS, commands={"setup": exit})
    assert only(package(), world).finished.result == result
    assert world.restarts == restarts


def test_a_dynamic_list_of_packages_ends_at_its_first_gap() -> None:
    names = {"P001": "LAB00003:Install", "P002": "LAB00003:install", "P004": "nonsense", "P01": "nonsense"}
    world = full_os(policy=PROGRAMS)
    assert only(package(base="P"), world, names).finished.result == "success"
    assert ran(world) == ["setup.exe"] * 2
    nothing = full_os(policy=PROGRAMS)
    assert only(package(base="Q"), nothing, names).finished.result == "success"
    assert ran(nothing) == []
    for wrong in ("lab00003:Install", "LAB00003", "nonsense"):
        assert (
            only(package(base="P"), full_os(policy=PROGRAMS), {"P001": wrong}).finished.step_code
            == 0x80070057
        )
    failing = full_os(policy=PROGRAMS, commands={"setup": 5})
    assert only(package(base="P", goes_on="True"), failing, names).finished.result == "success"
    assert len(ran(failing)) == 2


def test_a_package_without_policy_program_or_permission_fails() -> None:
    codes = [
        only(item, full_os(policy=PROGRAMS)).finished.step_code
        for item in (package("No"), package(identifier="LAB0000F"), package("Alone"))
    ]
    assert codes == [0x80040104, 0x80040104, 0x80004005]


# applications


def app(**more: Any) -> dict[str, Any]:
    return {"name": "App", "install": "app.exe", "detection": [{"file": "C:\\app.txt"}], **more}


def applications(**apps: dict[str, Any]) -> dict[str, Any]:
    return {"applications": apps}


def install(names: str = "App", base: str = "", goes_on: str = "False") -> Step:
    hidden = {"ApplicationName": names, "BaseVariableName": base, "ContinueOnInstallError": goes_on}
    return step("InstallApplication", hidden=hidden)


class Installing(World):
    """A machine on which the application's installer leaves its file."""

    def run(self, command: str) -> fx.Outcome:
        self.files["c:\\app.txt"] = "there"
        return super().run(command)


@pytest.mark.rule("R43")
def test_an_application_is_installed_once() -> None:
    world = Installing(in_winpe=False, policy=applications(App=app()))
    told = run(sequence(install(), install()), world)
    assert ran(world) == ["app.exe"]
    assert variables_of(told.state)["_TSAppInstallStatus"] == "Success"


@pytest.mark.parametrize(
    ("more", "exit", "code", "status"),
    [
        ({}, 0, 16389, "Error"),  # it is not detected
        ({"detection": []}, 1603, 16389, "Error"),
        ({"detection": []}, 1707, 0, "Success"),
        ({"detection": [], "return_codes": {"7": "success"}}, 7, 0, "Success"),
        ({"detection": []}, 3010, 0, "Success"),
        ({"requirements": [{"memory": 9000}]}, 0, 0, "Warning"),
        ({"dependencies": ["Missing"]}, 0, 16389, "Error"),
        ({"allow_task_sequence": False}, 0, 16389, "Error"),
    ],
)
def test_how_an_application_ends(more: dict[str, Any], exit: int, code: int, status: str) -> None:
    world = full_os(policy=applications(App=app(**more)), commands={"app.exe": exit})
    told = only(install(), world)
    assert (told.finished.step_code, variables_of(told.state)["_TSAppInstallStatus"]) == (code, status)
    assert world.restarts == (["HD"] if exit == 3010 else [])


@pytest.mark.rule("R43")
@pytest.mark.parametrize(("errors", "code"), [("true", 16389), ("false", 0)])
def test_an_unmet_requirement_installs_nothing_and_fails_only_where_warnings_are_errors(
    errors: str, code: int
) -> None:
    world = full_os(policy=applications(App=app(requirements=[{"architecture": "arm64"}])))
    told = only(install(), world, {"TSErrorOnWarning": errors})
    assert told.finished.step_code == code and ran(world) == []


def test_failed_applications_are_tried_again_as_often_as_asked() -> None:
    policy = applications(App=app(detection=[]))
    world = full_os(policy=policy, commands={"app.exe": 1603})
    only(install(), world, {"OSDAppInstallRetries": "2", "OSDAppInstallRetryTimeout": "5000"})
    assert len(ran(world)) == 3
    assert [effect.seconds for effect in world.performed if isinstance(effect, sfx.Pause)] == [5.0, 5.0]
    once = full_os(policy=policy, commands={"app.exe": 1603})
    only(install(goes_on="True"), once, {"OSDAppInstallRetries": "2"})
    assert len(ran(once)) == 1
    busy = full_os(policy=policy, commands={"app.exe": 1618})
    only(install(), busy)
    assert len(ran(busy)) == 4


def test_a_dynamic_list_of_applications_passes_over_what_is_unknown_and_ends_at_a_gap() -> None:
    policy = applications(App=app(detection=[]), Far=app(install="far.exe", detection=[]))
    names = {"A01": "app", "A02": "App", "A04": "Far"}  # case counts
    world = full_os(policy=policy)
    assert only(install("", "A"), world, names).finished.result == "success"
    assert ran(world) == ["app.exe"]
    assert only(install("App,Unknown"), full_os(policy=policy)).finished.step_code == 16389


class Interrupted(World):
    """A machine that loses power during the first ``times`` installations."""

    times = 2

    def run(self, command: str) -> fx.Outcome:
        self.times -= 1
        return fx.INTERRUPTED if self.times >= 0 else super().run(command)


def test_an_unexpected_restart_is_borne_as_often_as_the_step_says() -> None:
    policy = applications(App=app(detection=[]))
    hidden = {"ApplicationName": "App", "RetryCount": "2"}
    patient = Interrupted(in_winpe=False, policy=policy)
    assert only(step("InstallApplication", hidden=hidden), patient).finished.result == "success"
    assert len(ran(patient)) == 3
    once = step("InstallApplication", hidden=hidden | {"RetryCount": "1"})
    assert only(once, Interrupted(in_winpe=False, policy=policy)).finished.step_code == 16389
    # Any other step does not bear it: a package's program fails.
    told = only(package(), Interrupted(in_winpe=False, policy=PROGRAMS))
    assert told.finished.step_code == 0x800704C7


# updates and content


def test_updates_by_target() -> None:
    updates = [{"name": "KB1"}, {"name": "KB2", "mandatory": False}]
    for target, wanted in (("Mandatory", ["KB1"]), ("All", ["KB1", "KB2"])):
        world = full_os(policy={"settings": {"updates": updates}})
        only(step("InstallUpdate", SMSInstallUpdateTarget=target), world)
        assert [
            effect.update for effect in world.performed if isinstance(effect, sfx.InstallUpdate)
        ] == wanted


def test_downloaded_packages_are_where_the_numbered_variables_say() -> None:
    item = step(
        "DownloadPackageContent",
        OSDDownloadDestinationLocationType="Custom",
        OSDDownloadDestinationPath="C:\\Store\\",
        OSDDownloadDestinationVariable="PKG",
        OSDDownloadDownloadPackages="LAB00001, LAB0000F,LAB00003",
        OSDDownloadContinueDownloadOnError="true",
    )
    told = only(item, full_os())
    known = variables_of(told.state)
    assert known["PKG01"] == "C:\\Store\\LAB00001"
    assert known["PKG03"] == "C:\\Store\\LAB00003"
    assert "PKG02" not in known
    assert told.finished.step_code == 0x80070002
    cache = step(
        "DownloadPackageContent",
        OSDDownloadDestinationLocationType="CCMCache",
        OSDDownloadDownloadPackages="LAB00001",
    )
    assert only(cache, World()).finished.step_code == 0x80070032
