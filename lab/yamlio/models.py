"""The base of all models read from YAML, and how a file becomes one, with every problem at its place.

Ground room: imports ``lab.errors`` only; the base of all pydantic models of the house.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from lab.errors import InputError, Problem
from lab.yamlio.nodes import MAX_BYTES, Node, Place, did_you_mean, locate, quoted, read_nodes

M = TypeVar("M", bound="Model")


class BadValue(ValueError):
    """Raised by a model's validator: ``message`` names the value, ``hint`` says what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Model(BaseModel):
    """Base of all models read from YAML: frozen, no unknown keys.

    ``shorthand``: the field that a value other than a mapping stands for (``X: success`` for
    ``X: {result: success}``); "" when only a mapping will do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    shorthand: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        if cls.shorthand and not isinstance(data, dict | BaseModel):
            return {cls.shorthand: data}
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.shorthand:
            full = handler.resolve_ref_schema(schema)
            copy = dict(full)
            full.clear()
            full["anyOf"] = [copy["properties"][cls.shorthand], copy]
        return schema


class _EditorSchema(GenerateJsonSchema):
    """An editor's YAML reader types scalars by their look; here ``PIN: 1234`` is a text as good as any."""

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().str_schema(schema)
        if made == {"type": "string"}:
            made["type"] = ["string", "number", "boolean"]
        return made


def json_schema(cls: type[Model]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a model, for editors."""
    schema = cls.model_json_schema(schema_generator=_EditorSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


@dataclass(frozen=True)
class Document(Generic[M]):
    """A file read: the value, and the nodes it came from."""

    value: M
    root: Node

    def place(self, *keys: str | int) -> Place:
        """Where the value under these keys stands; of keys that are not written, the nearest one above."""
        return locate(self.root, keys)

    def key_place(self, *keys: str | int) -> Place:
        """Where the key itself stands (a list's item: the item)."""
        return locate(self.root, keys, at_key=True)


def load_model(path: Path | str, cls: type[M]) -> M:
    """Read a YAML file as a model. Raises InputError with every problem of the file."""
    return load_document(path, cls).value


def load_document(path: Path | str, cls: type[M]) -> Document[M]:
    """As ``load_model``, and keeps where each value stands. ``path`` is shown in problems as given."""
    return as_document(load_nodes(path), cls)


def load_nodes(path: Path | str) -> Node:
    """A YAML file as nodes, not yet validated. Raises InputError."""
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise InputError([Problem(str(path), 0, 0, "this is not a file")])
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError([Problem(str(path), 0, 0, f"cannot be read: {reason}")]) from error
    if len(raw) > MAX_BYTES:
        raise InputError([Problem(str(path), 0, 0, f"is larger than {MAX_BYTES // 1024} KiB")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8")) + 1
        problem = Problem(
            str(path), line, column, f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8"
        )
        raise InputError([problem]) from error
    return read_nodes(text, str(path))


def parse(text: str, path: str, cls: type[M]) -> M:
    """Read YAML text as a model; ``path`` is for messages only. Raises InputError with every problem."""
    return parse_document(text, path, cls).value


def parse_document(text: str, path: str, cls: type[M]) -> Document[M]:
    """As ``parse``, and keeps where each value stands."""
    return as_document(read_nodes(text, path), cls)


def as_document(root: Node, cls: type[M]) -> Document[M]:
    """Nodes as a model, wherever they came from. Raises InputError with every problem."""
    try:
        return Document(cls.model_validate(root.data()), root)
    except ValidationError as error:
        problems = {_problem(root, cls, cast("dict[str, Any]", found)) for found in error.errors()}
        raise InputError(sorted(problems)) from error


def _models_at(kind: Any, loc: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    """The models that the value at ``loc`` below a type may have been meant to be."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _models_at(get_args(kind)[0], loc)
    elif origin in (Union, types.UnionType):
        for branch in get_args(kind):
            yield from _models_at(branch, loc)
    elif origin is dict and loc:
        yield from _models_at(get_args(kind)[1], loc[1:])
    elif origin in (list, tuple) and loc:
        yield from _models_at(get_args(kind)[0], loc[1:])
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if not loc:
            yield kind
        elif loc[0] in kind.model_fields:
            yield from _models_at(kind.model_fields[str(loc[0])].annotation, loc[1:])


def _shape(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else quoted(value)


_EXPECTED = {
    "string_type": "a text", "dict_type": "a mapping", "model_type": "a mapping",
    "model_attributes_type": "a mapping", "list_type": "a list", "tuple_type": "a list",
    "int_parsing": "a whole number", "int_type": "a whole number", "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number", "bool_parsing": "true or false", "bool_type": "true or false",
    "string_unicode": "a text of whole characters",
}  # fmt: skip


def _problem(root: Node, cls: type[BaseModel], error: dict[str, Any]) -> Problem:
    loc, kind, given = tuple(error["loc"]), str(error["type"]), error.get("input")
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        known = [name for model in _models_at(cls, loc[:-1]) for name in model.model_fields]
        place = locate(root, loc, at_key=True)
        return place.problem(f"unknown key {quoted(loc[-1])}", did_you_mean(str(loc[-1]), known))
    if kind == "missing":
        return locate(root, loc[:-1], at_key=True).problem(f"key {quoted(loc[-1])} is missing")
    place = locate(root, [key for key in loc if key != "[key]"], at_key="[key]" in loc)
    if isinstance(context.get("error"), BadValue):
        return place.problem(context["error"].message, context["error"].hint)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        near = did_you_mean(given, choices) if isinstance(given, str) else ""
        hint = near if near.startswith("did") else ""  # the choices are told already
        return place.problem(f"expected {' or '.join(choices)}, not {_shape(given)}", hint)
    if kind in _EXPECTED:
        return place.problem(f"expected {_EXPECTED[kind]}, not {_shape(given)}")
    message = str(error["msg"]).removeprefix("Value error, ")
    return place.problem(f"{message[:1].lower()}{message[1:]}, not {_shape(given)}")
