"""Starts from the network without iPXE: when a machine asks for an address the site is asked, and the
machine's own TFTP folder laid before its offer goes out.

It is safe against the machine being quicker: the folder is there, empty, before dnsmasq starts, so that it
never looks elsewhere; a new start empties it first; the offer is held back for ``dnsmasq.HOLD`` seconds, and
an answer that took longer than that ends the run as the lab's fault, never as a refusal of the site's.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lab.clock import Clock
from lab.network import dnsmasq
from lab.network.native import folder
from lab.run.phases import Seen
from lab.run.plan import MachinePlan, RunPlan

#: (mac, uuid, client system, cpu, start) -> the decision's JSON. Raises OSError, ValueError.
Ask = Callable[[Mapping[str, str]], dict[str, Any]]

_ARCHITECTURE = re.compile(r"PXEClient:Arch:(\d{5})")
_CPU = {"x86_64": "x64", "i686": "x86", "aarch64": "arm64"}


class NativeStarts:
    """``root``: of TFTP; ``tell`` gets what went wrong. ``asked`` is for one thread, ``started`` for any."""

    def __init__(
        self, plan: RunPlan, root: Path, *, ask: Ask, clock: Clock, tell: Callable[[Seen], None]
    ) -> None:
        self._plan, self._root, self._ask, self._clock, self._tell = plan, root, ask, clock, tell
        self._machines = {item.spec.name: item for item in plan.machines if item.spec.nics[0].native}
        self._starts = dict.fromkeys(self._machines, 0)
        self._laid = dict.fromkeys(self._machines, -1)
        for item in self._machines.values():
            self._folder(item).mkdir()

    def started(self, machine: str) -> None:
        """The machine was started or reset: what it asks from now on is a start of its own."""
        if machine in self._starts:
            self._starts[machine] += 1

    def asked(self, machine: str, vendor_class: str) -> None:
        """The machine asks for an address: when its firmware does, have its folder laid."""
        found = _ARCHITECTURE.match(vendor_class)
        if found is None or machine not in self._machines:
            return
        start = self._starts[machine]
        if self._laid[machine] == start:
            return  # it asks again
        begun = self._clock.now()
        item = self._machines[machine]
        shutil.rmtree(self._folder(item))
        self._folder(item).mkdir()
        try:
            self._lay(item, int(found[1]), start)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
        else:
            self._laid[machine] = start
            took = self._clock.now() - begun
            if took < dnsmasq.HOLD:
                return
            reason = f"it took {took:.1f} s, and the offer was held back for {dnsmasq.HOLD} s only"
        self._tell(Seen(machine, "lab", "pxe-unanswered", {"reason": reason}))

    def _lay(self, item: MachinePlan, client_system: int, start: int) -> None:
        spec = item.spec
        question = {
            "mac": item.mac, "uuid": spec.uuid, "client_system": str(client_system),
            "cpu": _CPU[spec.architecture], "start": f"pxe-{item.mac}-{start}",
        }  # fmt: skip
        pressed = bool(item.answers.get("f12", True))
        made = folder(
            self._ask(question),
            client_system,
            self._plan.boot_images,
            self._plan.command_line,
            pressed=pressed,
        )
        place = self._folder(item)
        for name, text in made.texts.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text(text, encoding="ascii", errors="replace")
        for name, file in made.links.items():
            (place / name).symlink_to(self._plan.boot_files[file])

    def _folder(self, item: MachinePlan) -> Path:
        return self._root / dnsmasq.folder_name(item.mac)


def ask_site(address: str, port: int) -> Ask:
    """Asks the site's service."""

    def ask(question: Mapping[str, str]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(address, port, timeout=2 * dnsmasq.HOLD)
        try:
            connection.request("GET", f"/pxe?{urlencode(question)}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise OSError(f"the site's service answered {answer.status}: {body[:200]!r}")
            decision: dict[str, Any] = json.loads(body)
            return decision
        except http.client.HTTPException as error:
            raise OSError(f"the site's service broke its answer off: {type(error).__name__}") from error
        finally:
            connection.close()

    return ask
