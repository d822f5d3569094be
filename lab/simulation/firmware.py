"""A modelled start from the network: DHCP, the site's PXE decision, and what the machine boots by it.

By iPXE the boot files come by HTTP, natively all of it by TFTP, as on a real machine (``lab.network``).
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.clock import VirtualClock
from lab.hypervisor.protocol import MachineSpec
from lab.simulation.site import CONFIGURATION, ModelSite
from lab.simulation.telling import Teller
from lab.site.model import Architecture
from lab.site.pxe import PxeDecision, PxeRequest, refused

#: Plausible seconds: from the first to the last DHCP message, a script, the kernel's start.
_DHCP, _SCRIPT = 1.5, 0.2
KERNEL = 8.0
#: Seconds for which the prompt of an available deployment waits for F12.
PROMPT = 15.0

#: Seconds until somebody presses it.
_PRESSED = 1.0
LEFT = "F12 was not pressed, so nothing was started"
#: LabPE is x64, whatever the site takes its boot image for: the kernel's own words (observed); Windows' boot
#: manager stops with 0xC000035A there.
X64_ONLY = (
    "the boot image is not for this machine's processor: This kernel requires an x86-64 CPU, but only "
    "detected an i686 CPU."
)

#: DHCP option 93 of a machine's firmware (RFC 4578, as firmware really uses it: 7 for x64 UEFI).
CLIENT_SYSTEM = {"x86_64": 7, "i686": 6, "aarch64": 11}
#: A machine's architecture as ConfigMgr names it.
CPU: dict[str, Architecture] = {"x86_64": "x64", "i686": "x86", "aarch64": "arm64"}


@dataclass(frozen=True)
class NoBoot:
    """Nothing was booted. ``halts``: the machine stays where it is; else its next boot device is tried."""

    reason: str
    halts: bool = False


def pxe_request(spec: MachineSpec) -> PxeRequest:
    """What this machine's firmware says of itself: a BIOS nothing of its architecture."""
    system = 0 if spec.firmware == "bios" else CLIENT_SYSTEM[spec.architecture]
    return PxeRequest(spec.nics[0].mac.lower(), spec.uuid.lower(), system, CPU[spec.architecture])


class Firmware:
    """Starts one machine from the network. ``presses_f12``: somebody answers the prompt."""

    def __init__(
        self, spec: MachineSpec, site: ModelSite, teller: Teller, clock: VirtualClock, *, presses_f12: bool
    ) -> None:
        self._spec = spec
        self._site = site
        self._tell = teller
        self._clock = clock
        self._presses_f12 = presses_f12

    def boot(self) -> NoBoot | None:
        """Boot LabPE, to its kernel; or say why not. Raises PhaseTimeout."""
        self._tell.say("dhcp", "discover", phase="dhcp", mac=self._tell.mac, vendor_class="PXEClient")
        refused = self._natively() if self._spec.nics[0].native else self._by_ipxe()
        if refused is not None:
            return refused
        self._tell.phase("pe-kernel")
        if CPU[self._spec.architecture] == "x86":
            return NoBoot(X64_ONLY, halts=True)
        self._clock.pause(KERNEL)
        return None

    def _address(self, file: str) -> None:
        self._clock.pause(_DHCP)
        for kind in ("offer", "request", "ack"):
            self._tell.say("dhcp", kind, mac=self._tell.mac, address=self._site.client)
        self._tell.say("dhcp", "boot-file", mac=self._tell.mac, file=file)

    def _send(self, file: str, seconds: float) -> None:
        self._clock.pause(seconds)
        self._tell.say("tftp", "sent", phase="boot-file", file=file, address=self._site.client)

    def _by_ipxe(self) -> NoBoot | None:
        request = pxe_request(self._spec)
        script = f"boot-{request.client_system}.ipxe"
        self._address(script)
        self._send(script, _SCRIPT)
        decision = self._site.pxe_script(request)
        if decision.action != "boot":
            return _refused(decision)
        if not decision.mandatory and not self._confirmed("F12"):
            return NoBoot(LEFT)
        if not self._site.boot_files(decision.boot_image, self._spec.firmware):
            raise self._tell.stall("the transfer of the boot file to go on", "the boot image is not there")
        return None

    def _natively(self) -> NoBoot | None:
        """The firmware's own PXE. UEFI's asks nobody; PXELINUX asks for Enter where iPXE asks for F12."""
        bios = self._spec.firmware == "bios"
        decision = self._site.pxe(pxe_request(self._spec))
        if decision.action == "ignore" or (decision.action == "abort" and not bios):
            return _refused(decision)
        if not (bios or decision.mandatory or self._presses_f12):
            return NoBoot(LEFT)  # it cannot ask: the lab gives it nothing
        first, *files = self._site.native_boot_files(decision.boot_image, self._spec.firmware)
        self._address(first[0])
        self._send(*first)
        for file, seconds in files:
            self._send(file, seconds)
            if bios and file == CONFIGURATION:
                if decision.action != "boot":
                    return _refused(decision)
                if not decision.mandatory and not self._confirmed("ENTER"):
                    return NoBoot(LEFT)
        return None

    def _confirmed(self, key: str) -> bool:
        """The prompt of an available deployment; whether somebody answers it."""
        self._clock.pause(_PRESSED if self._presses_f12 else PROMPT)
        if self._presses_f12:
            self._tell.say("lab", "key-pressed", key=key)
        return self._presses_f12


def _refused(decision: PxeDecision) -> NoBoot:
    return NoBoot(refused(decision.action, decision.reasons))
