"""The restart that a step asked for: the engine performs it after the step's success is in the log.

Engine room: pure. Documented: SMSTSRebootRequested is HD or WinPE; a formatted, bootable local volume is
needed for the state, else the failure is fatal (R66); Windows PE needs the sequence's boot image, staged on
that volume. Observed: the wording of the failures, and that a restart to the disk before Setup Windows has
put its hook there fails with the "GINA" line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from lab.sequence import codes
from lab.sequence.context import Behaviour, Run
from lab.sequence.effects import INTERRUPTED, DownloadContent, GatherFacts, Restart, StageBootImage
from lab.sequence.steps.content import fetched, resolved


def requested(run: Run) -> Literal["", "HD", "WinPE"]:
    """Where to, if a restart is requested. Anything that is not WinPE means the installed system."""
    value = run.variables.value("SMSTSRebootRequested").strip()
    if not value:
        return ""
    return "WinPE" if value.casefold() == "winpe" else "HD"


def restart(run: Run, name: str) -> Behaviour:
    """Stage the boot image if need be, restart, look at the machine. Returns 0, or a code: that is fatal."""
    target = requested(run) or "HD"
    if not run.facts.get("bootable") or not run.facts.get("data_path"):
        run.record("There is no formatted volume on a local disk to restart from", 3, "engine.cxx:268")
        return _failed(run, codes.E_FAIL)
    if target == "WinPE":
        code = yield from _stage(run)
        if code:
            return _failed(run, code)
        run.record("Reboot to WinPE", 1, "engine.cxx:281")
    else:
        if run.in_winpe and not run.memory.hook:
            run.record(
                "Task sequence cannot continue after reboot because TS Manager is not configured to "
                "auto-start or GINA is not installed",
                3,
                "engine.cxx:266",
            )
            return _failed(run, codes.E_FAIL)
        run.record("Reboot to local harddisk", 1, "engine.cxx:281")
    run.record("Execution engine result code: Reboot (2)", 1, "tsmanager.cpp:1302")
    for text in (
        f"Process completed with exit code {codes.HRESULT_REBOOT_REQUIRED}",
        f"Task Sequence Manager returned code 0x{codes.HRESULT_REBOOT_REQUIRED:08X}",
        "Setting reboot required flag.",
    ):
        run.record(text, 1, "tsmbootstrap.cpp:760", "TSMBootstrap")
    delay = run.variables.value("SMSTSRebootDelay").strip()
    seconds = int(delay) if delay.isascii() and delay.isdigit() and len(delay) < 7 else 0
    outcome = yield Restart(target, seconds, run.mask(run.variables.value("SMSTSRebootMessage")))
    if not outcome.ok:
        return _failed(run, outcome.code)
    before = dict(run.facts.get("volumes") or {})
    facts = yield GatherFacts()
    run.learn(facts.value)
    _follow_letters(run, before)
    later = run.variables.value("SMSTSRebootDelayNext")
    if later:
        run.set("SMSTSRebootDelay", later)  # documented: from the second restart on
    return facts.code


def _follow_letters(run: Run, before: Mapping[str, Any]) -> None:
    """Variables that are a drive keep their volume when its letter is another one now.

    Observed: the engine converts them to volume ids before a restart and back after it.
    """
    now = {_place(volume): letter for letter, volume in (run.facts.get("volumes") or {}).items()}
    moved = {letter: now[_place(volume)] for letter, volume in before.items() if _place(volume) in now}
    if all(old == new for old, new in moved.items()):
        return
    run.memory = replace(run.memory, targets=tuple(moved.get(item, item) for item in run.memory.targets))
    for name in list(run.variables):
        old = run.variables.value(name)
        drive = old.rstrip("\\").upper()
        if not name.startswith("_") and drive in moved and drive != moved[drive]:
            new = moved[drive] + old[2:]
            run.record(f"Path variable {name} converted from {old} to {new}", 1, "executionenv.cxx:1100")
            run.set(name, new)


def _place(volume: Mapping[str, Any]) -> tuple[Any, Any]:
    return volume.get("disk"), volume.get("partition")


def _stage(run: Run) -> Behaviour:
    package = run.variables.value("_SMSTSBootImageID")
    if not package:
        run.record("The task sequence has no boot image; Windows PE cannot be started", 3, "engine.cxx:270")
        return codes.ELEMENT_NOT_FOUND
    folder = f"{run.data_path}\\WinPE"
    run.record(f"Staging boot image {package} to {folder}", 1, "bootimage.cpp:100")
    downloaded = yield from fetched(DownloadContent(package, folder), run.record, run.lookup)
    if not downloaded.ok:
        return resolved(package, downloaded, run.record)
    staged = yield StageBootImage(package, str(downloaded.value.get("path") or folder))
    if not staged.ok:
        text = f"Failed to stage the boot image {package}\n{codes.system_message(staged.code)}"
        run.record(text, 3, "bootimage.cpp:140")
    return staged.code


def _failed(run: Run, code: int) -> int:
    run.record(f"Failed to reboot the system\n{codes.system_message(code)}", 3, "engine.cxx:272")
    return code


def watched(run: Run, behaviour: Behaviour) -> Behaviour:
    """A step's behaviour; after an interruption the machine may be another one: look first."""
    try:
        effect = next(behaviour)
        while True:
            outcome = yield effect
            if outcome == INTERRUPTED:
                facts = yield GatherFacts()
                run.learn(facts.value)
            effect = behaviour.send(outcome)
    except StopIteration as stop:
        return int(stop.value)
