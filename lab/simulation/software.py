"""The effects of ``lab.sequence.effects_software`` on the modelled machine.

What the scenario answers (doubles, shares, updates) is looked up by the guest's own pure functions; what is
asked of the machine is answered from the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.clock import VirtualClock
from lab.errors import LabFault
from lab.guest.doubles import Double, UnansweredStep, answer_to, unanswered
from lab.guest.inventory import running_system
from lab.guest.place import Place
from lab.guest.software import Answered, connected, found_in_policy, update_ends
from lab.sequence import effects_software as asked
from lab.sequence.effects import Effect, Outcome, RunCommand
from lab.simulation.disks import Volume, resolve
from lab.simulation.machine import Machine
from lab.simulation.site import ModelSite

FILE_NOT_FOUND = 0x80070002
TIMED_OUT = 0x800705B4
CONNECTIONS_FULL = 0x80070055

#: Megahertz of a processor like the lab's.
PROCESSOR_SPEED = 2000


class ModelSoftware:
    """Performs the effects for software. ``write`` writes a text file: code and message."""

    def __init__(
        self,
        machine: Machine,
        site: ModelSite,
        clock: VirtualClock,
        policy: Mapping[str, Any],
        doubles: Sequence[Double],
        place: Place,
        write: Callable[[str, str], tuple[int, str]],
    ) -> None:
        self._machine = machine
        self._site = site
        self._clock = clock
        self._policy = policy
        self._doubles = doubles
        self._place = place
        self._write = write

    def perform(self, effect: Effect) -> Outcome:
        """Carry one effect out. Raises LabFault."""
        match effect:
            case asked.ReadPolicy():
                return replace(found_in_policy(self._policy, effect), how="modelled")
            case asked.RunScript() | asked.AnswerStep():
                return self.answer(effect)
            case asked.ConnectFolder():
                return self._connect(effect)
            case asked.InstallUpdate():
                return Outcome(update_ends(self._policy, effect.update), "doubled")
            case asked.Pause():
                self._clock.pause(effect.seconds)
                return Outcome(how="modelled")
            case asked.GatherInventory():
                return Outcome(how="modelled", value=self._inventory())
            case _:
                raise LabFault(f"the simulator cannot perform {effect.kind}")

    def answer(self, effect: Answered) -> Outcome:
        """What the scenario answers in place of a program. Raises LabFault when it does not."""
        double = answer_to(self._doubles, effect)
        if double is None:
            if isinstance(effect, RunCommand) and effect.optional:
                text = "no double answers: what is known of the command was done"
                return Outcome(how="modelled", message=text)
            if isinstance(effect, asked.AnswerStep):
                raise UnansweredStep(effect.type, effect.step)
            raise unanswered(effect, self._place.step)
        if effect.timeout is not None and double.takes > effect.timeout:
            self._clock.pause(effect.timeout)
            return Outcome(TIMED_OUT, "doubled", f"it did not end within {effect.timeout} s")
        self._clock.pause(double.takes)
        for path, text in double.writes.items():
            code, message = self._write(path, text)
            if code:
                return Outcome(code, "doubled", message)
        value = {"output": double.output[-1000:], "sets": dict(double.sets)}
        return Outcome(double.code, "doubled", value=value)

    def _connect(self, effect: asked.ConnectFolder) -> Outcome:
        code = connected(self._policy, effect)
        if code is None:
            raise UnansweredStep(f"the share {effect.path}", self._place.step)
        if not code and effect.drive in self._machine.letters:
            return Outcome(CONNECTIONS_FULL, "modelled", f"drive {effect.drive} is taken")
        return Outcome(code, "doubled", f"{effect.path} said no" if code else "")

    def _windows(self) -> Volume | None:
        return None if self._machine.in_winpe else self._machine.letters.get("C:")

    def _values(self, key: str) -> Mapping[str, Any] | None:
        windows = self._windows()
        if windows is None or resolve(key).casefold() not in windows.registry:
            return None
        return windows.get_values(key)

    def _inventory(self) -> dict[str, Any]:
        spec, machine = self._machine.spec, self._machine
        site = self._site.site
        disks = [disk.size for disk in machine.disks]
        return {
            "make": spec.smbios.manufacturer,
            "model": spec.smbios.product,
            "serial_number": spec.serial_number,
            "asset_tag": spec.smbios.asset_tag,
            "uuid": spec.uuid.upper(),
            "mac_addresses": [nic.mac.upper() for nic in spec.nics],
            "ip_addresses": [site.client] if spec.nics else [],
            "default_gateways": [],  # the lab's network leads nowhere: its DHCP gives no router
            "memory": spec.memory,
            "processor_speed": PROCESSOR_SPEED,
            "free_disk": max(disks, default=0) >> 20,
            "architecture": {"x86_64": "x64", "aarch64": "arm64", "i686": "x86"}[spec.architecture],
            "ac_power": True,
            "network": bool(spec.nics),
            "wired": bool(spec.nics),
            "uefi": spec.firmware == "uefi",
            "tpm_enabled": False,
            "tpm_activated": False,
            **running_system(self._values),
        }
