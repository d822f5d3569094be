"""The agent: says hello, fetches the policy, runs or resumes the sequence, says bye.

What needs time to import is imported after the hello has left.
"""

from __future__ import annotations

import sys
import time

from lab.guest import machine
from lab.guest.link import Link, find_port
from lab.guest.screen import Screen

TYPE_CHECKING = False  # as typing's own, whose import takes too long before the hello
if TYPE_CHECKING:
    from typing import Any

    from lab.client.bootstrap import Begin
    from lab.client.wizard import Page
    from lab.guest.storage import FileLog
    from lab.guest.volumes import Volumes

VERSION = "1"

#: Seconds: for a DHCP lease, for the host to take the machine after the end.
LEASE_LIMIT = 60.0
STAY_LIMIT = 12 * 3600.0

#: ERROR_FILE_NOT_FOUND: what a sequence ends with when its state is gone (observed log).
NO_ENVIRONMENT = 0x80070002

UNUSABLE = "The saved task sequence environment cannot be used: "
OS_LOG_FOLDER = "C:\\Windows\\CCM\\Logs"


def main(arguments: list[str] | None = None) -> int:
    """Run as ``pe`` or ``os``. Ends with the machine going down, by itself or by /osdlab/start's caller."""
    phase = (sys.argv[1:] if arguments is None else arguments)[0]
    link = Link(find_port(), machine.boot_mark(), console=sys.stdout)
    link.send(
        "hello",
        {
            "phase": phase,
            "mac": machine.mac_address(),
            "uuid": machine.system_uuid(),
            "agent": VERSION,
            "memory": machine.memory_mib(),
        },
    )
    agent = Agent(phase, link)
    try:
        agent.run()
    except Exception as error:
        link.send("lab-error", _describe(error))
        print(f"osdlab agent: {error}", flush=True)
        agent.show(f"LAB ERROR: {error}")
        agent.stay = False
    link.send("bye", {})
    agent.leave()
    return 0


def _describe(error: Exception) -> dict[str, Any]:
    """An error as the host gets it; ours comes with its traceback."""
    from lab.errors import LabError

    if isinstance(error, LabError):
        return {"message": error.message, "hint": error.hint}
    import traceback

    text = "".join(traceback.format_exception(error))
    return {"message": f"the agent broke: {type(error).__name__}: {error}", "hint": "", "traceback": text}


class Agent:
    """One boot's run."""

    def __init__(self, phase: str, link: Link) -> None:
        from lab.clock import SystemClock
        from lab.guest.management import ManagementPoint
        from lab.guest.runner import SystemRunner
        from lab.guest.volumes import Volumes

        self._phase = phase
        self._link = link
        where = "LabPE" if phase == "pe" else "the deployed system"
        self._screen = Screen.open(f"osdlab - {where} - {machine.mac_address()}")
        self._screen.say("Getting the policy" if phase == "pe" else "Going on with the task sequence")
        self._clock = SystemClock()
        self._runner = SystemRunner()
        self._drives = {"X:": "/x"}
        self._volumes: Volumes = Volumes(self._runner, self._clock, self._drives)
        self._management = ManagementPoint(
            self._site,
            lambda: machine.lease() is not None,
            machine.mac_address(),
            machine.system_uuid(),
            machine.boot_mark(),
            self._clock,
        )
        self._holds: set[str] = set()
        self.stay = False

    def run(self) -> None:
        """Start or resume, to the end or the next restart. Raises LabFault and whatever is a bug."""
        if self._phase == "pe":
            self._run_in_pe()
        else:
            self._run_in_os()

    def show(self, text: str) -> None:
        """Say something on the machine's own screen."""
        self._screen.say(text)

    def leave(self) -> None:
        """Power off, or wait for the host to say so."""
        if self.stay:
            self._await("power-off")
        from lab.guest.labpe import go_down

        go_down("poweroff", self._volumes, self._runner)

    def _await(self, wanted: str) -> None:
        """Until the host sends this operation."""
        from lab.clock import Deadline

        deadline = Deadline(STAY_LIMIT, self._clock)
        while not deadline.passed():
            operation = self._link.receive(min(60.0, deadline.left()))
            if operation and operation.get("op") == wanted:
                break
            if operation is None:
                self._clock.pause(0.2)

    def _run_in_pe(self) -> None:
        from lab.guest.place import LOG_BEFORE_DISK
        from lab.sequence.effects import Effect, Restart

        self._volumes.scan()
        saved, why = self._saved()
        if why:
            self._bootstrap_says(LOG_BEFORE_DISK, UNUSABLE + why)
        if saved is not None:
            pending = Effect.from_json(saved["pending"])
            # Only a restart into PE is continued there; any other start in PE is a new deployment.
            if not (isinstance(pending, Restart) and pending.target == "WinPE"):
                saved = None
        if saved is not None:
            self._go(saved["policy"], saved)
        else:
            self._begin()

    def _begin(self) -> None:
        """Ask the site what to run, and run it."""
        from lab.client.bootstrap import Nothing
        from lab.guest.bootstrap import begin
        from lab.guest.place import LOG_BEFORE_DISK
        from lab.guest.storage import FileLog

        self._announce("policy")
        log = FileLog(self._drives, LOG_BEFORE_DISK)
        begun = begin(self._management, self._ask, self._link.send, lambda said: self._record(log, said))
        if isinstance(begun, Nothing):
            self._link.send("no-deployment", {"reason": begun.reason, "code": begun.code})
        else:
            self._go(begun.policy, None, begun)

    def _ask(self, page: Page) -> str:
        from lab.guest.wizard import Wizard

        return Wizard(self._screen, self._clock, self._link.send).ask(page)

    def _run_in_os(self) -> None:
        self._volumes.scan()
        saved, why = self._saved()
        if saved is None:
            self._no_environment(why)
        else:
            self._go(saved["policy"], saved)

    def _saved(self) -> tuple[dict[str, Any] | None, str]:
        """The run that a volume holds; or None and, where one is there, why it is of no use."""
        from lab.guest.saved import Unusable, checked
        from lab.guest.storage import FileStore

        folder = self._volumes.data_path()
        try:
            saved = FileStore(self._drives, folder).load() if folder else None
            if saved is not None:
                checked(saved)
            return saved, ""
        except Unusable as error:
            return None, str(error)

    def _go(self, policy: dict[str, Any], saved: dict[str, Any] | None, begun: Begin | None = None) -> None:
        """Run from the start as ``begun`` says, or go on with what was ``saved``."""
        from lab.guest.loop import Restarting
        from lab.guest.running import assemble

        self.stay = policy.get("at_end", "power-off") == "stay"
        self._holds = set(policy.get("holds", ()))
        if policy.get("ssh"):
            from lab.guest.remote import open_door

            self._link.send("ssh", {"host_key": open_door(policy["ssh"], self._runner)})
        loop, reporting = assemble(
            policy,
            saved,
            phase=self._phase,
            runner=self._runner,
            volumes=self._volumes,
            clock=self._clock,
            site=self._site,
            management=self._management,
            announce=self._announce,
            emit=self._emit,
        )
        self._announce("step")
        if begun is not None:
            result = loop.start(begun.variables, begun.secrets)
        else:
            assert saved is not None
            result = loop.resume(saved)
        reporting.deliver()
        if isinstance(result, Restarting):
            raise RuntimeError("the machine did not restart")
        self._announce("finished" if result.result == "success" else "failed")
        self._link.send("variables", loop.public_variables())

    def _bootstrap_says(self, folder: str, text: str) -> None:
        """An error of TSMBootstrap, before there is a sequence."""
        from lab.guest.storage import FileLog

        message = {"component": "TSMBootstrap", "message": text, "type": 3, "file": "tsmbootstrap.cpp"}
        self._record(FileLog(self._drives, folder), message)

    def _record(self, log: FileLog, said: dict[str, Any]) -> None:
        """A record from before there is a sequence."""
        from lab.guest.loop import record

        self._emit("record", record(log, said, time.time()))

    def _no_environment(self, why: str = "") -> None:
        if why:
            self._bootstrap_says(OS_LOG_FOLDER, UNUSABLE + why)
        self._bootstrap_says(OS_LOG_FOLDER, "Task Sequence environment not found")
        ended = {"result": "failed", "code": NO_ENVIRONMENT, "failed_step": "", "step_code": 0}
        self._emit("sequence-finished", ended)
        self._announce("failed")
        self._link.send("variables", {})

    def _site(self) -> str:
        """The site's address: who gave the lease. Raises PhaseTimeout."""
        from lab.clock import wait_until

        found = wait_until(
            machine.lease, waited_for="a DHCP lease", seconds=LEASE_LIMIT, clock=self._clock, every=0.02
        )
        return found["serverid"]

    def _emit(self, kind: str, data: dict[str, Any]) -> None:
        self._link.send(kind, data)
        self._screen.take(kind, data)
        if kind == "instruction":
            print(f"osdlab agent: {data['pointer']:3} {data['name']}", flush=True)
            if data["name"] in self._holds:
                self._holds.remove(data["name"])
                self._link.send("held", {"step": data["name"]})
                self._await("go-on")

    def _announce(self, phase: str) -> None:
        self._link.send("phase", {"name": phase})
