"""The site's ASGI application: reads what is asked for, lets the management point decide, answers.

Nothing is answered before what it rests on is kept (``SqliteStore.committed``); the site's events are told
then, too.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lab.site import smspxe
from lab.site.config import SiteConfig
from lab.site.connection import HEAD_LIMIT, SEND_FILE, STALL
from lab.site.contentserver import Part, entity_tag, open_file, read_range, send_part, wrong_byte
from lab.site.counted import Counted
from lab.site.managementpoint import ContentAnswer, ManagementPoint
from lab.site.messages import BODY_LIMIT, BadBody, read_report
from lab.site.openapi import description
from lab.site.policy import SHARE
from lab.site.pxe import PxeDecision, PxeRequest
from lab.site.pxescript import script
from lab.site.shares import Shares
from lab.site.store import Full, NotKept, SqliteStore
from lab.site.target import Parameters, Refusal, Target, read_parameters, read_target, start_mark

Json = dict[str, Any]
Message = MutableMapping[str, Any]
Log = Callable[[Json], None]
Headers = Sequence[tuple[bytes, bytes]]

#: Seconds in which a small body must have come.
BODY_SECONDS = 15.0
#: Seconds after an answer in which a computer asks for its boot script within the same start: a retry.
SAME_START = 5.0

JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
_CLOSE = (b"connection", b"close")
_METHODS = {"content": ("GET", "HEAD"), "boot": ("GET", "HEAD"), "share": ("GET", "HEAD", "PUT"),
            "status": ("POST",)}  # fmt: skip
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encoded(value: Any) -> bytes:
    return _encode(value).encode("utf-8")


class Refused(Exception):
    """A request that gets no answer but a status and a line of text."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or {}


class Asked:
    """One request: what the connection has read of it. ``headers``: the last of those that come twice."""

    def __init__(self, scope: Message, receive: Any, send: Any, log: Log) -> None:
        self.scope, self._receive = scope, receive
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.client: str = scope["client"][0] if scope["client"] else ""
        self.counted = Counted(scope, self.headers, send, log)

    def header(self, name: bytes, default: str = "") -> str:
        """``name`` in lower case."""
        value = self.headers.get(name)
        return default if value is None else value.decode("latin-1")

    async def receive(self) -> Message:
        """The next part of the body; nobody is waited for without end."""
        async with asyncio.timeout(STALL):
            message: Message = await self._receive()
            return message

    async def answer(self, status: int, kind: bytes, body: bytes, headers: Headers = ()) -> None:
        await self.counted.answer(status, kind, body, headers)

    async def json(self, value: Any) -> None:
        await self.counted.answer(200, JSON, encoded(value))

    async def respond(self, response: Response) -> None:
        await response(self.scope, self.receive, self.counted.send)


class SiteApp:
    """Answers for a site. ``log`` gets the lines of ``lab.site.service``, ``smspxe`` SMSPXE.log's records."""

    def __init__(
        self, config: SiteConfig, store: SqliteStore, log: Log, smspxe: Callable[[str], None] | None = None
    ) -> None:
        self._config, self._store, self._log, self._smspxe = config, store, log, smspxe
        self._told: list[Json] = []
        #: What was told while the database could not be written: due as soon as it is kept.
        self._untold: list[Json] = []
        self._site = config.objects()
        self.point = ManagementPoint(
            self._site, policies=config.policies, machines=config.machines, contents=config.contents,
            address=config.address(), store=store,
            tell=lambda kind, data: self._told.append({"site": kind, **data}),
        )  # fmt: skip
        self._content = {package.casefold(): files for package, files in config.content.items()}
        self._starts: dict[PxeRequest, tuple[str, float]] = {}
        self._fixed: dict[tuple[str, frozenset[str]], bytes] = {}

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked = Asked(scope, receive, send, self._log)
        counted = asked.counted
        try:
            try:
                await self._serve(asked)
            except Refused as refused:
                counted.reason = refused.reason
                headers = [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
                if refused.status not in (401, 404):  # a body that nobody reads would keep it busy
                    headers.append(_CLOSE)
                await asked.answer(refused.status, TEXT, f"{refused.reason}\n".encode(), headers)
        except (ClientDisconnect, ConnectionError):
            counted.reason = "the client went away"
        except TimeoutError:
            counted.reason = "the client stopped"
            if counted.status:
                raise ConnectionAbortedError("the client takes nothing any more") from None
            await asked.answer(408, TEXT, b"too slow\n", (_CLOSE,))
        except Exception:
            counted.status = counted.status or 500
            counted.reason = "a bug of the service"
            raise
        finally:
            counted.end()

    async def _serve(self, asked: Asked) -> None:
        scope, method = asked.scope, asked.method
        if scope["http_version"] not in ("1.0", "1.1"):
            raise Refused(400, "another version of HTTP")
        raw, query = scope["raw_path"], scope["query_string"]
        if sum(len(name) + len(value) for name, value in scope["headers"]) + len(raw + query) > HEAD_LIMIT:
            raise Refused(431, f"a head of more than {HEAD_LIMIT} bytes")
        target = read_target(raw)
        if isinstance(target, Refusal):
            raise Refused(target.status, target.reason)
        methods = _METHODS.get(target.kind, ("GET",))
        if method not in methods:
            raise Refused(405, f"only {', '.join(methods)}", {"Allow": ", ".join(methods)})
        if method in ("GET", "HEAD") and _has_body(asked):
            raise Refused(400, "a body where none belongs")
        said = read_parameters(query)
        if isinstance(said, Refusal):
            raise Refused(said.status, said.reason)
        if target.kind == "share" and (place := self._package_share(target.name.split("/"))) is not None:
            if method == "PUT":
                raise Refused(405, "a package share is only read", {"Allow": "GET, HEAD"})
            target, said = place
        await self._answer(asked, target, said)

    async def _answer(self, asked: Asked, target: Target, said: Parameters) -> None:
        match target.kind:
            case "pxe" | "pxe-script":
                return await self._pxe(asked, target, said)
            case "assignments":
                start = asked.header(b"x-start")
                if start and not start_mark(start):
                    raise Refused(400, "no start")
                return await asked.json(
                    await self._kept(asked, self.point.assignments, target.name, said.uuid, start)
                )
            case "policy":
                return await self._policy(asked, target, said)
            case "locations":
                return await asked.json(await self._kept(asked, self.point.locate, said.mac, target.package))
            case "status":
                return await self._status(asked)
            case "content" | "boot":
                return await self._file(asked, target, said)
            case "openapi":
                return await asked.json(description(self._site.code))
        if target.package:
            return await self._listed(asked, target, said)
        if not self._config.shares:
            raise Refused(404, "the site has no file server")
        request = Request(asked.scope, asked.receive)
        await asked.respond(await Shares(self._config.shares).answer(request, target.name.split("/")))

    async def clear_required(self, mac: str, uuid: str) -> str:
        """Somebody clears a computer's required PXE deployments; "", or why that could not be kept. What it
        asks from now on is a start of its own."""
        self._starts = {one: said for one, said in self._starts.items() if one.mac != mac}
        try:
            await self._kept(None, self.point.clear_required, mac, uuid)
        except Refused as refused:
            return refused.reason
        return ""

    async def _kept(self, asked: Asked | None, decide: Callable[..., Any], *arguments: Any) -> Any:
        """What the management point says, once all it changed by that is on the disk. ``asked``: None where
        nobody asked over the network."""
        self._told = []
        try:
            answer = decide(*arguments)
        except Full as full:
            raise Refused(507, str(full)) from full
        told = [{**line, "client": asked.client if asked else ""} for line in self._told]
        self._told = []
        try:
            committed = await self._store.committed()
        except NotKept as error:  # it goes with the next commit, and who asks again gets the same answer
            self._untold += told
            raise Refused(503, f"the site's database cannot be written: {error}") from error
        if committed:  # what could not be kept before is kept now, too
            late, self._untold = self._untold, []
            told = [*late, *told]
        for line in told:
            self._log(line)
        return answer

    async def _pxe(self, asked: Asked, target: Target, said: Parameters) -> None:
        if not said.mac or said.client_system < 0:
            raise Refused(400, "mac and client_system are needed")
        request = PxeRequest(said.mac, said.uuid, said.client_system, said.cpu)
        start = said.start or self._start_of(request)
        try:
            decision: PxeDecision = await self._kept(asked, self._decide, request, start)
        finally:  # a card that was refused for our own trouble asks again within this start
            if not said.start:
                self._asked(request, start)
        if target.kind == "pxe":
            return await asked.json(decision.to_json())
        text = script(self._config.scripts, decision, said.client_system)
        await asked.answer(200, TEXT, text.encode())

    def _decide(self, request: PxeRequest, start: str) -> PxeDecision:
        decision = self.point.pxe(request, start)
        if self._told and self._smspxe is not None:  # a new one, no repeated answer
            self._smspxe("".join(smspxe.lines(self._site, request, decision, time.time())))
        return decision

    async def _policy(self, asked: Asked, target: Target, said: Parameters) -> None:
        parts = await self._kept(asked, self.point.policy_parts, target.name, said.uuid, target.deployment)
        if parts is None:
            raise Refused(404, "no such deployment for this computer")
        sequence, base, own = parts
        key = sequence, frozenset(own)
        if key not in self._fixed:  # what is the same for every computer is large, and made once
            rest = {name: value for name, value in base.items() if name not in own}
            self._fixed[key] = encoded(rest)[:-1] + (b"," if rest else b"")
        await asked.answer(200, JSON, self._fixed[key] + encoded(own)[1:])

    def _start_of(self, request: PxeRequest) -> str:
        """The start that a request belongs to which names none."""
        start, answered = self._starts.get(request, ("", -SAME_START))
        if time.monotonic() - answered >= SAME_START:
            start = f"pxe-{time.time_ns():x}"
            self._asked(request, start)
        return start

    def _asked(self, request: PxeRequest, start: str) -> None:
        """Remember the start of a request, and forget those that are too old to be asked for again."""
        now = time.monotonic()
        self._starts.pop(request, None)  # the oldest come first
        self._starts[request] = start, now
        while now - self._starts[oldest := next(iter(self._starts))][1] >= SAME_START:
            del self._starts[oldest]

    async def _status(self, asked: Asked) -> None:
        try:
            report = read_report(await _body(asked))
        except BadBody as error:
            raise Refused(400, str(error)) from error
        messages = [message.model_dump() for message in report.messages]
        accepted = await self._kept(asked, self.point.status, report.mac, messages, report.start)
        await asked.json({"accepted": accepted})

    async def _file(self, asked: Asked, target: Target, said: Parameters) -> None:
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        if target.kind == "boot":
            path, damaged = self._config.boot.get(target.name), False
        else:
            damaged = (await self._allowed(asked, target, said)).damaged
            path = self._content.get(target.package.casefold(), {}).get(target.name)
            if (package := self._site.package(target.package)) is not None:
                headers["X-Package-Version"] = str(package.version)
        opened = open_file(path) if path is not None else None
        if opened is None:
            raise Refused(404, "not found")
        file, found = opened
        with file:
            size = found.st_size
            headers["ETag"] = entity_tag(found, damaged)
            part, status = self._part(asked, headers["ETag"], size)
            if status == 206:
                headers["Content-Range"] = f"bytes {part.first}-{part.first + part.count - 1}/{size}"
            headers["Content-Length"] = str(part.count)
            await send_part(
                file, part if asked.method == "GET" else Part(0, 0),
                damaged_at=wrong_byte(size) if damaged else None, headers=headers, status=status,
                send=asked.counted.send, send_file=asked.scope["extensions"][SEND_FILE],
                sent=asked.counted.add,
            )  # fmt: skip

    def _package_share(self, names: list[str]) -> tuple[Target, Parameters] | None:
        """What a path of a distribution point's package share stands for; None for any other share.

        A folder stands for its list: a target of kind "share" with the package and the folder's name.
        """
        point, share, *rest = names
        known = {one.name.casefold() for one in self._site.distribution_points}
        if point.casefold() not in known or share.casefold() != SHARE.casefold():
            return None
        package = self._site.package(rest[0]) if rest else None
        if package is None or not package.share:
            raise Refused(404, "not found")
        said = Parameters(dp=point)
        wanted = "/".join(rest[1:]).casefold()
        for name in self._content.get(package.id.casefold(), {}):
            if name.casefold() == wanted:
                return Target("content", name, package.id), said
        return Target("share", wanted, package.id), said

    async def _listed(self, asked: Asked, target: Target, said: Parameters) -> None:
        """The files below a folder of a package share, for whoever may read them."""
        below = f"{target.name}/" if target.name else ""
        files = self._content.get(target.package.casefold(), {})
        names = [name for name in sorted(files) if name.casefold().startswith(below)]
        if not names:
            raise Refused(404, "not found")
        await self._allowed(asked, Target("content", names[0], target.package), said)
        listed = [{"name": name[len(below) :], "size": Path(files[name]).stat().st_size} for name in names]
        await asked.json({"files": listed})

    async def _allowed(self, asked: Asked, target: Target, said: Parameters) -> ContentAnswer:
        """The distribution point's answer for a file, if it gives it. Raises Refused."""
        answer: ContentAnswer = await self._kept(
            asked, self.point.content, target.package, target.name, said.dp, _credentials(asked), said.mac
        )
        if answer.status == 401:
            raise Refused(401, "no access", {"WWW-Authenticate": 'Basic realm="distribution point"'})
        if answer.status == 404:
            raise Refused(404, "not found")
        return answer

    def _part(self, asked: Asked, tag: str, size: int) -> tuple[Part, int]:
        if b"range" not in asked.headers or asked.header(b"if-range", tag) != tag:
            return Part(0, size), 200
        try:
            part = read_range(asked.header(b"range"), size)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        if part is None:
            raise Refused(416, "outside the file", {"Content-Range": f"bytes */{size}"})
        return part, 206


def _has_body(asked: Asked) -> bool:
    return b"transfer-encoding" in asked.headers or asked.headers.get(b"content-length", b"0") != b"0"


def _credentials(asked: Asked) -> tuple[str, str] | None:
    """The account of a Basic Authorization; None without one. Raises Refused for one that cannot be read."""
    scheme, _, rest = asked.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as error:
        raise Refused(400, "credentials that cannot be read") from error
    if not colon:
        raise Refused(400, "credentials that cannot be read")
    return user, password


async def _body(asked: Asked) -> bytes:
    """A body of at most BODY_LIMIT bytes."""
    length = asked.header(b"content-length", "0")
    if len(length) > 9 or int(length) > BODY_LIMIT:  # the connection lets digits through only
        raise Refused(413, f"a body of at most {BODY_LIMIT} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in Request(asked.scope, asked.receive).stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise Refused(413, f"a body of at most {BODY_LIMIT} bytes")
    except TimeoutError as error:
        raise Refused(408, f"no whole body within {BODY_SECONDS:g} s") from error
    return bytes(body)
