"""The site as one modelled machine's requests meet it: each takes its time and stands on the timeline, as the
service's do. What it answers, ``lab.site.managementpoint`` decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from lab.clock import VirtualClock
from lab.simulation.disks import Content, Registry
from lab.site.managementpoint import ContentAnswer, ManagementPoint
from lab.site.model import Distributed
from lab.site.pxe import PxeDecision, PxeRequest
from lab.timeline import Timeline

#: Bytes per second that content takes over the modelled network.
BANDWIDTH = 60_000_000

#: The same by TFTP: one block in flight.
TFTP_BANDWIDTH = 1_500_000

#: Seconds that any request takes.
LATENCY = 0.02

#: Bytes of a short answer.
_SMALL = 512

#: PXELINUX's configuration.
CONFIGURATION = "pxelinux.cfg/default"


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

    ``images`` makes it a WIM file, ``data`` a file with known bytes.
    """

    name: str
    size: int
    sha256: str = ""
    data: bytes | None = None
    images: tuple[SimImage, ...] = ()


@dataclass(frozen=True)
class SimContent:
    """The files of a package, in the model. ``distributed``: how it is on the distribution point, where no
    site says so (``lab.simulation.offered``)."""

    files: tuple[SimFile, ...] = ()
    distributed: Distributed = "there"

    @staticmethod
    def listed(
        files: Iterable[Mapping[str, Any]],
        *,
        images: tuple[SimImage, ...] = (),
        data: Mapping[str, bytes] | None = None,
    ) -> SimContent:
        """A package from a list of files, {"name", "size", "sha256"} each.

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
            )
        )

    def to_json(self) -> list[dict[str, Any]]:
        """The files as ``GET /locations`` lists them."""
        return [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in self.files]


@dataclass(frozen=True)
class SimSite:
    """The site's own files and its network. ``boot_files``: boot file -> size in bytes; ``boot_images``:
    package -> which of them firmware starts, {"uefi": name, "bios": [kernel, initrd]}, all of them the same
    where a package is not named; ``client``: the address that DHCP gives the machine."""

    boot_files: Mapping[str, int] = field(
        default_factory=lambda: {
            "labpe-x64.efi": 45_000_000,
            "labpe-x64.krn": 8_000_000,
            "labpe-x64.img": 37_000_000,
            "pxelinux.0": 75_000,
            "ldlinux.c32": 119_000,
        }
    )
    boot_images: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    address: str = "10.77.0.1"
    client: str = "10.77.0.10"

    def started(self, package: str, firmware: str) -> list[str]:
        """The boot files of a boot image for a firmware."""
        usual = {"uefi": "labpe-x64.efi", "bios": ["labpe-x64.krn", "labpe-x64.img"]}
        named = self.boot_images.get(package, usual)[firmware]
        return [named] if isinstance(named, str) else list(named)


class ModelSite:
    """Answers one machine's requests. ``start`` tells its present start from others."""

    def __init__(
        self,
        site: SimSite,
        contents: Mapping[str, SimContent],
        *,
        point: ManagementPoint,
        machine: str,
        mac: str,
        uuid: str,
        timeline: Timeline,
        clock: VirtualClock,
    ) -> None:
        self.site = site
        self.contents = contents
        self.client = site.client
        self.point = point
        self.requests: list[dict[str, Any]] = []
        self.start = ""
        self._machine = machine
        self._mac, self._uuid = mac.lower(), uuid.lower()
        self._timeline = timeline
        self._clock = clock

    def pxe_script(self, request: PxeRequest) -> PxeDecision:
        """iPXE's question what to do."""
        decision = self.pxe(request)
        self._answer("/pxe/ipxe", 200, _SMALL)
        return decision

    def pxe(self, request: PxeRequest) -> PxeDecision:
        """The same for a machine that starts natively: the lab asks for it."""
        return self.point.pxe(request, self.start)

    def boot_files(self, package: str, firmware: str) -> bool:
        """iPXE's requests for a boot image. Whether all came."""
        return all(
            self._answer(f"/boot/{name}", 200 if size is not None else 404, size or 0) == 200
            for name in self.site.started(package, firmware)
            for size in (self.site.boot_files.get(name),)
        )

    def native_boot_files(self, package: str, firmware: str) -> list[tuple[str, float]]:
        """What a machine without iPXE takes by TFTP, in order: (file, seconds it takes)."""
        names = self.site.started(package, firmware)
        if firmware == "bios":
            names = ["pxelinux.0", "ldlinux.c32", CONFIGURATION, *names]
        return [(name, LATENCY + self.site.boot_files.get(name, 0) / TFTP_BANDWIDTH) for name in names]

    def assignments(self) -> dict[str, Any]:
        answer = self.point.assignments(self._mac, self._uuid, self.start)
        self._answer(f"/policy/{self._mac}", 200, _SMALL)
        return answer

    def policy(self, deployment: str) -> dict[str, Any] | None:
        policy = self.point.policy(self._mac, self._uuid, deployment)
        self._answer(f"/policy/{self._mac}/{deployment}", 404 if policy is None else 200, 16_384)
        return policy

    def locations(self, package: str) -> dict[str, Any]:
        answer = self.point.locate(self._mac, package)
        self._answer(f"/locations/{package}", 200, _SMALL)
        return answer

    def files(self, package: str) -> tuple[SimFile, ...]:
        """The files of a package, none where the lab has no content of it."""
        try:
            return self.contents[package].files  # contents that are assumed are made when they are asked for
        except KeyError:
            return ()

    def file(
        self, package: str, file: SimFile, distribution_point: str, credentials: tuple[str, str] | None
    ) -> ContentAnswer:
        """The request for a file of a package."""
        answer = self.point.content(package, file.name, distribution_point, credentials, self._mac)
        self._answer(f"/content/{package}/{quote(file.name, safe='/:~')}", answer.status, file.size)
        return answer

    def status(self, messages: list[dict[str, Any]]) -> bool:
        """The post of status messages."""
        self.point.status(self._mac, messages, self.start)
        self._answer("/status", 200, _SMALL, "POST")
        return True

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
            "client": self.client,
            "seconds": round(seconds, 3),
            "total": sent,
        }
        self.requests.append(request)
        self._timeline.append("http", "request", machine=self._machine, details=request)
        return status


def shared(path: str) -> str:
    """The path of a request for something on a share, of its UNC path."""
    return "/share/" + quote(path.strip("\\").replace("\\", "/"), safe="/:~")
