"""``matrix``: one scenario file, a run for each combination of machine and sequence.

Combinations are made of the file's nodes before they become values, so that every problem keeps its place and
a run knows nothing of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import Field, model_validator

from lab.errors import InputError, Problem
from lab.scenario.schema import Scenario
from lab.scenario.siteschema import SiteFile
from lab.yamlio import BadValue, Listing, Mapping, Model, Node, Scalar, as_document, json_schema

KEY = "matrix"
#: Runs that one file may stand for.
MOST = 64


class Matrix(Model):
    """What a scenario is run with, each combination a run of its own."""

    machine: tuple[str, ...] = Field(default=(), max_length=16)
    """templates of vm-templates/"""
    sequence: tuple[str, ...] = Field(default=(), max_length=16)
    """task sequences"""

    @model_validator(mode="after")
    def _has_values(self) -> Matrix:
        if not (self.machine or self.sequence):
            raise BadValue("the matrix is empty", "write 'machine: [uefi-x64, bios-x64]'")
        for values in (self.machine, self.sequence):
            if len(set(values)) < len(values):
                raise BadValue("a value stands in the matrix twice")
        return self


@dataclass(frozen=True)
class Combination:
    """One run's nodes; ``name`` tells it from the file's other runs ("" when there is one only)."""

    name: str
    root: Node


def combinations(root: Node) -> list[Combination]:
    """The runs a scenario file stands for. Raises InputError with every problem of its matrix."""
    entries = root.entries if isinstance(root, Mapping) else ()
    written = next((value for key, value in entries if key.text == KEY), None)
    if written is None or not isinstance(root, Mapping):
        return [Combination("", root)]
    as_document(written, Matrix)
    assert isinstance(written, Mapping)
    axes = [(key, value.items) for key, value in written.entries if isinstance(value, Listing)]
    given = {key.text: key for key, _ in root.entries}
    twice: list[Problem] = [
        key.place.problem(f"'{key.text}' stands in the matrix and in the scenario", "leave one of them out")
        for key, _ in axes
        if key.text in given
    ]
    if twice:
        raise InputError(twice)
    made = list(product(*(items for _, items in axes)))
    if len(made) > MOST:
        said = f"the matrix has {len(made)} combinations; {MOST} are allowed"
        raise InputError([written.place.problem(said)])
    labels = [", ".join(_label(value) for value in values) for values in made]
    whole = [", ".join(value.text for value in values if isinstance(value, Scalar)) for values in made]
    rest = tuple(entry for entry in root.entries if entry[0].text != KEY)
    found = []
    for values, label, long in zip(made, labels, whole, strict=True):
        own = tuple((key, value) for (key, _), value in zip(axes, values, strict=True))
        # Files of one name in two folders are told by their paths.
        name = label if labels.count(label) == 1 else long
        found.append(Combination(name, Mapping(root.place, (*rest, *own))))
    return found


def _label(value: Node) -> str:
    text = value.text if isinstance(value, Scalar) else ""
    return text.rsplit("/", 1)[-1].removesuffix(".xml")


def file_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file: a scenario whose machine or sequence may come from its matrix, and
    whose site may stand in it."""
    schema, site = json_schema(Scenario), json_schema(SiteFile)
    schema["$defs"] = {**schema["$defs"], **site.pop("$defs"), SiteFile.__name__: site}
    del site["$schema"]
    named, _, none = schema["properties"]["site"]["anyOf"]
    schema["properties"]["site"]["anyOf"] = [named, {"$ref": f"#/$defs/{SiteFile.__name__}"}, none]
    schema["properties"] = {**schema["properties"], KEY: Matrix.model_json_schema()}
    return {**schema, "anyOf": [{"required": ["expect"]}, {"required": ["machines"]}]}
