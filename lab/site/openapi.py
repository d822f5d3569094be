"""The service's description of itself (OpenAPI 3.1), at ``/openapi.json``."""

from __future__ import annotations

from typing import Any

from lab.site.messages import Report

Json = dict[str, Any]

_MAC = {"type": "string", "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$"}
_ANY_MAC = {"type": "string", "pattern": "^([0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5})?$"}
_UUID = {"type": "string", "pattern": "^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$"}
_START = {"type": "string", "pattern": "^[A-Za-z0-9._:-]{0,80}$"}
_ID = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$"}
_FILE = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_ -]{0,60}$"}
_DP = {"type": "string", "pattern": "^[A-Za-z0-9_.$-]{0,64}$"}
_SYSTEM = {"type": "integer", "minimum": 0, "maximum": 65535}
_CPU = {"type": "string", "enum": ["x86", "x64", "arm64"]}
_FOLDER = {"type": "object", "required": ["files"], "properties": {"files": {"type": "array"}}}


def description(site: str) -> Json:
    """``site``: its code."""
    mac, uuid = _in("path", "mac", _MAC), _in("query", "uuid", _UUID)
    pxe = [_in("query", "mac", _MAC, True), uuid, _in("query", "client_system", _SYSTEM, True),
           _in("query", "cpu", _CPU), _in("query", "start", _START)]  # fmt: skip
    package, file, point = _in("path", "package", _ID), _in("path", "file", _FILE), _in("query", "dp", _DP)
    share = [_in("path", name, _FILE) for name in ("server", "share", "file")]
    report = Report.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = report.pop("$defs")
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Management point and distribution point of site {site}", "version": "1"},
        "paths": {
            "/pxe": {
                "get": _call("pxe", "The PXE decision", pxe, {200: _json("Decision"), 507: _text()})
            },
            "/pxe/ipxe": {
                "get": _call("pxeScript", "The decision as an iPXE script", pxe, {200: _text(), 507: _text()})
            },
            "/policy/{mac}": {
                "get": _call(
                    "assignments", "What a computer may run", [mac, uuid, _in("header", "X-Start", _START)],
                    {200: _json("Assignments")},
                )
            },
            "/policy/{mac}/{deployment}": {
                "get": _call(
                    "policy", "All that a computer needs for one deployment",
                    [mac, _in("path", "deployment", _ID), uuid], {200: _json("Policy"), 404: _text()},
                )
            },
            "/locations/{package}": {
                "get": _call(
                    "locations", "Where a package is", [package, _in("query", "mac", _ANY_MAC)],
                    {200: _json("Locations")},
                )
            },
            "/content/{package}/{file}": _file("content", [package, file, point], account=True),
            "/boot/{file}": _file("boot", [file]),
            "/share/{server}/{share}/{file}": {
                "get": _call("readShare", "A file, or what is in a folder", share,
                             {200: _bytes(_FOLDER), 206: _bytes(), 404: _text()}),
                "put": {
                    **_call("writeShare", "Keep a file", share, {201: _text(), 409: _text(), 507: _text()}),
                    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}},
                },
            },
            "/status": {
                "post": {
                    **_call("status", "Take status messages; the answer comes once they are kept", [],
                            {200: _json("Accepted"), 408: _text(), 413: _text(), 507: _text()}),
                    "requestBody": {"required": True, "content": {"application/json": {"schema": report}}},
                }
            },
            "/openapi.json": {"get": _call("description", "This", [], {200: _json("Object")})},
        },
        "components": {"schemas": {**schemas, **_ANSWERS}, "securitySchemes": {
            "account": {"type": "http", "scheme": "basic", "description": "The Network Access Account"}}},
    }  # fmt: skip


def _object(**properties: str) -> Json:
    """``properties``: name -> JSON type; all are required."""
    described = {name: {"type": kind} for name, kind in properties.items()}
    return {"type": "object", "required": list(properties), "properties": described}


_ANSWERS: Json = {
    "Object": {"type": "object"},
    "Accepted": _object(accepted="integer"),
    "Policy": _object(variables="object", secrets="array", unset="array", deployment="object",
                      machine_name="string"),
    "Locations": _object(package="string", known="boolean", version="integer", locations="array",
                         files="array"),
    "Assignments": {"oneOf": [_object(assignments="array", device="string", known="boolean"),
                              _object(no_deployment="string")]},
    "Decision": _object(action="string", reasons="array", deployment="string", boot_image="string",
                        mandatory="boolean", device="string", known="boolean"),
}  # fmt: skip


def _in(place: str, name: str, schema: Json, required: bool = False) -> Json:
    return {"in": place, "name": name, "required": required or place == "path", "schema": schema}


def _call(name: str, summary: str, parameters: list[Json], answers: dict[int, Json]) -> Json:
    responses = {str(code): answer for code, answer in {**answers, 400: _text(), 404: _text()}.items()}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}


def _file(name: str, parameters: list[Json], account: bool = False) -> Json:
    """GET and HEAD of a file: whole, or the bytes of a range."""
    parameters = [*parameters, _in("header", "Range", {"type": "string", "pattern": "^bytes=[0-9]{1,9}-$"})]
    answers = {200: _bytes(), 206: _bytes(), 416: _text(), **({401: _text()} if account else {})}
    made = {
        "get": _call(name, "A file, or a part of one", parameters, answers),
        "head": _call(f"{name}Head", "What a GET would say of it", parameters, answers),
    }
    for call in made.values():
        if account:
            call["security"] = [{"account": []}, {}]
    return made


def _json(name: str) -> Json:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": name, "content": {"application/json": {"schema": schema}}}


def _text() -> Json:
    return {"description": "text", "content": {"text/plain": {"schema": {"type": "string"}}}}


def _bytes(listed: Json | None = None) -> Json:
    content: Json = {"application/octet-stream": {"schema": {"type": "string"}}}
    if listed is not None:
        content["application/json"] = {"schema": listed}
    return {"description": "bytes", "content": content}
