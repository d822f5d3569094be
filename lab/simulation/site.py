"""The modelled site: what the distribution point holds and answers, and every request made to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from lab.clock import VirtualClock
from lab.simulation.disks import Content, Registry
from lab.site.deployment import Decision, Deployments
from lab.timeline import Timeline

#: Bytes per second that content takes over the modelled network.
BANDWIDTH = 60_000_000

#: The same by TFTP: one block in flight.
TFTP_BANDWIDTH = 1_500_000

#: Seconds that any request takes.
LATENCY = 0.02


@dataclass(frozen=True)
class SimImage:
    """An image inside a WIM file. ``files``: path below the volume's root -> content; ``folders``: the empty
    ones; ``registry``: ``HKLM\\...`` key -> value name -> [type, data], what its hives hold."""

    name: str
    architecture: str = "x64"
    files: Mapping[str, Content] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    registry: Registry = field(default_factory=dict)


@dataclass(frozen=True)
class SimFile:
    """A file of a package. ``name`` is relative, with slashes; ``size`` (bytes) and ``sha256`` are those
    of the policy.

    ``images`` makes it a WIM file, ``data`` a file with known bytes. ``damaged``: other bytes are served.
    """

    name: str
    size: int
    sha256: str = ""
    data: bytes | None = None
    images: tuple[SimImage, ...] = ()
    damaged: bool = False


@dataclass(frozen=True)
class SimContent:
    """A package on the distribution point. ``status``: what a request for one of its files is answered."""

    files: tuple[SimFile, ...] = ()
    status: int = 200

    @staticmethod
    def listed(
        files: Iterable[Mapping[str, Any]],
        *,
        images: tuple[SimImage, ...] = (),
        data: Mapping[str, bytes] | None = None,
        status: int = 200,
    ) -> SimContent:
        """A package from a policy's list of files, {"name", "size", "sha256"} each.

        ``images`` are those of its WIM file; ``data``: bytes of files that a sequence reads, by name.
        """
        known = data or {}
        return SimContent(
            tuple(
                SimFile(
                    file["name"],
                    file["size"],
                    file.get("sha256", ""),
                    known.get(file["name"]),
                    images if str(file["name"]).casefold().endswith(".wim") else (),
                )
                for file in files
            ),
            status,
        )


@dataclass(frozen=True)
class SimSite:
    """The site and its network. ``boot_files``: boot file -> size in bytes, the first is for UEFI, two more
    (kernel, initrd) for BIOS, the others PXELINUX; ``script``: what iPXE gets by TFTP; ``policy_status``:
    what a request for policy is answered; ``drivers``: the catalogue, as in the policy."""

    machine_name: str = ""
    boot_image: str = ""
    client_package: str = ""
    boot_files: Mapping[str, int] = field(
        default_factory=lambda: {
            "labpe-x64.efi": 45_000_000,
            "labpe-x64.krn": 8_000_000,
            "labpe-x64.img": 37_000_000,
            "pxelinux.0": 75_000,
            "ldlinux.c32": 119_000,
        }
    )
    script: str = "boot.ipxe"
    configuration: str = "pxelinux.cfg/default"
    policy_status: int = 200
    purpose: str = "available"
    at_end: str = "power-off"
    address: str = "10.77.0.1"
    client: str = "10.77.0.10"
    drivers: tuple[Mapping[str, Any], ...] = ()


class ModelSite:
    """Answers requests and puts them on the timeline, as the site's service does."""

    def __init__(
        self,
        site: SimSite,
        contents: Mapping[str, SimContent],
        *,
        machine: str,
        timeline: Timeline,
        clock: VirtualClock,
    ) -> None:
        self.site = site
        self.contents = contents
        self._deployments = Deployments()
        self.requests: list[dict[str, Any]] = []
        self._machine = machine
        self._timeline = timeline
        self._clock = clock

    def boot_file(self, firmware: str) -> bool:
        """iPXE's requests for the boot image. Whether it came."""
        names = list(self.site.boot_files)
        wanted = names[:1] if firmware == "uefi" else names[1:3]
        return all(
            self._answer(f"/boot/{name}", 200 if name else 404, self.site.boot_files.get(name, 0)) == 200
            for name in wanted or [""]
        )

    def native_boot_files(self, firmware: str) -> list[tuple[str, float]]:
        """What a machine without iPXE takes by TFTP, in order: (file, seconds it takes)."""
        efi, kernel, initrd, *pxelinux = self.site.boot_files
        names = [efi] if firmware == "uefi" else [*pxelinux, self.site.configuration, kernel, initrd]
        return [(name, LATENCY + self.site.boot_files.get(name, 0) / TFTP_BANDWIDTH) for name in names]

    def policy(self, mac: str, size: int) -> int:
        """The request for policy, ``size`` bytes of it; the status."""
        return self._answer(f"/policy/{mac.lower()}", self.site.policy_status, size)

    def decide(self, mac: str, start: str) -> Decision:
        """Whether a start of the machine is offered the deployment."""
        decision = self._deployments.decide(mac, self.site.purpose, start)
        data = {**decision.to_json(), "path": f"/policy/{mac.lower()}", "client": self.site.client}
        self._timeline.append("http", "decision", machine=self._machine, details=data)
        return decision

    def file(self, package: str, file: SimFile) -> int:
        """The request for a file of a package; the status."""
        content = self.contents.get(package)
        status = content.status if content and file in content.files else 404
        return self._answer(f"/content/{package}/{quote(file.name, safe='/:~')}", status, file.size)

    def put(self, path: str, size: int) -> None:
        """A file of ``size`` bytes is written to a share (a UNC path)."""
        self._clock.pause(size / BANDWIDTH)
        self._answer(shared(path), 201, 0, "PUT")

    def get(self, path: str, size: int) -> None:
        """A file of a share is read."""
        self._answer(shared(path), 200, size)

    def listing(self, path: str) -> None:
        """A folder of a share is listed."""
        self._answer(shared(path), 200, 0)

    def _answer(self, path: str, status: int, size: int, method: str = "GET") -> int:
        sent = size if status < 300 else len("not found\n")
        seconds = LATENCY + sent / BANDWIDTH
        self._clock.pause(seconds)
        request = {
            "method": method,
            "path": path,
            "status": status,
            "bytes": sent,
            "client": self.site.client,
            "seconds": round(seconds, 3),
            "total": sent,
        }
        self.requests.append(request)
        self._timeline.append("http", "request", machine=self._machine, details=request)
        return status


def shared(path: str) -> str:
    """The path of a request for something on a share, of its UNC path."""
    return "/share/" + quote(path.strip("\\").replace("\\", "/"), safe="/:~")
