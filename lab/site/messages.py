"""Status messages as they come in: what a body may hold, and reading one. Nothing of it is trusted."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from lab.site.target import mac_address, start_mark
from lab.yamlio.models import Model

#: Bytes of a body, and messages in one.
BODY_LIMIT = 1 << 20
MOST_MESSAGES = 1000
_WHOLE = 2**63 - 1
_EXACT = 2**53
Whole = Annotated[int, Field(strict=True, ge=-_WHOLE, le=_WHOLE)]
Count = Annotated[int, Field(strict=True, ge=0, le=_WHOLE)]
Short = Annotated[str, Field(strict=True, max_length=256)]
Long = Annotated[str, Field(strict=True, max_length=8192)]
_MAC = "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$"
_START = "^[A-Za-z0-9._:-]{1,80}$"


class BadBody(ValueError):
    """A body that is no status report; its text says why, without the body's own words."""


class Message(Model):
    """A status message of ConfigMgr's."""

    n: Count
    """Its number within the start: one that comes again is taken and not kept twice."""
    id: Annotated[int, Field(strict=True, ge=0, le=65535)]
    severity: Whole | Short = ""
    component: Short = ""
    step: Whole | Short | None = None
    action: Long | None = None
    group: Long | None = None
    code: Whole | Short | None = None
    text: Long = ""
    time: Annotated[float, Field(strict=True, allow_inf_nan=False)] | Short | None = None


class Report(Model):
    """The body of ``POST /status``."""

    mac: Annotated[str, Field(strict=True, pattern=_MAC)]
    start: Annotated[str, Field(strict=True, pattern=_START)]
    messages: Annotated[list[Message], Field(strict=True, max_length=MOST_MESSAGES)]

    @field_validator("mac")
    @classmethod
    def _mac(cls, text: str) -> str:
        mac = mac_address(text)
        if mac is None:
            raise ValueError("no MAC address")
        return mac

    @field_validator("start")
    @classmethod
    def _start(cls, text: str) -> str:
        if not start_mark(text):
            raise ValueError("no start")
        return text


def read_report(body: bytes) -> Report:
    """Raises BadBody."""
    try:
        # Python's own reader: what it takes can be written as JSON, and read, again.
        data = json.loads(
            body.decode("utf-8"), parse_float=_number, parse_constant=_no_number, object_pairs_hook=_once
        )
        report = Report.model_validate(data)
        json.dumps(data, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise BadBody(f"{place or 'the body'}: {first['msg']}".encode("ascii", "replace").decode()) from error
    except (ValueError, RecursionError) as error:
        raise BadBody("not JSON in UTF-8") from error
    return report


def _number(text: str) -> float | int:
    """1.0 is a whole number, as JSON Schema has it."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that comes twice")
    return found
