"""The performer of LabPE and of the deployed system: carries effects out on the machine it runs on.

A tool that fails gives an outcome with a code and the tool's last line, never a traceback; what is not the
machine's fault (an unanswered command) raises LabFault.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.errors import LabFault
from lab.guest import paths, software
from lab.guest.bench import Bench
from lab.guest.place import LOG_BEFORE_DISK
from lab.guest.refusal import FILE_NOT_FOUND, refusal
from lab.guest.runner import Runner, ToolFailed
from lab.guest.volumes import Volumes
from lab.sequence import effects
from lab.sequence.effects import Effect, Outcome

if TYPE_CHECKING:
    from lab.guest.facts import Facts

LOG_OF_CLIENT = "C:\\Windows\\CCM\\Logs\\smstslog"
CLIENT = "C:\\Windows\\CCM"


class LabPe:
    """Performs effects for real."""

    how = "real"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._facts: Facts | None = None

    def perform(self, effect: Effect) -> Outcome:
        """Carry one effect out. Raises LabFault."""
        try:
            return self._perform(effect)
        except (paths.PathError, ToolFailed, OSError) as error:
            return refusal(error)

    def _perform(self, effect: Effect) -> Outcome:
        # Modules are imported when they are needed: the first seconds of a boot are dear.
        bench = self._bench
        match effect:
            case effects.GatherFacts():
                return self._gather_facts()
            case effects.PartitionDisk():
                from lab.guest.disk_tools import partition_disk

                return partition_disk(effect, bench.runner, bench.volumes)
            case effects.DownloadContent():
                return self._download(effect)
            case effects.ApplyImage():
                from lab.guest.images import apply_image

                return apply_image(effect, bench.runner, bench.volumes)
            case effects.InstallBootFiles():
                from lab.guest import boot

                firmware = boot.Firmware(bench.runner)
                return boot.install_boot_files(effect, bench.runner, bench.volumes, firmware, uefi=bench.uefi)
            case effects.StageBootImage():
                from lab.guest import boot

                firmware = boot.Firmware(bench.runner)
                return boot.stage_boot_image(effect, bench.runner, bench.volumes, firmware, uefi=bench.uefi)
            case effects.WriteFile():
                bench.write(effect.path, effect.text)
                return Outcome()
            case effects.ReadFile():
                return self._read(effect.path)
            case effects.SetRegistry():
                from lab.guest.registry import set_registry

                return set_registry(effect, bench.runner, bench.volumes.drives)
            case effects.Restart():
                bench.announce("restart")
                bench.clock.pause(effect.delay)
                go_down("reboot", bench.volumes, bench.runner)
                return Outcome()
            case effects.CleanUp():
                return self._clean_up(effect)
            case effects.QueryWmi() | effects.ReadRegistry() | effects.FileFacts():
                return self._answer(effect)
        handler = software.HANDLERS.get(type(effect))
        if handler is None:
            from lab.guest import imaging

            handler = imaging.HANDLERS.get(type(effect))
        if handler is None:
            raise LabFault(f"the agent cannot perform {effect.kind}")
        return handler(effect, bench)

    def _answer(self, effect: effects.QueryWmi | effects.ReadRegistry | effects.FileFacts) -> Outcome:
        """What a condition asks the machine."""
        from lab.guest.facts import Facts

        bench = self._bench
        if self._facts is None:
            self._facts = Facts(bench.phase, bench.identity, bench.runner, bench.volumes)
        match effect:
            case effects.QueryWmi():
                return self._facts.query(effect)
            case effects.ReadRegistry():
                return self._facts.read_registry(effect)
        return self._facts.look_at(effect)

    def _gather_facts(self) -> Outcome:
        self._bench.volumes.scan()
        data_path = self._bench.volumes.data_path()
        return Outcome(
            value={
                "in_winpe": self._bench.phase == "pe",
                "uefi": self._bench.uefi,
                "machine_name": self._bench.identity["machine_name"],
                "mac": self._bench.identity["mac"],
                "uuid": self._bench.identity["uuid"],
                "architecture": self._bench.identity["architecture"],
                "disks": self._bench.volumes.describe_disks(),
                "log_path": self._log_path(data_path),
                "data_path": data_path,
                "volumes": self._bench.volumes.facts(),
                "launch_mode": self._bench.identity["launch_mode"],
                "bootable": bool(data_path),
                "tpm": os.path.exists("/sys/class/tpm/tpm0"),
            }
        )

    def _log_path(self, data_path: str) -> str:
        if not data_path:
            return LOG_BEFORE_DISK
        if self._bench.phase == "os" and os.path.isdir(self._bench.local(CLIENT)):
            return LOG_OF_CLIENT
        return paths.join(data_path, "Logs", "smstslog")

    def _download(self, effect: effects.DownloadContent) -> Outcome:
        from lab.guest.content import account_of, download

        bench = self._bench
        bench.announce("content")
        try:
            answer = bench.locate(effect.package)
            return download(effect, answer, account_of(bench.policy), bench.volumes.drives)
        finally:
            self._bench.announce("step")

    def _read(self, path: str) -> Outcome:
        try:
            with open(self._bench.local(path), "rb") as file:
                return Outcome(value={"text": file.read().decode("utf-8-sig", "replace")})
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return Outcome(FILE_NOT_FOUND, message=f"there is no file {path}")

    def _clean_up(self, effect: effects.CleanUp) -> Outcome:
        """The loop moved smsts.log already; other logs follow, then the data folder goes."""
        import shutil

        if not effect.data_path:
            return Outcome()
        data = self._bench.local(effect.data_path)
        logs = paths.below(data, ("Logs",))
        if effect.log_folder and os.path.isdir(logs):
            target = self._bench.local(effect.log_folder)
            os.makedirs(target, exist_ok=True)
            for folder, _, names in os.walk(logs):
                for name in names:
                    shutil.move(os.path.join(folder, name), os.path.join(target, name))
        if os.path.isdir(data):
            if effect.log_folder:
                shutil.rmtree(data)
            else:
                from lab.guest.images import empty

                empty(data, ("Logs",))
        return Outcome()


def go_down(how: str, volumes: Volumes, runner: Runner) -> None:
    """``reboot`` or ``poweroff``, after everything reached the disks. Does not return on a real machine."""
    os.sync()
    for volume in list(volumes.volumes.values()):
        try:
            volumes.unmount(volume)
        except ToolFailed:
            # Somebody still uses it: what was written is synced.
            continue
    os.sync()
    runner.run([how, "-f"], timeout=60)
