"""What a request's path and query ask for: pure, strict, and the only place that reads them.

Every part of the path is decoded once, and must then be a plain name. What is asked for is looked up in
lists made before the service started, so that no path ever reaches the file system; only a share's names do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl, unquote_to_bytes

_MAC = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}")
_UUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?")
_ID = re.compile(r"[A-Za-z0-9_{][A-Za-z0-9_.{}-]{0,127}")
_START = re.compile(r"[A-Za-z0-9._:-]{1,80}")
_NAME = re.compile(r"[A-Za-z0-9_.$-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,5}")
_MOST_PARAMETERS = 8
_MOST_NUMBER = 65535

Kind = Literal[
    "pxe", "pxe-script", "assignments", "policy", "locations", "content", "status", "boot", "share", "openapi"
]


@dataclass(frozen=True)
class Target:
    """What is asked for. ``name``: of content, boot files and shares the file, with slashes; of assignments
    and policy the MAC with colons. ``package``: of content and locations; ``deployment``: of policy."""

    kind: Kind
    name: str = ""
    package: str = ""
    deployment: str = ""


@dataclass(frozen=True)
class Refusal:
    """``status`` 400 for a path no honest client sends, 404 for one that names nothing here."""

    status: Literal[400, 404]
    reason: str


def read_target(raw: bytes) -> Target | Refusal:
    """Read a raw request path (percent-encoded, without query)."""
    if not raw.startswith(b"/"):
        return Refusal(400, "not a path from the root")
    names = []
    for part in raw[1:].split(b"/"):
        decoded = unquote_to_bytes(part)
        if b"/" in decoded or b"\\" in decoded:
            return Refusal(400, "an encoded slash or a backslash")
        if b"\0" in decoded or any(byte < 32 or byte == 127 for byte in decoded):
            return Refusal(400, "a control character")
        if decoded in (b"", b".", b".."):
            return Refusal(400 if decoded else 404, "an empty name or a relative one")
        try:
            names.append(decoded.decode("utf-8"))
        except UnicodeDecodeError:
            return Refusal(400, "not UTF-8")
    return _of_names(names)


def mac_address(text: str) -> str | None:
    """A MAC as the site writes it, or None."""
    lower = text.lower()
    return lower.replace("-", ":") if _MAC.fullmatch(lower) else None


@dataclass(frozen=True)
class Parameters:
    """What a query says; "" and -1 where it says nothing."""

    mac: str = ""
    uuid: str = ""
    client_system: int = -1
    cpu: Literal["x86", "x64", "arm64"] = "x64"
    start: str = ""
    dp: str = ""


def read_parameters(raw: bytes) -> Parameters | Refusal:
    """Read a raw query. One that names something twice, or something that nobody knows, is refused."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), encoding="utf-8",
            errors="strict", max_num_fields=_MOST_PARAMETERS,
        )  # fmt: skip
    except ValueError:
        return Refusal(400, "not a query")
    values = dict(pairs)
    if len(values) != len(pairs):
        return Refusal(400, "a parameter that comes twice")
    if unknown := values.keys() - {"mac", "uuid", "client_system", "cpu", "start", "dp"}:
        return Refusal(400, f"no parameter of this service: {', '.join(sorted(unknown))!a}"[:200])
    mac = mac_address(values.get("mac", ""))
    uuid = _UUID.fullmatch(values.get("uuid", "").lower())
    system = values.get("client_system", "")
    for name, wrong in {
        "mac": values.get("mac") and mac is None,
        "uuid": values.get("uuid") and uuid is None,
        "client_system": "client_system" in values
        and (not _NUMBER.fullmatch(system) or int(system) > _MOST_NUMBER),
        "cpu": values.get("cpu", "x64") not in ("x86", "x64", "arm64"),
        "start": values.get("start") and not start_mark(values["start"]),
        "dp": values.get("dp") and not _NAME.fullmatch(values["dp"]),
    }.items():
        if wrong:
            return Refusal(400, f"no {name}: {values[name]!a}"[:200])
    return Parameters(
        mac=mac or "", uuid=uuid[1] if uuid else "", client_system=int(system or -1),
        cpu=cast(Literal["x86", "x64", "arm64"], values.get("cpu", "x64")),
        start=values.get("start", ""), dp=values.get("dp", ""),
    )  # fmt: skip


def start_mark(text: str) -> str | None:
    """What tells one start of a machine from another, as machines make it, or None."""
    return text if _START.fullmatch(text) else None


def _of_names(names: list[str]) -> Target | Refusal:
    match names:
        case ["pxe"]:
            return Target("pxe")
        case ["pxe", "ipxe"]:
            return Target("pxe-script")
        case ["status"]:
            return Target("status")
        case ["openapi.json"]:
            return Target("openapi")
        case ["policy", text] if mac := mac_address(text):
            return Target("assignments", mac)
        case ["policy", text, deployment] if (mac := mac_address(text)) and _ID.fullmatch(deployment):
            return Target("policy", mac, deployment=deployment)
        case ["locations", package] if _ID.fullmatch(package):
            return Target("locations", package=package)
        case ["content", package, *rest] if rest:
            return Target("content", "/".join(rest), package)
        case ["boot", name]:
            return Target("boot", name)
        case ["share", _, _, *_]:
            return Target("share", "/".join(names[1:]))
    return Refusal(404, "nothing of the site's")
