"""The management point: answers what computers ask, remembers what it must, tells the timeline.

Pure but for its ``Store`` and ``tell``: the HTTP service and the simulator decide with this one object.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from lab.site import policy as site_policy
from lab.site.model import Deployment, Device, SiteObjects
from lab.site.pxe import PxeDecision, PxeRequest, decide, offer_key

Json = dict[str, Any]

#: Status message -> what the client's history says of a sequence (R65; ids observed, 11141 a guess).
_ENDS = {11143: "success", 11141: "failed"}
_BEGINS = (11140, 11144)


class Store(Protocol):
    """What outlives a request. Each method has done its work for good when it returns. ``decided`` and
    ``add_status`` may raise where there is no room, and have kept nothing then."""

    def offered(self, key: str) -> tuple[str, ...]:
        """The required deployments offered by PXE under ``pxe.offer_key``, since the last ``clear``."""
        ...

    def offer(self, key: str, deployment: str, start: str) -> None:
        """A required deployment was offered at this start."""
        ...

    def clear(self, key: str) -> None:
        """Forget what was offered: "Clear required PXE deployments"."""
        ...

    def offer_of_start(self, mac: str, start: str) -> Json | None:
        """The PXE decision about a start of the computer."""
        ...

    def decided(self, mac: str, start: str, decision: Json) -> None:
        """Keep the PXE decision about a start; one that is kept is not replaced."""
        ...

    def last_decision(self, mac: str) -> Json | None:
        """The PXE decision about the computer's newest start."""
        ...

    def add_status(self, mac: str, start: str, messages: Sequence[Json]) -> list[Json]:
        """Keep status messages, and give those that are new: one whose (mac, start, n) is kept already was
        posted again."""
        ...

    def statuses(self, mac: str) -> list[Json]:
        """The status messages of a computer in the order in which they came, each with its ``start``."""
        ...


class MemoryStore:
    """A store that lives as long as its process: for the simulator, and for tests."""

    def __init__(self) -> None:
        self._offers: dict[str, list[str]] = {}
        self._decisions: dict[str, dict[str, Json]] = {}
        self._statuses: dict[str, dict[tuple[str, int], Json]] = {}

    def offered(self, key: str) -> tuple[str, ...]:
        return tuple(self._offers.get(key, ()))

    def offer(self, key: str, deployment: str, start: str) -> None:
        self._offers.setdefault(key, []).append(deployment)

    def clear(self, key: str) -> None:
        self._offers.pop(key, None)

    def offer_of_start(self, mac: str, start: str) -> Json | None:
        return self._decisions.get(mac, {}).get(start)

    def decided(self, mac: str, start: str, decision: Json) -> None:
        self._decisions.setdefault(mac, {}).setdefault(start, decision)

    def last_decision(self, mac: str) -> Json | None:
        starts = self._decisions.get(mac, {})
        return starts[next(reversed(starts))] if starts else None

    def add_status(self, mac: str, start: str, messages: Sequence[Json]) -> list[Json]:
        if not messages:
            return []
        kept = self._statuses.setdefault(mac, {})
        new = []
        for message in messages:
            if (start, message["n"]) not in kept:
                kept[start, message["n"]] = {**message, "start": start}
                new.append(message)
        return new

    def statuses(self, mac: str) -> list[Json]:
        return list(self._statuses.get(mac, {}).values())


@dataclass(frozen=True)
class ContentAnswer:
    """How a distribution point answers for a file. ``damaged``: its bytes are not those of the hash."""

    status: Literal[200, 401, 404]
    damaged: bool = False


class ManagementPoint:
    """One site at work.

    policies   task sequence package -> what its policy has for every computer
    machines   MAC -> {"policy": additions of that computer's}
    contents   package -> [{"name", "size", "sha256"}], of its newest version
    address    host, or host:port, of the URLs it hands out
    tell       gets events of the timeline: "pxe", "assignments", "policy", "boot-image", "location",
               "denied", "status", "cleared", and data with ``mac``

    MAC addresses and GUIDs are taken in any case. ``start`` tells one start of a computer from another.
    """

    def __init__(
        self,
        site: SiteObjects,
        *,
        policies: Mapping[str, Mapping[str, Any]],
        machines: Mapping[str, Mapping[str, Any]],
        contents: Mapping[str, Sequence[Json]],
        address: str,
        store: Store,
        tell: Callable[[str, Json], None],
    ) -> None:
        self.site = site
        self._policies = {package.casefold(): base for package, base in policies.items()}
        self._machines = {mac.casefold(): machine for mac, machine in machines.items()}
        self._contents = {package.casefold(): list(files) for package, files in contents.items()}
        self._address = address
        self._store = store
        self._tell = tell
        self._booted: dict[str, int] = {}

    def pxe(self, request: PxeRequest, start: str) -> PxeDecision:
        """Decide about a start from the network; asked again within the same start, the answer is the same.
        A required deployment that is handed out counts as offered from then on."""
        mac = request.mac.casefold()
        before = self._store.offer_of_start(mac, start)
        if before is not None:
            return PxeDecision.from_json(before)
        device, _ = site_policy.find_device(self.site, mac, request.uuid)
        key = offer_key(self.site, device, mac, request.uuid)
        decision = decide(self.site, request, {key: self._store.offered(key)})
        self._store.decided(mac, start, decision.to_json())
        if decision.mandatory:  # what is not kept is not handed out
            self._store.offer(key, decision.deployment, start)
        self._booted[mac] = self._booted.get(mac, 0) + (decision.action == "boot")
        asked = {"mac": mac, "uuid": request.uuid.casefold(), "client_system": request.client_system}
        self._tell("pxe", {**asked, "cpu": request.cpu, "start": start, **decision.to_json()})
        return decision

    def clear_required(self, mac: str, uuid: str) -> None:
        """Clear required PXE deployments, as somebody does in the console: those of a computer are offered
        again (documented)."""
        device, _ = site_policy.find_device(self.site, mac, uuid)
        self._store.clear(offer_key(self.site, device, mac, uuid))
        if device is not None:
            devices = tuple(replace(one, last_pxe="") if one == device else one for one in self.site.devices)
            self.site = replace(self.site, devices=devices)
        self._tell("cleared", {"mac": mac.casefold(), "device": device.name if device else ""})

    def assignments(self, mac: str, uuid: str, start: str) -> Json:
        """What a computer in Windows PE may run: the answer of ``GET /policy/<mac>``."""
        device, _ = site_policy.find_device(self.site, mac, uuid)
        offers, withheld = self._offers(device, mac, uuid)
        name = device.name if device is not None else ""
        listed = [
            {
                "deployment": one.id,
                "sequence": one.sequence,
                "name": self._sequence_name(one),
                "purpose": one.purpose,
                "download": one.download,
            }
            for one in offers
        ]
        told = {"mac": mac.casefold(), "start": start, "device": name, "known": device is not None}
        if not listed:
            who = name or "unknown computers"
            reason = f"no deployment is made available to {who} here"
            if withheld:
                reason = (
                    f"required deployment {', '.join(one.id for one in withheld)} was offered to {who} at an "
                    "earlier start, and its flag was not cleared"
                )
            self._tell("assignments", {**told, "deployments": [], "reason": reason})
            return {"no_deployment": reason}
        self._tell("assignments", {**told, "deployments": [one.id for one in offers]})
        return {"assignments": listed, "device": name, "known": device is not None}

    def policy(self, mac: str, uuid: str, deployment: str) -> Json | None:
        """The policy of one deployment; None when it is not among the computer's assignments."""
        parts = self.policy_parts(mac, uuid, deployment)
        return None if parts is None else {**parts[1], **parts[2]}

    def policy_parts(
        self, mac: str, uuid: str, deployment: str
    ) -> tuple[str, Mapping[str, Any], Json] | None:
        """``policy`` as (sequence package, what it has for every computer, what goes over that)."""
        device, _ = site_policy.find_device(self.site, mac, uuid)
        offers, _ = self._offers(device, mac, uuid)
        found = next((one for one in offers if one.id.casefold() == deployment.casefold()), None)
        base = self._policies.get(found.sequence.casefold()) if found else None
        if found is None or base is None:
            return None
        sequence = self.site.sequence(found.sequence)
        assert sequence is not None  # it is among the assignments
        own = site_policy.variables(self.site, device, self._unknown(device, mac))
        additions = self._machines.get(mac.casefold(), {}).get("policy", {})
        account = self.site.account
        secrets = list(own.secrets)
        self._tell(
            "policy",
            {
                "mac": mac.casefold(),
                "device": device.name if device else "",
                "deployment": found.id,
                "sequence": sequence.package,
                "purpose": found.purpose,
                "secrets": secrets,
            },
        )
        started = str((self._store.last_decision(mac.casefold()) or {}).get("boot_image") or "")
        if started and started.casefold() != sequence.boot_image.casefold():
            # Observed: the client stages its sequence's own on the disk and restarts to it. The lab does not:
            # what it logs then, and what it does without a formatted disk, nobody has shown.
            images = {"started": started, "assigned": sequence.boot_image, "restaged": False}
            self._tell("boot-image", {"mac": mac.casefold(), "deployment": found.id, **images})
        own_part = {
            **additions,
            "variables": {**base.get("variables", {}), **self._site_variables(found), **own.values},
            "secrets": secrets,
            "unset": list(own.unset),
            "naa": {"user": account.user, "password": account.password} if account else None,
            "deployment": {"id": found.id, "purpose": found.purpose, "download": found.download},
            "boot_image": sequence.boot_image,
            "machine_name": device.name if device else "",
            "attempt": max(1, self._booted.get(mac.casefold(), 1)),
        }
        return sequence.package, base, own_part

    def locate(self, mac: str, package: str) -> Json:
        """Where a package is: the answer of ``GET /locations/<package>``."""
        found = site_policy.locations(self.site, package)
        for place in found["locations"]:
            place["url"] = f"http://{self._address}{place['url']}"
        points = [place["distribution_point"] for place in found["locations"]]
        self._tell(
            "location",
            {
                "mac": mac.casefold(),
                "package": found["package"],
                "known": found["known"],
                "version": found["version"],
                "distribution_points": points,
            },
        )
        return {**found, "files": self._contents.get(package.casefold(), []) if found["known"] else []}

    def content(
        self,
        package: str,
        name: str,
        distribution_point: str,
        credentials: tuple[str, str] | None,
        mac: str = "",
    ) -> ContentAnswer:
        """Whether a distribution point ("": the package's first) gives a file to whoever asks (R72).

        It lets in the Network Access Account with the password that the directory has, and anybody where it
        is anonymous; who is not let in does not learn what is there.
        """
        found = self.site.package(package)
        points = {one.name.casefold(): one for one in self.site.distribution_points}
        states = {where.casefold(): state for where, state in found.distributed.items()} if found else {}
        key = distribution_point.casefold() or next((one for one in points if one in states), "")
        point, state = points.get(key), states.get(key)
        if point is not None:
            reason = "" if point.anonymous else self._refused(credentials)
            if not reason and state == "denied":
                reason = "the package's rights let nobody read it"
            if reason:
                denied = {"mac": mac.casefold(), "package": found.id if found else package, "file": name}
                self._tell("denied", {**denied, "distribution_point": point.name, "reason": reason})
                return ContentAnswer(401)
        files = {file["name"] for file in self._contents.get(package.casefold(), ())}
        if point is None or state in (None, "missing") or name not in files:
            return ContentAnswer(404)
        return ContentAnswer(200, damaged=state == "damaged")

    def status(self, mac: str, messages: Sequence[Json], start: str = "") -> int:
        """Take status messages; how many are kept for good when this returns. What a computer posts again,
        because no answer came, is taken and told once."""
        mac = mac.casefold()
        if new := self._store.add_status(mac, start, messages):
            self._tell("status", {"mac": mac, "start": start, "messages": new})
        return len(messages)

    def history(self, mac: str) -> list[Json]:
        """The client's history (R65): one entry {"start", "began", "result"} for each sequence that began;
        ``result`` is "success", "failed" or "" while nobody has heard of its end."""
        entries: list[Json] = []
        for message in self._store.statuses(mac.casefold()):
            if message["id"] in _BEGINS:
                entries.append({"start": message["start"], "began": message.get("time", ""), "result": ""})
            elif message["id"] in _ENDS and entries:
                entries[-1]["result"] = _ENDS[message["id"]]
        return entries

    def _offers(
        self, device: Device | None, mac: str, uuid: str
    ) -> tuple[list[Deployment], list[Deployment]]:
        """(assignments, required ones withheld). Guesses: a required deployment that PXE has offered before
        is left out in Windows PE, too; and where PXE started the computer for a deployment, no other required
        one runs in its place: its boot image may be none for this computer."""
        ran = {one.casefold() for one in self._store.offered(offer_key(self.site, device, mac, uuid))}
        if device is not None and device.last_pxe:
            ran.add(device.last_pxe.casefold())
        last = self._store.last_decision(mac.casefold())
        found = site_policy.assignments(self.site, device, self._unknown(device, mac))
        if last is not None and last["deployment"]:
            ran |= {one.id.casefold() for one in found}
            ran.discard(last["deployment"].casefold())
        withheld = [one for one in found if one.purpose == "required" and one.id.casefold() in ran]
        return [one for one in found if one not in withheld], withheld

    def _unknown(self, device: Device | None, mac: str) -> str:
        """The object that stands for a computer without a record, as its PXE request told."""
        last = self._store.last_decision(mac.casefold()) if device is None else None
        return last["unknown"] if last is not None else ""

    def _sequence_name(self, deployment: Deployment) -> str:
        found = self.site.sequence(deployment.sequence)
        return found.name if found else ""

    def _site_variables(self, deployment: Deployment) -> dict[str, str]:
        """What the site says of itself and of the deployment (documented and observed names)."""
        sequence = self.site.sequence(deployment.sequence)
        values = {
            "_SMSTSAdvertID": deployment.id,
            "_SMSTSPackageID": sequence.package if sequence else "",
            "_SMSTSPackageName": sequence.name if sequence else "",
            "_SMSTSBootImageID": sequence.boot_image if sequence else "",
            "_SMSTSSiteCode": self.site.code,
            "_SMSTSAssignedSiteCode": self.site.code,
            "_SMSTSMP": f"http://{self._address}",
            "_SMSTSDownloadOnDemand": "true" if deployment.download == "when needed" else "",
            "_SMSTSRunFromDP": "true" if deployment.download == "run from distribution point" else "",
        }
        return {name: value for name, value in values.items() if value}

    def _refused(self, credentials: tuple[str, str] | None) -> str:
        """Why a distribution point does not let somebody in; "" when it does."""
        account = self.site.account
        if account is None:
            return "the site has no Network Access Account"
        if credentials is None:
            return "no account was given"
        user, password = credentials
        same = hmac.compare_digest(password.encode("utf-8", "surrogatepass"), account.password.encode())
        if user.casefold() != account.user.casefold() or not same:
            return "the account or its password is wrong"
        return "" if account.valid else "the directory does not have that password for the account"
