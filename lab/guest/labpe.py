"""The performer of LabPE and of the deployed system: carries effects out on the machine it runs on.

A tool that fails gives an outcome with a code and the tool's last line, never a traceback; what is not the
machine's fault (an unanswered command) raises LabFault.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.clock import Clock
from lab.guest import paths
from lab.guest.doubles import Double
from lab.guest.place import LOG_BEFORE_DISK, Place
from lab.guest.runner import Runner, ToolFailed
from lab.guest.software import SoftwareEffects
from lab.guest.volumes import Volumes
from lab.sequence import effects
from lab.sequence.effects import Effect, Outcome

if TYPE_CHECKING:
    from lab.guest.facts import Facts

#: Win32 codes as HRESULTs.
FILE_NOT_FOUND = 0x80070002
PATH_NOT_FOUND = 0x80070003
ACCESS_DENIED = 0x80070005
DISK_FULL = 0x80070070
INVALID_NAME = 0x8007007B
TIMED_OUT = 0x800705B4
FAILED = 0x80004005

_ERRNO = {
    errno.ENOENT: FILE_NOT_FOUND,
    errno.ENOTDIR: PATH_NOT_FOUND,
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
    errno.EROFS: 0x80070013,
    errno.ENOSPC: DISK_FULL,
    errno.EIO: 0x8007045D,
    **dict.fromkeys((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT), 0x80070035),
}

LOG_OF_CLIENT = "C:\\Windows\\CCM\\Logs\\smstslog"
CLIENT = "C:\\Windows\\CCM"


class LabPe:
    """Performs effects for real.

    ``phase`` "pe" or "os"; ``identity`` has mac, uuid, machine_name, uefi; ``site`` gives the distribution
    point's address when it is needed; ``announce`` is told the phases of a machine's life; ``policy`` is what
    the site told the machine.
    """

    how = "real"

    def __init__(
        self,
        phase: str,
        identity: Mapping[str, Any],
        runner: Runner,
        volumes: Volumes,
        clock: Clock,
        *,
        doubles: Sequence[Double] = (),
        contents: Mapping[str, Any] | None = None,
        drivers: Sequence[Mapping[str, Any]] = (),
        site: Callable[[], str] = lambda: "",
        place: Place | None = None,
        announce: Callable[[str], None] = lambda phase: None,
        policy: Mapping[str, Any] | None = None,
    ) -> None:
        self._phase = phase
        self._identity = identity
        self._runner = runner
        self._volumes = volumes
        self._clock = clock
        self._contents = contents or {}
        self._drivers = drivers
        self._site = site
        self._announce = announce
        self._facts: Facts | None = None
        self._software = SoftwareEffects(
            phase,
            identity,
            policy or {},
            doubles,
            runner,
            volumes,
            clock,
            place or Place(),
            self._write,
            _failure,
        )

    def perform(self, effect: Effect) -> Outcome:
        """Carry one effect out. Raises LabFault."""
        try:
            return self._perform(effect)
        except (paths.PathError, ToolFailed, OSError) as error:
            return _failure(error)

    def _perform(self, effect: Effect) -> Outcome:
        # Modules are imported when they are needed: the first seconds of a boot are dear.
        match effect:
            case effects.GatherFacts():
                return self._gather_facts()
            case effects.RunCommand():
                return self._software.answer(effect)
            case effects.PartitionDisk():
                from lab.guest.disk_tools import partition_disk

                return partition_disk(effect, self._runner, self._volumes)
            case effects.DownloadContent():
                return self._download(effect)
            case effects.ApplyImage():
                from lab.guest.images import apply_image

                return apply_image(effect, self._runner, self._volumes)
            case effects.InstallBootFiles():
                from lab.guest import boot

                firmware = boot.Firmware(self._runner)
                return boot.install_boot_files(effect, self._runner, self._volumes, firmware, uefi=self._uefi)
            case effects.StageBootImage():
                from lab.guest import boot

                firmware = boot.Firmware(self._runner)
                return boot.stage_boot_image(effect, self._runner, self._volumes, firmware, uefi=self._uefi)
            case effects.WriteFile():
                self._write(effect.path, effect.text)
                return Outcome()
            case effects.ReadFile():
                return self._read(effect.path)
            case effects.SetRegistry():
                from lab.guest.registry import set_registry

                return set_registry(effect, self._runner, self._volumes.drives)
            case effects.Restart():
                self._announce("restart")
                self._clock.pause(effect.delay)
                go_down("reboot", self._volumes, self._runner)
                return Outcome()
            case effects.CleanUp():
                return self._clean_up(effect)
            case effects.QueryWmi() | effects.ReadRegistry() | effects.FileFacts():
                return self._answer(effect)
            case _:
                from lab.guest import imaging

                if handler := imaging.HANDLERS.get(type(effect)):
                    return handler(
                        effect, imaging.Bench(self._runner, self._volumes, self._site, self._drivers)
                    )
                return self._software.perform(effect)

    @property
    def _uefi(self) -> bool:
        return bool(self._identity["uefi"])

    def _answer(self, effect: effects.QueryWmi | effects.ReadRegistry | effects.FileFacts) -> Outcome:
        """What a condition asks the machine."""
        from lab.guest.facts import Facts

        facts = self._facts = self._facts or Facts(self._phase, self._identity, self._runner, self._volumes)
        match effect:
            case effects.QueryWmi():
                return facts.query(effect)
            case effects.ReadRegistry():
                return facts.read_registry(effect)
        return facts.look_at(effect)

    def _gather_facts(self) -> Outcome:
        self._volumes.scan()
        data_path = self._volumes.data_path()
        return Outcome(
            value={
                "in_winpe": self._phase == "pe",
                "uefi": self._uefi,
                "machine_name": self._identity["machine_name"],
                "mac": self._identity["mac"],
                "uuid": self._identity["uuid"],
                "architecture": self._identity["architecture"],
                "disks": self._volumes.describe_disks(),
                "log_path": self._log_path(data_path),
                "data_path": data_path,
                "volumes": self._volumes.facts(),
                "launch_mode": self._identity["launch_mode"],
                "bootable": bool(data_path),
                "tpm": os.path.exists("/sys/class/tpm/tpm0"),
            }
        )

    def _log_path(self, data_path: str) -> str:
        if not data_path:
            return LOG_BEFORE_DISK
        if self._phase == "os" and os.path.isdir(paths.to_linux(CLIENT, self._volumes.drives)):
            return LOG_OF_CLIENT
        return paths.join(data_path, "Logs", "smstslog")

    def _download(self, effect: effects.DownloadContent) -> Outcome:
        from lab.guest.content import download

        self._announce("content")
        try:
            return download(effect, self._contents, self._site(), self._volumes.drives)
        finally:
            self._announce("step")

    def _write(self, path: str, text: str) -> None:
        from lab.guest.storage import write_whole

        write_whole(paths.to_linux(path, self._volumes.drives), text.encode())

    def _read(self, path: str) -> Outcome:
        try:
            with open(paths.to_linux(path, self._volumes.drives), "rb") as file:
                return Outcome(value={"text": file.read().decode("utf-8-sig", "replace")})
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return Outcome(FILE_NOT_FOUND, message=f"there is no file {path}")

    def _clean_up(self, effect: effects.CleanUp) -> Outcome:
        """The loop moved smsts.log already; other logs follow, then the data folder goes."""
        import shutil

        if not effect.data_path:
            return Outcome()
        data = paths.to_linux(effect.data_path, self._volumes.drives)
        logs = paths.below(data, ("Logs",))
        if effect.log_folder and os.path.isdir(logs):
            target = paths.to_linux(effect.log_folder, self._volumes.drives)
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


def _failure(error: Exception) -> Outcome:
    """The outcome of an effect that the machine refused."""
    if isinstance(error, paths.NoDrive):
        code = PATH_NOT_FOUND
    elif isinstance(error, paths.PathError):
        code = INVALID_NAME
    else:
        code = _ERRNO.get(getattr(error, "errno", None) or 0, FAILED)
    return Outcome(code, message=str(error))


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
