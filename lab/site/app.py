"""The site's ASGI application: reads what is asked for, lets the management point decide, answers.

Nothing is answered before what it rests on is kept (``SqliteStore.committed``); the site's events are told
then, too.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, TextIO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from lab.site import smspxe
from lab.site.config import SiteConfig
from lab.site.connection import HEAD_LIMIT, SEND_FILE
from lab.site.contentserver import STALL, Part, entity_tag, open_file, read_range, send_part, wrong_byte
from lab.site.counted import Counted
from lab.site.managementpoint import ContentAnswer, ManagementPoint
from lab.site.messages import BODY_LIMIT, BadBody, read_report
from lab.site.openapi import description
from lab.site.policy import SHARE
from lab.site.pxe import PxeDecision, PxeRequest
from lab.site.pxescript import script
from lab.site.shares import Shares
from lab.site.store import NotKept, SqliteStore
from lab.site.target import Parameters, Refusal, Target, read_parameters, read_target, start_mark

Json = dict[str, Any]
Message = MutableMapping[str, Any]
Log = Callable[[Json], None]

#: Seconds in which a small body must have come.
BODY_SECONDS = 15.0
#: Seconds after an answer in which a computer asks for its boot script within the same start: a retry.
SAME_START = 5.0

_METHODS = {"content": ("GET", "HEAD"), "boot": ("GET", "HEAD"), "share": ("GET", "HEAD", "PUT"),
            "status": ("POST",)}  # fmt: skip


class Refused(Exception):
    """A request that gets no answer but a status and a line of text."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or {}


class SiteApp:
    """Answers for a site. ``log`` gets the lines of ``lab.site.service``; ``smspxe_log`` is SMSPXE.log."""

    def __init__(
        self, config: SiteConfig, store: SqliteStore, log: Log, smspxe_log: TextIO | None = None
    ) -> None:
        self._config, self._store, self._log, self._smspxe = config, store, log, smspxe_log
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

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        counted = Counted(scope, send, self._log)

        async def patient() -> Message:
            async with asyncio.timeout(STALL):
                message: Message = await receive()
                return message

        try:
            try:
                await self._serve(Request(scope, patient), counted)
            except Refused as refused:
                counted.reason = refused.reason
                # A body that nobody reads would keep the connection busy.
                headers = {
                    **refused.headers,
                    **({} if refused.status in (401, 404) else {"Connection": "close"}),
                }
                response = PlainTextResponse(refused.reason + "\n", refused.status, headers)
                await response(scope, patient, counted.send)
        except (ClientDisconnect, ConnectionError):
            counted.reason = "the client went away"
        except TimeoutError:
            counted.reason = "the client stopped"
            if not counted.status:
                await PlainTextResponse("too slow\n", 408, {"Connection": "close"})(
                    scope, patient, counted.send
                )
            else:
                raise ConnectionAbortedError("the client takes nothing any more") from None
        except Exception:
            counted.status = counted.status or 500
            counted.reason = "a bug of the service"
            raise
        finally:
            counted.end()

    async def _serve(self, request: Request, counted: Counted) -> None:
        if request.scope["http_version"] not in ("1.0", "1.1"):
            raise Refused(400, "another version of HTTP")
        if sum(len(name) + len(value) for name, value in request.scope["headers"]) > HEAD_LIMIT:
            raise Refused(431, f"headers of more than {HEAD_LIMIT} bytes")
        target = read_target(request.scope.get("raw_path") or request.scope["path"].encode())
        if isinstance(target, Refusal):
            raise Refused(target.status, target.reason)
        methods = _METHODS.get(target.kind, ("GET",))
        if request.method not in methods:
            raise Refused(405, f"only {', '.join(methods)}", {"Allow": ", ".join(methods)})
        if request.method in ("GET", "HEAD") and _has_body(request):
            raise Refused(400, "a body where none belongs")
        said = read_parameters(request.scope.get("query_string", b""))
        if isinstance(said, Refusal):
            raise Refused(said.status, said.reason)
        if target.kind == "share" and (place := self._package_share(target.name.split("/"))) is not None:
            if request.method == "PUT":
                raise Refused(405, "a package share is only read", {"Allow": "GET, HEAD"})
            target, said = place
        if target.kind in ("content", "boot"):
            await self._file(request, target, said, counted)
            return
        response = await self._answer(request, target, said)
        await response(request.scope, request.receive, counted.send)

    async def _answer(self, request: Request, target: Target, said: Parameters) -> Response:
        match target.kind:
            case "pxe" | "pxe-script":
                return await self._pxe(request, target, said)
            case "assignments":
                start = request.headers.get("x-start", "")
                if start and not start_mark(start):
                    raise Refused(400, "no start")
                return JSONResponse(
                    await self._kept(request, self.point.assignments, target.name, said.uuid, start)
                )
            case "policy":
                policy = await self._kept(
                    request, self.point.policy, target.name, said.uuid, target.deployment
                )
                if policy is None:
                    raise Refused(404, "no such deployment for this computer")
                return JSONResponse(policy)
            case "locations":
                return JSONResponse(await self._kept(request, self.point.locate, said.mac, target.package))
            case "status":
                return await self._status(request)
            case "openapi":
                return JSONResponse(description(self._site.code))
        if target.package:
            return await self._listed(request, target, said)
        if not self._config.shares:
            raise Refused(404, "the site has no file server")
        return await Shares(self._config.shares).answer(request, target.name.split("/"))

    async def _kept(self, request: Request, decide: Callable[..., Any], *arguments: Any) -> Any:
        """What the management point says, once all it changed by that is on the disk."""
        self._told = []
        answer = decide(*arguments)
        told = [{**line, "client": _client(request)} for line in self._told]
        self._told = []
        try:
            await self._store.committed()
        except NotKept as error:  # it goes with the next commit, and who asks again gets the same answer
            self._untold += told
            raise Refused(503, f"the site's database cannot be written: {error}") from error
        late, self._untold = self._untold, []
        for line in (*late, *told):
            self._log(line)
        return answer

    async def _pxe(self, request: Request, target: Target, said: Parameters) -> Response:
        if not said.mac or said.client_system < 0:
            raise Refused(400, "mac and client_system are needed")
        asked = PxeRequest(said.mac, said.uuid, said.client_system, said.cpu)
        start = said.start or self._start_of(asked)
        try:
            decision: PxeDecision = await self._kept(request, self._decide, asked, start)
        finally:  # a card that was refused for our own trouble asks again within this start
            if not said.start:
                self._starts[asked] = start, time.monotonic()
        if target.kind == "pxe":
            return JSONResponse(decision.to_json())
        return PlainTextResponse(script(self._config.scripts, decision, said.client_system))

    def _decide(self, asked: PxeRequest, start: str) -> PxeDecision:
        decision = self.point.pxe(asked, start)
        if self._told and self._smspxe is not None:  # a new one, no repeated answer
            self._smspxe.write("".join(smspxe.lines(self._site, asked, decision, time.time())))
            self._smspxe.flush()
        return decision

    def _start_of(self, request: PxeRequest) -> str:
        """The start that a request belongs to which names none."""
        now = time.monotonic()
        start, answered = self._starts.get(request, ("", -SAME_START))
        if now - answered >= SAME_START:
            start = f"pxe-{time.time_ns():x}"
            self._starts[request] = start, now
        return start

    async def _status(self, request: Request) -> Response:
        try:
            report = read_report(await _body(request))
        except BadBody as error:
            raise Refused(400, str(error)) from error
        messages = [message.model_dump() for message in report.messages]
        accepted = await self._kept(request, self.point.status, report.mac, messages, report.start)
        return JSONResponse({"accepted": accepted})

    async def _file(self, request: Request, target: Target, said: Parameters, counted: Counted) -> None:
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        if target.kind == "boot":
            path, damaged = self._config.boot.get(target.name), False
        else:
            damaged = (await self._allowed(request, target, said)).damaged
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
            part, status = self._part(request, headers["ETag"], size)
            if status == 206:
                headers["Content-Range"] = f"bytes {part.first}-{part.first + part.count - 1}/{size}"
            headers["Content-Length"] = str(part.count)
            await send_part(
                file, part if request.method == "GET" else Part(0, 0),
                damaged_at=wrong_byte(size) if damaged else None, headers=headers, status=status,
                send=counted.send, send_file=request.scope["extensions"][SEND_FILE], sent=counted.add,
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

    async def _listed(self, request: Request, target: Target, said: Parameters) -> Response:
        """The files below a folder of a package share, for whoever may read them."""
        below = f"{target.name}/" if target.name else ""
        files = self._content.get(target.package.casefold(), {})
        names = [name for name in sorted(files) if name.casefold().startswith(below)]
        if not names:
            raise Refused(404, "not found")
        await self._allowed(request, Target("content", names[0], target.package), said)
        listed = [{"name": name[len(below) :], "size": Path(files[name]).stat().st_size} for name in names]
        return JSONResponse({"files": listed})

    async def _allowed(self, request: Request, target: Target, said: Parameters) -> ContentAnswer:
        """The distribution point's answer for a file, if it gives it. Raises Refused."""
        answer: ContentAnswer = await self._kept(
            request, self.point.content, target.package, target.name, said.dp, _credentials(request), said.mac
        )
        if answer.status == 401:
            raise Refused(401, "no access", {"WWW-Authenticate": 'Basic realm="distribution point"'})
        if answer.status == 404:
            raise Refused(404, "not found")
        return answer

    def _part(self, request: Request, tag: str, size: int) -> tuple[Part, int]:
        wanted = request.headers.get("range")
        if wanted is None or request.headers.get("if-range", tag) != tag:
            return Part(0, size), 200
        try:
            part = read_range(wanted, size)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        if part is None:
            raise Refused(416, "outside the file", {"Content-Range": f"bytes */{size}"})
        return part, 206


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _credentials(request: Request) -> tuple[str, str] | None:
    """The account of a Basic Authorization; None without one. Raises Refused for one that cannot be read."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as error:
        raise Refused(400, "credentials that cannot be read") from error
    if not colon:
        raise Refused(400, "credentials that cannot be read")
    return user, password


async def _body(request: Request) -> bytes:
    """A body of at most BODY_LIMIT bytes."""
    length = request.headers.get("content-length", "0")
    if len(length) > 9 or int(length) > BODY_LIMIT:  # h11 lets digits through only
        raise Refused(413, f"a body of at most {BODY_LIMIT} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise Refused(413, f"a body of at most {BODY_LIMIT} bytes")
    except TimeoutError as error:
        raise Refused(408, f"no whole body within {BODY_SECONDS:g} s") from error
    return bytes(body)
