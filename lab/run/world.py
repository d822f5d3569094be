"""The world of one run, inside the sandbox: network, DHCP and TFTP, the site's service, hypervisor, machines.

Each thing made pushes its own end at once, so that leaving the ``with`` block takes everything down in turn.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from lab.clock import Clock, wait_until
from lab.disk.isolated import read_in_child
from lab.errors import LabFault
from lab.hypervisor.accelerator import Accelerator, probe
from lab.hypervisor.embedded import EmbeddedHypervisor
from lab.hypervisor.protocol import Machine
from lab.network import dnsmasq, inside, ipxe
from lab.run.child import Child
from lab.run.follow import http_seen, site_seen
from lab.run.native import NativeStarts, ask_site
from lab.run.orders import SiteOrders
from lab.run.phases import Seen
from lab.run.plan import RunPlan
from lab.run.progress import Patience
from lab.run.serve import Server
from lab.run.session import MachineSession
from lab.run.strategy import follow
from lab.timeline import Timeline

#: From the sessions, and what clears a machine's required PXE deployments, to what does the front's commands.
Serve = Callable[[list[MachineSession], Callable[[str], None]], Server]

_HTTP_PORT = 80
_READY = 120.0
#: How much a busy host may stretch the limits; beyond, a stall would be told too late.
_BUSIEST = 4.0


class World:
    """Everything that lives in a run. ``places`` are the sandbox's private folders."""

    def __init__(
        self, plan: RunPlan, places: inside.PrivatePlaces, *, timeline: Timeline, clock: Clock
    ) -> None:
        self._plan, self._places, self._timeline, self._clock = plan, places, timeline, clock
        self._inbox: SimpleQueue[Seen] = SimpleQueue()
        self._stack = ExitStack()
        self._ready = {"dnsmasq": threading.Event(), "site service": threading.Event()}
        self._accelerator: Accelerator | None = None
        self._machines: list[Machine] = []
        self._native: NativeStarts | None = None
        self._site: Child | None = None
        self._orders = SiteOrders(clock)

    def __enter__(self) -> World:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, stop: threading.Event, serve: Serve | None = None) -> None:
        """The run: every machine on, followed to its end, collected. Raises the first thing that broke.

        ``serve`` makes of the sessions of a live run what does the front's commands instead.
        """
        assert self._accelerator is not None
        factor = self._accelerator.factor
        patience = Patience(factor, dict(self._plan.limits), self._plan.patience)
        sessions = [
            MachineSession(
                machine_plan,
                machine,
                timeline=self._timeline,
                clock=self._clock,
                folder=self._plan.folder,
                inbox=self._inbox,
                patience=patience,
                read_disks=read_in_child,
                traffic=partial(_sent_to, inside.tap_name(index)),
                live=serve is not None,
            )
            for index, (machine_plan, machine) in enumerate(
                zip(self._plan.machines, self._machines, strict=True)
            )
        ]
        run = partial(follow, sessions) if serve is None else serve(sessions, self._clear_required).run
        run(
            timeline=self._timeline,
            inbox=self._inbox,
            clock=self._clock,
            stop=stop,
            time_limit=self._plan.time_limit * factor,
        )

    def _clear_required(self, machine: str) -> None:
        """Clear the required PXE deployments of a machine at the site. Raises LabFault, PhaseTimeout."""
        assert self._site is not None
        [item] = [item for item in self._plan.machines if item.spec.name == machine]
        self._orders.clear_required(self._site.send, item.mac, item.spec.uuid)

    def _build(self) -> None:
        # The hypervisor takes a second to open and the service half a one to load: side by side.
        with ThreadPoolExecutor(2) as pool:
            network = pool.submit(self._network)
            opened = pool.submit(self._open_hypervisor)
            network.result()
            hypervisor = opened.result()
        names = {machine.spec.name for machine in self._plan.machines}

        def lifecycle(machine: str, kind: str) -> None:
            if machine in names:
                if kind in ("started", "reset") and self._native is not None:
                    self._native.started(machine)
                self._inbox.put(Seen(machine, "hypervisor", kind, {}))

        hypervisor.on_lifecycle(lifecycle)
        assert self._accelerator is not None
        for index, machine_plan in enumerate(self._plan.machines):
            spec = machine_plan.spec
            nics = (replace(spec.nics[0], tap=inside.tap_name(index)), *spec.nics[1:])
            spec = replace(spec, nics=nics, accelerator=self._accelerator.choice)
            self._machines.append(hypervisor.create(spec))
        self._await_ready()

    def _open_hypervisor(self) -> EmbeddedHypervisor:
        self._accelerator = self._choose()
        hypervisor = EmbeddedHypervisor(
            root=self._places.runtime / "libvirt",
            runtime=self._places.runtime,
            disks=self._plan.folder,
            cache=self._plan.cache,
        )
        self._stack.callback(hypervisor.close)
        return hypervisor

    def _choose(self) -> Accelerator:
        found = probe(self._plan.cache)
        if self._plan.accelerator != "auto" and self._plan.accelerator != found.choice:
            found = replace(found, choice=self._plan.accelerator, reason=f"asked for; {found.reason}")
        cores = len(os.sched_getaffinity(0))
        processors = [item.spec.vcpus for item in self._plan.machines]
        found = for_busy_host(found, expected_load(os.getloadavg()[0], processors, cores))
        self._timeline.append(
            "lab", "accelerator", choice=found.choice, reason=found.reason, factor=found.factor,
            measured=found.measured,
        )  # fmt: skip
        return found

    def _network(self) -> None:
        inside.lay_network([inside.tap_name(index) for index in range(len(self._plan.machines))])
        hosts = [
            dnsmasq.Host(item.spec.name, item.mac, item.address, native=item.spec.nics[0].native)
            for item in self._plan.machines
        ]
        self._stack.callback(self._start_dnsmasq(hosts).stop)
        self._site = self._start_site(hosts)
        self._stack.callback(self._site.stop)

    def _start_dnsmasq(self, hosts: list[dnsmasq.Host]) -> Child:
        root = self._tftp_root()
        native = NativeStarts(
            self._plan,
            root,
            ask=ask_site(inside.ADDRESS, _HTTP_PORT),
            clock=self._clock,
            tell=self._inbox.put,
        )
        self._native = native
        config = self._plan.folder / "dnsmasq.conf"
        lease_file = self._places.runtime / "dnsmasq.leases"
        config.write_text(dnsmasq.configuration(hosts, tftp_root=root, lease_file=lease_file))
        reader = dnsmasq.LogReader(hosts, tftp_root=root)
        log = (self._plan.folder / "dnsmasq.log").open("w", encoding="utf-8")
        self._stack.callback(log.close)

        def line(text: str) -> None:
            log.write(text + "\n")
            log.flush()
            if "started, version" in text or "started, DNS disabled" in text:
                self._ready["dnsmasq"].set()
            if (read := reader.feed(text)) is not None:
                machine, source, kind, data = read
                if (source, kind) == ("dhcp", "discover"):
                    native.asked(machine, data.get("vendor_class", ""))
                self._inbox.put(Seen(machine, source, kind, data))

        return Child(
            "dnsmasq", dnsmasq.command(config), stream="stderr", on_line=line, on_end=self._ended("dnsmasq")
        )

    def _tftp_root(self) -> Path:
        """The folder with iPXE's first scripts. Boot files are in the folders of the machines that start
        without it only: a UEFI firmware whose iPXE has left tries PXE of its own, and must find none."""
        root = self._places.runtime / "tftp"
        root.mkdir()
        for number in dnsmasq.CLIENT_SYSTEMS:
            (root / dnsmasq.script_name(number)).write_text(ipxe.first_script(number), encoding="ascii")
        return root

    def _start_site(self, hosts: list[dnsmasq.Host]) -> Child:
        plan, config = self._plan, self._places.runtime / "site.json"
        config.write_text(
            json.dumps(
                {
                    "host": inside.ADDRESS,
                    "port": _HTTP_PORT,
                    "site": plan.site,
                    "policies": plan.policies,
                    "machines": {
                        item.mac: {"name": item.spec.name, "policy": item.policy} for item in plan.machines
                    },
                    "content": plan.content,
                    "contents": plan.contents,
                    "boot": plan.boot_files,
                    "boot_images": plan.boot_images,
                    "scripts": plan.scripts,
                    "command_line": plan.command_line,
                    "shares": str(plan.folder / "shares"),
                    "database": str(plan.folder / "site.sqlite"),
                    "log": str(plan.folder / "SMSPXE.log"),
                }
            )
        )
        names = {host.address: host.name for host in hosts}
        macs = {host.mac: host.name for host in hosts}

        def line(text: str) -> None:
            if text.startswith('{"ready"'):
                self._ready["site service"].set()
            elif text.startswith('{"answer"'):
                self._orders.answered(text)
            elif (seen := site_seen(text, macs, names) or http_seen(text, names)) is not None:
                self._inbox.put(seen)

        tell = self._ended("site service")

        def ended(code: int, tail: str) -> None:
            tell(code, tail)
            self._orders.ended()  # once it is told: the run has heard of it when an order fails

        command = [sys.executable, "-m", "lab.site.service", "--config", str(config)]
        return Child("site service", command, stream="stdout", on_line=line, on_end=ended)

    def _ended(self, name: str) -> Callable[[int, str], None]:
        def tell(code: int, tail: str) -> None:
            data = {"name": name, "code": code, "tail": tail}
            self._inbox.put(Seen("", "lab", "helper-ended", data))

        return tell

    def _await_ready(self) -> None:
        """Both helpers listen, or the one that died says why. Raises LabFault, PhaseTimeout."""
        for name, ready in self._ready.items():
            wait_until(
                lambda ready=ready: ready.is_set() or self._dead_helper(),  # type: ignore[misc]
                waited_for=f"{name} to listen",
                seconds=_READY,
                clock=self._clock,
                hint="see lab.log and dnsmasq.log",
            )

    def _dead_helper(self) -> bool:
        if self._inbox.empty():
            return False
        seen = self._inbox.get()
        if seen.kind == "helper-ended":
            data = seen.data
            raise LabFault(f"{data['name']} ended with code {data['code']} at its start: {data['tail']}")
        self._inbox.put(seen)
        return False


def expected_load(load: float, processors: Sequence[int], cores: int) -> float:
    """Processes that want to run, per core, beside the machine that a limit is for: the host's ``load`` when
    the run begins and the run's other machines. ``processors``: of each machine."""
    return (load + sum(processors) - max(processors)) / cores


def for_busy_host(found: Accelerator, load: float) -> Accelerator:
    """The accelerator as it is while the host has other work: limits grow with its ``load`` (processes that
    want to run, per core) when the run begins, at most fourfold."""
    busy = round(min(max(1.0, load), _BUSIEST), 2)
    measured = {**found.measured, "load per core": round(load, 2)}
    return replace(found, factor=round(found.factor * busy, 2), measured=measured)


def _sent_to(tap: str) -> int:
    """Bytes that have gone to a machine."""
    return inside.traffic(Path("/proc/net/dev").read_text(encoding="ascii"), tap)
